import asyncio

cache = []


async def warmup():
    await asyncio.sleep(0)
    cache.append("warm")


async def handler(req):
    return cache
