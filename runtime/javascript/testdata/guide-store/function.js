export default async function(req, context) {
  const { aleph } = context;

  // Store data
  const storeResult = await aleph.store.set({
    key: 'user-data',
    value: { name: 'Alice', visits: 5 }
  });

  // Retrieve data
  const getData = await aleph.store.get('user-data');

  return { stored: storeResult, retrieved: getData };
}
