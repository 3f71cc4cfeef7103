//! What a handler can return.

use std::error::Error;
use std::fmt;

use aleph_guest::prelude::{Body, IntoResponse, Json, Response, Result, StatusCode};
use futures_util::stream;

/// What is to blame.
#[derive(Debug)]
pub struct Cause(pub &'static str);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Cause {}

/// What came of it.
#[derive(Debug)]
pub struct Failure(pub Cause);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no luck")
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

pub fn reply(what: &str) -> Result<Response> {
    match what {
        "text" => "text".into_response(),
        "bytes" => vec![0_u8, 255].into_response(),
        "json" => Json([1, 2]).into_response(),
        "nothing" => ().into_response(),
        "status" => StatusCode::NO_CONTENT.into_response(),
        "both" => (StatusCode::CREATED, Json("made")).into_response(),
        "headers" => (StatusCode::ACCEPTED, [("x-a", "one"), ("content-type", "text/x-own")], "own").into_response(),
        "bad-header" => ([("x a", "one")], "").into_response(),
        "missing" => Err(aleph_guest::Error::status(StatusCode::NOT_FOUND, "there is none")),
        "stream" => Body::from_stream(stream::iter(["a", "", "b", "c"].map(Ok::<_, Cause>))).into_response(),
        "cut" => Body::from_stream(stream::iter([Ok("some"), Err(Cause("cut off"))])).into_response(),
        "parts" => {
            let part = vec![b'x'; 100_000];
            Body::from_stream(stream::iter((0..30).map(move |_| Ok::<_, Cause>(part.clone())))).into_response()
        }
        other => Err(aleph_guest::Error::status(StatusCode::BAD_REQUEST, other)),
    }
}
