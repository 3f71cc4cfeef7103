// The engine makes most of the standard library's functions when they are first looked at. Looking at all of them here puts
// them into the image, where they cost a request nothing; made in a request, each would cost it a page.

const seen = new Set();

function look(object) {
  const queue = [object];
  while (queue.length > 0) {
    const o = queue.pop();
    if (o === null || (typeof o !== 'object' && typeof o !== 'function') || seen.has(o)) continue;
    seen.add(o);
    queue.push(Object.getPrototypeOf(o));
    for (const key of Reflect.ownKeys(o)) {
      const d = Object.getOwnPropertyDescriptor(o, key);
      queue.push(d.value, d.get, d.set);
    }
  }
}

look(globalThis);
look(native);
for (const start of [[][Symbol.iterator](), new Map().entries(), new Set().values(), ''[Symbol.iterator](), 'a'.matchAll(/a/g),
  (function* () {})(), (async function* () {})(), async function () {}, function* () {}, async function* () {}, Iterator.prototype, [].values().map((x) => x)])
  look(start);

// The names of headers that most requests have, so that they are atoms already.
native.commonHeaders = {};
for (const name of ['host', 'user-agent', 'accept', 'accept-encoding', 'accept-language', 'connection', 'content-type', 'content-length',
  'cookie', 'origin', 'referer', 'authorization', 'cache-control', 'pragma', 'upgrade-insecure-requests', 'x-forwarded-for',
  'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip', 'x-request-id', 'forwarded', 'via', 'te', 'range', 'dnt', 'if-none-match',
  'if-modified-since', 'sec-fetch-dest', 'sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-user', 'sec-ch-ua', 'sec-ch-ua-mobile',
  'sec-ch-ua-platform', 'traceparent', 'tracestate', 'priority', 'name', 'id', 'q', 'page', 'limit', 'key', 'value', 'message'])
  native.commonHeaders[name] = name;
