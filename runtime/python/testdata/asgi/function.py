import asyncio


async def read(receive):
    body, more = b'', True
    while more:
        message = await receive()
        body += message['body']
        more = message['more_body']
    return body


async def app(scope, receive, send):
    assert scope['type'] == 'http'
    path = scope['path']

    async def start(status=200, *headers):
        await send({'type': 'http.response.start', 'status': status, 'headers': headers})

    async def body(data=b'', more=False):
        await send({'type': 'http.response.body', 'body': data, 'more_body': more})

    match path:
        case '/scope':
            scope = {k: v for k, v in scope.items() if k not in ('headers', 'asgi')}
            await start(200, (b'Content-Type', b'text/plain'))
            await body(repr(scope).encode())
        case '/héllo':
            await start()
            await body(scope['raw_path'])
        case '/headers':
            await start(201, (b'x-a', b'1'), (b'x-a', b'2'))
            await body(repr(scope['headers']).encode())
        case '/echo':
            data = await read(receive)
            await start()
            await body(data)
        case '/pieces':
            await start()
            for i in range(3):
                await body(b'%d' % i, True)
            await body()
        case '/stream':
            await start(200, (b'x', b'y'))
            for i in range(3):
                await body(b'%d' % i, True)
                await asyncio.sleep(0.001)
            await body()
        case '/large':
            await start()
            for i in range(4):
                await body(b'x' * 50000, True)
            await body()
        case '/both':
            await start()
            while True:
                message = await receive()
                await body(message['body'].upper(), True)
                await asyncio.sleep(0.001)
                if not message['more_body']:
                    break
            await body()
        case '/disconnect':
            await read(receive)
            waiting = asyncio.create_task(receive())
            await start()
            await body(b'done')
            print((await waiting)['type'])
        case '/after':
            await start()
            await body(b'done')
            await asyncio.sleep(0.001)
            print('after')
        case '/raise':
            raise ValueError('before')
        case '/raise-late':
            await start()
            await body(b'a', True)
            raise ValueError('held')
        case '/raise-streaming':
            await start()
            await body(b'a', True)
            await asyncio.sleep(0.001)
            raise ValueError('streaming')
        case '/raise-after':
            await start(500)
            await body(b'own page')
            raise ValueError('after')
        case '/twice':
            await start()
            await start()
        case '/no-start':
            await body()
        case '/half':
            await start()
        case '/status':
            await start(99)
        case '/type':
            await send({'type': 'websocket.accept'})
        case '/header':
            await start(200, (b'a b', b'c'))
