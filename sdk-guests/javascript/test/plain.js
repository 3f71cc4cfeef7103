// The request and the context of a plain handler, and what a change in the store is, by name.
export default async (req, context) => {
  const change = context.aleph.store.watch('w');
  await context.aleph.store.set('w', 1);
  return { interfaces: { FunctionRequest: Object.getOwnPropertyNames(req), FunctionContext: Object.keys(context), StoreChange: Object.keys(await change) } };
};
