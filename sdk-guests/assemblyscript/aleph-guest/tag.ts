// The numbers of abi/SPEC.md that this package uses.

export namespace Tag {
  export const KIND: u32 = 1, REQUEST_ID: u32 = 2, ATTEMPT: u32 = 3, DEADLINE: u32 = 4, PROGRAM: u32 = 5, NODE: u32 = 6, ACCOUNT: u32 = 7,
    SEED: u32 = 8, TIME: u32 = 9;
  export const METHOD: u32 = 16, PATH: u32 = 17, QUERY: u32 = 18, HEADER: u32 = 19, BODY: u32 = 20, BODY_FOLLOWS: u32 = 21, ROOT: u32 = 22,
    CLIENT: u32 = 23, EVENT_ID: u32 = 24, DETAIL: u32 = 25;
  export const VARIABLE: u32 = 32;
  export const STATUS: u32 = 1, MESSAGE: u32 = 2;
  export const ERROR_CODE: u32 = 64, ERROR_MESSAGE: u32 = 65, ERROR_STACK: u32 = 66;
  export const KEY: u32 = 80, VALUE: u32 = 81, VALUE_KIND: u32 = 82, TTL: u32 = 83, LIMIT: u32 = 84, CURSOR: u32 = 85, DELTA: u32 = 86,
    EXPECTED: u32 = 87, EXPECTED_KIND: u32 = 88, FLAG: u32 = 89, ENTRY: u32 = 90;
  export const DURATION: u32 = 96;
  export const URL: u32 = 110, STREAM: u32 = 112, MORE: u32 = 113, REDIRECTS: u32 = 114, HTTP_STATUS: u32 = 115, END: u32 = 116;
}

export namespace Op {
  export const SLEEP: u32 = 1, FETCH: u32 = 2, FETCH_READ: u32 = 3, FETCH_WRITE: u32 = 4, FETCH_CLOSE: u32 = 5, BODY_READ: u32 = 6,
    REPLY_START: u32 = 7, REPLY_WRITE: u32 = 8;
  export const STORE_GET: u32 = 16, STORE_SET: u32 = 17, STORE_DELETE: u32 = 18, STORE_LIST: u32 = 19, STORE_INCREMENT: u32 = 20,
    STORE_SWAP: u32 = 21, STORE_WATCH: u32 = 22;
}
