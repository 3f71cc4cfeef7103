import asyncio

async def poll():
    await asyncio.sleep(60)

loop = asyncio.get_event_loop()
task = loop.create_task(poll())


def handler(req):
    pass
