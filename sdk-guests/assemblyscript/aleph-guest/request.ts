// The event.

import { Frame, FrameWriter } from "./frame";
import { Operation } from "./operation";
import { decode, Headers, Pairs, parameters } from "./pairs";
import { Op, Tag } from "./tag";

export enum EventKind {
  HTTP = 0,
  Schedule = 1,
  Message = 2,
  Topic = 3,
  Log = 4,
  Block = 5,
  Transfer = 6,
}

/** What happened: an HTTP request, or an event, which is a POST to "/" with its content as the body. */
export class Request {
  private parameters: Pairs | null = null;
  private list: Headers | null = null;
  private read_: bool = false; // the body, to its end

  constructor(private frame: Frame) {}

  /** Reads an event's frame; null if it is none. */
  static from(frame: Frame | null): Request | null {
    return frame && isEvent(frame) ? new Request(frame) : null;
  }

  /** In upper case. */
  get method(): string {
    return this.frame.text(Tag.METHOD);
  }
  /** The path after the program's address, decoded: at least "/". */
  get path(): string {
    return decode(this.rawPath);
  }
  /** The path as it was sent. */
  get rawPath(): string {
    return this.frame.text(Tag.PATH);
  }
  /** What is in front of the path in the URL's path. */
  get root(): string {
    return this.frame.text(Tag.ROOT);
  }
  /** The query as it was sent, without "?". */
  get rawQuery(): string {
    return this.frame.text(Tag.QUERY);
  }
  /** The query's parameters, decoded. */
  get query(): Pairs {
    let all = this.parameters;
    if (!all) this.parameters = all = parameters(this.rawQuery);
    return all;
  }
  /** The first parameter of that name; null if there is none. One without "=" is "". */
  param(name: string): string | null {
    return this.query.get(name);
  }
  get headers(): Headers {
    let all = this.list;
    if (!all) this.list = all = new Headers(this.frame.pairs(Tag.HEADER));
    return all;
  }
  /** The first header of that name; null if there is none. */
  header(name: string): string | null {
    return this.headers.get(name);
  }
  /** Address and port of the peer. */
  get client(): string {
    return this.frame.text(Tag.CLIENT);
  }
  /** The request's id, also in the log and in errors. */
  get id(): string {
    return this.frame.text(Tag.REQUEST_ID);
  }
  /** The program's item hash. */
  get program(): string {
    return this.frame.text(Tag.PROGRAM);
  }
  /** The node's id. */
  get node(): string {
    return this.frame.text(Tag.NODE);
  }
  /** The owner's address. */
  get account(): string {
    return this.frame.text(Tag.ACCOUNT);
  }
  /** When it came to the program, in Unix milliseconds. */
  get time(): i64 {
    return this.frame.u64(Tag.TIME) / 1000000;
  }
  /** When it ends, done or not, in Unix milliseconds. */
  get deadline(): i64 {
    return this.frame.u64(Tag.DEADLINE) / 1000000;
  }
  /** What made it. */
  get event(): Event {
    return new Event(this.frame);
  }

  /** All of the body, or what `read` has left of it. */
  get bytes(): Uint8Array {
    if (!this.follows) return this.read() || new Uint8Array(0);
    let all = new Uint8Array(0), length = 0;
    for (let part = this.read(); part; part = this.read()) {
      if (length + part.length > all.length) {
        const grown = new Uint8Array(max(2 * all.length, length + part.length));
        memory.copy(grown.dataStart, all.dataStart, length);
        all = grown;
      }
      memory.copy(all.dataStart + length, part.dataStart, part.length);
      length += part.length;
    }
    return all.subarray(0, length);
  }
  /** The same as a text. */
  get text(): string {
    const bytes = this.bytes;
    return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.byteLength);
  }

  /** Whether the body comes while the program runs. It may, if the program has `export { aleph_body } from "aleph-guest"`. */
  get follows(): bool {
    return this.frame.u32(Tag.BODY_FOLLOWS) != 0;
  }

  /** What comes next of the body, some bytes or none, at most `most` of one that follows; null at its end. */
  read(most: u32 = 65536): Uint8Array | null {
    if (this.read_) return null;
    if (!this.follows) {
      this.read_ = true;
      return this.frame.bytesOf(Tag.BODY);
    }
    const part = new Operation<Frame>(Op.BODY_READ, new FrameWriter().u32(Tag.LIMIT, most), (frame: Frame): Frame => frame).value;
    this.read_ = part.u32(Tag.END) != 0;
    return part.bytesOf(Tag.BODY);
  }
}

/** What made a request. */
export class Event {
  constructor(private frame: Frame) {}

  /** The same at every attempt at the event, and at no other event of the program. */
  get id(): string {
    return this.frame.text(this.frame.find(Tag.EVENT_ID) ? Tag.EVENT_ID : Tag.REQUEST_ID);
  }
  get kind(): EventKind {
    return this.frame.u32(Tag.KIND);
  }
  /** 1 is the first. */
  get attempt(): u32 {
    return this.frame.u32(Tag.ATTEMPT, 1);
  }
  /** What else is known of an event, as "trigger", "scheduled_at", "topic": JSON, a text is in its quotes. */
  get details(): Pairs {
    return new Pairs(this.frame.pairs(Tag.DETAIL));
  }
  /** The detail of that name; null if there is none. */
  detail(name: string): string | null {
    return this.details.get(name);
  }
}

/** Whether the fields that this package reads have their types. */
function isEvent(frame: Frame): bool {
  for (let f = frame.next(null); f; f = frame.next(f)) {
    switch (f.tag) {
      case Tag.KIND:
      case Tag.ATTEMPT:
      case Tag.BODY_FOLLOWS:
        if (f.length != 4) return false;
        break;
      case Tag.DEADLINE:
      case Tag.TIME:
        if (f.length != 8) return false;
        break;
      case Tag.SEED:
        if (f.length != 16) return false;
        break;
      case Tag.HEADER:
      case Tag.DETAIL:
        if (!f.isPair) return false;
        break;
    }
  }
  return true;
}
