// structuredClone.

const views = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView];
const errors = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

const refuse = (value) => {
  throw new DOMException(`${native.inspect(value, { depth: 0 })} could not be cloned.`, 'DataCloneError');
};

function clone(value, seen) {
  if (typeof value === 'symbol' || typeof value === 'function') refuse(value);
  if (typeof value !== 'object' || value === null) return value;
  if (seen.has(value)) return seen.get(value);
  const keep = (copy) => (seen.set(value, copy), copy);
  if (Array.isArray(value)) return members(value, keep(new Array(value.length)), seen);
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (ArrayBuffer.isView(value)) {
    const type = views.find((t) => value instanceof t) ?? refuse(value);
    const buffer = clone(value.buffer, seen);
    return keep(new type(buffer, value.byteOffset, value instanceof DataView ? value.byteLength : value.length));
  }
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [k, v] of [...value]) copy.set(clone(k, seen), clone(v, seen));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const v of [...value]) copy.add(clone(v, seen));
    return copy;
  }
  if (value instanceof DOMException) return keep(new DOMException(value.message, value.name));
  if (value instanceof Error) {
    const copy = keep(Object.create((errors[value.name] ?? Error).prototype));
    const made = new (errors[value.name] ?? Error)(value.message);
    seen.set(value, made);
    made.stack = value.stack;
    if (Object.hasOwn(value, 'cause')) Object.defineProperty(made, 'cause', { value: clone(value.cause, seen), writable: true, configurable: true });
    return made;
  }
  for (const type of [Boolean, Number, String, BigInt]) if (value instanceof type) return keep(Object(value.valueOf()));
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef || value instanceof Symbol) refuse(value);
  return members(value, keep({}), seen);
}

function members(from, to, seen) {
  for (const key of Object.keys(from)) Object.defineProperty(to, key, { value: clone(from[key], seen), writable: true, configurable: true, enumerable: true });
  return to;
}

native.define({
  structuredClone: function structuredClone(value, options) {
    if (arguments.length === 0) throw new TypeError('structuredClone: the value is missing');
    const seen = new Map();
    const transfer = [...(options?.transfer ?? [])];
    for (const t of transfer) if (!(t instanceof ArrayBuffer)) refuse(t);
    const copy = clone(value, seen);
    for (const t of transfer) t.transfer();
    return copy;
  },
});
