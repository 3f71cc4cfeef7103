//! What the attributes' code calls, and the tests of this crate; nobody else does.

use std::future::Future;

use bytes::Bytes;

use crate::body::Part;
use crate::error::{Error, OpError, Result};
use crate::fetch::Head;
use crate::frame::Invalid;
use crate::response::{IntoResponse, fail};
use crate::store::Value;
use crate::{Request, abi, block_on, event, host, operation, store, system};

/// What stands where a program has no `#[init]`: an import of all there is is hidden by what a module has itself.
pub mod defaults {
    /// Prepares nothing.
    pub fn __aleph_guest_init() -> crate::Result<()> {
        Ok(())
    }
}

/// What an `#[init]` function may return.
pub trait Prepared {
    /// As a result.
    fn result(self) -> Result<()>;
}

impl Prepared for () {
    fn result(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error>> Prepared for Result<(), E> {
    fn result(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// What an `#[init]` function returned.
pub fn prepared(outcome: impl Prepared) -> Result<()> {
    outcome.result()
}

/// `aleph_init`: once, before the capture.
pub fn init(event_len: u32, setup: fn() -> Result<()>) {
    panics::report(abi::LOAD_EXCEPTION);
    system::set_logger();
    if system::read_load(host::event(event_len as usize).leak()).is_err() {
        fail(abi::LOAD_EXCEPTION, "the load frame cannot be read", "");
    } else if let Err(error) = setup() {
        fail(abi::LOAD_EXCEPTION, &error.to_string(), &error.causes());
    }
    panics::report(abi::EXCEPTION);
    #[cfg(all(target_family = "wasm", feature = "allocator"))]
    crate::memory::open();
}

/// `aleph_handle`: an event, and a handler that is not async.
pub fn serve<R: IntoResponse>(event_len: u32, handler: impl FnOnce(Request) -> R) {
    let mut request = Request::default();
    match event::read(host::event(event_len as usize).leak(), &mut request) {
        Ok(()) => handler(request).send(),
        Err(invalid) => unreadable(invalid),
    }
}

/// `aleph_handle`: an event, and an async handler.
pub fn serve_async<F>(event_len: u32, handler: impl FnOnce(Request) -> F)
where
    F: Future<Output: IntoResponse>,
{
    let mut request = Request::default();
    match event::read(host::event(event_len as usize).leak(), &mut request) {
        Ok(()) => block_on(handler(request)).send(),
        Err(invalid) => unreadable(invalid),
    }
}

#[cold]
fn unreadable(_: Invalid) {
    fail(abi::EXCEPTION, "the event cannot be read", "");
}

/// Reads an event's frame as [`serve`] and [`event()`](crate::event()) do.
pub fn read_event(frame: Vec<u8>) -> Result<Request, Invalid> {
    let frame = frame.leak();
    event::Event::read(frame)?;
    let mut request = Request::default();
    event::read(frame, &mut request)?;
    Ok(request)
}

/// Reads a load frame as [`init`] does.
pub fn read_load(frame: Vec<u8>) -> Result<(), Invalid> {
    system::read_load(frame.leak())
}

/// Reads a result as every operation would.
pub fn read_result(frame: Vec<u8>) -> Result<(), OpError> {
    let frame = Bytes::from(frame);
    operation::status(&frame)?;
    Head::read(frame.clone())?;
    Part::read(frame.clone())?;
    store::read_value::<Value>(frame.clone())?;
    store::read_page::<Value>(frame.clone())?;
    store::read_number(frame.clone())?;
    store::read_flag(frame)?;
    Ok(())
}

#[cfg(target_family = "wasm")]
mod panics {
    use std::any::Any;

    use crate::host;
    use crate::response::fail;

    /// Has a panic fail the event with its message, and end the program.
    pub(super) fn report(code: u32) {
        std::panic::set_hook(Box::new(move |info| {
            let message = format!("panicked: {}", text(info.payload()));
            let place = info.location().map_or_else(String::new, |place| format!("at {place}"));
            fail(code, &message, &place);
            host::exit()
        }));
    }

    fn text(payload: &dyn Any) -> &str {
        match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (None, Some(text)) => text,
            (None, None) => "with a value that is no text",
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod panics {
    /// A test's panic is the test's.
    pub(super) fn report(_code: u32) {}
}
