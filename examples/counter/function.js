// Counts its calls in the program's store, without losing one: curl "$ENDPOINT"
export default async function(req, context) {
  const { store } = context.aleph;
  const visits = await store.increment('visits', 1);
  await store.set({ key: 'last-visit', value: { path: req.path, at: new Date().toISOString() } });
  return { visits, last: await store.get('last-visit') };
}
