// Requests to a server of the tests, at $OUTSIDE.
const { OUTSIDE } = process.env;
const get = (path, init) => fetch(OUTSIDE + path, init);
const echo = async (init) => {
  const { method, type, length, body } = await (await get('/echo', init)).json();
  return { method, type, length, body };
};
const failure = (promise) => promise.then(() => 'none', (error) => `${error.name}: ${error.message}; ${error.code}; ${error.cause?.code}`);

const paths = {
  async '/get'() {
    const r = await get('/echo?a=b#fragment', { headers: [['X-Mine', '1'], ['x-mine', '2']] });
    return { status: r.status, ok: r.ok, statusText: r.statusText, type: r.headers.get('content-type'), redirected: r.redirected,
      url: r.url.replace(OUTSIDE, ''), cookies: r.headers.getSetCookie(), body: await r.json() };
  },
  '/post-string': () => echo({ method: 'post', body: 'grüß' }),
  '/post-json': () => echo({ method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ a: 1 }) }),
  '/post-params': () => echo({ method: 'POST', body: new URLSearchParams({ a: 1, b: 'x y' }) }),
  '/post-bytes': () => echo({ method: 'POST', body: new TextEncoder().encode('abc') }),
  async '/post-form'() {
    const form = new FormData();
    form.append('file', new Blob(['content']), 'a.txt');
    const { method, type, body } = await echo({ method: 'POST', body: form });
    return { method, type: type.split(';')[0], body: body.includes('filename="a.txt"') && body.includes('content') };
  },
  '/post-request': async () => {
    const request = new Request(`${OUTSIDE}/echo`, { method: 'PATCH', headers: { 'content-type': 'text/x' }, body: 'once' });
    const { method, type, length, body } = await (await fetch(request)).json();
    return { method, type, length, body };
  },
  '/bytes': async () => [...(await (await get('/bytes')).bytes())],
  async '/status'() {
    const pot = await get('/teapot'), none = await get('/nothing');
    return [pot.status, pot.ok, pot.statusText, await pot.text(), none.status, none.body, await none.text()];
  },
  async '/redirects'() {
    const followed = await get('/redirect'), manual = await get('/redirect', { redirect: 'manual' });
    return [followed.status, followed.redirected, followed.url.replace(OUTSIDE, ''), manual.status, manual.headers.get('location'), manual.redirected,
      (await failure(get('/redirect', { redirect: 'error' }))).replace(/; undefined$/, '')];
  },
  async '/head'() {
    const r = await get('/echo', { method: 'HEAD' });
    return [r.status, r.body, await r.text()];
  },
  async '/clone'() {
    const r = await get('/bytes'), copy = r.clone();
    const [a, b] = [await r.arrayBuffer(), await copy.blob()];
    return [a.byteLength === 4, b.size === 4, copy.url.replace(OUTSIDE, '')];
  },
  async '/parallel'() {
    const begun = Date.now();
    const all = await Promise.all(Array.from({ length: 10 }, () => get('/sleep').then((r) => r.text())));
    return [all.filter((text) => text === 'slept').length, Date.now() - begun < 1500];
  },
  async '/abort'() {
    const controller = new AbortController(), other = new AbortController();
    setTimeout(() => controller.abort(), 20);
    setTimeout(() => other.abort(new Error('mine')), 30);
    const results = await Promise.allSettled([
      get('/slow', { signal: controller.signal }), get('/slow', { signal: AbortSignal.timeout(10) }), get('/slow', { signal: other.signal })]);
    return [results[0].reason.name, results[1].reason.name, results[2].reason.message];
  },
  '/proxy': () => get('/teapot'),
  '/errors': () => Promise.all([
    fetch('http://10.0.0.1/'), get('/private'), fetch('http://127.0.0.1:1/'), fetch('ftp://127.0.0.1/'), get('/large'),
  ].map(failure)),
};
export default (req) => paths[req.path]();
