//! Requests to other servers. Every HTTP status is an answer; errors are of the network and the node.
//!
//! ```no_run
//! # use aleph_guest::{fetch, prelude::*, Error};
//! # async fn example() -> Result<(), Error> {
//! let user: serde_json::Value = fetch::get("https://example.org/user").await?.json().await?;
//! # Ok(()) }
//! ```
//!
//! Fetches that are awaited together, as with `join!`, run together. Bodies may come in parts, both ways: see [`Body`].

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::body::{Body, Part};
use crate::error::{ErrorKind, OpError};
use crate::frame::{Reader, Writer};
use crate::operation::{Operation, nothing};
use crate::{Response, abi, nanoseconds};

/// How many redirects are followed unless a request says otherwise: as many as the node follows.
const REDIRECTS: u32 = 20;

/// A request for what is at a URL.
pub fn get(url: impl Into<String>) -> Fetch {
    Fetch::new("GET", url.into(), &HeaderMap::new(), Body::empty())
}

/// Any request, whose URL is absolute.
pub fn send(request: http::Request<impl Into<Body>>) -> Fetch {
    let (head, body) = request.into_parts();
    Fetch::new(head.method.as_str(), head.uri.to_string(), &head.headers, body.into())
}

/// What the answer's extensions say beside its head.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The URL that answered, after redirects.
    pub url: String,
    /// The reason phrase; HTTP/2 has none.
    pub reason: String,
}

thread_local! {
    static STREAMS: Cell<u32> = const { Cell::new(0) };
}

/// A request under way: a future of its answer, whose body may still come.
#[must_use = "a request is not sent until it is awaited"]
pub struct Fetch {
    stream: u32,
    redirects: u32,
    head: Option<Operation<Head>>,
    upload: Option<Upload>,
}

impl Fetch {
    fn new(method: &str, url: String, headers: &HeaderMap, body: Body) -> Self {
        let stream = STREAMS.get().wrapping_add(1);
        STREAMS.set(stream);
        let mut request = Writer::with_capacity(256);
        request.bytes(abi::METHOD, method);
        request.bytes(abi::URL, url);
        request.u32(abi::STREAM, stream);
        for (name, value) in headers {
            request.pair(abi::HEADER, name, value);
        }
        let upload = match body.into_whole() {
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => {
                request.bytes(abi::BODY, bytes);
                None
            }
            Err(body) => {
                request.u32(abi::MORE, 1);
                Some(Upload { stream, body, write: None, ended: false })
            }
        };
        Self { stream, redirects: REDIRECTS, head: Some(Operation::new(abi::OP_FETCH, request, Head::read)), upload }
    }

    /// How many redirects are followed, 20 at most and by default; with 0 the redirect is the answer.
    pub fn redirects(mut self, most: u32) -> Self {
        self.redirects = most;
        self
    }

    /// How long the answer's head may take; otherwise the event's deadline ends all.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.head = self.head.map(|head| head.add(|request| request.u64(abi::DURATION, nanoseconds(limit))));
        self
    }
}

