// Headers, Request, Response and fetch. Bodies are held whole; streams come with a later part of the prelude.

const { utf8Encode, utf8Decode, isBytes, bytes, define, inspect, blobData, multipart, parseForm } = native;
const tokenName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function headerName(name) {
  name = `${name}`;
  if (!tokenName.test(name)) throw new TypeError(`Headers: "${name}" is not a valid header name`);
  return name.toLowerCase();
}

function headerValue(name, value) {
  value = `${value}`;
  if (!/^[\t\r\n ]|[\0\r\n]|[\t ]$/.test(value)) return value;
  value = value.replace(/^[\t\r\n ]+|[\t\r\n ]+$/g, '');
  if (/[\0\r\n]/.test(value)) throw new TypeError(`Headers: the value of "${name}" has a line break or NUL in it`);
  return value;
}

let headersOf, headersFrom, listOf, setType;

class Headers {
  #map = new Map(); // lower-case name → values
  static {
    // Of an event's headers, which are lower case and checked already.
    headersOf = (object) => {
      const headers = new Headers();
      for (const name of Object.keys(object)) headers.#map.set(name, [object[name]]);
      return headers;
    };
    // Of an answer's headers, which are lower case and checked already: [name, value, name, value, …].
    headersFrom = (flat) => {
      const headers = new Headers();
      for (let i = 0; i < flat.length; i += 2) {
        const values = headers.#map.get(flat[i]);
        if (values) values.push(flat[i + 1]);
        else headers.#map.set(flat[i], [flat[i + 1]]);
      }
      return headers;
    };
    listOf = (headers) => {
      const list = [];
      for (const [name, values] of headers.#map) list.push([name, name === 'set-cookie' || values.length === 1 ? values : values.join(', ')]);
      return list;
    };
    setType = (headers, type) => {
      if (type !== null && !headers.#map.has('content-type')) headers.#map.set('content-type', [type]);
    };
  }
  constructor(init) {
    if (init === undefined || init === null) return;
    if (typeof init !== 'object') throw new TypeError('Headers: not an object or a list of [name, value]');
    if (typeof init[Symbol.iterator] === 'function') {
      for (const pair of init) {
        const [name, value, ...more] = typeof pair === 'object' && pair !== null ? pair : [];
        if (value === undefined || more.length) throw new TypeError('Headers: every entry must be a [name, value]');
        this.append(name, value);
      }
    } else {
      for (const name of Object.keys(init)) this.append(name, init[name]);
    }
  }
  append(name, value) {
    name = headerName(name);
    value = headerValue(name, value);
    const values = this.#map.get(name);
    if (values) values.push(value);
    else this.#map.set(name, [value]);
  }
  delete(name) { this.#map.delete(headerName(name)); }
  get(name) { return this.#map.get(headerName(name))?.join(', ') ?? null; }
  getSetCookie() { return [...(this.#map.get('set-cookie') ?? [])]; }
  has(name) { return this.#map.has(headerName(name)); }
  set(name, value) {
    name = headerName(name);
    this.#map.set(name, [headerValue(name, value)]);
  }
  forEach(callback, that) { for (const [name, value] of this) callback.call(that, value, name, this); }
  *entries() {
    for (const name of [...this.#map.keys()].sort()) {
      if (name === 'set-cookie') for (const value of this.#map.get(name)) yield [name, value];
      else if (this.#map.has(name)) yield [name, this.#map.get(name).join(', ')];
    }
  }
  *keys() { for (const [name] of this.entries()) yield name; }
  *values() { for (const [, value] of this.entries()) yield value; }
  [inspect.custom](depth, options, show) { return `Headers ${show(Object.fromEntries(this))}`; }
}
Object.defineProperty(Headers.prototype, Symbol.iterator, { value: Headers.prototype.entries, writable: true, configurable: true });

// What request.body and response.body are: the bytes, to iterate over or to pass on.
class BodyBytes {
  #owner;
  constructor(owner) { this.#owner = owner; }
  async *[Symbol.asyncIterator]() { yield await this.#owner.bytes(); }
  static take(body) { return body.#owner; }
}

// [string | Uint8Array | null, content type | null]
function extract(body) {
  if (body === undefined || body === null) return [null, null];
  if (typeof body === 'string') return [body.toWellFormed(), 'text/plain;charset=UTF-8'];
  if (isBytes(body)) return [bytes(body).slice(), null];
  if (body instanceof Blob) return [blobData(body), body.type || null];
  if (body instanceof URLSearchParams) return [body.toString(), 'application/x-www-form-urlencoded;charset=UTF-8'];
  if (body instanceof FormData) return multipart(body);
  if (body instanceof BodyBytes) return [dataOf(BodyBytes.take(body)), null];
  return [`${body}`.toWellFormed(), 'text/plain;charset=UTF-8'];
}

let dataOf, peek;

class Body {
  #data = null; #used = false; #headers = null; #view = null;
  static {
    peek = (b) => b.#data;
    dataOf = (b) => {
      if (b.#used) throw new TypeError('the body has been read already');
      b.#used = b.#data !== null;
      return b.#data;
    };
  }
  _set(data, headers) { // not for programs; removed from the prototype below
    this.#data = data;
    this.#headers = headers;
  }
  get headers() { return this.#headers; }
  get bodyUsed() { return this.#used; }
  get body() { return this.#data === null ? null : (this.#view ??= new BodyBytes(this)); }
  async text() {
    const data = dataOf(this);
    const text = data === null ? '' : typeof data === 'string' ? data : utf8Decode(data, false);
    return text[0] === '\ufeff' ? text.slice(1) : text;
  }
  async json() { return JSON.parse(await this.text()); }
  async bytes() {
    const data = dataOf(this);
    return data === null ? new Uint8Array(0) : typeof data === 'string' ? utf8Encode(data) : data.slice();
  }
  async arrayBuffer() { return (await this.bytes()).buffer; }
  async blob() { return new Blob([await this.bytes()], { type: this.#headers.get('content-type') ?? '' }); }
  async formData() { return parseForm(await this.bytes(), this.#headers.get('content-type') ?? ''); }
}
const setBody = Function.prototype.call.bind(Body.prototype._set);
delete Body.prototype._set;

const make = Symbol(); // as the first argument of a constructor: the second is checked already
const methods = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);
const requestDefaults = { cache: 'default', credentials: 'same-origin', destination: '', integrity: '', keepalive: false, mode: 'cors', redirect: 'follow', referrer: 'about:client', referrerPolicy: '' };

let signalOf, received;

class Request extends Body {
  #method; #url; #signal; #options = requestDefaults;
  constructor(input, init) {
    super();
    if (input === make) {
      this.#method = init.method;
      this.#url = init.url;
      return;
    }
    init ??= {};
    const from = input instanceof Request ? input : null;
    if (from) {
      this.#url = from.#url;
    } else {
      const url = URL.parse(`${input}`);
      if (url === null) throw new TypeError(`Request: "${input}" is not an absolute URL`);
      if (url.username || url.password) throw new TypeError('Request: the URL has credentials in it');
      this.#url = url.href;
    }
    const method = `${init.method ?? from?.method ?? 'GET'}`;
    if (!tokenName.test(method) || /^(connect|trace|track)$/i.test(method)) throw new TypeError(`Request: "${method}" is not a method that can be used`);
    this.#method = methods.has(method.toUpperCase()) ? method.toUpperCase() : method;
    this.#signal = init.signal ?? from?.#signal;
    this.#options = { ...(from?.#options ?? requestDefaults) };
    for (const name of Object.keys(requestDefaults)) if (init[name] !== undefined) this.#options[name] = init[name];
    const headers = new Headers(init.headers ?? from?.headers);
    let [data, type] = extract(init.body);
    if (init.body === undefined || init.body === null) data = from ? dataOf(from) : null;
    else if (data !== null && (this.#method === 'GET' || this.#method === 'HEAD')) throw new TypeError(`Request: a ${this.#method} request has no body`);
    setType(headers, type);
    setBody(this, data, headers);
  }
  get method() { return this.#method; }
  get url() { return this.#url; }
  get signal() { return (this.#signal ??= new AbortController().signal); }
  get duplex() { return 'half'; }
  clone() {
    if (this.bodyUsed) throw new TypeError('Request.clone: the body has been read already');
    const copy = new Request(this.#url, { method: this.#method, headers: this.headers, signal: this.signal, ...this.#options });
    setBody(copy, peek(this), copy.headers);
    return copy;
  }
  static {
    signalOf = (request) => request.#signal;
    for (const name of Object.keys(requestDefaults))
      Object.defineProperty(Request.prototype, name, { get() { return this.#options[name]; }, configurable: true, enumerable: true });
  }
  [inspect.custom](depth, options, show) {
    return `Request ${show({ method: this.#method, url: this.#url, headers: this.headers, bodyUsed: this.bodyUsed })}`;
  }
}

const nullBody = new Set([101, 103, 204, 205, 304]);

class Response extends Body {
  #status; #statusText; #type = 'default'; #url = ''; #redirected = false;
  constructor(body, init, how) {
    super();
    init ??= {};
    const status = init.status === undefined ? 200 : Math.trunc(Number(init.status));
    if (how !== make && !(status >= 200 && status <= 599)) throw new RangeError(`Response: the status ${init.status} is not from 200 to 599`);
    const text = `${init.statusText ?? ''}`;
    if (text !== '' && /[^\t\x20-\x7e\x80-\xff]/.test(text)) throw new TypeError('Response: the status text has control characters in it');
    this.#status = status;
    this.#statusText = text;
    const headers = new Headers(init.headers);
    const [data, type] = extract(body);
    if (data !== null && nullBody.has(status)) throw new TypeError(`Response: a response with status ${status} has no body`);
    setType(headers, type);
    setBody(this, data, headers);
  }
  static json(value, init = {}) {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError('Response.json: the value is not JSON');
    const headers = new Headers(init?.headers);
    setType(headers, 'application/json');
    return new Response(text, { ...init, headers });
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`Response.redirect: the status ${status} is not one of 301, 302, 303, 307, 308`);
    const parsed = URL.parse(`${url}`);
    // A path is kept as it is: which host the program is reached at is the caller's business.
    if (parsed === null && !/^[/?#.]/.test(`${url}`)) throw new TypeError(`Response.redirect: "${url}" is not a URL`);
    return new Response(null, { status, headers: { location: parsed?.href ?? `${url}` } });
  }
  static error() {
    const response = new Response(null, { status: 0 }, make);
    response.#type = 'error';
    return response;
  }
  get status() { return this.#status; }
  get ok() { return this.#status >= 200 && this.#status <= 299; }
  get statusText() { return this.#statusText; }
  get type() { return this.#type; }
  get url() { return this.#url; }
  get redirected() { return this.#redirected; }
  clone() {
    if (this.bodyUsed) throw new TypeError('Response.clone: the body has been read already');
    const copy = new Response(null, { status: this.#status, statusText: this.#statusText, headers: this.headers }, make);
    copy.#type = this.#type;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    setBody(copy, peek(this), copy.headers);
    return copy;
  }
  static {
    // Of what native.fetch resolves to.
    received = ([status, statusText, url, headers, body], method, redirected) => {
      const response = new Response(null, { status, statusText }, make);
      response.#type = 'basic';
      response.#url = url;
      response.#redirected = redirected;
      setBody(response, method === 'HEAD' || nullBody.has(status) ? null : body, headersFrom(headers));
      return response;
    };
    native.responseParts = (response) => {
      if (response.#type === 'error') throw new TypeError('Response.error() has no status to answer with');
      return [response.#status, listOf(response.headers), dataOf(response)];
    };
  }
  [inspect.custom](depth, options, show) {
    return `Response ${show({ status: this.#status, statusText: this.#statusText, headers: this.headers, ok: this.ok, bodyUsed: this.bodyUsed })}`;
  }
}

for (const type of [Headers, Body, Request, Response])
  for (const name of Object.getOwnPropertyNames(type.prototype))
    if (name !== 'constructor') Object.defineProperty(type.prototype, name, { enumerable: true });
define({ Headers, Request, Response });
native.responsePrototype = Response.prototype;

// The outside. The node resolves, connects, checks addresses and follows redirects; it adds no header and decompresses nothing.
// It rejects with the signal's reason, or a TypeError "fetch failed: code: why" whose cause, and code, are the operation's.
async function fetch(input, init = undefined) {
  const request = new Request(input, init);
  const signal = signalOf(request);
  signal?.throwIfAborted();
  const { method, redirect } = request;
  if (redirect !== 'follow' && redirect !== 'manual' && redirect !== 'error') throw new TypeError(`fetch: redirect is "${redirect}", not "follow", "manual" or "error"`);
  const url = request.url.replace(/#.*$/s, '');
  const headers = [];
  for (const [name, values] of listOf(request.headers)) {
    if (typeof values === 'string') headers.push(name, values);
    else for (const value of values) headers.push(name, value);
  }
  let parts;
  try {
    const [promise, id] = native.fetch(method, url, headers, dataOf(request), redirect === 'follow' ? 20 : 0);
    parts = await (signal ? abortable(promise, id, signal) : promise);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error?.code === undefined) throw error; // no memory is left
    throw Object.assign(new TypeError(`fetch failed: ${error.code}: ${error.message}`, { cause: error }), { code: error.code });
  }
  const response = received(parts, method, parts[2] !== url);
  if (redirect === 'error' && [301, 302, 303, 307, 308].includes(response.status) && response.headers.has('location'))
    throw Object.assign(new TypeError(`fetch failed: network: ${url} redirects, and redirect is "error"`), { code: 'network' });
  return response;
}

function abortable(promise, id, signal) {
  const { promise: either, resolve, reject } = Promise.withResolvers();
  const abort = () => {
    native.cancel(id);
    reject(signal.reason);
  };
  signal.addEventListener('abort', abort, { once: true });
  promise.then(resolve, reject);
  return either.finally(() => signal.removeEventListener('abort', abort));
}

define({ fetch });

// For programs whose default export is {fetch(request, env, context)}, as on Cloudflare and Deno.
native.fetchHandler = (target, req, context) => {
  const { headers, method } = req;
  const query = native.query();
  const rest = query === '' ? req.path : `${req.path}?${query}`;
  const scheme = headers['x-forwarded-proto']?.split(',')[0].trim() === 'https' ? 'https' : 'http';
  const [url] = native.urlParse(`${scheme}://${headers.host ?? 'localhost'}${rest}`) ?? native.urlParse(`http://localhost${rest}`);
  const request = new Request(make, { method, url });
  setBody(request, native.body(), headersOf(headers));
  let waiting = null;
  const ctx = { ...context, waitUntil: (promise) => void (waiting ??= []).push(promise), passThroughOnException() {} };
  const answer = target.fetch(request, native.env, ctx);
  if (waiting === null && typeof answer?.then !== 'function') return answer;
  return (async () => {
    const response = await answer;
    for (let i = 0; waiting !== null && i < waiting.length; i++) await Promise.resolve(waiting[i]).catch((error) => native.uncaught(error, 'Unhandled rejection in waitUntil'));
    return response;
  })();
};

// What reply.c asks about headers that are no array: a Headers, a Map, or an object of values.
native.headerList = (headers) => (typeof headers[Symbol.iterator] === 'function' ? [...headers] : Object.entries(headers));
