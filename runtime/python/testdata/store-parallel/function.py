import asyncio


def plain(store):
    return store.get('k')


async def handler(req, context):
    store = context.aleph.store
    match req.path:
        case '/gather':
            await asyncio.gather(*[store.set(f'p/{i}', i) for i in range(300)])
            values = await asyncio.gather(*(store.get(f'p/{i}') for i in range(300)))
            return [sum(values), await asyncio.gather(*map(store.get, ['p/1', 'p/2'])), await asyncio.wait_for(store.get('p/3'), 1)]
        case '/plain':
            await store.set('k', 'v')
            return [plain(store), await asyncio.to_thread(plain, store)]
        case '/lost':
            return store.get('k')
        case '/lost-inside':
            return {'value': store.get('k')}
        case '/watch':
            change = store.watch('w/')
            await store.set('w/1', {'a': 1})
            first = await change
            change = store.watch(prefix='w/')
            await store.delete('w/1')
            return [first, await change]
        case '/async-for':
            async def write():
                for i in range(3):
                    await asyncio.sleep(0.005)
                    await store.set('f/k', i)
            writing = asyncio.create_task(write())
            seen = []
            async for change in store.watch('f/'):
                seen.append(change['value'])
                if len(seen) == 3:
                    return seen
        case '/cancel':
            try:
                await asyncio.wait_for(store.watch('never/'), 0.01)
            except asyncio.TimeoutError:
                return 'cancelled'