impl Future for Fetch {
    type Output = Result<Response, OpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let redirects = std::mem::take(&mut self.redirects); // added once
        let mut head = self.head.take().expect("a request is not polled after its answer");
        if redirects > 0 {
            head = head.add(|request| request.u32(abi::REDIRECTS, redirects));
        }
        if let Poll::Ready(result) = Pin::new(&mut head).poll(cx) {
            let upload = self.upload.take();
            return Poll::Ready(result.map(|head| head.response(self.stream, upload)));
        }
        self.head = Some(head);
        if let Some(upload) = &mut self.upload {
            if let Poll::Ready(result) = upload.poll(cx) {
                self.upload = None;
                match result {
                    // The head says why the node takes no more.
                    Ok(()) | Err(UploadError::Closed) => {}
                    Err(UploadError::Body(error)) => {
                        self.head = None;
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        Poll::Pending
    }
}

/// A request's body that is sent in parts.
struct Upload {
    stream: u32,
    body: Body,
    write: Option<Operation<()>>,
    ended: bool,
}

enum UploadError {
    /// The exchange takes no more.
    Closed,
    /// There is no more to send, though there should be.
    Body(OpError),
}

impl Upload {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            if let Some(write) = &mut self.write {
                let written = ready!(Pin::new(write).poll(cx));
                self.write = None;
                if written.is_err() {
                    return Poll::Ready(Err(UploadError::Closed));
                }
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let mut request = Writer::new();
            request.u32(abi::STREAM, self.stream);
            match ready!(self.body.poll_chunk(cx)) {
                Some(Ok(part)) => request.bytes(abi::BODY, part),
                Some(Err(error)) => return Poll::Ready(Err(UploadError::Body(OpError::new(ErrorKind::Body, error.to_string())))),
                None => {
                    request.u32(abi::END, 1);
                    self.ended = true;
                }
            }
            self.write = Some(Operation::new(abi::OP_FETCH_WRITE, request, nothing));
        }
    }
}

/// The head of an answer, with what of its body is there.
pub(crate) struct Head {
    status: StatusCode,
    headers: HeaderMap,
    origin: Origin,
    body: Part,
}

impl Head {
    pub fn read(result: Bytes) -> Result<Self, OpError> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut head = Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            origin: Origin { url: String::new(), reason: String::new() },
            body: Part { bytes: Bytes::new(), end: false },
        };
        for field in Reader::new(&result) {
            let field = field?;
            match field.tag {
                abi::HTTP_STATUS => {
                    head.status =
                        u16::try_from(field.u32()?).ok().and_then(|n| StatusCode::from_u16(n).ok()).ok_or(crate::frame::Invalid)?;
                }
                abi::MESSAGE => head.origin.reason = text(field.value),
                abi::HEADER => {
                    let (name, value) = field.pair()?;
                    // What the http crate does not take as a header is none.
                    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(result.slice_ref(value))) {
                        head.headers.append(name, value);
                    }
                }
                abi::URL => head.origin.url = text(field.value),
                abi::BODY => head.body.bytes = result.slice_ref(field.value),
                abi::END => head.body.end = field.u32()? != 0,
                _ => {}
            }
        }
        Ok(head)
    }

    fn response(self, stream: u32, upload: Option<Upload>) -> Response {
        let body = if self.body.end && upload.is_none() {
            Body::from(self.body.bytes)
        } else {
            Body::answer(Answer { stream, here: Some(self.body), read: None, ended: false, upload })
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.extensions_mut().insert(self.origin);
        response
    }
}

/// The body of an answer that comes in parts, beside the rest of the request's. Dropped before its end it closes the exchange.
pub(crate) struct Answer {
    stream: u32,
    here: Option<Part>,
    read: Option<Operation<Part>>,
    ended: bool,
    upload: Option<Upload>,
}

impl Answer {
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, OpError>>> {
        if let Some(upload) = &mut self.upload {
            match upload.poll(cx) {
                Poll::Pending => {}
                // An answer may end before its request; what became of it says the answer.
                Poll::Ready(Ok(()) | Err(UploadError::Closed)) => self.upload = None,
                Poll::Ready(Err(UploadError::Body(error))) => {
                    self.upload = None;
                    self.close();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        if let Some(part) = self.here.take() {
            self.ended = part.end;
            return Poll::Ready(Some(Ok(part.bytes)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let read = self.read.get_or_insert_with(|| {
            let mut request = Writer::new();
            request.u32(abi::STREAM, self.stream);
            request.u32(abi::LIMIT, Part::MOST);
            Operation::new(abi::OP_FETCH_READ, request, Part::read)
        });
        let part = ready!(Pin::new(read).poll(cx));
        self.read = None;
        self.ended = part.as_ref().map_or(true, |part| part.end);
        Poll::Ready(Some(part.map(|part| part.bytes)))
    }

    fn close(&mut self) {
        self.ended = true;
        let mut request = Writer::new();
        request.u32(abi::STREAM, self.stream);
        Operation::new(abi::OP_FETCH_CLOSE, request, nothing).forget();
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let read_to_its_end = self.ended || self.here.as_ref().is_some_and(|part| part.end);
        if !read_to_its_end || self.upload.is_some() {
            self.read = None;
            self.upload = None;
            self.close();
        }
    }
}
