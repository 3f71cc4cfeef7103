const text = 'a' + String(Math.floor(2.5)), list = [1, 2, 3], object = { a: 1, b: { c: 2 } }, map = new Map([['k', { v: 1 }]]), set = new Set([1]);
const bytes = new Uint8Array(8), weak = new WeakMap([[object, 'w']]), generator = (function* () { yield 1; yield 2; })();
generator.next();
let counter = 0, resolve;
const pending = new Promise((r) => { resolve = r; });
const waiter = (async () => (await pending) + 1)();
const big = {}; for (let i = 0; i < 100; i++) big['k' + i] = i;
class A { #p = 1; static s = []; inc() { return ++this.#p; } }
const instance = new A();
export default async () => {
  let s = text; s += 'x'; const t = text; let u = text; u += 'y';
  list.push(...Array.from({ length: 1000 }, (_, i) => i)); list.length = 5; list.sort().reverse();
  object.d = { e: [] }; delete object.a; object.b.c = object; object.b = null;
  for (let i = 0; i < 500; i++) { big['n' + i] = { i }; delete big['k' + (i % 100)]; }
  for (let i = 0; i < 2000; i++) { map.set('k' + i, { i }); set.add({ i }); } map.delete('k'); map.delete('k1');
  bytes.set([1, 2, 3]); weak.set(list, 'l'); A.s.push(1); Object.freeze(object); Object.setPrototypeOf(list, null);
  for (let i = 0; i < 60000; i++) { const a = { i }; a.a = a; instance.cycle = a; }
  resolve(41);
  return [s, t, u, text, Array.prototype.join.call(list), Object.keys(object), Object.keys(big).length, map.size, set.size, [...bytes], weak.get(object), weak.get(list), [...generator], await waiter, instance.inc(), ++counter];
};
