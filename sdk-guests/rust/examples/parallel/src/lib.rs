//! Fetches two addresses at the same time and streams a line about each as soon as it has answered:
//! `GET /?url=https://a.example/&url=https://b.example/`

use aleph_guest::prelude::*;
use aleph_guest::{OpError, fetch};
use futures_util::stream::FuturesUnordered;

const FETCHES: usize = 2;

/// What is at a URL: its status and its size.
async fn size(url: &str) -> Result<(StatusCode, usize)> {
    let answer = fetch::get(url).redirects(5).await?;
    Ok((answer.status(), answer.bytes().await?.len()))
}

/// A line about what is at a URL.
async fn line(url: String) -> Result<String> {
    match size(&url).await {
        Ok((status, size)) => Ok(format!("{url}: {}, {size} bytes\n", status.as_u16())),
        Err(error) => match error.downcast_ref::<OpError>() {
            Some(error) => Ok(format!("{url}: {}\n", error.kind().name())),
            None => Err(error),
        },
    }
}

#[aleph_guest::handler]
fn parallel(request: Request) -> Result<Response> {
    let urls = request.params().filter(|param| param.0 == "url").map(|param| param.1.into_owned());
    let lines: FuturesUnordered<_> = urls.take(FETCHES).map(line).collect();
    if lines.len() < FETCHES {
        return Err(Error::status(StatusCode::BAD_REQUEST, "give two parameters: url=…&url=…"));
    }
    let text = Response::builder().header("content-type", "text/plain; charset=utf-8");
    Ok(text.body(Body::from_stream(lines))?)
}
