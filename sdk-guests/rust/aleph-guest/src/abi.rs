//! The numbers of the contract, `abi/SPEC.md`.

pub(crate) const KIND: u32 = 1;
pub(crate) const REQUEST_ID: u32 = 2;
pub(crate) const ATTEMPT: u32 = 3;
pub(crate) const DEADLINE: u32 = 4;
pub(crate) const PROGRAM: u32 = 5;
pub(crate) const NODE: u32 = 6;
pub(crate) const ACCOUNT: u32 = 7;
pub(crate) const SEED: u32 = 8;
pub(crate) const TIME: u32 = 9;
pub(crate) const METHOD: u32 = 16;
pub(crate) const PATH: u32 = 17;
pub(crate) const QUERY: u32 = 18;
pub(crate) const HEADER: u32 = 19;
pub(crate) const BODY: u32 = 20;
pub(crate) const BODY_FOLLOWS: u32 = 21;
pub(crate) const ROOT: u32 = 22;
pub(crate) const CLIENT: u32 = 23;
pub(crate) const EVENT_ID: u32 = 24;
pub(crate) const DETAIL: u32 = 25;
pub(crate) const VARIABLE: u32 = 32;

/// Of responses and of operations' results.
pub(crate) const STATUS: u32 = 1;
pub(crate) const MESSAGE: u32 = 2;
pub(crate) const ERROR_CODE: u32 = 64;
pub(crate) const ERROR_MESSAGE: u32 = 65;
pub(crate) const ERROR_STACK: u32 = 66;

pub(crate) const KEY: u32 = 80;
pub(crate) const VALUE: u32 = 81;
pub(crate) const VALUE_KIND: u32 = 82;
pub(crate) const TTL: u32 = 83;
pub(crate) const LIMIT: u32 = 84;
pub(crate) const CURSOR: u32 = 85;
pub(crate) const DELTA: u32 = 86;
pub(crate) const EXPECTED: u32 = 87;
pub(crate) const EXPECTED_KIND: u32 = 88;
pub(crate) const FLAG: u32 = 89;
pub(crate) const ENTRY: u32 = 90;
pub(crate) const DURATION: u32 = 96;
pub(crate) const URL: u32 = 110;
pub(crate) const STREAM: u32 = 112;
pub(crate) const MORE: u32 = 113;
pub(crate) const REDIRECTS: u32 = 114;
pub(crate) const HTTP_STATUS: u32 = 115;
pub(crate) const END: u32 = 116;

pub(crate) const OP_SLEEP: u32 = 1;
pub(crate) const OP_FETCH: u32 = 2;
pub(crate) const OP_FETCH_READ: u32 = 3;
pub(crate) const OP_FETCH_WRITE: u32 = 4;
pub(crate) const OP_FETCH_CLOSE: u32 = 5;
pub(crate) const OP_BODY_READ: u32 = 6;
pub(crate) const OP_REPLY_START: u32 = 7;
pub(crate) const OP_REPLY_WRITE: u32 = 8;
pub(crate) const OP_STORE_GET: u32 = 16;
pub(crate) const OP_STORE_SET: u32 = 17;
pub(crate) const OP_STORE_DELETE: u32 = 18;
pub(crate) const OP_STORE_LIST: u32 = 19;
pub(crate) const OP_STORE_INCREMENT: u32 = 20;
pub(crate) const OP_STORE_SWAP: u32 = 21;
pub(crate) const OP_STORE_WATCH: u32 = 22;

/// Error codes of a guest.
pub(crate) const EXCEPTION: u32 = 1;
pub(crate) const LOAD_EXCEPTION: u32 = 5;
