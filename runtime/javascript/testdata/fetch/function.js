export default {
  name: 'fetcher',
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname === '/wait') {
      ctx.waitUntil(new Promise((resolve) => setTimeout(() => { console.log('late'); resolve(); }, 5)));
      return new Response('early');
    }
    if (url.pathname === '/form') return Response.json([...(await request.formData())]);
    return Response.json({
      url: request.url, method: request.method, type: request.headers.get('Content-Type'), body: request.method === 'POST' ? await request.json() : await request.text(),
      env: env.GREETING, self: this.name, id: ctx.functionId.length,
    });
  },
};
