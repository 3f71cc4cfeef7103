// The codec, for abi/vectors: a line of internal/nodetest's Vectors, and its answer.
import { Frame, FrameWriter, Request, Tag } from "aleph-guest";
import { isResult } from "aleph-guest/operation";

function unhex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = <u8>parseInt(text.substring(2 * i, 2 * i + 2), 16);
  return bytes;
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += bytes[i].toString(16).padStart(2, "0");
  return text;
}

function text(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.byteLength);
}

function write(frame: FrameWriter, field: string): void {
  const parts = field.split(":"), kind = parts[0], tag = <u32>parseInt(parts[1]), value = unhex(parts[2]);
  if (kind == "u32") frame.u32(tag, load<u32>(value.dataStart));
  else if (kind == "u64") frame.u64(tag, load<u64>(value.dataStart));
  else if (kind == "bytes") frame.bytesOf(tag, value);
  else if (kind == "pair") frame.pairBytes(tag, text(value), unhex(parts[3]));
  else if (kind == "entry") frame.entry(tag, text(value), load<u32>(unhex(parts[3]).dataStart), unhex(parts[4]));
}

function fields(frame: Frame): string {
  const all: string[] = [];
  for (let f = frame.next(null); f; f = frame.next(f)) {
    let one = `${f.tag}:${hex(f.bytes)}`;
    if (f.isPair) one += ":" + hex(f.bytes.subarray(4, f.length - f.valueLength));
    if (f.isEntry) one += `:${f.entryKind}:${hex(f.entryValue)}`;
    all.push(one);
  }
  return all.join(" ");
}

function event(frame: Frame): string {
  const r = Request.from(frame);
  if (!r) return "invalid";
  return `${<u32>r.event.kind} ${r.event.attempt} ${r.deadline} ${r.time} ${r.event.id} ${r.method} ${r.rawPath} ${r.path} ${or(r.param("name"))} ${or(r.param("q"))} ${
    or(r.param("n"))} ${or(r.header("Accept"))} ${or(r.event.detail("scheduled_at"))}`;
}

function or(text: string | null): string {
  return text ? text : "none";
}

/** The variables of a load, which this package has from WASI. */
function isLoad(frame: Frame): bool {
  for (let f = frame.next(null); f; f = frame.next(f)) {
    if (f.tag == Tag.VARIABLE && !f.isPair) return false;
  }
  return true;
}

export function codec(line: string): string {
  const words = line.split(" "), what = words[0];
  if (what == "write") {
    const frame = new FrameWriter();
    for (let i = 1; i < words.length; i++) {
      if (words[i].length) write(frame, words[i]);
    }
    const bytes = new Uint8Array(frame.length);
    memory.copy(bytes.dataStart, frame.at, frame.length);
    return hex(bytes);
  }
  const frame = Frame.read(unhex(words[1]).buffer);
  if (!frame) return "invalid";
  if (what == "event") return event(frame);
  if (what == "load") return isLoad(frame) ? "valid" : "invalid";
  if (what == "result") return isResult(frame) ? "valid" : "invalid";
  return fields(frame);
}
