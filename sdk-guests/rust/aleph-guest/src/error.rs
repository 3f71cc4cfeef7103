use std::fmt;

use http::StatusCode;

/// What a handler gives up with: any error, or an answer with a status.
///
/// It comes from every error by `?`. One with a [status](Error::status) becomes an answer with that status and its message; every other fails
/// the event: an HTTP caller gets 500 and an id, the owner's log has the message and its causes, an event from a queue is tried again.
pub struct Error(Box<Inner>);

struct Inner {
    status: Option<StatusCode>,
    error: Box<dyn std::error::Error + Send + Sync>,
}

/// A handler's result, unless it says otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a message.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self(Box::new(Inner { status: None, error: message.to_string().into() }))
    }

    /// An answer with a status, 200 to 599, and a message as its text.
    pub fn status(status: StatusCode, message: impl fmt::Display) -> Self {
        Self(Box::new(Inner { status: Some(status), error: message.to_string().into() }))
    }

    /// The error with a status: its message becomes an answer's text.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The status that it answers with.
    #[must_use]
    pub fn answer(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The error that it was made of, if it is of that type.
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.error.downcast_ref()
    }

    /// The causes, below the error itself, a line for each.
    pub(crate) fn causes(&self) -> String {
        let mut text = String::new();
        let mut cause = self.0.error.source();
        while let Some(error) = cause {
            text.push_str("caused by: ");
            text.push_str(&error.to_string());
            text.push('\n');
            cause = error.source();
        }
        text
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(Inner { status: None, error: Box::new(error) }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}\n{}", self.causes())
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The node does not take such a request.
    InvalidArgument,
    /// The key has a value that is not a counter.
    NotACounter,
    /// The program's store is full.
    QuotaExceeded,
    /// A key or a value is too large, or a body is longer than the program takes.
    ValueTooLarge,
    /// The node cannot do it now.
    Unavailable,
    /// The node does not know the operation.
    UnknownOperation,
    /// No answer came: the name, the connection, TLS or the protocol.
    Network,
    /// The address, or anything outside, may not be reached.
    Forbidden,
    /// It took too long.
    Timeout,
    /// The exchange is not open any more; of a streamed reply: the client has gone.
    Closed,
    /// 256 operations are under way.
    TooMany,
    /// There are no operations while the program is prepared.
    Refused,
    /// The requests under way are over 16 MiB.
    TooLarge,
    /// The node's answer cannot be read.
    InvalidFrame,
    /// A value of the store, or a body, is not of the type that was asked for.
    WrongType,
    /// The body that a request was to be sent with failed.
    Body,
    /// One that this crate does not know.
    Other(u32),
}

impl ErrorKind {
    pub(crate) fn of_status(status: u32) -> Self {
        match status {
            1 => Self::InvalidArgument,
            2 => Self::NotACounter,
            3 => Self::QuotaExceeded,
            4 => Self::ValueTooLarge,
            5 => Self::Unavailable,
            6 => Self::UnknownOperation,
            7 => Self::Network,
            8 => Self::Forbidden,
            9 => Self::Timeout,
            10 => Self::Closed,
            other => Self::Other(other),
        }
    }

    pub(crate) fn of_start(ticket: i32) -> Self {
        match ticket {
            -1 => Self::TooMany,
            -3 => Self::TooLarge,
            _ => Self::Refused,
        }
    }

    /// The node's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotACounter => "not_a_counter",
            Self::QuotaExceeded => "quota_exceeded",
            Self::ValueTooLarge => "value_too_large",
            Self::Unavailable => "unavailable",
            Self::UnknownOperation => "unknown_operation",
            Self::Network => "network",
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::TooMany => "too_many",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::InvalidFrame => "invalid_frame",
            Self::WrongType => "wrong_type",
            Self::Body => "body",
            Self::Other(_) => "unknown_error",
        }
    }
}

/// An operation's error: a kind, and what the node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpError {
    kind: ErrorKind,
    message: String,
}

impl OpError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the node said; empty if nothing.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<crate::frame::Invalid> for OpError {
    fn from(_: crate::frame::Invalid) -> Self {
        Self::new(ErrorKind::InvalidFrame, "the node's answer cannot be read")
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for OpError {}
