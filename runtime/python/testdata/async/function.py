import asyncio


async def handler(req, context):
    match req.path:
        case '/sleep':
            await asyncio.sleep(0.01)
            return {'slept': True}
        case '/at-once':
            return 'now'
        case '/raise':
            await asyncio.sleep(0)
            raise KeyError('k')
        case '/never':
            await asyncio.get_running_loop().create_future()
        case '/task-error':
            async def bad():
                raise ValueError('lost')
            task = asyncio.create_task(bad())
            await asyncio.sleep(0.001)
            del task
            return 'ok'
