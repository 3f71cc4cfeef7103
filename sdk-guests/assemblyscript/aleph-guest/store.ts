// The store: the program's own keys and values, kept on the node.

import { Frame, FrameWriter } from "./frame";
import { Operation, start } from "./operation";
import { Op, Tag } from "./tag";

export enum ValueKind {
  Bytes = 0,
  JSON = 1,
  Counter = 2,
  /** In a change: the key was deleted. */
  Deleted = 3,
}

/** What a key has. */
export class Value {
  constructor(public kind: ValueKind, public bytes: Uint8Array) {}

  static text(text: string): Value {
    return Value.bytes(Uint8Array.wrap(String.UTF8.encode(text)));
  }
  static bytes(bytes: Uint8Array): Value {
    return new Value(ValueKind.Bytes, bytes);
  }
  /** A text that is JSON: functions in other languages read what it says. */
  static json(text: string): Value {
    return new Value(ValueKind.JSON, Uint8Array.wrap(String.UTF8.encode(text)));
  }
  static counter(number: i64): Value {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setInt64(0, number, true);
    return new Value(ValueKind.Counter, bytes);
  }

  /** The bytes, or the JSON, as a text; a counter's digits. */
  get text(): string {
    return this.kind == ValueKind.Counter ? this.number.toString() : String.UTF8.decodeUnsafe(this.bytes.dataStart, this.bytes.byteLength);
  }

  /** A counter's number; 0 of anything else. */
  get number(): i64 {
    if (this.kind != ValueKind.Counter || this.bytes.byteLength != 8) return 0;
    return load<i64>(this.bytes.dataStart);
  }
}

/** A key and its value. */
export class Entry {
  constructor(public key: string, public value: Value) {}
}

/** A part of a listing; `cursor` goes into the next call, and is empty if this is the last. */
export class Listing {
  constructor(public entries: Entry[], public cursor: string) {}
}

function put(frame: FrameWriter, tag: u32, kindTag: u32, value: Value): FrameWriter {
  return frame.bytesOf(tag, value.bytes).u32(kindTag, value.kind);
}

function found(frame: Frame): Value | null {
  return frame.find(Tag.VALUE) ? new Value(frame.u32(Tag.VALUE_KIND), frame.bytesOf(Tag.VALUE)) : null;
}

function entries(frame: Frame): Entry[] {
  const list: Entry[] = [];
  for (let f = frame.next(null); f; f = frame.next(f)) {
    if (f.tag == Tag.ENTRY) list.push(new Entry(f.name, new Value(f.entryKind, f.entryValue)));
  }
  return list;
}

function changed(frame: Frame): Entry {
  const all = entries(frame);
  return all.length ? all[0] : new Entry("", new Value(ValueKind.Deleted, new Uint8Array(0)));
}

/** The store. Every function starts its operation at once; writes are complete, and did not fail, when the event has been answered. */
export namespace store {
  /** The key's value; null if there is none. */
  export function get(key: string): Operation<Value | null> {
    return new Operation<Value | null>(Op.STORE_GET, new FrameWriter().text(Tag.KEY, key), found);
  }

  /** Sets a key to a text. ttl: seconds after which it is gone, 0: never. */
  export function set(key: string, text: string, ttl: u64 = 0): Operation<bool> {
    return setValue(key, Value.text(text), ttl);
  }

  /** Sets a key to any value. */
  export function setValue(key: string, value: Value, ttl: u64 = 0): Operation<bool> {
    const frame = put(new FrameWriter().text(Tag.KEY, key), Tag.VALUE, Tag.VALUE_KIND, value);
    if (ttl) frame.u64(Tag.TTL, ttl);
    return start(Op.STORE_SET, frame, true);
  }

  /** Deletes a key; whether it was there. */
  export function remove(key: string): Operation<bool> {
    return new Operation<bool>(Op.STORE_DELETE, new FrameWriter().text(Tag.KEY, key), (frame: Frame): bool => frame.u32(Tag.FLAG) != 0, true);
  }

  /** Entries whose keys begin with the prefix, in the order of keys: at most `limit`, 0: as many as the node gives at once. */
  export function list(prefix: string = "", limit: u32 = 0, cursor: string = ""): Operation<Listing> {
    const frame = new FrameWriter().text(Tag.KEY, prefix);
    if (limit) frame.u32(Tag.LIMIT, limit);
    if (cursor.length) frame.text(Tag.CURSOR, cursor);
    return new Operation<Listing>(Op.STORE_LIST, frame, (frame: Frame): Listing => new Listing(entries(frame), frame.text(Tag.CURSOR)));
  }

  /** Adds to a counter, which begins at 0; the new number. */
  export function increment(key: string, by: i64 = 1): Operation<i64> {
    const frame = new FrameWriter().text(Tag.KEY, key).u64(Tag.DELTA, by);
    return new Operation<i64>(Op.STORE_INCREMENT, frame, (frame: Frame): i64 => frame.u64(Tag.DELTA), true);
  }

  /** Sets a key if it has what is expected; null: if there is no such key. Whether it was set. */
  export function compareAndSet(key: string, expected: Value | null, value: Value, ttl: u64 = 0): Operation<bool> {
    const frame = put(new FrameWriter().text(Tag.KEY, key), Tag.VALUE, Tag.VALUE_KIND, value);
    if (ttl) frame.u64(Tag.TTL, ttl);
    if (expected) put(frame, Tag.EXPECTED, Tag.EXPECTED_KIND, expected);
    return new Operation<bool>(Op.STORE_SWAP, frame, (frame: Frame): bool => frame.u32(Tag.FLAG) != 0, true);
  }

  /** The next change below the prefix, by whomever. */
  export function watch(prefix: string = ""): Operation<Entry> {
    return new Operation<Entry>(Op.STORE_WATCH, new FrameWriter().text(Tag.KEY, prefix), changed);
  }
}
