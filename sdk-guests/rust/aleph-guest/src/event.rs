use std::cell::Cell;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::frame::{Invalid, Reader};
use crate::{Body, Request, abi};

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EventKind {
    /// An HTTP request.
    #[default]
    Http,
    /// The time of a schedule.
    Schedule,
    /// A message of the network.
    Message,
    /// A topic's message.
    Topic,
    /// An entry of a chain's log.
    Log,
    /// A block of a chain.
    Block,
    /// A transfer on a chain.
    Transfer,
    /// One that this crate does not know.
    Other(u32),
}

impl EventKind {
    fn of(number: u32) -> Self {
        match number {
            0 => Self::Http,
            1 => Self::Schedule,
            2 => Self::Message,
            3 => Self::Topic,
            4 => Self::Log,
            5 => Self::Block,
            6 => Self::Transfer,
            other => Self::Other(other),
        }
    }
}

/// What happened, beside its request: see [`event`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// The same at every attempt at the event, and at no other event of the program.
    pub id: &'static str,
    /// The request's, also in the log and in errors: another at each attempt.
    pub request_id: &'static str,
    /// 1 is the first.
    pub attempt: u32,
    /// The program's item hash.
    pub program: &'static str,
    /// The node's id.
    pub node: &'static str,
    /// The owner's address.
    pub account: &'static str,
    /// Fresh random bytes, for generators.
    pub seed: [u8; 16],
    /// What is in front of the path in the URL's path; empty where the host names the program.
    pub root: &'static str,
    /// Address and port of the peer, which may be a proxy.
    pub client: &'static str,
    deadline: u64,
    time: u64,
    details: Vec<(&'static str, &'static str)>,
}

impl Event {
    /// When the event ends, whether the program is done or not.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        since_epoch(self.deadline)
    }

    /// When the node began with it.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        since_epoch(self.time)
    }

    /// What is left until the deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Duration::from_nanos(self.deadline.saturating_sub(crate::host::clock(0)))
    }

    /// What the kind of event says more, as `scheduled_at`, `trigger` or `message`: names, and values as JSON text.
    #[must_use]
    pub fn details(&self) -> &[(&'static str, &'static str)] {
        &self.details
    }

    /// A detail, if there is one of that name.
    pub fn detail<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let detail = self.details.iter().find(|detail| detail.0 == name);
        Ok(detail.map(|detail| serde_json::from_str(detail.1)).transpose()?)
    }
}

/// A time that a node gives; one too far to be a time is as far as can be.
fn since_epoch(nanoseconds: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds));
    time.or_else(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(i64::MAX as u64))).unwrap_or(SystemTime::UNIX_EPOCH)
}

thread_local! {
    static FRAME: Cell<Option<&'static [u8]>> = const { Cell::new(None) };
    static CURRENT: Cell<Option<&'static Event>> = const { Cell::new(None) };
}

/// The event that is being handled.
///
/// # Panics
/// While the program is prepared, for there is none then.
#[must_use]
pub fn event() -> &'static Event {
    CURRENT.get().unwrap_or_else(|| {
        let frame = FRAME.get().expect("there is no event while the program is prepared");
        let event = &*Box::leak(Box::new(Event::read(frame).expect("the event cannot be read")));
        CURRENT.set(Some(event));
        event
    })
}

/// Reads the request of an event's frame into a new one, in its place for it is large, and makes the event the one being handled: the rest is read when it is asked for. The frame lasts
/// as long as the event, so that nothing of it is copied.
#[inline]
pub(crate) fn read(frame: &'static [u8], request: &mut Request) -> Result<(), Invalid> {
    let (mut method, mut path, mut query, mut body) = (&[][..], &[][..], &[][..], &[][..]);
    let mut follows = false;
    let mut headers = 0;
    let mut reader = Reader::new(frame);
    let mut first = reader.clone();
    loop {
        let here = reader.clone();
        let Some(field) = reader.next() else {
            break;
        };
        let field = field?;
        match field.tag {
            abi::METHOD => method = field.value,
            abi::PATH => path = field.value,
            abi::QUERY => query = field.value,
            abi::BODY => body = field.value,
            abi::BODY_FOLLOWS => follows = field.u32()? != 0,
            abi::HEADER => {
                if headers == 0 {
                    first = here;
                }
                headers += 1;
            }
            _ => {}
        }
    }
    FRAME.set(Some(frame));
    CURRENT.set(None);
    if follows {
        *request.body_mut() = Body::event();
    } else if !body.is_empty() {
        *request.body_mut() = Body::from(body);
    }
    if method != b"GET" {
        *request.method_mut() = Method::from_bytes(method).unwrap_or_default();
    }
    *request.uri_mut() = uri(path, query);
    let map = request.headers_mut();
    map.reserve(headers);
    for field in first.flatten().filter(|field| field.tag == abi::HEADER) {
        add_header(map, field.pair()?);
    }
    Ok(())
}

impl Event {
    /// Reads what a frame says beside its request.
    pub(crate) fn read(frame: &'static [u8]) -> Result<Self, Invalid> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Invalid);
        let mut event = Self::default();
        for field in Reader::new(frame) {
            let field = field?;
            match field.tag {
                abi::KIND => event.kind = EventKind::of(field.u32()?),
                abi::REQUEST_ID => event.request_id = field.text()?,
                abi::ATTEMPT => event.attempt = field.u32()?,
                abi::DEADLINE => event.deadline = field.u64()?,
                abi::PROGRAM => event.program = field.text()?,
                abi::NODE => event.node = field.text()?,
                abi::ACCOUNT => event.account = field.text()?,
                abi::SEED => event.seed = field.value.try_into().map_err(|_| Invalid)?,
                abi::TIME => event.time = field.u64()?,
                abi::ROOT => event.root = field.text()?,
                abi::CLIENT => event.client = field.text()?,
                abi::EVENT_ID => event.id = field.text()?,
                abi::DETAIL => {
                    let (name, value) = field.pair()?;
                    event.details.push((text(name)?, text(value)?));
                }
                _ => {}
            }
        }
        if event.id.is_empty() {
            event.id = event.request_id;
        }
        Ok(event)
    }
}

/// Adds a header, unless the http crate does not take it as one.
#[inline]
fn add_header(headers: &mut HeaderMap, (name, value): (&'static [u8], &'static [u8])) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(Bytes::from_static(value))) {
        headers.append(name, value);
    }
}

/// The URI of a request: path and query as they came, with what the http crate does not take percent-encoded.
fn uri(path: &'static [u8], query: &'static [u8]) -> Uri {
    let whole: &'static [u8] = if query.is_empty() { path } else { [path, b"?", query].concat().leak() };
    Uri::from_maybe_shared(Bytes::from_static(whole)).unwrap_or_else(|_| {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut encoded = Vec::with_capacity(whole.len() * 2);
        for &byte in whole {
            if byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte) {
                encoded.push(byte);
            } else {
                encoded.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
        Uri::from_maybe_shared(Bytes::from(encoded)).unwrap_or_default()
    })
}
