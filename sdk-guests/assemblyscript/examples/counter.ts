// Counts visits in the store, a counter for each path: GET /a answers {"path":"/a","visits":1}, then 2, and so on.
// GET /?list answers all counters.
import { Request, Response, quote, store } from "aleph-guest";

function counter(path: string, visits: i64): string {
  return `{"path":${quote(path)},"visits":${visits}}`;
}

function list(): string {
  const counters: string[] = [];
  let cursor = "";
  do {
    const part = store.list("/", 0, cursor).value;
    for (let i = 0; i < part.entries.length; i++) {
      counters.push(counter(part.entries[i].key, part.entries[i].value.number));
    }
    cursor = part.cursor;
  } while (cursor.length);
  return `[${counters.join(",")}]`;
}

export function handle(request: Request): Response {
  if (request.query.has("list")) return Response.json(list() + "\n");
  const visits = store.increment(request.rawPath).value;
  return Response.json(counter(request.rawPath, visits) + "\n");
}
