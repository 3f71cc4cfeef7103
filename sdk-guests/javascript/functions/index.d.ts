/// <reference lib="esnext" />
/// <reference path="globals.d.ts" />

// What a node gives to a function in JavaScript, and takes from it: docs/functions.md says what it means. What is not here is not there.
// The test reads this file a line a member.

/** What JSON can hold. */
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

/** The request, or the event as one: a POST to "/" with its payload as the body. */
export interface FunctionRequest {
  /** Upper case. */
  method: string;
  /** What follows the program's id in the URL, at least "/"; not decoded. */
  path: string;
  /** Decoded. A key that comes twice has an array, one without "=" has "". */
  query: { [name: string]: string | string[] | undefined };
  /** Names are in lower case. One that came several times is joined by ", " (`cookie` by "; "). */
  headers: { [name: string]: string | undefined };
  /** null if empty, what the JSON says if it is JSON, else a string, or the bytes. It came from outside: look before use. */
  body: unknown;
  /** The body's bytes. Not enumerable. */
  rawBody: Uint8Array;
}

/** What is known of the call. */
export interface FunctionContext {
  /** The program's id. */
  functionId: string;
  /** The node's id. */
  nodeId: string;
  /** The address of the program's owner. */
  account: string;
  /** This request's id, also in `Aleph-Request-Id` and in the log. */
  requestId: string;
  aleph: Aleph;
  /** What made the call. */
  event: FunctionEvent;
}

/** The context of `fetch(request, env, ctx)`. */
export interface FetchContext extends FunctionContext {
  /** The promise is awaited before the answer is sent. */
  waitUntil(promise: unknown): void;
  /** Does nothing: it is there for programs of other platforms. */
  passThroughOnException(): void;
}

export interface Aleph {
  store: Store;
}

/** The program's keys and values on the node. Every method starts at once; a failure rejects with a `StoreError`. */
export interface Store {
  /** The value, or null: JSON as it was set, bytes as a Uint8Array, a counter as a number. */
  get<T = unknown>(key: string | { key: string }): Promise<T | null>;
  /** Sets a value; ttl in whole seconds. */
  set(key: string, value: StoreValue, options?: { ttl?: number | null }): Promise<{ key: string }>;
  set(entry: { key: string; value: StoreValue; ttl?: number | null }): Promise<{ key: string }>;
  /** Whether there was one. */
  delete(key: string | { key: string }): Promise<boolean>;
  /** A page, in the order of keys; cursor is null on the last. limit: 1 to 1,000, 100 if left out. */
  list<T = unknown>(options?: string | { prefix?: string; limit?: number; cursor?: string | null }): Promise<StorePage<T>>;
  /** The new number; a counter begins at 0, and by is 1 if left out. */
  increment(key: string, by?: number): Promise<number>;
  increment(counter: { key: string; by?: number }): Promise<number>;
  /** Sets the value if the present one equals what is expected; null: if there is none. Whether it was set. */
  compareAndSet(key: string, expected: StoreValue | undefined, value: StoreValue, options?: { ttl?: number | null }): Promise<boolean>;
  compareAndSet(swap: { key: string; expected?: StoreValue; value: StoreValue; ttl?: number | null }): Promise<boolean>;
  /** The next change of a key that begins with the prefix; with `for await`, one after another. */
  watch<T = unknown>(prefix?: string | { prefix?: string }): Promise<StoreChange<T>> & AsyncIterable<StoreChange<T>>;
}

/** What JSON can hold, a thing with toJSON, or bytes as the whole value. */
export type StoreValue = string | number | boolean | null | object;

export interface StorePage<T = unknown> {
  keys: string[];
  entries: { key: string; value: T }[];
  cursor: string | null;
}

export interface StoreChange<T = unknown> {
  key: string;
  /** null if the key was deleted. */
  value: T | null;
  deleted: boolean;
}

/** What the store's promises reject with. */
export interface StoreError extends Error {
  code: "invalid_argument" | "not_a_counter" | "quota_exceeded" | "value_too_large" | "unavailable" | "not_available";
}

