// process: what programs look at in it. A program cannot end its process; exit() throws.

const { env, hrtime, now, startTime } = native;

class ExitError extends Error {
  constructor(code) {
    super(`process.exit(${code ?? ''}) was called; return or throw instead`);
    this.code = code ?? 0;
  }
}
Object.defineProperty(ExitError.prototype, 'name', { value: 'ExitError', configurable: true, writable: true });

const process = {
  env,
  argv: ['node', 'function'],
  execArgv: [],
  pid: 1,
  title: 'aleph',
  platform: 'linux',
  arch: 'wasm32',
  version: 'v20.20.0',
  versions: { node: '20.20.0', quickjs: native.version },
  release: { name: 'node' },
  exitCode: undefined,
  cwd: () => '/',
  uptime: () => now() / 1000,
  exit(code) { throw new ExitError(code); },
  abort() { throw new ExitError(134); },
  nextTick(callback, ...args) { queueMicrotask(() => callback(...args)); },
  hrtime: Object.assign((earlier) => {
    const t = hrtime();
    let seconds = Number(t / 1000000000n), nanos = Number(t % 1000000000n);
    if (earlier) {
      seconds -= earlier[0];
      nanos -= earlier[1];
      if (nanos < 0) seconds--, nanos += 1e9;
    }
    return [seconds, nanos];
  }, { bigint: hrtime }),
  memoryUsage: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }),
  emitWarning: (warning) => console.warn(warning instanceof Error ? warning : `Warning: ${warning}`),
  on() { return process; },
  once() { return process; },
  off() { return process; },
  addListener() { return process; },
  removeListener() { return process; },
  emit: () => false,
  get stdout() { return stream(1); },
  get stderr() { return stream(3); },
};
const stream = (level) => ({ isTTY: false, write: (text) => (native.log(level, String(text).replace(/\n$/, '')), true) });
Object.defineProperty(process, Symbol.toStringTag, { value: 'process', configurable: true });
Object.defineProperty(globalThis, 'process', { value: process, writable: true, configurable: true });

const performance = {
  now,
  get timeOrigin() { return startTime(); },
  toJSON() { return { timeOrigin: startTime() }; },
};
Object.defineProperty(performance, Symbol.toStringTag, { value: 'Performance', configurable: true });
Object.defineProperty(globalThis, 'performance', { value: performance, writable: true, configurable: true });
