// How values are shown in the log: as Node's util.inspect does, without colours.

const MAX_DEPTH = 2, MAX_ITEMS = 100, MAX_STRING = 10000, LINE = 72;
const TypedArray = Object.getPrototypeOf(Uint8Array);
const { hasOwn, getPrototypeOf, getOwnPropertyDescriptor } = Object;
const identifier = /^[A-Za-z_$][\w$]*$/;
const custom = Symbol.for('nodejs.util.inspect.custom');

function quote(text) {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes('`') ? '`' : "'";
  const escapes = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f', '\v': '\\v', '\\': '\\\\', [mark]: '\\' + mark };
  return mark + text.replace(/[\x00-\x1f\x7f\\'"`]/g, (c) => escapes[c] ?? (c === "'" || c === '"' || c === '`' ? c : '\\x' + c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase())) + mark;
}

function shorten(text) {
  return text.length > MAX_STRING ? `${text.slice(0, MAX_STRING)}... ${text.length - MAX_STRING} more characters` : text;
}

function className(value) {
  for (let p = value; p !== null; p = getPrototypeOf(p)) {
    const own = getOwnPropertyDescriptor(p, 'constructor');
    if (own !== undefined && typeof own.value === 'function' && own.value.name !== '') return own.value.name;
  }
  return null;
}

// "Name " before the braces: nothing for plain objects and arrays.
function prefix(value, plain, size) {
  const name = className(value);
  const tag = value[Symbol.toStringTag];
  let text = name === null ? `[${plain}: null prototype]` : name;
  if (size !== undefined) text += `(${size})`;
  if (typeof tag === 'string' && tag !== '' && tag !== name && hasOwnOrInherited(value)) text += ` [${tag}]`;
  return text === plain ? '' : text + ' ';
}

function hasOwnOrInherited(value) {
  return !(value instanceof Map || value instanceof Set || value instanceof Promise || ArrayBuffer.isView(value));
}

function primitive(value, top) {
  switch (typeof value) {
    case 'string': return top ? value : quote(shorten(value));
    case 'number': return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint': return `${value}n`;
    case 'symbol': return value.toString();
    default: return String(value);
  }
}

function functionLabel(value) {
  const source = Function.prototype.toString.call(value);
  if (source.startsWith('class')) {
    const base = getPrototypeOf(value);
    return `[class ${value.name || '(anonymous)'}${typeof base === 'function' && base.name ? ` extends ${base.name}` : ''}]`;
  }
  const kind = className(value) ?? 'Function';
  return value.name ? `[${kind}: ${value.name}]` : `[${kind} (anonymous)]`;
}

function errorText(error, seen, depth) {
  let name, message, stack;
  try {
    ({ name, message, stack } = error);
  } catch {
    return '[Error]';
  }
  let text = typeof name === 'string' && name ? name : 'Error';
  const actual = className(error);
  if (text === 'Error' && actual && actual !== 'Error' && actual !== 'DOMException') text = actual;
  if (message !== undefined && message !== '') text += `: ${message}`;
  if (typeof stack === 'string' && stack) text += '\n' + stack.replace(/\n+$/, '');
  const rest = Object.keys(error).filter((k) => k !== 'stack' && k !== 'message' && k !== 'name' && k !== 'cause');
  const parts = rest.map((k) => property(error, k, seen, depth + 1));
  if (hasOwn(error, 'cause')) parts.push(`[cause]: ${show(error.cause, seen, depth + 1)}`);
  if (Array.isArray(error.errors) && hasOwn(error, 'errors')) parts.push(`[errors]: ${show(error.errors, seen, depth + 1)}`);
  return parts.length ? `${text} {\n${indent(parts.join(',\n'))}\n}` : text;
}

function indent(text) {
  return text.replace(/^/gm, '  ');
}

function property(object, key, seen, depth) {
  const d = getOwnPropertyDescriptor(object, key);
  const name = typeof key === 'symbol' ? `[${key.toString()}]` : identifier.test(key) ? key : quote(key);
  if (d === undefined) return `${name}: undefined`;
  if (d.get) return `${name}: ${d.set ? '[Getter/Setter]' : '[Getter]'}`;
  if (d.set) return `${name}: [Setter]`;
  return `${name}: ${show(d.value, seen, depth)}`;
}

function wrap(head, open, parts, close, perLine) {
  if (parts.length === 0) return `${head}${open}${close}`;
  const total = parts.reduce((n, p) => n + p.length + 2, head.length);
  if (total <= LINE && !parts.some((p) => p.includes('\n'))) return `${head}${open} ${parts.join(', ')} ${close}`;
  if (perLine && parts.length > 6 && parts.every((p) => p.length <= 10)) {
    const rows = [];
    const width = Math.max(...parts.map((p) => p.length)) + 2;
    const columns = Math.max(1, Math.min(16, Math.floor(LINE / width)));
    for (let i = 0; i < parts.length; i += columns) rows.push(parts.slice(i, i + columns).join(', '));
    return `${head}${open}\n${indent(rows.join(',\n'))}\n${close}`;
  }
  return `${head}${open}\n${indent(parts.join(',\n'))}\n${close}`;
}

function more(parts, count) {
  if (count > MAX_ITEMS) parts.push(`... ${count - MAX_ITEMS} more item${count - MAX_ITEMS > 1 ? 's' : ''}`);
}

function arrayParts(value, seen, depth) {
  const parts = [];
  let i = 0;
  while (i < value.length && parts.length < MAX_ITEMS) {
    if (hasOwn(value, i)) {
      parts.push(show(value[i++], seen, depth + 1));
      continue;
    }
    let holes = 0;
    while (i < value.length && !hasOwn(value, i)) i++, holes++;
    parts.push(`<${holes} empty item${holes > 1 ? 's' : ''}>`);
  }
  if (i < value.length) parts.push(`... ${value.length - i} more item${value.length - i > 1 ? 's' : ''}`);
  return parts;
}

function show(value, seen, depth, limit = seen.limit) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return primitive(value, false);
  if (seen.has(value)) {
    seen.set(value, true);
    return '[Circular *1]';
  }
  if (typeof value[custom] === 'function') {
    const made = value[custom](limit - depth, {}, inspect);
    if (made !== value) return typeof made === 'string' ? made : show(made, seen, depth);
  }
  if (depth > limit) return Array.isArray(value) ? '[Array]' : typeof value === 'function' ? functionLabel(value) : `[${className(value) ?? 'Object: null prototype'}]`;
  seen.set(value, false);
  const text = object(value, seen, depth);
  const circular = seen.get(value);
  seen.delete(value);
  return circular ? `<ref *1> ${text}` : text;
}

function object(value, seen, depth) {
  const keys = Object.keys(value);
  for (const s of Object.getOwnPropertySymbols(value)) if (getOwnPropertyDescriptor(value, s).enumerable) keys.push(s);
  const own = () => keys.map((k) => property(value, k, seen, depth + 1));
  if (Array.isArray(value)) {
    const extra = keys.filter((k) => typeof k === 'symbol' || !/^\d+$/.test(k)).map((k) => property(value, k, seen, depth + 1));
    return wrap(prefix(value, 'Array', className(value) === 'Array' ? undefined : value.length), '[', [...arrayParts(value, seen, depth), ...extra], ']', true);
  }
  if (value instanceof TypedArray) return wrap(prefix(value, '', value.length), '[', arrayParts(value, seen, depth), ']', true);
  if (value instanceof Error) return errorText(value, seen, depth);
  if (typeof value === 'function') return keys.length ? wrap(functionLabel(value) + ' ', '{', own(), '}') : functionLabel(value);
  if (value instanceof Map) {
    const parts = [];
    for (const [k, v] of value) if (parts.push(`${show(k, seen, depth + 1)} => ${show(v, seen, depth + 1)}`) === MAX_ITEMS) break;
    more(parts, value.size);
    return wrap(prefix(value, '', value.size), '{', [...parts, ...own()], '}');
  }
  if (value instanceof Set) {
    const parts = [];
    for (const v of value) if (parts.push(show(v, seen, depth + 1)) === MAX_ITEMS) break;
    more(parts, value.size);
    return wrap(prefix(value, '', value.size), '{', [...parts, ...own()], '}');
  }
  if (value instanceof Date) return isNaN(value) ? 'Invalid Date' : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Promise) {
    const [state, result] = native.promiseState(value);
    const text = state === 'fulfilled' ? show(result, seen, depth + 1) : `<${state}>${state === 'rejected' ? ' ' + show(result, seen, depth + 1) : ''}`;
    return wrap(prefix(value, ''), '{', [text, ...own()], '}');
  }
  if (value instanceof ArrayBuffer) {
    const bytes = Array.from(new Uint8Array(value, 0, Math.min(50, value.byteLength)), (b) => b.toString(16).padStart(2, '0')).join(' ');
    return `ArrayBuffer { [Uint8Contents]: <${bytes}${value.byteLength > 50 ? ` ... ${value.byteLength - 50} more bytes` : ''}>, byteLength: ${value.byteLength} }`;
  }
  if (value instanceof WeakMap || value instanceof WeakSet) return `${className(value)} { <items unknown> }`;
  for (const [type, label] of [[Number, 'Number'], [String, 'String'], [Boolean, 'Boolean'], [Symbol, 'Symbol'], [BigInt, 'BigInt']])
    if (value instanceof type) {
      try {
        return `[${label}: ${primitive(type.prototype.valueOf.call(value), false)}]`;
      } catch {
        break;
      }
    }
  return wrap(prefix(value, 'Object'), '{', own(), '}');
}

function inspect(value, options) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return primitive(value, false);
  const seen = new Map();
  seen.limit = options?.depth === null ? Infinity : options?.depth ?? MAX_DEPTH;
  return show(value, seen, 0);
}
inspect.custom = custom;

// console.log's %s %d %i %f %j %o %O %c %%.
function format(...args) {
  if (typeof args[0] !== 'string') return args.map((a) => (typeof a === 'string' ? a : inspect(a))).join(' ');
  if (args.length === 1) return args[0];
  let next = 1;
  const text = args[0].replace(/%[sdifjoOc%]/g, (spec) => {
    if (spec === '%%') return '%';
    if (next >= args.length) return spec;
    const arg = args[next++];
    switch (spec) {
      case '%s': return typeof arg === 'string' ? arg : typeof arg === 'object' && arg !== null ? inspect(arg, { depth: 0 }) : primitive(arg, true);
      case '%d': return typeof arg === 'bigint' ? `${arg}n` : typeof arg === 'symbol' ? 'NaN' : primitive(Number(arg));
      case '%i': return typeof arg === 'bigint' ? `${arg}n` : typeof arg === 'symbol' ? 'NaN' : primitive(parseInt(arg, 10));
      case '%f': return typeof arg === 'symbol' ? 'NaN' : primitive(parseFloat(arg));
      case '%j':
        try {
          return String(JSON.stringify(arg));
        } catch (e) {
          return e instanceof TypeError ? '[Circular]' : '[not JSON]';
        }
      case '%o': return inspect(arg, { depth: 4 });
      case '%O': return inspect(arg);
      default: return '';
    }
  });
  const rest = args.slice(next).map((a) => (typeof a === 'string' ? a : inspect(a)));
  return [text, ...rest].join(' ');
}

// An exception for the response frame: one line for the caller, the whole for the owner's log.
function describe(error) {
  if (error instanceof Error) {
    const text = inspect(error);
    let name, message;
    try {
      ({ name, message } = error);
    } catch {}
    return [message === undefined || message === '' ? String(name ?? 'Error') : `${name ?? 'Error'}: ${message}`, text];
  }
  const text = inspect(error);
  return [`Uncaught ${text}`, `Uncaught ${text}`];
}

Object.assign(native, { inspect, format, describe });
