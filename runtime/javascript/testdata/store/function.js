const attempt = async (f) => { try { return await f(); } catch (e) { return e.code ?? `${e.name}: ${e.message}`; } };
const cyclic = {}; cyclic.a = { b: cyclic };
export default async (req, { aleph: { store } }) => {
  switch (req.path) {
    case '/values': {
      const values = { text: 'ü', number: 1.5, zero: 0, yes: true, nothing: null, list: [1, [2]], object: { a: { b: [] } } };
      const set = await Promise.all(Object.entries(values).map(([k, v]) => store.set(k, v)));
      return { set: set.map((s) => s.key), got: Object.fromEntries(await Promise.all(Object.keys(values).map(async (k) => [k, await store.get(k)]))), none: await store.get('none') };
    }
    case '/bytes': {
      await store.set('b', new Uint8Array([0, 255])); await store.set({ key: 'c', value: new Uint8Array([1, 2, 3]).subarray(1).slice().buffer });
      const b = await store.get('b');
      return [b instanceof Uint8Array, [...b], [...(await store.get('c'))]];
    }
    case '/delete': await store.set('d', 1); return [await store.delete('d'), await store.delete('d'), await store.get('d')];
    case '/increment': return [await store.increment('n'), await store.increment('n', 5), await store.increment('n', -10), await store.get('n'), await store.increment({ key: 'n', by: 2 })];
    case '/list': {
      await Promise.all([3, 1, 2].map((i) => store.set(`l/${i}`, { i })));
      const one = await store.list({ prefix: 'l/', limit: 2 });
      return [one.keys, one.entries, typeof one.cursor, await store.list({ prefix: 'l/', cursor: one.cursor }), (await store.list({ prefix: 'zzz' })).keys];
    }
    case '/cas': return [await store.compareAndSet('x', null, 1), await store.compareAndSet('x', null, 2), await store.compareAndSet('x', 1, { a: 2 }), await store.compareAndSet('x', { a: 2 }, 3), await store.compareAndSet('x', 9, 4), await store.get('x')];
    case '/errors': {
      await store.set('text', 'x');
      return [
        await attempt(() => store.set('', 1)), await attempt(() => store.set(5, 1)), await attempt(() => store.get()),
        await attempt(() => store.set('k', undefined)), await attempt(() => store.set('k', () => {})), await attempt(() => store.set('k', { a: [1, { b: 10n }] })),
        await attempt(() => store.set('k', cyclic)), await attempt(() => store.set('k', { 'a-b': Symbol('s') })), await attempt(() => store.set('k', [NaN])),
        await attempt(() => store.set('k', { m: new Map() })), await attempt(() => store.set('k', { m: new Uint8Array(1) })),
        await attempt(() => store.set('k', 1, { ttl: 0 })), await attempt(() => store.increment('text')), await attempt(() => store.increment('n', 1.5)), await attempt(() => store.list({ limit: 0 })),
      ];
    }
    case '/parallel': return (await Promise.all(Array.from({ length: 600 }, (_, i) => store.set(`p${i}`, i)))).length;
    case '/to-json': await store.set('j', { d: new Date(0), u: undefined }); return store.get('j');
  }
};
