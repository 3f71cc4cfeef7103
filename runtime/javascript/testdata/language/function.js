const results = [];
const show = (v) => (typeof v === 'string' ? v : JSON.stringify(v) ?? String(v));
const equal = (what, got, want) => { if (show(got) !== show(want)) results.push(`${what}: got ${show(got)}, want ${show(want)}`); };
const throws = (what, f, want) => { try { f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not throw`); };
const rejects = async (what, f, want) => { try { await f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not reject`); };

export default async () => {
  equal('iterator helpers', [1, 2, 3].values().map((x) => x * 2).toArray(), [2, 4, 6]); equal('sets', [...new Set([1, 2]).union(new Set([3]))], [1, 2, 3]);
  equal('groupBy', Object.groupBy([1, 2], (x) => (x % 2 ? 'odd' : 'even')), { odd: [1], even: [2] }); equal('toSorted', [2, 1].toSorted(), [1, 2]);
  equal('v flag', /^\p{Emoji}$/v.test('😀'), true); equal('named groups', 'a1'.match(/(?<d>\d)/).groups.d, '1'); equal('BigInt', `${2n ** 100n}`, '1267650600228229401496703205376');
  equal('dates', new Date('2024-02-29T12:00:00Z').toISOString(), '2024-02-29T12:00:00.000Z'); equal('optional', null?.a ?? 5, 5); equal('eval', (0, eval)('1+1'), 2); equal('Function', new Function('a', 'return a')(3), 3);
  async function* g() { yield 1; yield 2; } const l = []; for await (const x of g()) l.push(x); equal('async generators', l, [1, 2]);
  equal('promises', [await Promise.any([Promise.reject(1), 2]), (await Promise.allSettled([1])).length, await Promise.try(() => 3)], [2, 1, 3]);
  equal('WeakRef', new WeakRef(l).deref() === l, true); equal('globalThis', typeof globalThis.setTimeout, 'function'); equal('at', [1, 2].at(-1), 2); equal('replaceAll', 'aa'.replaceAll('a', 'b'), 'bb');
  equal('typed arrays', new Uint8Array([3, 1]).toSorted().join(), '1,3'); equal('sort', [...Array(100).keys()].sort((a, b) => b - a)[0], 99); equal('JSON', JSON.stringify({ u: '\u2028', n: -0, d: 1e21 }), '{"u":"\u2028","n":0,"d":1e+21}');
  return results;
};
