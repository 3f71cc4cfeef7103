// Variables, log, clock, randomness: they answer at once.

import * as host from "./host";
import { Pairs } from "./pairs";

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environSizes(count: usize, size: usize): u32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_get")
declare function environ(texts: usize, bytes: usize): u32;

/** The program's variables. They are read when the program is deployed, before its own modules run. */
function variables(): Pairs {
  const all = new Pairs();
  const numbers = memory.data(8);
  if (environSizes(numbers, numbers + 4)) return all;
  const count = load<u32>(numbers);
  const texts = new StaticArray<usize>(count), bytes = new ArrayBuffer(load<u32>(numbers, 4));
  if (environ(changetype<usize>(texts), changetype<usize>(bytes))) return all;
  for (let i: u32 = 0; i < count; i++) {
    const text = String.UTF8.decodeUnsafe(texts[i], changetype<usize>(bytes) + bytes.byteLength - texts[i], true);
    const equals = text.indexOf("=");
    all.append(text.substring(0, equals), text.substring(equals + 1));
  }
  return all;
}

const environment = variables();

/** The program's variable of that name; null if there is none. */
export function env(name: string): string | null {
  return environment.get(name);
}

/** The program's log. */
export namespace log {
  function write(level: u32, text: string): void {
    const bytes = String.UTF8.encode(text);
    host.log(level, changetype<usize>(bytes), bytes.byteLength);
  }
  export function debug(text: string): void {
    write(0, text);
  }
  export function info(text: string): void {
    write(1, text);
  }
  export function warning(text: string): void {
    write(2, text);
  }
  export function error(text: string): void {
    write(3, text);
  }
}

/** Unix time in nanoseconds. `Date.now()` has milliseconds. */
export function now(): i64 {
  return host.clock(0);
}

/** Nanoseconds of a clock that never goes back. */
export function monotonic(): i64 {
  return host.clock(1);
}

/** So many cryptographically secure random bytes. */
export function randomBytes(length: i32): Uint8Array {
  const bytes = new Uint8Array(length);
  fill(bytes.dataStart, length);
  return bytes;
}

/** Fills memory with them. */
export function fill(at: usize, length: u32): void {
  while (length) {
    const part = min<u32>(length, 65536);
    host.random(at, part);
    at += part;
    length -= part;
  }
}
