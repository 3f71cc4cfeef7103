import asyncio


async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        await receive()
        await asyncio.sleep(1)
