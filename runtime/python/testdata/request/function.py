def handler(req):
    match req.path:
        case '/attributes':
            return [req.method == req['method'], req.headers.host, req.query.a, req.body, req.missing if 'missing' in req else 'none']
        case '/missing':
            return req.nothing
        case '/case':
            return [req.headers['Content-Type'], req.headers.get('X-NONE'), 'HOST' in req.headers, req.headers.get('hOST')]
        case '/raw':
            return [type(req.raw_body).__name__, len(req.raw_body), req.rawBody == req.raw_body, 'raw_body' in req]
        case '/json':
            return [req.json(), type(req.body).__name__]
        case '/bytes':
            return req.body
        case '/set':
            req.extra = 1
            return req['extra']
        case '/spread':
            return {**req, 'n': len(req)}
    return {'method': req.method, 'query': req.query, 'headers': req.headers, 'body': req.body, 'type': type(req.body).__name__}
