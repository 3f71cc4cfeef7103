// console: one entry of the program's log for each call. Levels as in the contract: 0 debug, 1 info, 2 warning, 3 error.

const { log, now, format, inspect } = native;
const counts = new Map(), timers = new Map();
let depth = 0;

function write(level, args) {
  let text = format(...args);
  if (depth > 0) text = text.replace(/^/gm, '  '.repeat(depth));
  log(level, text);
}

function elapsed(label) {
  const ms = now() - timers.get(label);
  return `${label}: ${ms >= 1000 ? `${(ms / 1000).toFixed(3)}s` : `${ms.toFixed(3)}ms`}`;
}

function table(data, columns) {
  if (typeof data !== 'object' || data === null) return write(1, [data]);
  const rows = data instanceof Map ? [...data] : data instanceof Set ? [...data].map((v, i) => [i, v]) : Object.entries(data);
  const isRow = (v) => typeof v === 'object' && v !== null;
  const keys = columns ?? [...new Set(rows.flatMap(([, v]) => (isRow(v) ? Object.keys(v) : [])))];
  const withValues = rows.some(([, v]) => !isRow(v));
  const head = ['(index)', ...keys, ...(withValues ? ['Values'] : [])].map(String);
  const body = rows.map(([i, v]) => [String(i), ...keys.map((k) => (isRow(v) && k in v ? inspect(v[k], { depth: 0 }) : '')), ...(withValues ? [isRow(v) ? '' : inspect(v)] : [])]);
  const widths = head.map((h, i) => Math.max(h.length, ...body.map((r) => r[i].length)));
  const line = (l, m, r) => l + widths.map((w) => '─'.repeat(w + 2)).join(m) + r;
  const row = (cells) => '│' + cells.map((c, i) => ` ${c.padEnd(widths[i])} `).join('│') + '│';
  write(1, [[line('┌', '┬', '┐'), row(head), line('├', '┼', '┤'), ...body.map(row), line('└', '┴', '┘')].join('\n')]);
}

const console = {
  log: (...args) => write(1, args),
  info: (...args) => write(1, args),
  debug: (...args) => write(0, args),
  warn: (...args) => write(2, args),
  error: (...args) => write(3, args),
  trace(...args) {
    const here = { name: 'Trace', message: format(...args) };
    Error.captureStackTrace(here, console.trace);
    write(3, [`Trace${here.message ? `: ${here.message}` : ''}\n${here.stack.replace(/\n+$/, '')}`]);
  },
  dir: (value, options) => write(1, [inspect(value, options)]),
  dirxml: (...args) => write(1, args),
  table,
  assert(condition, ...args) {
    if (condition) return;
    if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
    else args.unshift('Assertion failed');
    write(3, args);
  },
  count(label = 'default') {
    counts.set(`${label}`, (counts.get(`${label}`) ?? 0) + 1);
    write(1, [`${label}: ${counts.get(`${label}`)}`]);
  },
  countReset: (label = 'default') => void counts.delete(`${label}`),
  time: (label = 'default') => void timers.set(`${label}`, now()),
  timeLog(label = 'default', ...args) {
    if (timers.has(`${label}`)) write(1, [elapsed(`${label}`), ...args]);
    else write(2, [`No such label '${label}' for console.timeLog()`]);
  },
  timeEnd(label = 'default') {
    if (!timers.has(`${label}`)) return write(2, [`No such label '${label}' for console.timeEnd()`]);
    write(1, [elapsed(`${label}`)]);
    timers.delete(`${label}`);
  },
  group(...args) {
    if (args.length) write(1, args);
    depth++;
  },
  groupCollapsed: (...args) => console.group(...args),
  groupEnd() {
    if (depth > 0) depth--;
  },
};
Object.defineProperty(globalThis, 'console', { value: console, writable: true, configurable: true, enumerable: false });

native.uncaught = (error, what) => log(3, `${what}: ${inspect(error)}`);
