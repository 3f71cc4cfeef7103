const results = [];
const show = (v) => (typeof v === 'string' ? v : JSON.stringify(v) ?? String(v));
const equal = (what, got, want) => { if (show(got) !== show(want)) results.push(`${what}: got ${show(got)}, want ${show(want)}`); };
const throws = (what, f, want) => { try { f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not throw`); };
const rejects = async (what, f, want) => { try { await f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not reject`); };

export default async () => {
  const date = new Date(5), inner = { x: 1 };
  const value = { a: [1, , 3], m: new Map([[inner, new Set([inner])]]), date, re: /a/gi, b: new Uint8Array([1, 2]).subarray(1), e: new TypeError('t', { cause: 1 }), n: null, u: undefined, big: 5n, o: Object(5) };
  value.self = value;
  const copy = structuredClone(value);
  equal('cycle', [copy.self === copy, copy !== value], [true, true]); equal('array', [copy.a.length, 1 in copy.a], [3, false]);
  const [[key, set]] = copy.m; equal('map', [key.x, key !== inner, set.has(key)], [1, true, true]);
  equal('others', [copy.date.getTime(), copy.date !== date, `${copy.re}`, copy.b[0], copy.e instanceof TypeError, copy.e.message, copy.e.cause, 'u' in copy, copy.big === 5n, copy.o.valueOf()], [5, true, '/a/gi', 2, true, 't', 1, true, true, 5]);
  throws('function', () => structuredClone({ f() {} }), 'DataCloneError'); throws('symbol', () => structuredClone(Symbol()), 'DataCloneError'); throws('promise', () => structuredClone(Promise.resolve()), 'DataCloneError');
  const buffer = new ArrayBuffer(8); const moved = structuredClone(buffer, { transfer: [buffer] }); equal('transfer', [moved.byteLength, buffer.byteLength], [8, 0]);
  class P { constructor() { this.v = 1; } get g() { return 2; } } equal('class', [structuredClone(new P()) instanceof P, structuredClone(new P())], [false, { v: 1 }]);
  return results;
};
