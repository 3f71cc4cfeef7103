// The globals of AssemblyScript that need somebody outside: asconfig.json puts these in their places.

import { Date as StandardDate } from "date";
import * as host from "./host";
import { fill, log as entry } from "./system";

/** Of `console.time`; made by the first. */
let timers: Map<string, u64> | null = null;

function elapsed(label: string): string {
  const begun = timers;
  if (!begun || !begun.has(label)) return label + ": no such timer";
  return label + ": " + (<f64>(host.clock(1) - begun.get(label)) / 1e6).toString() + "ms";
}

export namespace console {
  export function assert<T>(condition: T, message: string = ""): void {
    if (!condition) entry.error("Assertion failed: " + message);
  }
  export function debug(message: string = ""): void {
    entry.debug(message);
  }
  export function log(message: string = ""): void {
    entry.info(message);
  }
  export function info(message: string = ""): void {
    entry.info(message);
  }
  export function warn(message: string = ""): void {
    entry.warning(message);
  }
  export function error(message: string = ""): void {
    entry.error(message);
  }
  export function time(label: string = "default"): void {
    const begun = timers || new Map<string, u64>();
    begun.set(label, host.clock(1));
    timers = begun;
  }
  export function timeLog(label: string = "default"): void {
    entry.info(elapsed(label));
  }
  export function timeEnd(label: string = "default"): void {
    entry.info(elapsed(label));
    const begun = timers;
    if (begun) begun.delete(label);
  }
}

export class Date extends StandardDate {
  static now(): i64 {
    return host.clock(0) / 1000000;
  }
}

export namespace performance {
  export function now(): f64 {
    return <f64>host.clock(1) / 1e6;
  }
}

export namespace crypto {
  export function getRandomValues<T extends ArrayBufferView>(array: T): T {
    fill(array.dataStart, array.byteLength);
    return array;
  }
}

/** The first number of `Math.random`, while the program is deployed; an event begins anew. */
export function seed(): f64 {
  return <f64>host.clock(0);
}

export function trace(message: string, n: i32 = 0, a0: f64 = 0, a1: f64 = 0, a2: f64 = 0, a3: f64 = 0, a4: f64 = 0): void {
  const values: StaticArray<f64> = [a0, a1, a2, a3, a4];
  let text = "trace: " + message;
  for (let i = 0; i < min(n, 5); i++) text += (i ? ", " : " ") + values[i].toString();
  entry.debug(text);
}
