//! A program on this machine: the host is the test's.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use aleph_guest::frame::{Reader, Writer};
use aleph_guest::host::{self, Host};
use aleph_guest::prelude::*;
use aleph_guest::store::{self, Value};
use aleph_guest::{__rt as rt, ErrorKind, sleep};
use futures_util::future::{join, select};

/// A node that answers an operation with what is next in line for it; operations are complete in the order of their results.
#[derive(Default)]
struct Node {
    event: Vec<u8>,
    response: RefCell<Vec<u8>>,
    log: RefCell<Vec<String>>,
    results: RefCell<VecDeque<Vec<u8>>>,
    started: RefCell<Vec<(u32, Vec<u8>)>>,
    complete: RefCell<BTreeMap<i32, Vec<u8>>>,
    next: Cell<i32>,
    reported: Cell<i32>,
    cancelled: RefCell<Vec<i32>>,
}

impl Host for Node {
    fn event(&self) -> Vec<u8> {
        self.event.clone()
    }
    fn respond(&self, frame: Vec<u8>) {
        self.response.replace(frame);
    }
    fn log(&self, level: u32, text: &str) {
        self.log.borrow_mut().push(format!("{level} {text}"));
    }
    fn clock(&self, id: u32) -> u64 {
        u64::from(id) + 1_000_000_000
    }
    fn random(&self, to: &mut [u8]) {
        to.fill(7);
    }
    fn start(&self, operation: u32, frame: &[u8]) -> i32 {
        self.started.borrow_mut().push((operation, frame.to_vec()));
        let Some(result) = self.results.borrow_mut().pop_front() else { return -1 };
        self.next.set(self.next.get() + 1);
        self.complete.borrow_mut().insert(self.next.get(), result);
        self.next.get()
    }
    fn wait(&self, ticket: i32) -> (i32, usize) {
        assert_eq!(ticket, 0, "the executor waits for any");
        let complete = self.complete.borrow();
        let (number, result) = complete.range(self.reported.get() + 1..).next().expect("something is under way");
        self.reported.set(*number);
        (*number, result.len())
    }
    fn take(&self, ticket: i32) -> Vec<u8> {
        self.complete.borrow_mut().remove(&ticket).expect("a ticket is taken once")
    }
    fn cancel(&self, ticket: i32) {
        self.complete.borrow_mut().remove(&ticket);
        self.cancelled.borrow_mut().push(ticket);
    }
}

fn node(results: impl IntoIterator<Item = Vec<u8>>) -> Rc<Node> {
    let node = Rc::new(Node { results: RefCell::new(results.into_iter().collect()), ..Node::default() });
    host::install(node.clone());
    node
}

fn result(fields: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut frame = Writer::new();
    frame.u32(1, 0);
    fields(&mut frame);
    frame.finish()
}

/// What a handler answers to an event: status, headers and body, or the error.
fn answer<R: IntoResponse>(event: Writer, handler: impl FnOnce(Request) -> R) -> (u32, Vec<String>, String) {
    let node = Rc::new(Node { event: event.finish(), ..Node::default() });
    host::install(node.clone());
    rt::serve(0, handler);
    let (mut status, mut headers, mut body) = (200, Vec::new(), String::new());
    for field in Reader::new(&node.response.borrow()) {
        let field = field.unwrap();
        match field.tag {
            1 | 64 => status = field.u32().unwrap(),
            19 => {
                let (name, value) = field.pair().unwrap();
                headers.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
            }
            20 | 65 => body = field.text().unwrap().into(),
            _ => {}
        }
    }
    (status, headers, body)
}

fn event(path: &str, query: &str) -> Writer {
    let mut event = Writer::new();
    event.u32(1, 1);
    event.bytes(2, "r1");
    event.u32(3, 2);
    event.u64(4, u64::MAX);
    event.bytes(8, [1; 16]);
    event.bytes(16, "PUT");
    event.bytes(17, path);
    event.bytes(18, query);
    event.pair(19, "x-a", "one");
    event.pair(19, "no header", "one");
    event.bytes(20, "body");
    event.bytes(24, "nightly@1");
    event.pair(25, "trigger", "\"nightly\"");
    event
}

#[test]
fn an_event_is_read() {
    let (status, _, body) = answer(event("/a b/é", "q=1+2&r=%zz%4"), |request| {
        let event = aleph_guest::event();
        let headers = (request.header("x-a"), request.headers().len());
        let params: Vec<_> = request.params().map(|(name, value)| format!("{name}={value}")).collect();
        let detail = event.detail::<String>("trigger").unwrap();
        assert!(event.deadline() > event.time() && event.remaining() > Duration::from_secs(1));
        format!(
            "{} {} {} {headers:?} {params:?} {:?} {} {} {} {detail:?} {:?} {:?}",
            request.method(),
            request.uri(),
            request.decoded_path(),
            event.kind,
            event.id,
            event.request_id,
            event.attempt,
            event.detail::<String>("none").unwrap(),
            request.body().as_bytes().map(<[u8]>::len),
        )
    });
    assert_eq!(status, 200);
    assert_eq!(
        body,
        "PUT /a%20b/%C3%A9?q=1+2&r=%zz%4 /a b/é (Some(\"one\"), 1) [\"q=1 2\", \"r=%zz%4\"] Schedule nightly@1 r1 2 Some(\"nightly\") None Some(4)"
    );
}

