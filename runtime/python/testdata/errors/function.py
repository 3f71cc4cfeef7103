import json
import threading

from lib.deep import fail


class AppError(Exception):
    pass


def recurse(n):
    return recurse(n + 1) + 1


def handler(req):
    match req.path:
        case '/type':
            return None + 1
        case '/module':
            return fail()
        case '/chain':
            try:
                {}['k']
            except KeyError as error:
                raise AppError('outer') from error
        case '/context':
            try:
                {}['k']
            except KeyError:
                raise AppError
        case '/lines':
            raise ValueError('two\nlines')
        case '/group':
            raise ExceptionGroup('all', [ValueError('a'), TypeError('b')])
        case '/recursion':
            return recurse(0)
        case '/caught-recursion':
            try:
                recurse(0)
            except RecursionError as error:
                return type(error).__name__
        case '/exit':
            raise SystemExit(3)
        case '/interrupt':
            raise KeyboardInterrupt
        case '/thread':
            threading.Thread(target=print).start()
        case '/syntax':
            eval('1 +')
        case '/json':
            json.loads('{')
        case '/deep-json':
            json.loads('[' * 100000)
        case '/str':
            class Bad(Exception):
                def __str__(self):
                    raise ValueError
            raise Bad
