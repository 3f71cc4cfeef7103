const nest = (open, n, close = '', middle = '') => open.repeat(n) + middle + close.repeat(n);
const deep = (n) => { let a = []; for (let i = 0; i < n; i++) a = [a]; return a; };
const sources = [['[', ']'], ['(', ')', '1'], ['!', '', '1'], ['{', '}'], ['if(1)', '', ';'], ['a=>', '', '1'], ['(function(){', '})()'], ['1+(', ')', '1'], ['f(', ')'], ['`${', '}`', '1'], ['new ', '', 'A'], ['({a:', '})', '1']];
const recursions = {
  map: (f) => [1].map(f), toString: (f) => `${{ toString: f }}`, getter: (f) => ({ get a() { return f(); } }).a, json: (f) => JSON.stringify({ toJSON: f }), sort: (f) => [1, 2].sort(f), replace: (f) => 'a'.replace('a', f),
  apply: (f) => Reflect.apply(f, null, []), proxy: (f) => new Proxy({}, { get: f }).x, construct: (f) => new (class { constructor() { f(); } })(), generator: (f) => [...(function* () { yield f(); })()], bind: (f) => f.bind()(),
  async: (f) => (async () => f())(), valueOf: (f) => +{ valueOf: f }, parse: (f) => JSON.parse('[1]', f), iterator: (f) => [...{ [Symbol.iterator]: f }], hasInstance: (f) => ({}) instanceof { [Symbol.hasInstance]: f }, eval: (f) => eval('f()'), assign: (f) => Object.assign({}, { get a() { return f(); } }),
};
export default (req) => {
  const caught = (f) => { try { f(); return 'none'; } catch (e) { return e.name; } };
  switch (req.path) {
    case '/source': return sources.map(([open, close, middle]) => caught(() => new Function(nest(open, 20000, close, middle))));
    case '/fine': return [nest('[', 200, ']'), nest('(', 200, ')', '1'), nest('{', 200, '}'), nest('(function(){', 50, '})()')].map((s) => caught(() => new Function(s))).concat(caught(() => JSON.parse(nest('[', 1000, ']'))), caught(() => JSON.stringify(deep(1000))));
    case '/recursion': return Object.fromEntries(Object.entries(recursions).map(([name, step]) => [name, caught(() => { const f = () => step(f); f(); })]).filter(([, v]) => v !== 'RangeError' && v !== 'none'));
    default: { let n = 0; const f = () => { n++; f(); }; caught(f); return n > 1500; }
  }
};
