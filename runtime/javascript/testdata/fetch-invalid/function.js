// What fetch refuses before it asks the node.
const of = async (f) => {
  try {
    const response = await f();
    return `${response.status}`;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
const aborted = AbortSignal.abort(new Error('mine'));

export default async () => [
  fetch.name, fetch.length, typeof Object.getOwnPropertyDescriptor(globalThis, 'fetch').value,
  await of(() => fetch()),
  await of(() => fetch('/relative')),
  await of(() => fetch('http://user:secret@example.org/')),
  await of(() => fetch('http://example.org/', { method: 'CONNECT' })),
  await of(() => fetch('http://example.org/', { body: 'x' })),
  await of(() => fetch('http://example.org/', { headers: { 'a b': 'c' } })),
  await of(() => fetch('http://example.org/', { headers: { a: 'b\r\nc: d' } })),
  await of(() => fetch('http://example.org/', { redirect: 'elsewhere' })),
  await of(() => fetch('http://example.org/', { signal: aborted })),
  await of(() => fetch(new Request('http://example.org/', { signal: aborted }))),
  await of(async () => {
    const request = new Request('http://example.org/', { method: 'POST', body: 'x' });
    await request.text();
    return fetch(request);
  }),
];
