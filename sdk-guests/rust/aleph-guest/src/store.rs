//! The store: the program's own keys and values, kept on the node.
//!
//! ```no_run
//! # use aleph_guest::{store, Error, Json};
//! # use serde::{Deserialize, Serialize};
//! # use std::time::Duration;
//! #[derive(Serialize, Deserialize)]
//! struct User { name: String }
//!
//! # async fn example() -> Result<(), Error> {
//! store::set("user/1", Json(User { name: "Alice".into() })).ttl(Duration::from_secs(60)).await?;
//! if let Some(Json(user)) = store::get::<Json<User>>("user/1").await? {
//!     log::info!("{}", user.name);
//! }
//! let visits = store::increment("visits", 1).await?;
//! # Ok(()) }
//! ```
//!
//! A value is bytes, JSON or a counter; the types of Rust that can be one are those of [`IntoValue`] and [`FromValue`].

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ErrorKind, OpError};
use crate::frame::{Invalid, Reader, Writer};
use crate::operation::{Operation, nothing};
use crate::{Json, abi};

/// A value as the node keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Any bytes.
    Bytes(Bytes),
    /// The text of a JSON value.
    Json(Bytes),
    /// A number that [`increment`] adds to.
    Counter(i64),
}

const DELETED: u32 = 3;

impl Value {
    fn put(&self, request: &mut Writer, tag: u32, kind_tag: u32) {
        let kind = match self {
            Self::Bytes(bytes) => {
                request.bytes(tag, bytes);
                0
            }
            Self::Json(text) => {
                request.bytes(tag, text);
                1
            }
            Self::Counter(number) => {
                request.i64(tag, *number);
                2
            }
        };
        request.u32(kind_tag, kind);
    }

    fn read(kind: u32, data: Bytes) -> Result<Self, OpError> {
        match kind {
            1 => Ok(Self::Json(data)),
            2 => Ok(Self::Counter(i64::from_le_bytes(data.as_ref().try_into().map_err(|_| Invalid)?))),
            _ => Ok(Self::Bytes(data)),
        }
    }
}

/// What can be set.
pub trait IntoValue {
    /// The value as the node keeps it.
    fn into_value(self) -> Result<Value, OpError>;
}

/// What a value can be read as.
pub trait FromValue: Sized {
    /// The value as this type; [`ErrorKind::WrongType`] if it is none.
    fn from_value(value: Value) -> Result<Self, OpError>;
}

fn wrong(value: &Value, wanted: &str) -> OpError {
    let kind = match value {
        Value::Bytes(_) => "bytes",
        Value::Json(_) => "JSON",
        Value::Counter(_) => "a counter",
    };
    OpError::new(ErrorKind::WrongType, format!("the value is {kind}, and not {wanted}"))
}

impl IntoValue for Value {
    fn into_value(self) -> Result<Value, OpError> {
        Ok(self)
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, OpError> {
        Ok(value)
    }
}

macro_rules! of_bytes {
    ($($type:ty: |$bytes:ident| $convert:expr),*) => {$(
        impl IntoValue for $type {
            fn into_value(self) -> Result<Value, OpError> {
                let $bytes = self;
                Ok(Value::Bytes($convert))
            }
        }
    )*};
}
of_bytes!(Bytes: |b| b, Vec<u8>: |b| b.into(), String: |b| b.into(), &str: |b| Bytes::copy_from_slice(b.as_bytes()), &[u8]: |b| Bytes::copy_from_slice(b));

/// A counter.
impl IntoValue for i64 {
    fn into_value(self) -> Result<Value, OpError> {
        Ok(Value::Counter(self))
    }
}

impl<T: Serialize> IntoValue for Json<T> {
    fn into_value(self) -> Result<Value, OpError> {
        let text = serde_json::to_vec(&self.0).map_err(|e| OpError::new(ErrorKind::InvalidArgument, e.to_string()))?;
        Ok(Value::Json(text.into()))
    }
}

/// Bytes, or the text of JSON.
impl FromValue for Bytes {
    fn from_value(value: Value) -> Result<Self, OpError> {
        match value {
            Value::Bytes(bytes) | Value::Json(bytes) => Ok(bytes),
            Value::Counter(_) => Err(wrong(&value, "bytes")),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, OpError> {
        Bytes::from_value(value).map(Into::into)
    }
}

/// Bytes that are UTF-8, or the text of JSON.
impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, OpError> {
        Self::from_utf8(Vec::from_value(value)?).map_err(|e| OpError::new(ErrorKind::WrongType, e.to_string()))
    }
}

/// A counter.
impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, OpError> {
        match value {
            Value::Counter(number) => Ok(number),
            other => Err(wrong(&other, "a counter")),
        }
    }
}

/// JSON, or bytes that are its text.
impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: Value) -> Result<Self, OpError> {
        let text = Bytes::from_value(value)?;
        serde_json::from_slice(&text).map(Json).map_err(|e| OpError::new(ErrorKind::WrongType, e.to_string()))
    }
}

