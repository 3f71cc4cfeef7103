use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::abi;
use crate::error::{Error, ErrorKind, OpError};
use crate::fetch::Answer;
use crate::frame::{Reader, Writer};
use crate::operation::Operation;

/// The body of a request, of a response, of an answer: bytes that are here, or that come in parts.
///
/// It is a [`Stream`] of its parts, and can be handed on as it is: the event's body into a fetch, an answer's body into the response.
/// Memory holds a part of it at a time.
#[derive(Default)]
pub struct Body(Kind);

enum Kind {
    Whole(Bytes),
    Event(EventBody),
    Answer(Box<Answer>),
    Stream(Parts),
}

/// A program's own parts.
type Parts = Pin<Box<dyn Stream<Item = Result<Bytes, Error>>>>;

impl Default for Kind {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The items of a stream. A reply with such a body is streamed: its head is sent at once, each part when it is there, and the stream is
    /// asked for the next one when the client has taken it.
    pub fn from_stream<S, T, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<T, E>> + 'static,
        T: Into<Bytes>,
        E: Into<Error>,
    {
        Self(Kind::Stream(Box::pin(Converted(Box::pin(stream)))))
    }

    pub(crate) fn event() -> Self {
        Self(Kind::Event(EventBody { read: None, ended: false }))
    }

    pub(crate) fn answer(answer: Answer) -> Self {
        Self(Kind::Answer(Box::new(answer)))
    }

    /// The bytes, if all of them are here already.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Whole(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Whole(bytes) => Ok(bytes),
            other => Err(Self(other)),
        }
    }

    /// The next part, which is not empty; none at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let part = match &mut self.0 {
                Kind::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
                Kind::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
                Kind::Event(body) => ready!(body.poll(cx)).map(|part| part.map_err(Error::from)),
                Kind::Answer(answer) => ready!(answer.poll(cx)).map(|part| part.map_err(Error::from)),
                Kind::Stream(stream) => ready!(stream.as_mut().poll_next(cx)),
            };
            if !matches!(&part, Some(Ok(bytes)) if bytes.is_empty()) {
                return Poll::Ready(part);
            }
        }
    }

    /// All of it.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        self.limited(usize::MAX).await
    }

    /// All of it, if it has no more than `most` bytes, else an error of kind [`ErrorKind::ValueTooLarge`].
    pub async fn limited(mut self, most: usize) -> Result<Bytes, Error> {
        let too_large = || OpError::new(ErrorKind::ValueTooLarge, format!("the body has more than {most} bytes"));
        let first = match self.chunk().await {
            Some(part) => part?,
            None => return Ok(Bytes::new()),
        };
        if first.len() > most {
            return Err(too_large().into());
        }
        let Some(second) = self.chunk().await else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(part) = next {
            let part = part?;
            if part.len() > most - all.len() {
                return Err(too_large().into());
            }
            all.extend_from_slice(&part);
            next = self.chunk().await;
        }
        Ok(all.freeze())
    }

    /// All of it as a text, which has to be UTF-8.
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8(self.bytes().await?.into())?)
    }

    /// All of it as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => f.debug_tuple("Body").field(bytes).finish(),
            _ => f.write_str("Body(..)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

macro_rules! from_bytes {
    ($($type:ty),*) => {$(
        impl From<$type> for Body {
            fn from(bytes: $type) -> Self {
                Self(Kind::Whole(bytes.into()))
            }
        }
    )*};
}
from_bytes!(Vec<u8>, String, &'static [u8], &'static str, Box<[u8]>);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// A stream whose items are made bytes.
struct Converted<S>(Pin<Box<S>>);

impl<S, T, E> Stream for Converted<S>
where
    S: Stream<Item = Result<T, E>>,
    T: Into<Bytes>,
    E: Into<Error>,
{
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx).map(|part| part.map(|part| part.map(Into::into).map_err(Into::into)))
    }
}

/// A part that was read of a body, and whether it was the last.
pub(crate) struct Part {
    pub bytes: Bytes,
    pub end: bool,
}

impl Part {
    /// How much is read at once: memory holds what has come, not more.
    pub const MOST: u32 = 256 << 10;

    pub fn read(result: Bytes) -> Result<Self, OpError> {
        let mut part = Self { bytes: Bytes::new(), end: false };
        for field in Reader::new(&result) {
            let field = field?;
            match field.tag {
                abi::BODY => part.bytes = result.slice_ref(field.value),
                abi::END => part.end = field.u32()? != 0,
                _ => {}
            }
        }
        Ok(part)
    }
}

/// The event's body where it is not in the event.
struct EventBody {
    read: Option<Operation<Part>>,
    ended: bool,
}

impl EventBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, OpError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let read = self.read.get_or_insert_with(|| {
            let mut request = Writer::new();
            request.u32(abi::LIMIT, Part::MOST);
            Operation::new(abi::OP_BODY_READ, request, Part::read)
        });
        let part = ready!(Pin::new(read).poll(cx));
        self.read = None;
        self.ended = part.as_ref().map_or(true, |part| part.end);
        Poll::Ready(Some(part.map(|part| part.bytes)))
    }
}
