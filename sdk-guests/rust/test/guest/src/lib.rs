//! Uses what the examples do not, for `guests_test.go`: the path says what.

mod codec;
mod operations;
mod replies;

use std::fmt::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aleph_guest::prelude::*;
use aleph_guest::{body_up_to, env, event, fetch, sleep};

/// What `prepare` left.
static PREPARED: OnceLock<String> = OnceLock::new();

#[aleph_guest::init]
fn prepare() -> Result<()> {
    match env("FAIL") {
        Some("panic") => panic!("no more than {} today", 1),
        Some(reason) => return Err(Error::msg(reason)),
        None => {}
    }
    let refused = sleep(Duration::from_nanos(1)).wait().unwrap_err();
    let _ = PREPARED.set(format!("prepared, {refused}"));
    log::info!("prepared at deploy");
    Ok(())
}

#[aleph_guest::handler]
async fn everything(request: Request) -> Result<Response> {
    match request.uri().path() {
        "/store" => operations::store().await.into_response(),
        "/errors" => operations::errors(&request).await.into_response(),
        "/together" => operations::together().await.into_response(),
        "/codec" => codec::answer(&request.text().await?).into_response(),
        "/proxy" => proxy(request).await,
        "/body" => body_up_to(300_000, request.into_body()).await.into_response(),
        "/json" => request.json::<Vec<u32>>().await.map(Json).into_response(),
        "/std" => standard().into_response(),
        "/memory" => memory().into_response(),
        "/log" => {
            log::error!("an error");
            log::debug!("{} and {}", "formatted", 7);
            println!("printed");
            "logged\n".into_response()
        }
        "/fail" => Err(replies::Failure(replies::Cause("the dice")).into()),
        "/panic" => panic!("no luck in {}", request.uri()),
        "/deadlock" => std::future::pending().await,
        "/out-of-memory" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        }
        path if path.starts_with("/reply/") => replies::reply(&path["/reply/".len()..]),
        _ => about(&request).into_response(),
    }
}

/// What a request and its event say.
fn about(request: &Request) -> Result<String> {
    let event = event();
    let mut text = String::new();
    write!(text, "{} {} {}", request.method(), request.uri().path(), request.decoded_path())?;
    for (name, value) in request.params() {
        write!(text, " {name:?}={value:?}")?;
    }
    write!(text, " {:?} {:?}", request.header("x-a"), request.header("x-none"))?;
    let whole = !event.root.is_empty() && !event.client.is_empty() && event.id == event.request_id && event.seed != [0; 16];
    let timed = event.deadline() > event.time() && aleph_guest::now() >= event.time() && event.remaining() > Duration::ZERO;
    write!(text, " {whole} {timed} {:?} {} {:?}", event.kind, event.attempt, event.details())?;
    write!(text, " {} {}", event.program.len(), event.account.len())?;
    write!(text, " {:?} {:?} {:?}", PREPARED.get(), env("V"), env("NONE"))?;
    Ok(text)
}

/// Sends the body on as it comes, and answers with what comes back as it comes.
async fn proxy(request: Request) -> Result<Response> {
    let to = request.param("url").unwrap_or_default().into_owned();
    let answer = fetch::send(Request::post(to).header("x-from", "rust").body(request.into_body())?).await?;
    let mut reply = Response::builder().status(answer.status());
    for name in ["x-back", "content-type"] {
        if let Some(value) = answer.headers().get(name) {
            reply = reply.header(name, value);
        }
    }
    Ok(reply.body(answer.into_body())?)
}

/// The standard library, by way of WASI.
fn standard() -> Result<String> {
    let begin = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    let waited = begin.elapsed() >= Duration::from_millis(2);
    std::fs::write("/tmp/file", "in memory")?;
    let file = std::fs::read_to_string("/tmp/file")?;
    let counts: std::collections::HashMap<_, _> = [("one", 1)].into();
    Ok(format!("{waited} {file} {:?} {:?}", counts.get("one"), std::env::var("V")))
}

/// More memory than there is, but never at the same time; and a text that grows.
fn memory() -> String {
    let mut total = 0;
    for round in 0..1000_usize {
        let large = vec![round as u8; 1 << 20];
        let small: Vec<_> = (0..100).map(|n| vec![n; 30]).collect();
        total += usize::from(large[1 << 19] == round as u8) + small.len();
    }
    let mut text = format!("{total} ");
    for _ in 0..100_000 {
        text.push_str("0123456789");
    }
    text
}
