// The life of an instance: transform.mjs makes the module's exports of this and the program's `handle`.

import * as host from "./host";
import { Frame, FrameWriter } from "./frame";
import { Pending } from "./operation";
import { Request } from "./request";
import { Response, streamed } from "./response";
import { log } from "./system";
import { Tag } from "./tag";

const EXCEPTION: u32 = 1;

let handling = false;

/** Answers the event whose frame has that length. */
export function serve(length: u32, handle: (request: Request) => Response): void {
  handling = true;
  const bytes = new ArrayBuffer(length);
  const frame = Frame.read(bytes, host.eventRead(changetype<usize>(bytes), 0, length));
  const request = Request.from(frame);
  if (!frame || !request) throw new Error("the event cannot be read");
  const seed = frame.find(Tag.SEED);
  if (seed) NativeMath.seedRandom(seed.u64);
  const response = handle(request), stream = streamed();
  Pending.finish();
  if (stream) stream.end();
  else respond(response.frame());
}

function respond(frame: FrameWriter): void {
  host.respond(frame.at, frame.length);
}

/** What `throw` and failed assertions come to: the run ends, and the event has failed. The owner's log has the place. While the program
 * is deployed there is no event, and the log is all there is. */
export function abort(message: string | null = null, file: string | null = null, line: u32 = 0, column: u32 = 0): void {
  const text = message ? message : "abort", place = `at ${file ? file : "?"}:${line}:${column}`;
  if (!handling) {
    log.error(`${text} ${place}`);
    host.exit(1);
  }
  respond(new FrameWriter().u32(Tag.ERROR_CODE, EXCEPTION).text(Tag.ERROR_MESSAGE, text).text(Tag.ERROR_STACK, place));
  host.exit(0);
  unreachable();
}
