/** aleph-guest: programs in AssemblyScript for a node, on the guest contract aleph_v1 (abi/SPEC.md).
 *
 *     import { Request, Response } from "aleph-guest";
 *
 *     export function handle(request: Request): Response {
 *       return Response.text("Hello!\n");
 *     }
 *
 * An instance serves one event: what a program keeps in variables is gone with it, but for what its modules left there when it was
 * deployed. What has to stay goes into the store. */

export { EventKind, Event, Request } from "./request";
export { Response, quote } from "./response";
export { Pair, Pairs, Headers, parameters } from "./pairs";
export { Operation, OperationError, Pending, first, sleep, start } from "./operation";
export { Entry, Listing, Value, ValueKind, store } from "./store";
export { Answer, Exchange, FetchOptions, fetch } from "./fetch";
export { env, log, monotonic, now, randomBytes } from "./system";
export { Field, Frame, FrameWriter } from "./frame";
export { Op, Tag } from "./tag";

/** A program with `export { aleph_body } from "aleph-guest"` gets long and chunked bodies while they come. */
export function aleph_body(): void {}
