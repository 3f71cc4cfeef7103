def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/environ':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        names = ('REQUEST_METHOD', 'SCRIPT_NAME', 'PATH_INFO', 'QUERY_STRING', 'CONTENT_TYPE', 'CONTENT_LENGTH', 'SERVER_NAME', 'SERVER_PORT',
                 'SERVER_PROTOCOL', 'REMOTE_ADDR', 'HTTP_X_A', 'HTTP_COOKIE', 'wsgi.version', 'wsgi.url_scheme', 'wsgi.multithread')
        return [repr([environ.get(name) for name in names]).encode()]
    if path == '/echo':
        start_response('201 Made', [])
        return [environ['wsgi.input'].read()]
    if path == '/read':
        start_response('200 OK', [])
        body = environ['wsgi.input']
        return [repr([body.read(2), body.readline(), body.readlines()]).encode()]
    if path == '/pieces':
        start_response('200 OK', [])
        return (b'%d' % i for i in range(3))
    if path == '/large':
        start_response('200 OK', [])
        return (b'x' * 50000 for i in range(4))
    if path == '/sleep':
        start_response('200 OK', [])
        return slow()
    if path == '/write':
        write = start_response('200 OK', [])
        write(b'a')
        write(b'b')
        return [b'c']
    if path == '/close':
        start_response('200 OK', [])
        return Closing()
    if path == '/exc':
        start_response('200 OK', [])
        try:
            1 / 0
        except ZeroDivisionError:
            import sys
            start_response('500 Error', [('x-a', 'b')], sys.exc_info())
        return [b'failed']
    if path == '/errors':
        print('to the log', file=environ['wsgi.errors'])
        start_response('204 No Content', [])
        return []
    if path == '/raise':
        raise ValueError('raised')
    if path == '/twice':
        start_response('200 OK', [])
        start_response('200 OK', [])
    if path == '/h\xc3\xa9':
        start_response('200 OK', [])
        return [path.encode('latin-1')]
    return []


def slow():
    import time
    for i in range(3):
        yield b'%d' % i
        time.sleep(0.001)


class Closing:
    def __iter__(self):
        yield b'body'

    def close(self):
        print('closed')
