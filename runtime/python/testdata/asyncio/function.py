import asyncio, concurrent.futures, time, socket


async def later(value, seconds=0.02):
    await asyncio.sleep(seconds)
    return value


async def main(path):
    match path:
        case '/gather':
            begin = time.monotonic()
            values = await asyncio.gather(*[later(i, 0.1) for i in range(10)])
            return [values, 0.09 < time.monotonic() - begin < 0.5]
        case '/timeout':
            try:
                await asyncio.wait_for(later(1, 60), 0.01)
            except asyncio.TimeoutError:
                pass
            try:
                async with asyncio.timeout(0.01):
                    await later(1, 60)
            except TimeoutError:
                return 'timeout'
        case '/group':
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(later(i)) for i in range(3)]
            return [task.result() for task in tasks]
        case '/group-error':
            async def bad():
                raise ValueError('bad')
            async with asyncio.TaskGroup() as group:
                group.create_task(later(1))
                group.create_task(bad())
        case '/queue':
            queue, event, lock = asyncio.Queue(), asyncio.Event(), asyncio.Lock()
            async def produce():
                async with lock:
                    for i in range(3):
                        await queue.put(await later(i, 0.001))
                event.set()
            task = asyncio.create_task(produce())
            items = [await queue.get() for _ in range(3)]
            await event.wait()
            await task
            return items
        case '/threads':
            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor() as pool:
                return [await asyncio.to_thread(sum, [1, 2]), await loop.run_in_executor(None, len, 'abc'), pool.submit(max, 1, 2).result(),
                        list(pool.map(abs, [-1, -2])), await loop.run_in_executor(pool, abs, -3)]
        case '/nested':
            return await asyncio.to_thread(lambda: asyncio.run(later('inner', 0.001)))
        case '/subprocess':
            await asyncio.create_subprocess_exec('ls')
        case '/server':
            await asyncio.start_server(print, '127.0.0.1', 80)
        case '/resolve':
            return [str(a[4]) for a in await asyncio.get_running_loop().getaddrinfo('example.com', 'https', type=socket.SOCK_STREAM)]
        case '/cancel':
            task = asyncio.create_task(later(1, 60))
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                return 'cancelled'
        case '/left':
            asyncio.get_running_loop().call_later(60, print)
            asyncio.create_task(later(1, 60))
            return 'left'
        case '/loop':
            return [asyncio.get_running_loop() is asyncio.get_event_loop(), asyncio.current_task() is not None]


def handler(req):
    if req.path == '/coroutine':
        return later('awaited')
    if req.path == '/runner':
        with asyncio.Runner() as runner:
            return [runner.run(later(1)), runner.run(later(2))]
    return asyncio.run(main(req.path))
