use std::borrow::Cow;
use std::future::Future;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, OpError};
use crate::{Body, Request, Response};

/// What a request can be asked, beside the `http` crate's methods.
pub trait RequestExt {
    /// The first parameter of that name in the query, with `%XX` and `+` decoded. One without `=` is empty.
    fn param(&self, name: &str) -> Option<Cow<'_, str>>;

    /// The parameters of the query, decoded, in their order.
    fn params(&self) -> Params<'_>;

    /// The path with `%XX` decoded.
    fn decoded_path(&self) -> Cow<'_, str>;

    /// A header's value, if there is one that is a text.
    fn header(&self, name: &str) -> Option<&str>;
}

impl<B> RequestExt for http::Request<B> {
    fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params().find(|param| param.0 == name).map(|param| param.1)
    }

    fn params(&self) -> Params<'_> {
        Params::new(self.uri().query().unwrap_or_default())
    }

    fn decoded_path(&self) -> Cow<'_, str> {
        decoded(self.uri().path(), false)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }
}

/// All of the body of a request or of an answer.
pub trait BodyExt: Sized {
    /// Its bytes.
    fn bytes(self) -> impl Future<Output = Result<Bytes, Error>>;

    /// Its text, in UTF-8.
    fn text(self) -> impl Future<Output = Result<String, Error>>;

    /// Its JSON.
    fn json<T: DeserializeOwned>(self) -> impl Future<Output = Result<T, Error>>;
}

/// A body that is not what the program expects is the caller's mistake: the error answers with 400.
impl BodyExt for Request {
    async fn bytes(self) -> Result<Bytes, Error> {
        self.into_body().bytes().await
    }

    async fn text(self) -> Result<String, Error> {
        self.into_body().text().await.map_err(bad_request)
    }

    async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.into_body().json().await.map_err(bad_request)
    }
}

fn bad_request(error: Error) -> Error {
    match error.downcast_ref::<OpError>() {
        Some(_) => error,
        None => error.with_status(StatusCode::BAD_REQUEST),
    }
}

impl BodyExt for Response {
    async fn bytes(self) -> Result<Bytes, Error> {
        self.into_body().bytes().await
    }

    async fn text(self) -> Result<String, Error> {
        self.into_body().text().await
    }

    async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.into_body().json().await
    }
}

/// Reads all of a body that has no more than `most` bytes; a longer one answers with 413.
pub async fn body_up_to(most: usize, body: Body) -> Result<Bytes, Error> {
    body.limited(most).await.map_err(|error| match error.downcast_ref::<OpError>() {
        Some(too_large) if too_large.kind() == ErrorKind::ValueTooLarge => error.with_status(StatusCode::PAYLOAD_TOO_LARGE),
        _ => error,
    })
}

/// The parameters of a query, or of a form's body: an iterator over names and values, decoded.
#[derive(Debug, Clone)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// Begins to read.
    #[must_use]
    pub fn new(query: &'a str) -> Self {
        Self(query)
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let (param, rest) = cut(self.0, b'&');
            self.0 = rest;
            if !param.is_empty() {
                let (name, value) = cut(param, b'=');
                return Some((decoded(name, true), decoded(value, true)));
            }
        }
        None
    }
}

/// What is before the first such character and what is behind it, which is nothing if there is none.
fn cut(text: &str, character: u8) -> (&str, &str) {
    match text.bytes().position(|byte| byte == character) {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, ""),
    }
}

/// Decodes `%XX`, and `+` where plus; what is no `%XX` stays, what is no UTF-8 then becomes U+FFFD.
fn decoded(text: &str, plus: bool) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || (plus && byte == b'+')) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (byte, after) {
            (b'+', _) if plus => b' ',
            (b'%', &[high, low, ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    rest = &after[2..];
                    (high << 4) | low
                }
                _ => byte,
            },
            _ => byte,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
    }
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).map(|digit| digit as u8)
}