fn with_key(key: &str) -> Writer {
    let mut request = Writer::new();
    request.bytes(abi::KEY, key);
    request
}

/// The key's value, if there is one.
pub fn get<T: FromValue>(key: &str) -> Operation<Option<T>> {
    Operation::new(abi::OP_STORE_GET, with_key(key), read_value)
}

pub(crate) fn read_value<T: FromValue>(result: Bytes) -> Result<Option<T>, OpError> {
    let (mut data, mut kind) = (None, 0);
    for field in Reader::new(&result) {
        let field = field?;
        match field.tag {
            abi::VALUE => data = Some(result.slice_ref(field.value)),
            abi::VALUE_KIND => kind = field.u32()?,
            _ => {}
        }
    }
    data.map(|data| T::from_value(Value::read(kind, data)?)).transpose()
}

/// Sets a key.
pub fn set(key: &str, value: impl IntoValue) -> Set<()> {
    Set(match value.into_value() {
        Ok(value) => {
            let mut request = with_key(key);
            value.put(&mut request, abi::VALUE, abi::VALUE_KIND);
            Operation::new(abi::OP_STORE_SET, request, nothing)
        }
        Err(error) => Operation::refused(error),
    })
}

/// Sets a key if its value is the expected one; `None`: if it is absent. Gives whether it was set.
pub fn compare_and_set<E: IntoValue>(key: &str, expected: Option<E>, value: impl IntoValue) -> Set<bool> {
    let values = || Ok((expected.map(IntoValue::into_value).transpose()?, value.into_value()?));
    Set(match values() {
        Ok((expected, value)) => {
            let mut request = with_key(key);
            value.put(&mut request, abi::VALUE, abi::VALUE_KIND);
            if let Some(expected) = expected {
                expected.put(&mut request, abi::EXPECTED, abi::EXPECTED_KIND);
            }
            Operation::new(abi::OP_STORE_SWAP, request, read_flag)
        }
        Err(error) => Operation::refused(error),
    })
}

/// A value that is about to be set.
#[must_use = "nothing is set until it is awaited"]
pub struct Set<T>(Operation<T>);

impl<T> Set<T> {
    /// The key is gone after that time, which counts in whole seconds.
    pub fn ttl(self, time: Duration) -> Self {
        let seconds = time.as_secs().max(1);
        Self(self.0.add(|request| request.u64(abi::TTL, seconds)))
    }

    /// Starts it now, and not when it is first polled.
    pub fn start(self) -> Self {
        Self(self.0.start())
    }
}

