// Programs that the types take, and below them what they must not take. `tsc` checks both; nothing of this runs.
import type { AlephMessage, ExportedHandler, FetchError, FunctionEvent, Handler, StoreError } from "@aleph-edge/functions";

export const hello: Handler = (req) => {
  const name = req.query.name || "World";
  return { message: `Hello, ${name}!` };
};

export const notes: Handler = async (req, { aleph: { store }, account }) => {
  const calls = await store.increment("calls");
  await Promise.all([
    store.set({ key: "note/1", value: { text: "first", tags: ["a"] } }),
    store.set("note/2", "second", { ttl: 3600 }),
    store.set("photo", new Uint8Array([1, 2, 3])),
  ]);
  const page = await store.list<{ text: string }>({ prefix: "note/", limit: 1 });
  const rest = await store.list({ prefix: "note/", cursor: page.cursor });
  for await (const change of store.watch<string>("note/")) {
    if (change.deleted) break;
    console.log(change.value?.length);
  }
  const locked: boolean = await store.compareAndSet("lock", null, { by: account });
  try {
    await store.increment("note/2");
  } catch (error) {
    if ((error as StoreError).code === "not_a_counter") return { status: 409, body: "no counter" };
  }
  return { calls, locked, first: page.entries[0]?.value.text, keys: rest.keys, bytes: req.rawBody.length, type: req.headers["content-type"] };
};

export const greeter = {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    ctx.waitUntil(ctx.aleph.store.increment("greeted"));
    if (request.method === "POST") return Response.json(await request.json(), { status: 201, headers: { "x-a": "b" } });
    return new Response(`${env.GREETING}, ${url.searchParams.get("name")}`);
  },
} satisfies ExportedHandler<{ GREETING: string }>;

export const wrapped: ExportedHandler = { handler: hello };

export const outside: Handler = async (req) => {
  try {
    const response = await fetch(String(req.query.url), { headers: { accept: "application/json" }, signal: AbortSignal.timeout(5000), redirect: "manual" });
    return { status: response.status, headers: [["set-cookie", ["a=1", "b=2"]]], body: await response.json() };
  } catch (error) {
    return { code: (error as FetchError).code };
  }
};

export function about(event: FunctionEvent): string {
  switch (event.kind) {
    case "http": return event.id;
    case "schedule": return `${event.trigger} ${event.schedule} ${event.scheduled_at}`;
    case "message": return (event.message as AlephMessage<{ ref: string }>).content.ref;
    case "topic": return event.topic;
    case "log": return event.log.event.args ? String(event.log.event.args.value) : event.log.log.topics.join();
    case "block": return event.block.block.parentHash;
    case "transfer": return event.transfer.transfer.value;
  }
}

export const globals: Handler = async () => {
  const timer = setTimeout((text: string) => console.log(text), 10, "later");
  clearTimeout(timer);
  const id = crypto.randomUUID(), bytes = crypto.getRandomValues(new Uint8Array(16));
  const form = new FormData();
  form.append("file", new File(["x"], "x.txt", { type: "text/plain" }));
  const copy = structuredClone({ a: [1] }).a.length;
  const text = new TextDecoder().decode(new TextEncoder().encode(atob(btoa("é"))));
  return { id, bytes: bytes.length, env: process.env.GREETING, copy, text, form: [...form.keys()], at: performance.now(), since: process.hrtime.bigint().toString() };
};

export const nothing: Handler = () => {};
export const bytes: Handler = () => new Uint8Array(3);

// @ts-expect-error the body may be anything
export const unlooked: Handler = (req) => req.body.name;
// @ts-expect-error a parameter may come twice, or not at all
export const parameter: Handler = (req) => req.query.name.toUpperCase();
// @ts-expect-error a function is no reply's status
export const status: Handler = (req): { status: () => number } & Promise<number> => req.method;
// @ts-expect-error there is no such field
export const field: Handler = (req) => req.url;
// @ts-expect-error there is no such field in a context
export const context: Handler = (_, context) => context.waitUntil(Promise.resolve());
// @ts-expect-error keys are strings
export const key: Handler = (_, { aleph }) => aleph.store.get(1);
// @ts-expect-error undefined cannot be stored
export const value: Handler = (_, { aleph }) => aleph.store.set("k", undefined);
// @ts-expect-error ttl is a number
export const ttl: Handler = (_, { aleph }) => aleph.store.set("k", 1, { ttl: "1h" });
// @ts-expect-error what was stored may be gone
export const gone: Handler = async (_, { aleph }) => (await aleph.store.get<string>("k")).length;
// @ts-expect-error only schedules have it
export const scheduled: Handler = (_, { event }) => event.scheduled_at;
// @ts-expect-error a program has fetch or handler
export const neither: ExportedHandler = { serve: () => "x" };
// @ts-expect-error there is no DOM
export const dom = () => document.title;
// @ts-expect-error there is no Buffer
export const buffer = () => Buffer.from("x");
// @ts-expect-error there is no crypto.subtle
export const subtle = () => crypto.subtle;
// @ts-expect-error there are no streams
export const stream = new Response("x").body?.getReader();
// @ts-expect-error redirects are of three kinds
export const redirect = () => fetch("https://example.org/", { redirect: "never" });
