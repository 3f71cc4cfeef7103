// The answer.

import { FrameWriter } from "./frame";
import { start } from "./operation";
import { Headers } from "./pairs";
import { Op, Tag } from "./tag";

/** An answer: 200 without headers and body, unless it says otherwise. */
export class Response {
  headers: Headers = new Headers();
  private body: FrameWriter = new FrameWriter().open(Tag.BODY);
  private state: State = State.Whole;

  /** status: 200 to 599. */
  constructor(public status: u32 = 200) {}

  private static of(type: string, status: u32): Response {
    const response = new Response(status);
    response.headers.append("content-type", type);
    return response;
  }

  static text(text: string, status: u32 = 200): Response {
    return Response.of("text/plain; charset=utf-8", status).write(text);
  }
  static html(text: string, status: u32 = 200): Response {
    return Response.of("text/html; charset=utf-8", status).write(text);
  }
  /** A text that is JSON; `quote` makes its strings. */
  static json(text: string, status: u32 = 200): Response {
    return Response.of("application/json", status).write(text);
  }
  static bytes(bytes: Uint8Array, type: string = "application/octet-stream", status: u32 = 200): Response {
    return Response.of(type, status).writeBytes(bytes);
  }
  static redirect(location: string, status: u32 = 302): Response {
    return new Response(status).header("location", location);
  }

  /** Adds a header. */
  header(name: string, value: string): Response {
    this.headers.append(name, value);
    return this;
  }

  /** Adds to the body. */
  write(text: string): Response {
    this.body.append(text);
    return this;
  }
  writeBytes(bytes: Uint8Array): Response {
    this.body.appendRaw(bytes.dataStart, bytes.byteLength);
    return this;
  }

  /** Sends what has been written so far, and waits until the client has taken it. With the first call, which sends status and headers,
   * too, the reply becomes a stream; it ends when the handler returns. False says that the client has gone. */
  flush(): bool {
    switch (this.state) {
      case State.Whole: {
        if (current) throw new Error("a second reply to one request");
        if (!start(Op.REPLY_START, new FrameWriter().u32(Tag.HTTP_STATUS, this.status).pairs(Tag.HEADER, this.headers.list)).ok) return false;
        current = this;
        this.state = State.Streamed;
        break;
      }
      case State.Ended:
        return false;
    }
    if (!this.body.opened) return true;
    const taken = start(Op.REPLY_WRITE, this.body.close()).ok;
    this.body.reset().open(Tag.BODY);
    return taken;
  }

  /** Ends a streamed reply before the handler returns, which may go on until the event's deadline. */
  end(): void {
    if (!this.flush()) return;
    this.state = State.Ended;
    start(Op.REPLY_WRITE, new FrameWriter().u32(Tag.END, 1)).wait();
  }

  /** The response as a frame; nothing may be written afterwards. */
  frame(): FrameWriter {
    return this.body.close().u32(Tag.STATUS, this.status).pairs(Tag.HEADER, this.headers.list);
  }
}

enum State {
  Whole,
  Streamed,
  Ended,
}

let current: Response | null = null;

/** The response that is being streamed; null if none is. */
export function streamed(): Response | null {
  return current;
}

/** A text as a JSON string, in its quotes. */
export function quote(text: string): string {
  let quoted = '"', from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x20 && c != 34 && c != 92 && (c < 0xd800 || c > 0xdfff)) continue;
    if (c >= 0xd800 && c <= 0xdfff) {
      const pair = c < 0xdc00 && i + 1 < text.length && (text.charCodeAt(i + 1) & 0xfc00) == 0xdc00;
      if (pair) {
        i++;
        continue;
      }
    }
    quoted += text.substring(from, i) + escaped(c);
    from = i + 1;
  }
  return quoted + text.substring(from) + '"';
}

function escaped(c: i32): string {
  switch (c) {
    case 8: return "\\b";
    case 9: return "\\t";
    case 10: return "\\n";
    case 12: return "\\f";
    case 13: return "\\r";
    case 34: return '\\"';
    case 92: return "\\\\";
  }
  return "\\u" + c.toString(16).padStart(4, "0");
}
