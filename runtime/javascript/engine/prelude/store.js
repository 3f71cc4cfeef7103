// context.aleph.store: the program's data on the node. Every method starts its operation at once and returns a promise, so
// that Promise.all runs them in parallel.

const { operate } = native;
const GET = 16, SET = 17, DELETE = 18, LIST = 19, INCREMENT = 20, COMPARE_AND_SET = 21, WATCH = 22;
const BYTES = 0, JSON_TEXT = 1;

const isBytes = (v) => v instanceof ArrayBuffer || ArrayBuffer.isView(v);
const isPlain = (v) => typeof v === 'object' && v !== null && !Array.isArray(v) && !isBytes(v);

function checkKey(key, what = 'key') {
  if (typeof key !== 'string') throw new TypeError(`store: ${what} must be a string, not ${key === null ? 'null' : typeof key}`);
  return key;
}

function checkInteger(value, what, least) {
  if (!Number.isSafeInteger(value) || value < least)
    throw new TypeError(`store: ${what} must be a whole number${least === -Infinity ? '' : ` from ${least}`}, not ${native.inspect(value)}`);
  return value;
}

// Throws a TypeError that names the place if JSON would lose or refuse something.
function checkValue(value, path, above) {
  switch (typeof value) {
    case 'string': case 'boolean': return;
    case 'number':
      if (Number.isFinite(value)) return;
      break;
    case 'object':
      if (value === null) return;
      if (above.has(value)) throw new TypeError(`store: ${path} refers back to an object that contains it`);
      if (typeof value.toJSON === 'function') return checkValue(value.toJSON(), path, above);
      if (isBytes(value)) throw new TypeError(`store: ${path} is bytes; bytes can be stored only as the whole value`);
      if (value instanceof Map || value instanceof Set) throw new TypeError(`store: ${path} is a ${value instanceof Map ? 'Map' : 'Set'}, which JSON cannot hold`);
      above.add(value);
      if (Array.isArray(value)) for (let i = 0; i < value.length; i++) checkValue(value[i], `${path}[${i}]`, above);
      else for (const key of Object.keys(value)) if (value[key] !== undefined) checkValue(value[key], /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`, above);
      above.delete(value);
      return;
  }
  throw new TypeError(`store: ${path} is ${typeof value === 'bigint' ? 'a BigInt' : typeof value === 'number' ? value : typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}, which JSON cannot hold`);
}

// [bytes or text, kind]
function encode(value, what) {
  if (isBytes(value)) return [value, BYTES];
  checkValue(value, what, new Set());
  return [JSON.stringify(value), JSON_TEXT];
}

function ttlOf(options) {
  return options?.ttl === undefined || options.ttl === null ? undefined : checkInteger(options.ttl, 'ttl (in seconds)', 1);
}

// Bad arguments reject, as everything else that can go wrong does.
const asyncMethod = (f) => function (...args) {
  try {
    return f(...args);
  } catch (error) {
    return Promise.reject(error);
  }
};

const store = {
  // set({key, value, ttl?}) or set(key, value, {ttl}?), ttl in seconds → {key}
  set: asyncMethod((key, value, options) => {
    if (isPlain(key)) ({ key, value, ...options } = key);
    checkKey(key);
    const [data, kind] = encode(value, 'value');
    return operate(SET, key, data, kind, ttlOf(options));
  }),
  // get(key) → the value: JSON as it was set, bytes as a Uint8Array, a counter as a number; null if there is none
  get: asyncMethod((key) => operate(GET, checkKey(isPlain(key) ? key.key : key))),
  // delete(key) → whether there was a value
  delete: asyncMethod((key) => operate(DELETE, checkKey(isPlain(key) ? key.key : key))),
  // list({prefix, limit, cursor}?) → {keys, entries: [{key, value}], cursor}; cursor is null at the end
  list: asyncMethod((options = {}) => {
    if (typeof options === 'string') options = { prefix: options };
    const { prefix = '', limit, cursor } = options;
    return operate(LIST, checkKey(prefix, 'prefix'), undefined, undefined, undefined,
      limit === undefined ? undefined : checkInteger(limit, 'limit', 1), cursor === undefined || cursor === null ? undefined : checkKey(cursor, 'cursor'));
  }),
  // increment(key, by = 1) → the new number
  increment: asyncMethod((key, by = 1) => {
    if (isPlain(key)) ({ key, by = 1 } = key);
    return operate(INCREMENT, checkKey(key), undefined, undefined, undefined, undefined, undefined, checkInteger(by, 'by', -Infinity));
  }),
  // compareAndSet(key, expected, value, {ttl}?) → whether it was set; expected null: there must be no value
  compareAndSet: asyncMethod((key, expected, value, options) => {
    if (isPlain(key)) ({ key, expected, value, ...options } = key);
    checkKey(key);
    const [data, kind] = encode(value, 'value');
    const [wanted, wantedKind] = expected === null || expected === undefined ? [] : encode(expected, 'expected');
    return operate(COMPARE_AND_SET, key, data, kind, ttlOf(options), undefined, undefined, undefined, wanted, wantedKind);
  }),
  // watch(prefix) → a promise of the next change below it, {key, value, deleted}; with for await, of one after another
  watch(prefix = '') {
    if (isPlain(prefix)) ({ prefix = '' } = prefix);
    const next = asyncMethod(() => operate(WATCH, checkKey(prefix, 'prefix')));
    let first = next();
    const promise = first;
    promise[Symbol.asyncIterator] = () => ({
      next() {
        const change = first ?? next();
        first = undefined;
        return change.then((value) => ({ value, done: false }));
      },
      return: async (value) => ({ value, done: true }),
      [Symbol.asyncIterator]() { return this; },
    });
    return promise;
  },
};
for (const name of Object.keys(store)) Object.defineProperty(store[name], 'name', { value: name });

native.aleph = { store };