#[test]
fn replies() {
    let text = ["content-type: text/plain; charset=utf-8".to_owned()];
    assert_eq!(answer(event("/", ""), |_| "a"), (200, text.to_vec(), "a".into()));
    assert_eq!(answer(event("/", ""), |_| Err::<(), _>(Error::status(StatusCode::GONE, "gone"))), (410, text.to_vec(), "gone\n".into()));
    assert_eq!(answer(event("/", ""), |_| Err::<(), _>(std::fmt::Error)), (1, vec![], std::fmt::Error.to_string()));
    let own = (StatusCode::ACCEPTED, [("x-a", "1"), ("x-a", "2")], ()).into_response();
    assert_eq!(answer(event("/", ""), |_| own), (202, vec!["x-a: 1".into(), "x-a: 2".into()], String::new()));
    assert_eq!(answer(Writer::new(), |request| request.uri().to_string()).2, "/");
    let mut bad = Writer::new();
    bad.bytes(19, "x");
    assert_eq!(answer(bad, |_| "never"), (1, vec![], "the event cannot be read".into()));
}

#[test]
fn variables_and_the_log() {
    let mut load = Writer::new();
    load.pair(32, "NAME", "value");
    let node = Rc::new(Node { event: load.finish(), ..Node::default() });
    host::install(node.clone());
    rt::init(0, || {
        log::warn!("{} is set", "NAME");
        log::trace!("nobody reads this");
        Err(Error::msg(aleph_guest::env("NAME").unwrap_or("no value")))
    });
    assert_eq!(aleph_guest::env("NONE"), None);
    assert_eq!(*node.log.borrow(), ["2 NAME is set"]);
    let failure = Reader::new(&node.response.borrow()).map(|field| field.unwrap().value.to_vec()).collect::<Vec<_>>();
    assert_eq!(failure, [5_u32.to_le_bytes().to_vec(), b"value".to_vec()]);
}

#[test]
fn operations_run_together_and_end_in_any_order() {
    let node = node([result(|frame| frame.i64(86, 7)), result(|frame| frame.u32(89, 1))]);
    let (number, existed) = join(store::increment("n", 1), store::delete("k")).wait();
    assert_eq!((number, existed), (Ok(7), Ok(true)));
    assert_eq!(node.started.borrow().iter().map(|started| started.0).collect::<Vec<_>>(), [20, 18]);
    assert!(node.complete.borrow().is_empty() && node.cancelled.borrow().is_empty());
}

#[test]
fn what_is_dropped_is_cancelled() {
    let node = node([result(|_| {}), result(|_| {}), result(|_| {})]);
    drop(sleep(Duration::MAX)); // never started
    drop(sleep(Duration::MAX).start());
    let first = select(sleep(Duration::ZERO), sleep(Duration::MAX)).wait();
    drop(first);
    assert_eq!(*node.cancelled.borrow(), [1, 3]);
    assert_eq!(sleep(Duration::ZERO).wait().unwrap_err().kind(), ErrorKind::TooMany);
}

#[test]
fn values_have_their_types() {
    let value = |kind: u32, data: &[u8]| {
        result(|frame| {
            frame.bytes(81, data);
            frame.u32(82, kind);
        })
    };
    node([value(1, b"[1,2]"), value(2, &[1, 0, 0, 0, 0, 0, 0, 0]), value(2, b"short"), value(0, b"\xff"), result(|_| {})]);
    assert_eq!(store::get::<Json<Vec<u8>>>("k").wait(), Ok(Some(Json(vec![1, 2]))));
    assert_eq!(store::get::<String>("k").wait().unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(store::get::<i64>("k").wait().unwrap_err().kind(), ErrorKind::InvalidFrame);
    assert_eq!(store::get::<String>("k").wait().unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(store::get::<Value>("k").wait(), Ok(None));
}

#[test]
#[should_panic(expected = "no operation is under way")]
fn waiting_for_nothing_is_seen() {
    node([]);
    std::future::pending::<()>().wait();
}

#[test]
fn a_body_in_parts() {
    let parts = || futures_util::stream::iter(["ab", "", "cd"].map(Ok::<_, Error>));
    assert_eq!(Body::from_stream(parts()).text().wait().unwrap(), "abcd");
    let too_large = Body::from_stream(parts()).limited(3).wait().unwrap_err();
    assert_eq!(too_large.downcast_ref::<aleph_guest::OpError>().map(aleph_guest::OpError::kind), Some(ErrorKind::ValueTooLarge));
    assert_eq!(ready(Body::from("whole").limited(5)), "whole");
}

fn ready(body: impl Future<Output = Result<aleph_guest::Bytes>>) -> aleph_guest::Bytes {
    aleph_guest::block_on(body).unwrap()
}
