export default async (req, { aleph: { store } }) => {
  if (req.path === '/next') {
    const next = store.watch('w/');
    await store.set('other', 0);
    await store.set('w/a', { v: 1 });
    return next;
  }
  if (req.path === '/deleted') {
    await store.set('w/b', 1);
    const next = store.watch('w/');
    await store.delete('w/b');
    return next;
  }
  const seen = [];
  const changes = store.watch('w/');
  await store.set('w/1', new Uint8Array([7]));
  setTimeout(() => store.set('w/2', 2), 20);
  for await (const { key, value } of changes) {
    seen.push([key, value instanceof Uint8Array ? [...value] : value]);
    if (seen.length === 2) return seen;
  }
};
