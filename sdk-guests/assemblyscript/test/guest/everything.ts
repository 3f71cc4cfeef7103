// Uses what the examples do not, for guests_test.go: the path says what.
import {
  Exchange, FetchOptions, FrameWriter, Headers, Operation, Pending, Request, Response, Value, env, fetch, first, log, monotonic, now,
  quote, randomBytes, sleep, start, store,
} from "aleph-guest";
import { codec } from "./codec";

export { aleph_body } from "aleph-guest";

const failure = env("FAIL");
if (failure) throw new Error(failure!);
const prepared = env("V") ? "prepared" : "without a variable";
const atDeploy = Math.random();

function utf8(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

function about(request: Request): string {
  let text = `${request.method} ${request.rawPath} ${request.path} `;
  for (let i = 0; i < request.query.list.length; i++) text += quote(request.query.list[i].name) + quote(request.query.list[i].value);
  const header = request.header("X-A"), none = request.header("x-none");
  text += ` ${request.text} ${header ? header : "no header"} ${none ? "some" : "none"} `;
  const event = request.event;
  const whole = request.root.length && request.client.length && request.id.length && request.program.length == 64 && request.node.length && request.account.length
    && request.deadline > request.time && now() / 1000000 >= request.time && event.attempt == 1 && event.id.length && event.detail("trigger") === null;
  const variable = env("V");
  return text + `${whole ? "whole" : "missing"} ${prepared} ${variable ? variable : ""} ${env("NONE") ? "some" : "none"}`;
}

function storing(): string {
  const said: string[] = [];
  const none = store.get("k").value;
  said.push(none ? "some" : "null");
  said.push(store.setValue("k", Value.bytes(utf8("a\0b"))).ok ? "ok" : "failed");
  const k = store.get("k").value!;
  said.push(k.bytes.length == 3 && k.bytes[1] == 0 ? "three" : "other");
  store.setValue("j", Value.json('{"a":1}'), 3600).wait();
  const j = store.get("j").value!;
  said.push(j.text);
  const swapped = store.compareAndSet("j", null, Value.json("0"));
  said.push(swapped.ok ? "ok" : "failed");
  said.push(swapped.value ? "yes" : "no");
  said.push(store.compareAndSet("j", j, Value.json("[2]")).value ? "yes" : "no");
  store.increment("n", 41).wait();
  const down = store.increment("n", -43);
  said.push(down.value.toString());
  const error = store.increment("k").error!;
  said.push(error.name);
  said.push(error.message.length ? "said" : "silent");
  let listed = "", cursor = "";
  do {
    const part = store.list("", 2, cursor).value;
    for (let i = 0; i < part.entries.length; i++) listed += `${part.entries[i].key}=${part.entries[i].value.text}; `;
    cursor = part.cursor;
    if (cursor.length) listed += "|";
  } while (cursor.length);
  said.push(listed.trimEnd());
  const watch = store.watch("w/");
  store.set("w/1", "new").wait();
  const change = watch.value;
  said.push(change.key + " " + change.value.text);
  const again = store.watch("w/");
  said.push(store.remove("w/1").value.toString());
  said.push((<i32>again.value.value.kind).toString());
  said.push(store.get("w/1").value ? "some" : "null");
  return said.join(" ");
}

/** Sends the body on, in parts as it comes, and answers with what comes back, in parts. */
function proxy(request: Request): Response {
  const headers = new Headers();
  headers.set("X-From", "as");
  const exchange = new Exchange(request.param("url")!, { method: "POST", headers, body: null, redirects: 0, timeout: 0 }, true);
  for (let part = request.read(); part; part = request.read()) {
    if (part.length) exchange.write(part).value;
  }
  exchange.end().value;
  const answer = exchange.answer.value;
  const response = new Response(answer.status).header("x-back", answer.headers.get("X-Back")!);
  for (let part = exchange.read(); part; part = exchange.read()) {
    if (!response.writeBytes(part).flush()) break;
  }
  exchange.close();
  return response;
}

function errors(request: Request): string {
  let text = fetch("http://10.0.0.1/").error!.name + " ";
  text += fetch("ftp://example.org/").error!.name + " ";
  const patience = new FetchOptions();
  patience.timeout = 1;
  text += fetch(request.param("slow")!, patience).error!.name + " ";
  text += start(9999, new FrameWriter()).error!.name + " ";
  const timers: Operation<bool>[] = [];
  let last = sleep(i64.MAX_VALUE);
  while (timers.length < 300) {
    timers.push(last);
    last = sleep(i64.MAX_VALUE);
    if (last.done) break;
  }
  text += timers.length.toString() + " " + last.error!.name + " ";
  for (let i = 0; i < timers.length; i++) timers[i].cancel();
  text += timers[0].error!.name + " ";
  const late = store.watch("o/"), soon = sleep(1);
  const both: Pending[] = [late, soon];
  const timer = first(both) == soon;
  store.set("o/1", "now", 1);
  text += timer && first(both) == late && first(both) === null && soon.ok && late.value.key == "o/1" ? "order " : "disorder ";
  const many = randomBytes(70000);
  let zeros = 0;
  for (let i = many.length - 1000; i < many.length; i++) zeros += i32(many[i] == 0);
  text += zeros < 100 ? "random " : "zeros ";
  const before = monotonic();
  return text + (monotonic() >= before ? "on " : "back ");
}

function globals(): string {
  console.log("a line");
  console.warn("a warning");
  console.time("t");
  console.timeEnd("t");
  console.assert(false, "is no failure");
  trace("traced", 2, 1, 2.5);
  log.debug("fine");
  const bytes = new Uint8Array(16);
  crypto.getRandomValues(bytes);
  let sum = 0;
  for (let i = 0; i < 16; i++) sum += bytes[i];
  const time = new Date(Date.now()).getUTCFullYear() > 2024 ? "time" : "no time";
  return `${time} ${Math.random() != atDeploy ? "fresh" : "stale"} ${sum ? "random" : "zeros"} ${performance.now() > 0 ? "elapsed" : "stopped"}`;
}

export function handle(request: Request): Response {
  const path = request.path;
  if (path == "/codec") return Response.text(codec(request.text));
  if (path == "/store") return Response.text(storing());
  if (path == "/proxy") return proxy(request);
  if (path == "/errors") return Response.text(errors(request));
  if (path == "/globals") return Response.text(globals());
  if (path == "/random") return Response.text(Math.random().toString());
  if (path == "/body") return Response.bytes(request.bytes);
  if (path == "/quote") return Response.json(quote('a"\\\n\x01' + String.fromCharCode(0xd83d) + "é😀"));
  if (path == "/written") {
    if (request.query.has("ok")) store.set("written", "yes");
    else store.set("", "a key without a name");
    return Response.text("written");
  }
  if (path == "/was-written") return Response.text(store.get("written").value!.text);
  if (path == "/fail") {
    log.warning("about to fail");
    throw new Error("no luck");
  }
  if (path == "/out-of-memory") {
    const kept: Uint8Array[] = [];
    for (;;) kept.push(new Uint8Array(1 << 20));
  }
  if (path == "/cut") {
    const response = Response.text("some");
    response.flush();
    throw new Error("cut off");
  }
  if (path == "/ended") {
    const response = Response.text("all ");
    response.flush();
    response.write("of it").end();
    store.set("after", "the reply").wait();
    return response;
  }
  return Response.text(about(request));
}
