//! The store, fetches and what waits.

use std::time::Duration;

use aleph_guest::prelude::*;
use aleph_guest::store::{self, Value};
use aleph_guest::{ErrorKind, OpError, Operation, fetch, frame, random, sleep};
use futures_util::future::{Either, join, join_all, select};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct User {
    name: String,
}

fn kind<T>(result: Result<T, OpError>) -> &'static str {
    result.map_or_else(|error| error.kind().name(), |_| "ok")
}

pub async fn store() -> Result<String> {
    let mut said = Vec::new();
    let mut say = |text: String| said.push(text);
    let hour = Duration::from_secs(3600);

    say(format!("{:?}", store::get::<String>("k").await?));
    store::set("k", &b"a\0b"[..]).await?;
    say(format!("{:?}", store::get::<Vec<u8>>("k").await?));
    store::set("j", Json(User { name: "Alice".into() })).ttl(hour).await?;
    let Some(Json(user)) = store::get::<Json<User>>("j").await? else { return Err(Error::msg("no user")) };
    say(user.name);
    let old: Option<Value> = store::get("j").await?;
    say(format!("{}", store::compare_and_set("j", None::<Value>, "new").await?));
    say(format!("{}", store::compare_and_set("j", old, Json([2])).ttl(hour).await?));
    store::increment("n", 41).await?;
    say(format!("{} {:?}", store::increment("n", -43).await?, store::get::<i64>("n").await?));
    store::set("n", 7).await?;
    say(kind(store::increment("k", 1).await).into());
    say(kind(store::get::<String>("n").await).into());
    say(kind(store::get::<Json<User>>("j").await).into());

    let mut page = store::list::<Value>("", 2, None).await?;
    say(page.entries.iter().map(|entry| entry.key.as_str()).collect());
    page = store::list("", 2, page.cursor.as_deref()).await?;
    say(format!("{} {:?} {:?}", page.entries[0].key, page.entries[0].value, page.cursor));
    let mut all = store::scan::<Value>("");
    let mut count = 0;
    while let Some(entry) = all.next().await {
        entry?;
        count += 1;
    }
    say(format!("{count}"));

    let (change, ()) = join(store::watch::<String>("w/"), async { store::set("w/1", "now").await.unwrap_or_default() }).await;
    let change = change?;
    say(format!("{} {:?}", change.key, change.value));
    let (change, existed) = join(store::watch::<String>("w/"), store::delete("w/1")).await;
    say(format!("{:?} {} {}", change?.value, existed?, store::delete("w/1").await?));
    Ok(said.join("; "))
}

pub async fn errors(request: &Request) -> String {
    let slow = request.param("slow").unwrap_or_default();
    let mut said = vec![
        kind(fetch::get("http://10.0.0.1/").await),
        kind(fetch::get("ftp://example.org/").await),
        kind(fetch::get(slow).timeout(Duration::from_millis(1)).await),
        kind(Operation::new(9999, frame::Writer::new(), |_| Ok(())).await),
        kind(store::set("k", Json(f64::NAN)).await),
    ];
    let body = Body::from_stream(futures_util::stream::once(async { Err::<&str, _>(std::io::Error::other("torn")) }));
    let torn = Request::post("http://127.0.0.1:9/").body(body).expect("a request");
    said.push(match fetch::send(torn).await {
        Err(error) if error.kind() == ErrorKind::Body || error.kind() == ErrorKind::Network => "torn",
        _ => "whole",
    });
    let sleeps: Vec<_> = (0..300).map(|_| sleep(Duration::MAX).start()).collect();
    let mut refused = 0;
    for sleep in sleeps.into_iter().skip(256) {
        refused += usize::from(kind(sleep.await) == "too_many");
    }
    format!("{} {refused}", said.join(" "))
}

pub async fn together() -> Result<String> {
    let mut said = Vec::new();
    // What is started together runs together, and ends in its own order.
    let ms = |n| sleep(Duration::from_millis(n));
    let all = join_all([3, 1, 2].map(ms)).await;
    said.push(format!("{}", all.iter().all(Result::is_ok)));
    let (late, soon) = (store::watch::<String>("o/"), ms(1));
    said.push(match select(late, soon).await {
        Either::Right((_, late)) => {
            store::set("o/1", "now").ttl(Duration::from_secs(1)).await?;
            format!("soon, {:?}", late.await?.value)
        }
        Either::Left(_) => "late".into(),
    });
    // What is dropped is cancelled, and waiting within a future is waiting.
    for _ in 0..1000 {
        drop(sleep(Duration::MAX).start());
    }
    let within = async { ms(1).wait() };
    let (first, second) = join(ms(2), within).await;
    said.push(format!("{} {}", first.is_ok(), second.is_ok()));
    let mut many = vec![0; 70_000];
    random(&mut many);
    said.push(format!("{}", many[69_000..].iter().any(|byte| *byte != 0)));
    let before = aleph_guest::monotonic();
    said.push(format!("{}", aleph_guest::monotonic() >= before));
    Ok(said.join("; "))
}
