// What programs see of the engine, by name, for types_test.go: which compares it with what the types declare.
const names = (object) => Reflect.ownKeys(object).map((key) => (typeof key === 'symbol' ? `[${key.description}]` : key));

// The members that an object has of itself and from its classes, down to those of the language.
const members = (object) => {
  const all = new Set();
  for (let o = object; o !== null && o !== Object.prototype && o !== Error.prototype; o = Object.getPrototypeOf(o)) names(o).forEach((name) => all.add(name));
  return [...all];
};

const seen = {};
for (const name of names(globalThis)) {
  const value = globalThis[name];
  if (typeof value === 'function') seen[name] = { statics: names(value), members: value.prototype ? members(value.prototype) : [] };
  else if (typeof value === 'object' && value !== null && value !== globalThis) seen[name] = { statics: [], members: members(value) };
  else seen[name] = { statics: [], members: [] };
}

export default {
  async fetch(request, env, ctx) {
    const timer = setTimeout(() => {}, 1000);
    const result = {
      globals: seen,
      interfaces: {
        Timeout: members(Object.getPrototypeOf(timer)),
        BodyBytes: members(new Response('x').body),
        FetchContext: members(ctx),
        AnyEvent: members(ctx.event).filter((name) => name !== 'kind'),
        HttpEvent: members(ctx.event),
        Aleph: members(ctx.aleph),
        Store: members(ctx.aleph.store),
        StorePage: members(await ctx.aleph.store.list()),
        StoreError: members(await ctx.aleph.store.increment('').catch((error) => error)),
      },
    };
    clearTimeout(timer);
    return result;
  },
};
