// Frames of abi/SPEC.md: "alv1", then fields of a tag, a length and so many bytes. For operations that this package has no function
// for, they are public.

import { Pair } from "./pairs";

const MAGIC: u32 = 0x31766c61; // "alv1"
const HEAD: usize = 8;

/** A frame that is being written. Its methods return it. */
export class FrameWriter {
  private bytes: ArrayBuffer = new ArrayBuffer(256);
  /** How many bytes it has. */
  length: i32 = 0;

  constructor() {
    store<u32>(this.room(4), MAGIC);
  }

  /** Where the bytes are, until the next field is added. */
  get at(): usize {
    return changetype<usize>(this.bytes);
  }

  private room(length: i32): usize {
    const before = this.length, after = before + length;
    if (length < 0 || after < before) throw new RangeError("a frame over 2 GiB");
    if (after > this.bytes.byteLength) {
      const grown = new ArrayBuffer(max(after, this.bytes.byteLength * 2));
      memory.copy(changetype<usize>(grown), this.at, before);
      this.bytes = grown;
    }
    this.length = after;
    return this.at + before;
  }

  private field(tag: u32, length: i32): usize {
    const at = this.room(<i32>HEAD + length);
    store<u32>(at, tag);
    store<u32>(at, length, 4);
    return at + HEAD;
  }

  u32(tag: u32, value: u32): FrameWriter {
    store<u32>(this.field(tag, 4), value);
    return this;
  }

  u64(tag: u32, value: u64): FrameWriter {
    store<u64>(this.field(tag, 8), value);
    return this;
  }

  /** A name and bytes. */
  pairBytes(tag: u32, name: string, value: Uint8Array): FrameWriter {
    const nameLength = String.UTF8.byteLength(name);
    const at = this.field(tag, 4 + nameLength + value.byteLength);
    store<u32>(at, nameLength);
    String.UTF8.encodeUnsafe(changetype<usize>(name), name.length, at + 4);
    memory.copy(at + 4 + nameLength, value.dataStart, value.byteLength);
    return this;
  }

  /** Bytes at an address. */
  raw(tag: u32, from: usize, length: i32): FrameWriter {
    memory.copy(this.field(tag, length), from, length);
    return this;
  }

  bytesOf(tag: u32, value: Uint8Array): FrameWriter {
    return this.raw(tag, value.dataStart, value.byteLength);
  }

  text(tag: u32, value: string): FrameWriter {
    const length = String.UTF8.byteLength(value);
    String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, this.field(tag, length));
    return this;
  }

  pair(tag: u32, name: string, value: string): FrameWriter {
    return this.pairBytes(tag, name, Uint8Array.wrap(String.UTF8.encode(value)));
  }

  entry(tag: u32, key: string, kind: u32, value: Uint8Array): FrameWriter {
    const keyLength = String.UTF8.byteLength(key);
    const at = this.field(tag, 8 + keyLength + value.byteLength);
    store<u32>(at, keyLength);
    String.UTF8.encodeUnsafe(changetype<usize>(key), key.length, at + 4);
    store<u32>(at + 4 + keyLength, kind);
    memory.copy(at + 8 + keyLength, value.dataStart, value.byteLength);
    return this;
  }

  pairs(tag: u32, list: Pair[]): FrameWriter {
    for (let i = 0; i < list.length; i++) this.pair(tag, list[i].name, list[i].value);
    return this;
  }

  /** Begins a field that `append` adds to and `close` ends; one that nothing was added to is left out. */
  open(tag: u32): FrameWriter {
    this.tag = tag;
    this.start = this.length;
    return this;
  }
  private tag: u32 = 0;
  private start: i32 = 0;

  /** Whether anything was added. */
  get opened(): bool {
    return this.length > this.start;
  }

  /** Memory for so many more bytes of the open field. */
  private more(length: i32): usize {
    if (!this.opened) this.field(this.tag, 0);
    return this.room(length);
  }

  append(text: string): void {
    const length = String.UTF8.byteLength(text);
    if (length) String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, this.more(length));
  }

  appendRaw(from: usize, length: i32): void {
    if (length) memory.copy(this.more(length), from, length);
  }

  close(): FrameWriter {
    if (this.opened) store<u32>(this.at + this.start, <u32>this.length - this.start - <u32>HEAD, 4);
    return this;
  }

  /** Makes it an empty frame in the same memory. */
  reset(): FrameWriter {
    this.length = 4;
    return this;
  }
}

