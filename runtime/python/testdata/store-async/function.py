values = {'text': 'ü', 'number': 1.5, 'zero': 0, 'yes': True, 'nothing': None, 'list': [1, [2]], 'object': {'a': {'b': []}}, 'bytes': b'\x00\xff'}


async def handler(req, context):
    store = context.aleph.store
    match req.path:
        case '/values':
            keys = [await store.set(key, value) for key, value in values.items()]
            return [[k['key'] for k in keys], [await store.get(key) == value for key, value in values.items()], await store.get('none')]
        case '/keywords':
            await store.set(key='k', value=1, ttl=100)
            await store.set({'key': 'l', 'value': 2, 'ttl': 100})
            return [await store.get('k'), await store.get(key='l'), await store.get({'key': 'l'})]
        case '/delete':
            await store.set('d', 1)
            return [await store.delete('d'), await store.delete('d'), await store.get('d')]
        case '/increment':
            return [await store.increment('n'), await store.increment('n', 5), await store.increment('n', by=-10), await store.increment({'key': 'n', 'by': 2}), await store.get('n')]
        case '/list':
            for i in range(5):
                await store.set(f'list/{i}', i)
            first = await store.list('list/', limit=3)
            rest = await store.list({'prefix': 'list/', 'cursor': first['cursor']})
            return [first['keys'], rest]
        case '/compare':
            return [await store.compare_and_set('c', None, {'a': 1}), await store.compareAndSet('c', None, 2), await store.compare_and_set('c', expected={'a': 1}, value=3), await store.get('c')]
        case '/codes':
            await store.set('word', 'x')
            codes = []
            try:
                await store.increment('word')
            except Exception as error:
                codes += [type(error).__name__, error.code]
            try:
                await store.set('', 1)
            except Exception as error:
                codes += [type(error).__name__, error.code]
            return codes
        case '/types':
            return await store.set('a', {'b': object()})
        case '/key':
            return await store.get(5)
        case '/ttl':
            return await store.set('a', 1, ttl=1.5)
        case '/unknown':
            return await store.set({'key': 'a', 'val': 1})
        case '/no-value':
            return await store.set('a')
