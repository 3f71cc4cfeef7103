// Performs [name, ...arguments] on the store, one after another or, on /parallel, at once. Bytes are {"bytes": […]}.
const give = (v) => (v !== null && typeof v === 'object' && Array.isArray(v.bytes) ? new Uint8Array(v.bytes) : v);
const take = (v) => (v instanceof Uint8Array ? { bytes: [...v] } : v === undefined ? 'undefined' : v);

export default async (req, { aleph: { store } }) => {
  const perform = async ([name, ...args]) => {
    try {
      if (name === 'sleep') return await new Promise((done) => setTimeout(() => done('slept'), args[0]));
      if (name === 'large') return (await store.set('large', 'x'.repeat(args[0]))).key;
      if (name === 'fill') {
        for (let i = 0; i < args[0]; i++) await store.set(`fill/${args[1] ?? 0}/${i}`, new Uint8Array(1 << 20));
        return 'filled';
      }
      return take(await store[name](...args.map(give)));
    } catch (error) {
      return `${error.code ?? error.name}: ${error.message}`;
    }
  };
  if (req.path === '/parallel') return Promise.all(req.body.map(perform));
  const results = [];
  for (const call of req.body) results.push(await perform(call));
  return results;
};
