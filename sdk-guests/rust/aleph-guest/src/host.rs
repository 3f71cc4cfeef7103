//! The node's functions. Built for another machine than WebAssembly, as in a test, they are a `Host`'s of that thread: a program's own
//! tests install one.

#[cfg(target_family = "wasm")]
mod imports {
    #[link(wasm_import_module = "aleph_v1")]
    unsafe extern "C" {
        pub fn event_read(to: *mut u8, offset: usize, len: usize) -> usize;
        pub fn respond(frame: *const u8, len: usize);
        pub fn log(level: u32, text: *const u8, len: usize);
        pub safe fn clock(id: u32) -> u64;
        pub fn random(to: *mut u8, len: usize);
        pub fn op_start(operation: u32, frame: *const u8, len: usize) -> i32;
        pub safe fn op_wait(ticket: i32) -> u64;
        pub fn op_take(ticket: i32, to: *mut u8, len: usize) -> usize;
        pub safe fn op_cancel(ticket: i32);
    }
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub safe fn proc_exit(status: u32) -> !;
    }
}

#[cfg(target_family = "wasm")]
mod node {
    use super::imports;

    /// A vector of what `fill` writes, which returns how many bytes it wrote.
    fn filled(len: usize, fill: impl FnOnce(*mut u8) -> usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        let written = fill(bytes.as_mut_ptr()).min(len);
        // SAFETY: the node has written that many bytes, within the capacity.
        unsafe { bytes.set_len(written) };
        bytes
    }

    pub(crate) fn event(len: usize) -> Vec<u8> {
        // SAFETY: there is room for len bytes.
        filled(len, |to| unsafe { imports::event_read(to, 0, len) })
    }

    pub(crate) fn respond(frame: Vec<u8>) {
        let frame = frame.leak(); // it is read when the event is over
        // SAFETY: the bytes are there, and stay.
        unsafe { imports::respond(frame.as_ptr(), frame.len()) }
    }

    pub(crate) fn log(level: u32, text: &str) {
        // SAFETY: the bytes are there.
        unsafe { imports::log(level, text.as_ptr(), text.len()) }
    }

    pub(crate) fn clock(id: u32) -> u64 {
        imports::clock(id)
    }

    pub(crate) fn random(to: &mut [u8]) {
        for part in to.chunks_mut(65_536) {
            // SAFETY: there is room for that many bytes, no more than the node gives at once.
            unsafe { imports::random(part.as_mut_ptr(), part.len()) }
        }
    }

    pub(crate) fn start(operation: u32, frame: &[u8]) -> i32 {
        // SAFETY: the bytes are there; the node copies them.
        unsafe { imports::op_start(operation, frame.as_ptr(), frame.len()) }
    }

    pub(crate) fn wait(ticket: i32) -> (i32, usize) {
        let answer = imports::op_wait(ticket);
        ((answer >> 32) as i32, answer as u32 as usize)
    }

    pub(crate) fn take(ticket: i32, len: usize) -> Vec<u8> {
        // SAFETY: there is room for len bytes.
        filled(len, |to| unsafe { imports::op_take(ticket, to, len) })
    }

    pub(crate) fn cancel(ticket: i32) {
        imports::op_cancel(ticket);
    }

    pub(crate) fn exit() -> ! {
        imports::proc_exit(0)
    }
}

#[cfg(not(target_family = "wasm"))]
mod node {
    use std::cell::RefCell;
    use std::rc::Rc;

    /// What a node does, as `abi/SPEC.md` says.
    pub trait Host {
        /// The event's frame.
        fn event(&self) -> Vec<u8>;
        /// Takes the response's frame. The last one counts.
        fn respond(&self, frame: Vec<u8>);
        /// Takes an entry of the log: 0 debug, 1 info, 2 warning, 3 error.
        fn log(&self, level: u32, text: &str);
        /// Nanoseconds of Unix time (0) or of a monotonic clock (1).
        fn clock(&self, id: u32) -> u64;
        /// Fills with random bytes.
        fn random(&self, to: &mut [u8]);
        /// Starts an operation: its ticket, or a negative number.
        fn start(&self, operation: u32, frame: &[u8]) -> i32;
        /// Waits for an operation, or any if the ticket is 0: the ticket, and the length of the result.
        fn wait(&self, ticket: i32) -> (i32, usize);
        /// The result's frame, whose ticket is free then.
        fn take(&self, ticket: i32) -> Vec<u8>;
        /// Forgets an operation.
        fn cancel(&self, ticket: i32);
    }

    thread_local! {
        static HOST: RefCell<Option<Rc<dyn Host>>> = const { RefCell::new(None) };
    }

    /// Makes it the node of this thread.
    pub fn install(host: Rc<dyn Host>) {
        HOST.set(Some(host));
    }

    fn host() -> Rc<dyn Host> {
        HOST.with_borrow(|host| host.clone().expect("a test calls aleph_guest::host::install first"))
    }

    pub(crate) fn event(_len: usize) -> Vec<u8> {
        host().event()
    }

    pub(crate) fn respond(frame: Vec<u8>) {
        host().respond(frame);
    }

    pub(crate) fn log(level: u32, text: &str) {
        host().log(level, text);
    }

    pub(crate) fn clock(id: u32) -> u64 {
        host().clock(id)
    }

    pub(crate) fn random(to: &mut [u8]) {
        host().random(to);
    }

    pub(crate) fn start(operation: u32, frame: &[u8]) -> i32 {
        host().start(operation, frame)
    }

    pub(crate) fn wait(ticket: i32) -> (i32, usize) {
        host().wait(ticket)
    }

    pub(crate) fn take(ticket: i32, _len: usize) -> Vec<u8> {
        host().take(ticket)
    }

    pub(crate) fn cancel(ticket: i32) {
        // A thread's end drops what is left after its host.
        if let Ok(Some(host)) = HOST.try_with(|host| host.borrow().clone()) {
            host.cancel(ticket);
        }
    }
}

pub(crate) use node::*;
#[cfg(not(target_family = "wasm"))]
#[allow(unused_imports)]
pub use node::{Host, install};
