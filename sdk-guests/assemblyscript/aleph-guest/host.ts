// The node's functions: the imports of abi/SPEC.md.

// @ts-ignore: decorator
@external("aleph_v1", "event_read")
export declare function eventRead(to: usize, offset: u32, length: u32): u32;
// @ts-ignore: decorator
@external("aleph_v1", "respond")
export declare function respond(frame: usize, length: u32): void;
// @ts-ignore: decorator
@external("aleph_v1", "log")
export declare function log(level: u32, text: usize, length: u32): void;
// @ts-ignore: decorator
@external("aleph_v1", "clock")
export declare function clock(id: u32): u64;
// @ts-ignore: decorator
@external("aleph_v1", "random")
export declare function random(to: usize, length: u32): void;
// @ts-ignore: decorator
@external("aleph_v1", "op_start")
export declare function start(operation: u32, frame: usize, length: u32): i32;
// @ts-ignore: decorator
@external("aleph_v1", "op_wait")
export declare function wait(ticket: i32): u64;
// @ts-ignore: decorator
@external("aleph_v1", "op_poll")
export declare function poll(): u64;
// @ts-ignore: decorator
@external("aleph_v1", "op_take")
export declare function take(ticket: i32, to: usize, length: u32): u32;
// @ts-ignore: decorator
@external("aleph_v1", "op_cancel")
export declare function cancel(ticket: i32): void;

/** Ends the run: what was given to `respond` counts. AssemblyScript cannot return from a failed function in another way. */
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
export declare function exit(status: u32): void;
