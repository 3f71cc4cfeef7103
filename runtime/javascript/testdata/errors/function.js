class AppError extends Error {
  constructor(message, options) { super(message, options); this.name = 'AppError'; this.status = 418; }
}
function inner() {
  null.x;
}
const failures = {
  '/type': () => inner(),
  '/async': async () => { await null; inner(); },
  '/reject': () => Promise.reject(new RangeError('too far')),
  '/cause': () => { throw new AppError('outer', { cause: new Error('root') }); },
  '/string': () => { throw 'just text'; },
  '/object': () => { throw { code: 5 }; },
  '/undefined': () => { throw undefined; },
  '/newline': () => { throw new Error('two\nlines'); },
  '/recursion': function deep() { return deep() + 1; },
  '/caught-recursion': () => { const f = () => f() + 1; try { f(); } catch (e) { return e instanceof RangeError ? 'RangeError' : String(e); } },
  '/exit': () => process.exit(3),
  '/evil': () => { throw { get message() { throw 1; }, toString() { throw 2; } }; },
  '/deep-json': () => JSON.parse('['.repeat(500000)),
  '/deep-stringify': () => { let a = []; for (let i = 0; i < 200000; i++) a = [a]; return JSON.stringify(a); },
  '/deep-reply': () => { let a = []; for (let i = 0; i < 200000; i++) a = [a]; return a; },
  '/deep-regexp': () => new RegExp('('.repeat(100000) + ')'.repeat(100000)),
  '/deep-source': () => eval('['.repeat(100000)),
  '/deep-log': () => { let a = []; for (let i = 0; i < 200000; i++) a = [a]; console.dir(a, { depth: null }); },
  '/deep-clone': () => { let a = []; for (let i = 0; i < 200000; i++) a = [a]; structuredClone(a); },
  '/hidden': () => { throw Object.defineProperty(new Error('x'), 'message', { get() { throw 3; } }); },
};
export default (req) => failures[req.path]();
