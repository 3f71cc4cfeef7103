// Blob, File and FormData, with the multipart format.

const { utf8Encode, utf8Decode, isBytes, bytes, concat, define, formParse } = native;
let dataOf;

class Blob {
  #data; #type;
  constructor(parts = [], options = {}) {
    if (typeof parts !== 'object' || parts === null || typeof parts[Symbol.iterator] !== 'function') throw new TypeError('Blob: the parts must be iterable');
    this.#data = concat(Array.from(parts, (p) => (p instanceof Blob ? p.#data : isBytes(p) ? bytes(p) : utf8Encode(`${p}`))));
    const type = `${options?.type ?? ''}`;
    this.#type = /[^\x20-\x7e]/.test(type) ? '' : type.toLowerCase();
  }
  static { dataOf = (blob) => blob.#data; }
  get size() { return this.#data.length; }
  get type() { return this.#type; }
  async text() { return utf8Decode(this.#data, false); }
  async arrayBuffer() { return this.#data.slice().buffer; }
  async bytes() { return this.#data.slice(); }
  slice(start = 0, end = this.size, type = '') {
    return new Blob([this.#data.slice(start, end)], { type });
  }
}

class File extends Blob {
  #name; #modified;
  constructor(parts, name, options = {}) {
    if (arguments.length < 2) throw new TypeError('File: the name is missing');
    super(parts, options);
    this.#name = `${name}`;
    this.#modified = Number(options.lastModified ?? Date.now());
  }
  get name() { return this.#name; }
  get lastModified() { return this.#modified; }
}

class FormData {
  #list = [];
  #entry(name, value, filename) {
    if (value instanceof Blob) {
      if (!(value instanceof File) || filename !== undefined) value = new File([value], filename ?? value.name ?? 'blob', { type: value.type });
    } else {
      value = `${value}`.toWellFormed();
    }
    return [`${name}`.toWellFormed(), value];
  }
  append(name, value, filename) { this.#list.push(this.#entry(name, value, filename)); }
  set(name, value, filename) {
    const entry = this.#entry(name, value, filename);
    const at = this.#list.findIndex(([n]) => n === entry[0]);
    if (at < 0) return void this.#list.push(entry);
    this.#list[at] = entry;
    this.#list = this.#list.filter((e, i) => i <= at || e[0] !== entry[0]);
  }
  delete(name) { this.#list = this.#list.filter(([n]) => n !== `${name}`); }
  get(name) { return this.#list.find(([n]) => n === `${name}`)?.[1] ?? null; }
  getAll(name) { return this.#list.filter(([n]) => n === `${name}`).map(([, v]) => v); }
  has(name) { return this.#list.some(([n]) => n === `${name}`); }
  forEach(callback, that) { for (const [n, v] of this) callback.call(that, v, n, this); }
  *entries() { for (const e of this.#list) yield [...e]; }
  *keys() { for (const [n] of this.#list) yield n; }
  *values() { for (const [, v] of this.#list) yield v; }
}
Object.defineProperty(FormData.prototype, Symbol.iterator, { value: FormData.prototype.entries, writable: true, configurable: true });

// [bytes, content type]
function multipart(form) {
  const boundary = `----formdata-${crypto.randomUUID()}`;
  const escape = (s) => s.replace(/\r?\n|\r/g, '%0D%0A').replaceAll('"', '%22');
  const parts = [];
  for (const [name, value] of form) {
    let head = `--${boundary}\r\ncontent-disposition: form-data; name="${escape(name)}"`;
    if (value instanceof File) head += `; filename="${escape(value.name)}"\r\ncontent-type: ${value.type || 'application/octet-stream'}`;
    parts.push(utf8Encode(`${head}\r\n\r\n`), value instanceof File ? dataOf(value) : utf8Encode(value), utf8Encode('\r\n'));
  }
  parts.push(utf8Encode(`--${boundary}--\r\n`));
  return [concat(parts), `multipart/form-data; boundary=${boundary}`];
}

function find(data, what, from) {
  outer: for (let i = data.indexOf(what[0], from); i >= 0 && i + what.length <= data.length; i = data.indexOf(what[0], i + 1)) {
    for (let j = 1; j < what.length; j++) if (data[i + j] !== what[j]) continue outer;
    return i;
  }
  return -1;
}

function parseForm(data, type) {
  const form = new FormData();
  if (/^application\/x-www-form-urlencoded\b/i.test(type)) {
    const flat = formParse(utf8Decode(data, false));
    for (let i = 0; i < flat.length; i += 2) form.append(flat[i], flat[i + 1]);
    return form;
  }
  const boundary = /^multipart\/form-data\b.*?\bboundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
  if (boundary === null) throw new TypeError(`formData: the content type is "${type}", not multipart/form-data or application/x-www-form-urlencoded`);
  const mark = utf8Encode(`--${boundary[1] ?? boundary[2]}`), gap = utf8Encode('\r\n\r\n');
  const bad = () => new TypeError('formData: the body is not valid multipart/form-data');
  let at = find(data, mark, 0);
  if (at < 0) throw bad();
  for (;;) {
    at += mark.length;
    if (data[at] === 45 && data[at + 1] === 45) return form;
    const headEnd = find(data, gap, at), next = find(data, mark, headEnd);
    if (headEnd < 0 || next < 0) throw bad();
    const head = utf8Decode(data.subarray(at, headEnd), false), content = data.slice(headEnd + 4, next - 2);
    const unescape = (s) => s?.replace(/%0D%0A/gi, '\r\n').replace(/%22/g, '"');
    const name = unescape(/;\s*name="([^"]*)"/i.exec(head)?.[1]), filename = unescape(/;\s*filename="([^"]*)"/i.exec(head)?.[1]);
    if (name === undefined) throw bad();
    if (filename === undefined) form.append(name, utf8Decode(content, false));
    else form.append(name, new File([content], filename, { type: /content-type:\s*([^\r\n]+)/i.exec(head)?.[1] ?? 'text/plain' }));
    at = next;
  }
}

define({ Blob, File, FormData });
Object.assign(native, { blobData: (blob) => dataOf(blob), multipart, parseForm });
