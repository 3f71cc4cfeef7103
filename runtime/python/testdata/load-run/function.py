import asyncio

async def compute():
    await asyncio.sleep(0)
    return 5

VALUE = asyncio.run(compute())


def handler(req):
    return VALUE
