//! Counts visits in the store, a counter for each path: `GET /a` answers `{"path":"/a","visits":1}`, then 2, and so on. `GET /?list` answers
//! all counters.

use aleph_guest::prelude::*;
use aleph_guest::store;
use serde::Serialize;

#[derive(Serialize)]
struct Counter {
    path: String,
    visits: i64,
}

#[aleph_guest::handler]
async fn count(request: Request) -> Result<Response> {
    if request.param("list").is_some() {
        let mut counters = Vec::new();
        let mut all = store::scan("/");
        while let Some(entry) = all.next().await.transpose()? {
            counters.push(Counter { path: entry.key, visits: entry.value });
        }
        return line(&counters);
    }
    let path = request.uri().path().to_owned();
    let visits = store::increment(&path, 1).await?;
    line(&Counter { path, visits })
}

/// A line of JSON; `Json(value)` would be the same without the line's end.
fn line(value: &impl Serialize) -> Result<Response> {
    ([("content-type", "application/json")], serde_json::to_string(value)? + "\n").into_response()
}
