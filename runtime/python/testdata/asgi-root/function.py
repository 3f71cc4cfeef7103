class App:
    async def __call__(self, scope, receive, send):
        if scope['type'] != 'http':
            raise NotImplementedError
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': repr([scope[k] for k in ('root_path', 'path', 'raw_path')]).encode()})


app = App()
