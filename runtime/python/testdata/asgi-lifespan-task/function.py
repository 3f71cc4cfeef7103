import asyncio


async def poll():
    await asyncio.sleep(0)
    await asyncio.Event().wait()


async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        await receive()
        scope['state']['task'] = asyncio.create_task(poll())
        await send({'type': 'lifespan.startup.complete'})
        await receive()
