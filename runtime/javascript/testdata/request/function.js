const shapes = {
  '/keys': (req) => Object.keys(req),
  '/json': (req) => JSON.parse(JSON.stringify(req)),
  '/spread': (req) => ({ ...req }),
  '/query': (req) => req.query,
  '/headers': (req) => req.headers,
  '/body': (req) => ({ type: req.body === null ? 'null' : req.body instanceof Uint8Array ? 'bytes' : typeof req.body, body: req.body instanceof Uint8Array ? [...req.body] : req.body }),
  '/raw': (req) => ({ bytes: [...req.rawBody], same: req.rawBody === req.rawBody, kind: req.rawBody.constructor.name }),
  '/proto': (req) => ({ own: Object.hasOwn(req.query, '__proto__'), value: req.query['__proto__'], polluted: {}.x ?? null, plain: Object.getPrototypeOf(req.query) === Object.prototype }),
  '/assign': (req) => { req.rawBody = 'mine'; req.user = 1; return [req.rawBody, req.user]; },
  '/log': (req) => { console.log(req); },
  '/context': (req, context) => ({ keys: Object.keys(context), requestId: context.requestId, store: Object.keys(context.aleph.store) }),
};
export default (req, context) => shapes[req.path](req, context);
