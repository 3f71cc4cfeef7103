import collections, dataclasses, datetime, decimal, enum, pathlib, uuid
from http import HTTPStatus


@dataclasses.dataclass
class Point:
    x: int
    at: datetime.date


class Color(enum.Enum):
    RED = 'red'


class Level(enum.IntEnum):
    HIGH = 3


class Response:
    def __init__(self, body, status, headers):
        self.body, self.status_code, self.headers = body, status, headers


class Model:
    def model_dump(self):
        return {'model': True}


cycle = {}
cycle['a'] = [cycle]
T = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)

replies = {
    'none': lambda: None,
    'str': lambda: 'héllo',
    'empty-str': lambda: '',
    'bytes': lambda: b'\x01\xff',
    'bytearray': lambda: bytearray(b'ab'),
    'memoryview': lambda: memoryview(b'abcd')[1:3],
    'dict': lambda: {'a': 1, 'b': [True, None, 'ü', 1.5]},
    'list': lambda: [1, 2],
    'number': lambda: 42,
    'float': lambda: 0.1,
    'true': lambda: True,
    'keys': lambda: {1: 'a', None: 'b', True: 'c'},
    'dataclass': lambda: Point(1, T.date()),
    'kinds': lambda: [T, T.time(), uuid.UUID(int=1), decimal.Decimal('1.10'), Color.RED, Level.HIGH, pathlib.PurePosixPath('/a'),
                      {1}, frozenset(), collections.deque([1]), collections.OrderedDict(a=1), Model(), (1, 2)],
    'surrogate': lambda: {'a': '\ud800'},
    'status': lambda: {'status': 201},
    'status-code': lambda: {'statusCode': 404, 'body': 'gone'},
    'status_code': lambda: {'status_code': 404, 'body': b'gone'},
    'enum-status': lambda: {'status': HTTPStatus.ACCEPTED, 'body': ''},
    'full': lambda: {'status': 202, 'headers': {'X-A': 'b', 'Content-Type': 'text/html', 'Set-Cookie': ['a=1', 'b=2'], 'n': 5, 'none': None}, 'body': '<p>'},
    'json-body': lambda: {'status': 200, 'body': {'a': 1}},
    'none-body': lambda: {'status': 200, 'body': None},
    'header-list': lambda: {'status': 200, 'headers': [('x-c', 'd'), ['x-c', 'e']]},
    'status-word': lambda: {'status': 'ok', 'body': 'data'},
    'status-data': lambda: {'status': 7},
    'more-keys': lambda: {'status': 200, 'id': 1},
    'body-alone': lambda: {'body': 1},
    'tuple': lambda: ('gone', 404),
    'tuple-headers': lambda: ({'a': 1}, 201, {'x-a': 'b'}),
    'tuple-two': lambda: ('<p>', {'content-type': 'text/html'}),
    'tuple-data': lambda: (1, 2),
    'response': lambda: Response(b'<p>', 418, {'content-type': 'text/html'}),
    'nan': lambda: {'a': float('nan')},
    'object': lambda: {'a': [object()]},
    'function': lambda: print,
    'class': lambda: Point,
    'exception': lambda: ValueError('x'),
    'cycle': lambda: cycle,
    'bytes-inside': lambda: {'a': b'x'},
    'generator': lambda: (i for i in range(3)),
    'bad-key': lambda: {(1, 2): 3},
    'bad-header': lambda: {'status': 200, 'headers': {'a b': 'c'}},
    'bad-value': lambda: {'status': 200, 'headers': {'a': 'b\r\nc: d'}},
    'bad-headers': lambda: {'status': 200, 'headers': 'a: b'},
}


def handler(req):
    return replies[req.path[1:]]()