/** A field of a frame that was read: its value is memory of the frame. */
@unmanaged
export class Field {
  private tagOf: u32;
  private lengthOf: u32;

  /** Its number. */
  get tag(): u32 {
    return this.tagOf;
  }
  get length(): i32 {
    return this.lengthOf;
  }
  get at(): usize {
    return changetype<usize>(this) + HEAD;
  }

  get u32(): u32 {
    return load<u32>(this.at);
  }
  get u64(): u64 {
    return load<u64>(this.at);
  }
  get text(): string {
    return String.UTF8.decodeUnsafe(this.at, this.length);
  }
  /** A copy of the bytes. */
  get bytes(): Uint8Array {
    return copied(this.at, this.length);
  }

  /** Whether it is a name's length, the name, and a value. */
  get isPair(): bool {
    return this.length >= 4 && load<u32>(this.at) <= <u32>this.length - 4;
  }
  private get nameLength(): i32 {
    return load<u32>(this.at);
  }
  get name(): string {
    return String.UTF8.decodeUnsafe(this.at + 4, this.nameLength);
  }
  /** Where a pair's value is, and its length. */
  get valueAt(): usize {
    return this.at + 4 + this.nameLength;
  }
  get valueLength(): i32 {
    return this.length - 4 - this.nameLength;
  }
  get value(): string {
    return String.UTF8.decodeUnsafe(this.valueAt, this.valueLength);
  }

  /** Whether it is a key, a kind and a value: `name`, `entryKind`, `entryValue`. */
  get isEntry(): bool {
    return this.isPair && this.valueLength >= 4;
  }
  get entryKind(): u32 {
    return load<u32>(this.valueAt);
  }
  get entryValue(): Uint8Array {
    return copied(this.valueAt + 4, this.valueLength - 4);
  }
}

function copied(at: usize, length: i32): Uint8Array {
  const bytes = new Uint8Array(length);
  memory.copy(bytes.dataStart, at, length);
  return bytes;
}

/** A frame that was read. Its fields are looked up when they are asked for: of a tag that is not repeated the last counts. */
export class Frame {
  private constructor(private bytes: ArrayBuffer, private length: i32) {}

  /** The frame in the first bytes of a buffer; null if it is cut, or its lengths leave it. */
  static read(bytes: ArrayBuffer, length: i32 = bytes.byteLength): Frame | null {
    if (length < 4 || load<u32>(changetype<usize>(bytes)) != MAGIC) return null;
    const frame = new Frame(bytes, length);
    let rest = <u32>length - 4;
    for (let at = frame.begin; rest; ) {
      if (rest < <u32>HEAD) return null;
      const size = load<u32>(at, 4);
      if (size > rest - <u32>HEAD) return null;
      rest -= <u32>HEAD + size;
      at += HEAD + size;
    }
    return frame;
  }

  private get begin(): usize {
    return changetype<usize>(this.bytes) + 4;
  }

  /** The field after one, or with null the first; null at the end. */
  next(field: Field | null): Field | null {
    const at = field ? field.at + field.length : this.begin;
    return at < changetype<usize>(this.bytes) + this.length ? changetype<Field>(at) : null;
  }

  /** The last field of a tag. */
  find(tag: u32): Field | null {
    let found: Field | null = null;
    for (let f = this.next(null); f; f = this.next(f)) {
      if (f.tag == tag) found = f;
    }
    return found;
  }

  u32(tag: u32, otherwise: u32 = 0): u32 {
    const f = this.find(tag);
    return f ? f.u32 : otherwise;
  }

  u64(tag: u32, otherwise: u64 = 0): u64 {
    const f = this.find(tag);
    return f ? f.u64 : otherwise;
  }

  text(tag: u32): string {
    const f = this.find(tag);
    return f ? f.text : "";
  }

  bytesOf(tag: u32): Uint8Array {
    const f = this.find(tag);
    return f ? f.bytes : new Uint8Array(0);
  }

  /** The pairs of a tag, in their order. */
  pairs(tag: u32): Pair[] {
    const list: Pair[] = [];
    for (let f = this.next(null); f; f = this.next(f)) {
      if (f.tag == tag) list.push(new Pair(f.name, f.value));
    }
    return list;
  }
}
