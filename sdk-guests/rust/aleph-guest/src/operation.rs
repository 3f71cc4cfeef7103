//! Operations as futures. An operation starts when it is first polled, and is a ticket of the node's from then on. Whoever waits, waits
//! for any ticket: the node says which one is complete, its future's waker is called, and what was woken is polled.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;

use crate::error::{ErrorKind, OpError};
use crate::frame::{Reader, Writer};
use crate::{abi, host};

thread_local! {
    /// The tickets whose futures wait; seldom more than a few.
    static TICKETS: RefCell<Vec<Ticket>> = const { RefCell::new(Vec::new()) };
}

struct Ticket {
    number: i32,
    state: State,
}

enum State {
    /// Under way.
    Waited(Waker),
    /// Complete, with a result of that length.
    Complete(usize),
    /// Nobody waits for it.
    Forgotten,
}

/// An operation of the node's: a future that starts when it is first polled, or waited for. Dropped before its end it is cancelled; effects that
/// happened stay.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Operation<T> {
    state: Progress,
    read: fn(Bytes) -> Result<T, OpError>,
}

enum Progress {
    Prepared(u32, Writer),
    Refused(OpError),
    Started(i32),
    Ended,
}

impl<T> Operation<T> {
    /// Any operation of `abi/SPEC.md`. `read` is given the result, a frame whose status is 0.
    pub fn new(operation: u32, request: Writer, read: fn(Bytes) -> Result<T, OpError>) -> Self {
        Self { state: Progress::Prepared(operation, request), read }
    }

    /// One that fails with an error that is known already.
    pub(crate) fn refused(error: OpError) -> Self {
        Self { state: Progress::Refused(error), read: |_| unreachable!("nothing was started") }
    }

    /// Adds to the request of one that has not started.
    pub(crate) fn add(mut self, add: impl FnOnce(&mut Writer)) -> Self {
        if let Progress::Prepared(_, request) = &mut self.state {
            add(request);
        }
        self
    }

    /// Starts it now, and not when it is first polled: what is started together runs together.
    pub fn start(mut self) -> Self {
        self.begin(Waker::noop());
        self
    }

    fn begin(&mut self, waker: &Waker) {
        if !matches!(self.state, Progress::Prepared(..)) {
            return;
        }
        if let Progress::Prepared(operation, request) = std::mem::replace(&mut self.state, Progress::Ended) {
            let number = host::start(operation, &request.finish());
            self.state = if number > 0 {
                TICKETS.with_borrow_mut(|tickets| tickets.push(Ticket { number, state: State::Waited(waker.clone()) }));
                Progress::Started(number)
            } else {
                Progress::Refused(OpError::new(ErrorKind::of_start(number), ""))
            };
        }
    }

    /// Starts it and waits for nothing: its result is thrown away when it comes.
    pub(crate) fn forget(self) {
        let mut started = self.start();
        if let Progress::Started(number) = started.state {
            TICKETS.with_borrow_mut(|tickets| {
                if let Some(ticket) = tickets.iter_mut().find(|ticket| ticket.number == number) {
                    ticket.state = State::Forgotten;
                }
            });
            started.state = Progress::Ended;
        }
    }
}

impl<T> Future for Operation<T> {
    type Output = Result<T, OpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begin(cx.waker());
        match &self.state {
            Progress::Started(number) => {
                let number = *number;
                let Some(len) = TICKETS.with_borrow_mut(|tickets| completed(tickets, number, cx.waker())) else {
                    return Poll::Pending;
                };
                self.state = Progress::Ended;
                let result = Bytes::from(host::take(number, len));
                Poll::Ready(status(&result).and_then(|()| (self.read)(result)))
            }
            Progress::Refused(error) => {
                let error = error.clone();
                self.state = Progress::Ended;
                Poll::Ready(Err(error))
            }
            Progress::Prepared(..) | Progress::Ended => panic!("an operation was polled after its end"),
        }
    }
}

impl<T> Drop for Operation<T> {
    fn drop(&mut self) {
        if let Progress::Started(number) = self.state {
            // At a thread's end the table may be gone.
            let _ = TICKETS.try_with(|tickets| tickets.borrow_mut().retain(|ticket| ticket.number != number));
            host::cancel(number);
        }
    }
}

/// Takes a ticket that is complete out of the table: the length of its result. One that is not is waited for.
fn completed(tickets: &mut Vec<Ticket>, number: i32, waker: &Waker) -> Option<usize> {
    let at = tickets.iter().position(|ticket| ticket.number == number).expect("a started operation is in the table");
    match &mut tickets[at].state {
        State::Complete(len) => {
            let len = *len;
            tickets.swap_remove(at);
            Some(len)
        }
        State::Waited(waiting) => {
            waiting.clone_from(waker);
            None
        }
        State::Forgotten => None,
    }
}

/// Waits for any ticket, and wakes who waits for it.
fn wait_any() {
    let (number, len) = host::wait(0);
    let waker = TICKETS.with_borrow_mut(|tickets| {
        let at = tickets.iter().position(|ticket| ticket.number == number)?;
        match std::mem::replace(&mut tickets[at].state, State::Complete(len)) {
            State::Waited(waker) => Some(waker),
            State::Complete(_) => None,
            State::Forgotten => {
                tickets.swap_remove(at);
                host::take(number, 0);
                None
            }
        }
    });
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Reads the status of a result.
pub(crate) fn status(result: &[u8]) -> Result<(), OpError> {
    let (mut status, mut message) = (None, &[][..]);
    for field in Reader::new(result) {
        let field = field?;
        match field.tag {
            abi::STATUS => status = Some(field.u32()?),
            abi::MESSAGE => message = field.value,
            _ => {}
        }
    }
    match status {
        Some(0) => Ok(()),
        Some(status) => Err(OpError::new(ErrorKind::of_status(status), String::from_utf8_lossy(message))),
        None => Err(crate::frame::Invalid.into()),
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end. While it waits the program is suspended, and other programs run.
///
/// # Panics
/// If the future waits for something that no operation of the node's can bring about.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        while !woken.0.swap(false, Ordering::Relaxed) {
            let waits = TICKETS.with_borrow(|tickets| tickets.iter().any(|ticket| matches!(ticket.state, State::Waited(_))));
            assert!(waits, "the program waits, and no operation is under way that could wake it");
            wait_any();
        }
    }
}

/// Waiting for a future where the code is not `async`.
pub trait Wait: Future + Sized {
    /// Runs the future to its end: [`block_on`].
    fn wait(self) -> Self::Output {
        block_on(self)
    }
}

impl<F: Future> Wait for F {}

/// The result of an operation that says no more than that it is done.
#[expect(clippy::unnecessary_wraps, reason = "it is one of the functions that read results")]
pub(crate) fn nothing(_: Bytes) -> Result<(), OpError> {
    Ok(())
}