/** What `fetch` rejects with, unless its signal was aborted. */
export interface FetchError extends TypeError {
  code: "network" | "forbidden" | "timeout" | "invalid_argument" | "value_too_large" | "unavailable" | "not_available";
}

/** What made a call; `kind` says which. */
export type FunctionEvent = HttpEvent | ScheduleEvent | MessageEvent | TopicEvent | LogEvent | BlockEvent | TransferEvent;

interface AnyEvent {
  /** The same at every attempt at the event, and at no other event of the program. */
  id: string;
  /** 1 is the first. */
  attempt: number;
}

/** An event that a trigger made. */
interface TriggeredEvent extends AnyEvent {
  /** The trigger's name. */
  trigger: string;
}

export interface HttpEvent extends AnyEvent {
  kind: "http";
}

export interface ScheduleEvent extends TriggeredEvent {
  kind: "schedule";
  /** When it was due: RFC 3339, UTC. */
  scheduled_at: string;
  /** The expression. */
  schedule: string;
}

export interface MessageEvent extends TriggeredEvent {
  kind: "message";
  message: AlephMessage;
}

export interface TopicEvent extends TriggeredEvent {
  kind: "topic";
  topic: string;
}

export interface LogEvent extends TriggeredEvent {
  kind: "log";
  log: ChainLog;
}

export interface BlockEvent extends TriggeredEvent {
  kind: "block";
  block: ChainBlock;
}

export interface TransferEvent extends TriggeredEvent {
  kind: "transfer";
  transfer: ChainTransfer;
}

/** A message of the network, with its content. */
export interface AlephMessage<T = unknown> {
  chain: string;
  sender: string;
  channel?: string;
  /** Unix seconds. */
  time: number;
  type: string;
  item_type: string;
  item_hash: string;
  item_content?: string;
  signature: string;
  content: T;
}

interface ChainEvent {
  id: string;
  chain: string;
  chainId: number;
  /** A block that this was in is no more: what was done for it has to be undone. */
  removed: boolean;
  confirmations: number;
  block: { number: number; hash: string; timestamp: number };
  trigger: { programId: string; filter: string; attempt: number };
}

export interface ChainLog extends ChainEvent {
  type: "blockchain.event";
  transaction: { hash: string; index: number };
  /** data is null, and dataSize its length, if it is longer than 128 KiB. */
  log: { address: string; index: number; topics: string[]; data: string | null; dataSize?: number };
  /** args is null, and error says why, if the log's data is none of the event's. Integers are decimal strings. */
  event: { name: string; signature: string; args: { [name: string]: Json } | null; error?: string };
}

export interface ChainBlock extends ChainEvent {
  type: "blockchain.block";
  block: { number: number; hash: string; parentHash: string; timestamp: number };
}

export interface ChainTransfer extends ChainEvent {
  type: "blockchain.transfer";
  transaction: { hash: string; index: number };
  /** value is in wei, a decimal string. */
  transfer: { from: string; to: string; value: string };
}

/** What a handler returns: nothing (204), a text, bytes, status and headers and a body, a Response, or anything that JSON can hold. */
export type Reply = void | undefined | string | ArrayBufferLike | ArrayBufferView | Response | FullReply | number | boolean | null | object;

/** Status, headers and body, and nothing else. */
export type FullReply = { headers?: ReplyHeaders; body?: unknown } & ({ status: number } | { statusCode: number });

export type ReplyHeaders = Headers | Iterable<readonly [string, string | number | readonly string[]]> | { [name: string]: string | number | readonly string[] };

/** A function: `export default ((req, context) => …) satisfies Handler`. */
export type Handler = (req: FunctionRequest, context: FunctionContext) => Reply | Promise<Reply>;

/** A default export that is an object: it has `fetch`, or `handler`. */
export type ExportedHandler<Env extends { [name: string]: string | undefined } = { [name: string]: string | undefined }> =
  | { fetch(request: Request, env: Env, ctx: FetchContext): Reply | Promise<Reply>; handler?: never }
  | { handler: Handler; fetch?: never };
