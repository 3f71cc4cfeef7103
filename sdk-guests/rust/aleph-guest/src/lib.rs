//! Programs in Rust for a node, on the guest contract `aleph_v1` (`abi/SPEC.md`).
//!
//! ```
//! use aleph_guest::prelude::*;
//!
//! #[aleph_guest::handler]
//! fn hello(request: Request) -> String {
//!     format!("Hello, {}!\n", request.param("name").unwrap_or("World".into()))
//! }
//! # fn main() {}
//! ```
//!
//! A program is a `cdylib` for `wasm32-wasip1` with one [`handler`]. Requests and responses are the `http` crate's, with a [`Body`]; what
//! else a handler can return is [`IntoResponse`]. Everything that the node does for a program is a future, and [`Wait::wait`] waits
//! for one where the code is not async. Futures that are awaited together, as with the `futures` crate's `join!` and `select!`, run together;
//! one that is dropped is cancelled.
//!
//! - **An instance serves one event.** Statics begin as [`init`] left them when the program was deployed, every time. What has to stay goes into the
//!   [`store`].
//! - **The standard library works**: `std::env`, `std::fs` (the program's own files, and `/tmp` in memory), `std::time`, `println!` to the log.
//!   There are no threads and no sockets.
//! - **An error fails the event**, unless it has a [status](Error::status); so does a panic.

mod abi;
mod body;
mod error;
mod event;
pub mod fetch;
pub mod frame;
#[cfg(not(target_family = "wasm"))]
pub mod host;
#[cfg(target_family = "wasm")]
mod host;
mod memory;
mod operation;
mod request;
mod response;
pub mod store;
mod system;

#[doc(hidden)]
#[path = "rt.rs"]
pub mod __rt;

use std::time::Duration;

pub use aleph_guest_macros::{handler, init};
pub use body::Body;
pub use bytes::Bytes;
pub use error::{Error, ErrorKind, OpError, Result};
pub use event::{Event, EventKind, event};
pub use http::{self, StatusCode};
pub use operation::{Operation, Wait, block_on};
pub use request::{BodyExt, Params, RequestExt, body_up_to};
pub use response::{IntoResponse, Json};
pub use system::{env, monotonic, now, random, sleep, vars};

/// A request.
pub type Request<B = Body> = http::Request<B>;

/// A response.
pub type Response<B = Body> = http::Response<B>;

/// What most programs use.
pub mod prelude {
    pub use crate::{Body, BodyExt, Error, IntoResponse, Json, Request, RequestExt, Response, Result, StatusCode, Wait};
}

/// A duration as the node takes it; one that is too long is as long as can be.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