impl<T> Future for Set<T> {
    type Output = Result<T, OpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

pub(crate) fn read_flag(result: Bytes) -> Result<bool, OpError> {
    let mut flag = 0;
    for field in Reader::new(&result) {
        let field = field?;
        if field.tag == abi::FLAG {
            flag = field.u32()?;
        }
    }
    Ok(flag != 0)
}

/// Deletes a key. Gives whether it was there.
pub fn delete(key: &str) -> Operation<bool> {
    Operation::new(abi::OP_STORE_DELETE, with_key(key), read_flag)
}

/// Adds to a counter, which begins at 0. Gives the new number.
pub fn increment(key: &str, delta: i64) -> Operation<i64> {
    let mut request = with_key(key);
    request.i64(abi::DELTA, delta);
    Operation::new(abi::OP_STORE_INCREMENT, request, read_number)
}

pub(crate) fn read_number(result: Bytes) -> Result<i64, OpError> {
    let mut number = 0;
    for field in Reader::new(&result) {
        let field = field?;
        if field.tag == abi::DELTA {
            number = field.i64()?;
        }
    }
    Ok(number)
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The key.
    pub key: String,
    /// The value.
    pub value: T,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of keys.
    pub entries: Vec<Entry<T>>,
    /// Where the next part begins; none if this was the last.
    pub cursor: Option<String>,
}

/// Entries whose keys begin with the prefix: `limit` of them at most (0: as many as the node gives at once), from a page's cursor on
/// (`None`: from the first). [`scan`] goes through all.
pub fn list<T: FromValue>(prefix: &str, limit: u32, cursor: Option<&str>) -> Operation<Page<T>> {
    let mut request = with_key(prefix);
    if limit > 0 {
        request.u32(abi::LIMIT, limit);
    }
    if let Some(cursor) = cursor {
        request.bytes(abi::CURSOR, cursor);
    }
    Operation::new(abi::OP_STORE_LIST, request, read_page)
}

pub(crate) fn read_page<T: FromValue>(result: Bytes) -> Result<Page<T>, OpError> {
    let mut page = Page { entries: Vec::new(), cursor: None };
    for field in Reader::new(&result) {
        let field = field?;
        match field.tag {
            abi::ENTRY => {
                let (key, kind, data) = field.entry()?;
                let value = T::from_value(Value::read(kind, result.slice_ref(data))?)?;
                page.entries.push(Entry { key: text(key)?, value });
            }
            abi::CURSOR => page.cursor = Some(field.text()?.into()),
            _ => {}
        }
    }
    Ok(page)
}

fn text(bytes: &[u8]) -> Result<String, Invalid> {
    std::str::from_utf8(bytes).map(Into::into).map_err(|_| Invalid)
}

/// All entries whose keys begin with the prefix, in the order of keys.
#[must_use]
pub fn scan<T: FromValue>(prefix: &str) -> Scan<T> {
    Scan { prefix: prefix.into(), here: VecDeque::new(), ended: false, cursor: None }
}

/// A walk over entries.
pub struct Scan<T> {
    prefix: String,
    here: VecDeque<Entry<T>>,
    ended: bool,
    cursor: Option<String>,
}

impl<T: FromValue> Scan<T> {
    /// The next entry; none at the end.
    pub async fn next(&mut self) -> Option<Result<Entry<T>, OpError>> {
        loop {
            if let Some(entry) = self.here.pop_front() {
                return Some(Ok(entry));
            }
            if self.ended {
                return None;
            }
            self.ended = true;
            match list(&self.prefix, 0, self.cursor.as_deref()).await {
                Ok(page) => {
                    self.here = page.entries.into();
                    self.cursor = page.cursor;
                    self.ended = self.cursor.is_none();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Waits for the next change below the prefix. A deleted key has no value.
pub fn watch<T: FromValue>(prefix: &str) -> Operation<Entry<Option<T>>> {
    Operation::new(abi::OP_STORE_WATCH, with_key(prefix), |result| {
        let mut change = None;
        for field in Reader::new(&result) {
            let field = field?;
            if field.tag == abi::ENTRY {
                let (key, kind, data) = field.entry()?;
                let value = match kind {
                    DELETED => None,
                    kind => Some(T::from_value(Value::read(kind, result.slice_ref(data))?)?),
                };
                change = Some(Entry { key: text(key)?, value });
            }
        }
        Ok(change.ok_or(Invalid)?)
    })
}
