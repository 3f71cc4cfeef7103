values = {'text': 'ü', 'number': 1.5, 'zero': 0, 'yes': True, 'nothing': None, 'list': [1, [2]], 'object': {'a': {'b': []}}, 'bytes': b'\x00\xff'}


def handler(req, context):
    store = context.aleph.store
    match req.path:
        case '/values':
            keys = [store.set(key, value) for key, value in values.items()]
            return [[k['key'] for k in keys], [store.get(key) == value for key, value in values.items()], store.get('none')]
        case '/keywords':
            store.set(key='k', value=1, ttl=100)
            store.set({'key': 'l', 'value': 2, 'ttl': 100})
            return [store.get('k'), store.get(key='l'), store.get({'key': 'l'})]
        case '/delete':
            store.set('d', 1)
            return [store.delete('d'), store.delete('d'), store.get('d')]
        case '/increment':
            return [store.increment('n'), store.increment('n', 5), store.increment('n', by=-10), store.increment({'key': 'n', 'by': 2}), store.get('n')]
        case '/list':
            for i in range(5):
                store.set(f'list/{i}', i)
            first = store.list('list/', limit=3)
            rest = store.list({'prefix': 'list/', 'cursor': first['cursor']})
            return [first['keys'], rest]
        case '/compare':
            return [store.compare_and_set('c', None, {'a': 1}), store.compareAndSet('c', None, 2), store.compare_and_set('c', expected={'a': 1}, value=3), store.get('c')]
        case '/codes':
            store.set('word', 'x')
            codes = []
            try:
                store.increment('word')
            except Exception as error:
                codes += [type(error).__name__, error.code]
            try:
                store.set('', 1)
            except Exception as error:
                codes += [type(error).__name__, error.code]
            return codes
        case '/types':
            return store.set('a', {'b': object()})
        case '/key':
            return store.get(5)
        case '/ttl':
            return store.set('a', 1, ttl=1.5)
        case '/unknown':
            return store.set({'key': 'a', 'val': 1})
        case '/no-value':
            return store.set('a')
