// Requests to other servers.

import { Frame, FrameWriter } from "./frame";
import { Operation, start } from "./operation";
import { Headers } from "./pairs";
import { Op, Tag } from "./tag";

/** What a request is beside its URL: `fetch(url, { method: "POST", body: Uint8Array.wrap(String.UTF8.encode(text)) })`. */
export class FetchOptions {
  method: string = "GET";
  headers: Headers = new Headers();
  body: Uint8Array | null = null;
  /** How many redirects are followed, 20 at most; with 0 a redirect is the answer. */
  redirects: u32 = 5;
  /** Milliseconds that the answer's head may take; 0: until the event's deadline. */
  timeout: i64 = 0;
}

/** An answer. */
export class Answer {
  constructor(private frame: Frame) {}

  get status(): i32 {
    return this.frame.u32(Tag.HTTP_STATUS);
  }
  /** Whether the status is 200 to 299. */
  get ok(): bool {
    return this.status >= 200 && this.status < 300;
  }
  /** The reason phrase; may be empty. */
  get statusText(): string {
    return this.frame.text(Tag.MESSAGE);
  }
  get headers(): Headers {
    return new Headers(this.frame.pairs(Tag.HEADER));
  }
  /** The URL that answered, after redirects. */
  get url(): string {
    return this.frame.text(Tag.URL);
  }
  /** The body; of an exchange, what of it came with the head. */
  get bytes(): Uint8Array {
    return this.frame.bytesOf(Tag.BODY);
  }
  get text(): string {
    return this.frame.text(Tag.BODY);
  }
  /** Whether `bytes` is all of the body. */
  get whole(): bool {
    return this.frame.u32(Tag.END) != 0;
  }
}

function request(url: string, options: FetchOptions): FrameWriter {
  const frame = new FrameWriter().text(Tag.METHOD, options.method).text(Tag.URL, url).pairs(Tag.HEADER, options.headers.list);
  const body = options.body;
  if (body) frame.bytesOf(Tag.BODY, body);
  if (options.redirects) frame.u32(Tag.REDIRECTS, options.redirects);
  if (options.timeout > 0) frame.u64(Tag.DURATION, <u64>min<i64>(options.timeout, i64.MAX_VALUE / 1000000) * 1000000);
  return frame;
}

function fetching(frame: FrameWriter): Operation<Answer> {
  return new Operation<Answer>(Op.FETCH, frame, (frame: Frame): Answer => new Answer(frame));
}

/** Fetches a URL: the whole answer, up to 16 MiB. */
export function fetch(url: string, options: FetchOptions = new FetchOptions()): Operation<Answer> {
  return fetching(request(url, options));
}

let streams: u32 = 0;

/** A request and its answer in parts, as they are made and as they come. 64 may be open at once. */
export class Exchange {
  private stream: u32;
  private over: bool = false;
  private first: bool = true;
  /** The answer's head. */
  readonly answer: Operation<Answer>;

  /** Sends the request. With `more` its body goes on: `write` adds to it, `end` ends it. */
  constructor(url: string, options: FetchOptions = new FetchOptions(), more: bool = false) {
    const stream = ++streams;
    const frame = request(url, options).u32(Tag.STREAM, stream);
    if (more) frame.u32(Tag.MORE, 1);
    this.stream = stream;
    this.answer = fetching(frame);
  }

  private get frame(): FrameWriter {
    return new FrameWriter().u32(Tag.STREAM, this.stream);
  }

  /** Adds to the request's body; complete when the connection has taken it. One at a time. */
  write(bytes: Uint8Array): Operation<bool> {
    return start(Op.FETCH_WRITE, this.frame.bytesOf(Tag.BODY, bytes));
  }

  /** Ends the request's body. */
  end(): Operation<bool> {
    return start(Op.FETCH_WRITE, this.frame.u32(Tag.END, 1));
  }

  /** What comes next of the answer's body, some bytes or none; null at its end. The event fails if the exchange does. */
  read(most: u32 = 65536): Uint8Array | null {
    const head = this.answer.value;
    if (this.first) {
      this.first = false;
      this.over = head.whole;
      const bytes = head.bytes;
      if (bytes.length) return bytes;
    }
    if (this.over) return null;
    const part = new Operation<Frame>(Op.FETCH_READ, this.frame.u32(Tag.LIMIT, most), (frame: Frame): Frame => frame).value;
    this.over = part.u32(Tag.END) != 0;
    const bytes = part.bytesOf(Tag.BODY);
    return this.over && !bytes.length ? null : bytes;
  }

  /** Ends the exchange. One that was read to its end need not be. */
  close(): void {
    start(Op.FETCH_CLOSE, this.frame).wait();
  }
}
