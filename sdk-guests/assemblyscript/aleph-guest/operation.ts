// Operations: what is started on the node, runs beside the program, and may fail.

import * as host from "./host";
import { Frame, FrameWriter } from "./frame";
import { Op, Tag } from "./tag";

/** Why an operation failed. */
export class OperationError {
  constructor(
    /** The node's number; negative for an error of this package. */
    public code: i32,
    /** What the node said; may be empty. */
    public message: string,
  ) {}

  /** The error's name, as "quota_exceeded". */
  get name(): string {
    switch (this.code) {
      case 1: return "invalid_argument";
      case 2: return "not_a_counter";
      case 3: return "quota_exceeded";
      case 4: return "value_too_large";
      case 5: return "unavailable";
      case 6: return "unknown_operation";
      case 7: return "network";
      case 8: return "forbidden";
      case 9: return "timeout";
      case 10: return "closed";
      case TOO_MANY: return "too_many";
      case REFUSED: return "refused";
      case TOO_LARGE: return "too_large";
      case INVALID_FRAME: return "invalid_frame";
      case CANCELLED: return "cancelled";
    }
    return "unknown_error";
  }

  toString(): string {
    return this.message.length ? this.name + ": " + this.message : this.name;
  }
}

const TOO_MANY = -1; // 256 operations are under way
const REFUSED = -2; // while the program is deployed
const TOO_LARGE = -3; // the requests under way are over 16 MiB
const INVALID_FRAME = -4; // the node's answer cannot be read
const CANCELLED = -5;

const underWay: Pending[] = [];
let completions: u32 = 0;

/** An operation, whatever its result is. */
export abstract class Pending {
  private length: i32 = -1; // of the result; -1 until it is complete
  private order: u32 = 0; // of its completion
  private settled: bool = false;
  private given: bool = false; // by `first`
  private failure: OperationError | null = null;

  /** Starts an operation. The event is over when one that `lasts` is. */
  constructor(operation: u32, frame: FrameWriter, private lasts: bool) {
    this.ticket = host.start(operation, frame.at, frame.length);
    if (this.ticket > 0) underWay.push(this);
    else this.settle(new OperationError(this.ticket, ""));
  }
  private ticket: i32 = 0;

  /** What the result says. */
  protected abstract accept(frame: Frame): void;

  private complete(length: i32): void {
    this.length = length;
    this.order = ++completions;
  }

  private settle(failure: OperationError | null): void {
    if (this.length < 0) this.complete(0);
    this.failure = failure;
    this.settled = true;
    const i = underWay.indexOf(this);
    if (i >= 0) underWay.splice(i, 1);
  }

  /** Waits until it is complete. */
  wait(): void {
    if (this.settled) return;
    const ticket = this.ticket;
    if (this.length < 0) this.complete(<i32>host.wait(ticket));
    const bytes = new ArrayBuffer(this.length);
    const frame = Frame.read(bytes, host.take(ticket, changetype<usize>(bytes), this.length));
    if (!frame || !isResult(frame)) return this.settle(new OperationError(INVALID_FRAME, "the node's answer cannot be read"));
    const status = frame.u32(Tag.STATUS);
    if (status) return this.settle(new OperationError(status, frame.text(Tag.MESSAGE)));
    this.accept(frame);
    this.settle(null);
  }

  /** Whether it is complete. Does not wait. */
  get done(): bool {
    for (let word = host.poll(); word; word = host.poll()) Pending.note(word);
    return this.length >= 0;
  }

  /** Why it failed; null if it did not. Waits. */
  get error(): OperationError | null {
    this.wait();
    return this.failure;
  }

  /** Whether it did not fail. Waits. */
  get ok(): bool {
    return this.error === null;
  }

  /** Forgets the operation: its error is "cancelled". Effects that happened stay. */
  cancel(): void {
    if (this.settled) return;
    host.cancel(this.ticket);
    this.settle(new OperationError(CANCELLED, ""));
  }

  /** Fails the event, if it failed. */
  protected check(): void {
    const error = this.error;
    if (error) throw new Error(error.toString());
  }

  /** See `first`. */
  static firstOf<T extends Pending>(among: T[]): T | null {
    let winner: T | null = null;
    for (let waiting = true; !winner && waiting; ) {
      waiting = false;
      for (let i = 0; i < among.length; i++) {
        const candidate = among[i];
        if (candidate.given) continue;
        if (candidate.length < 0) waiting = true;
        else if (winner === null || candidate.order < winner.order) winner = candidate;
      }
      if (!winner && waiting) Pending.note(host.wait(0));
    }
    if (winner) winner.given = true;
    return winner;
  }

  /** Takes note of what the node says is complete. */
  private static note(word: u64): void {
    const ticket = <i32>(word >> 32);
    for (let i = 0; i < underWay.length; i++) {
      if (underWay[i].ticket == ticket) underWay[i].complete(<i32>word);
    }
  }

  /** Waits for the operations that last, and fails the event if one of them failed. */
  static finish(): void {
    for (let i = 0; i < underWay.length; ) {
      if (underWay[i].lasts) underWay[i].check();
      else i++;
    }
  }
}

/** Whether the fields that this package reads have their types. */
export function isResult(frame: Frame): bool {
  for (let f = frame.next(null); f; f = frame.next(f)) {
    switch (f.tag) {
      case Tag.STATUS:
      case Tag.VALUE_KIND:
      case Tag.FLAG:
      case Tag.HTTP_STATUS:
      case Tag.END:
        if (f.length != 4) return false;
        break;
      case Tag.DELTA:
        if (f.length != 8) return false;
        break;
      case Tag.HEADER:
        if (!f.isPair) return false;
        break;
      case Tag.ENTRY:
        if (!f.isEntry) return false;
        break;
    }
  }
  return true;
}

/** An operation under way, whose result is a T. All that are started run together; what asks for the result waits for it.
 *
 *     const a = fetch(one), b = fetch(two); // both are under way
 *     return Response.text(a.value.text + b.value.text); */
export class Operation<T> extends Pending {
  private result: T;

  constructor(operation: u32, frame: FrameWriter, private read: (frame: Frame) => T, lasts: bool = false) {
    super(operation, frame, lasts);
    if (isReference<T>()) this.result = changetype<T>(0);
    // @ts-ignore: a number
    else this.result = <T>0;
  }

  protected accept(frame: Frame): void {
    this.result = this.read(frame);
  }

  /** The result. Waits. If the operation failed, so does the event: look at `error` before. */
  get value(): T {
    this.check();
    return this.result;
  }

  /** The result, or another one if the operation failed. Waits. */
  or(other: T): T {
    return this.ok ? this.result : other;
  }
}

/** Waits until one of the operations is complete: the one that was first. Each is given once; null says that all have been. */
export function first<T extends Pending>(among: T[]): T | null {
  return Pending.firstOf<T>(among);
}

/** Starts any operation whose result has nothing but a status. */
export function start(operation: u32, frame: FrameWriter, lasts: bool = false): Operation<bool> {
  return new Operation<bool>(operation, frame, (frame: Frame): bool => true, lasts);
}

/** A timer, in milliseconds: `sleep(100).wait()`. */
export function sleep(milliseconds: i64): Operation<bool> {
  const most: i64 = i64.MAX_VALUE / 1000000;
  return start(Op.SLEEP, new FrameWriter().u64(Tag.DURATION, <u64>min<i64>(most, max<i64>(0, milliseconds)) * 1000000));
}
