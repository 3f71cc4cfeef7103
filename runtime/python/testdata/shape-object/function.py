class Handler:
    async def __call__(self, req):
        return req.path


handler = Handler()
