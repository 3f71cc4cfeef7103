// URL and URLSearchParams. Parsing is ada's (url.c).

const { urlParse, urlSet, formParse, formEncode, define, inspect } = native;
const HREF = 0, PROTOCOL_END = 1, USERNAME_END = 2, HOST_START = 3, HOST_END = 4, PATHNAME_START = 6, SEARCH_START = 7, HASH_START = 8;
const PROTOCOL = 0, USERNAME = 1, PASSWORD = 2, HOST = 3, HOSTNAME = 4, PORT = 5, PATHNAME = 6, SEARCH = 7, HASH = 8;
const special = { 'http:': true, 'https:': true, 'ftp:': true, 'ws:': true, 'wss:': true };
const text = (v) => `${v}`.toWellFormed();

const parsed = Symbol(); // as URL's first argument: the second are the parts
let setQuery, updateFrom; // what the two classes do to each other

class URLSearchParams {
  #list = []; #url = null;
  constructor(init) {
    if (init === undefined || init === null) return;
    if (typeof init === 'object' || typeof init === 'function') {
      const iterator = init[Symbol.iterator];
      if (iterator !== undefined && iterator !== null) {
        if (typeof iterator !== 'function') throw new TypeError('URLSearchParams: not iterable');
        for (const pair of init) {
          const [name, value, ...more] = typeof pair === 'object' && pair !== null ? pair : [];
          if (value === undefined || more.length) throw new TypeError('URLSearchParams: every entry must be a [name, value]');
          this.#list.push([text(name), text(value)]);
        }
      } else {
        for (const name of Reflect.ownKeys(init)) if (typeof name === 'string' && Object.prototype.propertyIsEnumerable.call(init, name)) this.#list.push([text(name), text(init[name])]);
      }
      return;
    }
    init = text(init);
    this.#parse(init[0] === '?' ? init.slice(1) : init);
  }
  #parse(query) {
    const flat = formParse(query);
    this.#list = [];
    for (let i = 0; i < flat.length; i += 2) this.#list.push([flat[i], flat[i + 1]]);
  }
  #changed() {
    if (this.#url !== null) setQuery(this.#url, this.toString());
  }
  static {
    updateFrom = (params, url, query) => {
      params.#url = url;
      params.#parse(query);
    };
  }
  get size() { return this.#list.length; }
  append(name, value) {
    this.#list.push([text(name), text(value)]);
    this.#changed();
  }
  delete(name, value) {
    name = text(name);
    this.#list = this.#list.filter(([n, v]) => n !== name || (value !== undefined && v !== text(value)));
    this.#changed();
  }
  get(name) {
    name = text(name);
    return this.#list.find(([n]) => n === name)?.[1] ?? null;
  }
  getAll(name) {
    name = text(name);
    return this.#list.filter(([n]) => n === name).map(([, v]) => v);
  }
  has(name, value) {
    name = text(name);
    return this.#list.some(([n, v]) => n === name && (value === undefined || v === text(value)));
  }
  set(name, value) {
    name = text(name);
    value = text(value);
    const first = this.#list.find(([n]) => n === name);
    if (first) {
      first[1] = value;
      this.#list = this.#list.filter((p) => p === first || p[0] !== name);
    } else {
      this.#list.push([name, value]);
    }
    this.#changed();
  }
  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }
  forEach(callback, that) {
    for (const [name, value] of this) callback.call(that, value, name, this);
  }
  *entries() { for (let i = 0; i < this.#list.length; i++) yield [...this.#list[i]]; }
  *keys() { for (let i = 0; i < this.#list.length; i++) yield this.#list[i][0]; }
  *values() { for (let i = 0; i < this.#list.length; i++) yield this.#list[i][1]; }
  toString() { return this.#list.map(([n, v]) => `${formEncode(n)}=${formEncode(v)}`).join('&'); }
  [inspect.custom](depth, options, show) {
    return `URLSearchParams {${this.#list.map(([n, v]) => ` ${show(n)} => ${show(v)}`).join(',')}${this.#list.length ? ' ' : ''}}`;
  }
}
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { value: URLSearchParams.prototype.entries, writable: true, configurable: true });

class URL {
  #parts; #params = null;
  constructor(url, base) {
    if (url === parsed) return void (this.#parts = base);
    url = text(url);
    this.#parts = urlParse(url, base === undefined ? undefined : text(base));
    if (this.#parts === null) throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: url, ...(base === undefined ? {} : { base: text(base) }) });
  }
  static canParse(url, base) { return urlParse(text(url), base === undefined ? undefined : text(base)) !== null; }
  static parse(url, base) {
    const parts = urlParse(text(url), base === undefined ? undefined : text(base));
    return parts === null ? null : new URL(parsed, parts);
  }
  static { setQuery = (url, query) => void (url.#parts = urlSet(url.#parts[HREF], SEARCH, query)); }
  #slice(from, to) { return this.#parts[HREF].slice(from, to); }
  #set(part, value) {
    this.#parts = urlSet(this.#parts[HREF], part, text(value));
  }
  #end(...parts) {
    for (const p of parts) if (this.#parts[p] >= 0) return this.#parts[p];
    return undefined;
  }
  get href() { return this.#parts[HREF]; }
  set href(value) {
    const parts = urlParse(text(value), undefined);
    if (parts === null) throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: text(value) });
    this.#parts = parts;
    this.#syncParams();
  }
  get origin() {
    if (special[this.protocol]) return `${this.protocol}//${this.host}`;
    if (this.protocol === 'blob:') {
      const inner = urlParse(this.pathname, undefined);
      if (inner !== null && /^https?:/.test(inner[HREF])) return new URL(inner[HREF]).origin;
    }
    return 'null';
  }
  get protocol() { return this.#slice(0, this.#parts[PROTOCOL_END]); }
  set protocol(value) { this.#set(PROTOCOL, value); }
  get username() {
    const start = this.#parts[PROTOCOL_END] + 2;
    return start < this.#parts[USERNAME_END] ? this.#slice(start, this.#parts[USERNAME_END]) : '';
  }
  set username(value) { this.#set(USERNAME, value); }
  get password() {
    return this.#parts[HOST_START] > this.#parts[USERNAME_END] ? this.#slice(this.#parts[USERNAME_END] + 1, this.#parts[HOST_START]) : '';
  }
  set password(value) { this.#set(PASSWORD, value); }
  get host() {
    let start = this.#parts[HOST_START];
    if (this.#parts[HREF][start] === '@') start++;
    // A path that begins with two slashes is kept apart from a missing host by "/.".
    const end = this.#parts[PATHNAME_START];
    return this.#slice(start, this.#parts[HOST_END] === start ? start : end);
  }
  set host(value) { this.#set(HOST, value); }
  get hostname() {
    let start = this.#parts[HOST_START];
    if (this.#parts[HREF][start] === '@') start++;
    return this.#slice(start, this.#parts[HOST_END]);
  }
  set hostname(value) { this.#set(HOSTNAME, value); }
  get port() { return this.#parts[5] >= 0 ? `${this.#parts[5]}` : ''; }
  set port(value) { this.#set(PORT, value); }
  get pathname() { return this.#slice(this.#parts[PATHNAME_START], this.#end(SEARCH_START, HASH_START)); }
  set pathname(value) { this.#set(PATHNAME, value); }
  get search() {
    if (this.#parts[SEARCH_START] < 0) return '';
    const search = this.#slice(this.#parts[SEARCH_START], this.#end(HASH_START));
    return search === '?' ? '' : search;
  }
  set search(value) {
    this.#set(SEARCH, value);
    this.#syncParams();
  }
  get hash() {
    if (this.#parts[HASH_START] < 0) return '';
    const hash = this.#slice(this.#parts[HASH_START]);
    return hash === '#' ? '' : hash;
  }
  set hash(value) { this.#set(HASH, value); }
  get searchParams() {
    if (this.#params === null) {
      this.#params = new URLSearchParams();
      this.#syncParams();
    }
    return this.#params;
  }
  #syncParams() {
    if (this.#params !== null) updateFrom(this.#params, this, this.search.slice(1));
  }
  toString() { return this.#parts[HREF]; }
  toJSON() { return this.#parts[HREF]; }
  [inspect.custom](depth, options, show) {
    const shown = {};
    for (const name of ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'searchParams', 'hash']) shown[name] = this[name];
    return `URL ${show(shown)}`;
  }
}

for (const type of [URL, URLSearchParams])
  for (const name of Object.getOwnPropertyNames(type.prototype))
    if (name !== 'constructor') Object.defineProperty(type.prototype, name, { enumerable: true });
define({ URL, URLSearchParams });
