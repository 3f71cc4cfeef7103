use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::error::{Error, ErrorKind, OpError, Result};
use crate::frame::Writer;
use crate::operation::{Operation, block_on, nothing};
use crate::{Body, Response, abi, host};

/// What a handler can return: texts, bytes, [`Json`], a status, these with a status or headers before them, responses, and results of all that.
#[diagnostic::on_unimplemented(message = "`{Self}` is not what a handler can return")]
pub trait IntoResponse {
    /// The response; an error fails the event, or answers with its status.
    fn into_response(self) -> Result<Response>;

    /// Answers the event with it.
    #[doc(hidden)]
    fn send(self)
    where
        Self: Sized,
    {
        send(self.into_response());
    }
}

/// A value as JSON: of a response, of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

fn typed(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

macro_rules! into_response {
    ($content_type:literal: $($type:ty),*) => {$(
        impl IntoResponse for $type {
            fn into_response(self) -> Result<Response> {
                Ok(typed($content_type, self))
            }

            fn send(self) {
                send_typed($content_type, self.as_ref());
            }
        }
    )*};
}
into_response!("text/plain; charset=utf-8": String, &'static str);
into_response!("application/octet-stream": Vec<u8>, &'static [u8], Bytes);

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Result<Response> {
        self.into_owned().into_response()
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        Ok(typed("application/json", serde_json::to_vec(&self.0)?))
    }

    fn send(self) {
        match serde_json::to_vec(&self.0) {
            Ok(json) => send_typed("application/json", &json),
            Err(error) => send(Err(error.into())),
        }
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response> {
        Ok(Response::default())
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response> {
        let mut response = Response::default();
        *response.status_mut() = self;
        Ok(response)
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(self))
    }
}

impl<B: Into<Body>> IntoResponse for http::Response<B> {
    fn into_response(self) -> Result<Response> {
        Ok(self.map(Into::into))
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response> {
        let mut response = self.1.into_response()?;
        *response.status_mut() = self.0;
        Ok(response)
    }
}

/// Headers as an array of names and values, which replace those that the body brings.
impl<N, V, T, const LEN: usize> IntoResponse for ([(N, V); LEN], T)
where
    N: TryInto<HeaderName, Error: Into<Error>>,
    V: TryInto<HeaderValue, Error: Into<Error>>,
    T: IntoResponse,
{
    fn into_response(self) -> Result<Response> {
        let mut response = self.1.into_response()?;
        let mut headers = HeaderMap::with_capacity(LEN);
        for (name, value) in self.0 {
            headers.append(name.try_into().map_err(Into::into)?, value.try_into().map_err(Into::into)?);
        }
        response.headers_mut().extend(headers);
        Ok(response)
    }
}

impl<N, V, T, const LEN: usize> IntoResponse for (StatusCode, [(N, V); LEN], T)
where
    ([(N, V); LEN], T): IntoResponse,
{
    fn into_response(self) -> Result<Response> {
        (self.0, (self.1, self.2)).into_response()
    }
}

impl<T: IntoResponse, E: Into<Error>> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(Into::into)?.into_response()
    }

    fn send(self) {
        match self {
            Ok(value) => value.send(),
            Err(error) => send(Err(error.into())),
        }
    }
}

/// Answers the event as [`send`] does with [`typed`], without the response between.
fn send_typed(content_type: &str, body: &[u8]) {
    let name = CONTENT_TYPE.as_str();
    let mut frame = Writer::with_capacity(32 + body.len() + name.len() + content_type.len());
    frame.bytes(abi::BODY, body);
    frame.u32(abi::STATUS, 200);
    frame.pair(abi::HEADER, name, content_type);
    host::respond(frame.finish());
}

/// Answers the event. A body that is not here yet is streamed, which waits for it and for the client.
pub(crate) fn send(result: Result<Response>) {
    let (head, body) = match result.or_else(answered) {
        Ok(response) => response.into_parts(),
        Err(error) => return fail(abi::EXCEPTION, &error.to_string(), &error.causes()),
    };
    match body.into_whole() {
        Ok(bytes) => {
            let size: usize = head.headers.iter().map(|(name, value)| 12 + name.as_str().len() + value.len()).sum();
            let mut frame = Writer::with_capacity(20 + bytes.len() + size);
            frame.bytes(abi::BODY, bytes);
            frame.u32(abi::STATUS, u32::from(head.status.as_u16()));
            put_headers(&mut frame, &head.headers);
            host::respond(frame.finish());
        }
        Err(body) => {
            if let Err(error) = block_on(stream(&head, body)) {
                fail(abi::EXCEPTION, &error.to_string(), &error.causes());
            }
        }
    }
}

/// An error with a status as an answer.
fn answered(error: Error) -> Result<Response> {
    let Some(status) = error.answer() else {
        return Err(error);
    };
    (status, format!("{error}\n")).into_response()
}

fn put_headers(frame: &mut Writer, headers: &HeaderMap) {
    for (name, value) in headers {
        frame.pair(abi::HEADER, name, value);
    }
}

/// Streams a reply. A client that has gone ends it, and is no error.
async fn stream(head: &http::response::Parts, mut body: Body) -> Result<()> {
    let mut start = Writer::with_capacity(256);
    start.u32(abi::HTTP_STATUS, u32::from(head.status.as_u16()));
    put_headers(&mut start, &head.headers);
    if !taken(Operation::new(abi::OP_REPLY_START, start, nothing).await)? {
        return Ok(());
    }
    loop {
        let part = body.chunk().await.transpose()?;
        let mut write = Writer::with_capacity(8 + part.as_ref().map_or(4, Bytes::len));
        match &part {
            Some(part) => write.bytes(abi::BODY, part),
            None => write.u32(abi::END, 1),
        }
        if !taken(Operation::new(abi::OP_REPLY_WRITE, write, nothing).await)? || part.is_none() {
            return Ok(());
        }
    }
}

/// Whether the client has taken it.
fn taken(result: Result<(), OpError>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Closed => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Fails the event, or while the program is prepared its deploy. What is below the message goes to the log, with it.
pub(crate) fn fail(code: u32, message: &str, below: &str) {
    let mut frame = Writer::new();
    frame.u32(abi::ERROR_CODE, code);
    frame.bytes(abi::ERROR_MESSAGE, message.replace('\n', " "));
    if !below.is_empty() {
        frame.bytes(abi::ERROR_STACK, format!("{message}\n{below}"));
    }
    host::respond(frame.finish());
}
