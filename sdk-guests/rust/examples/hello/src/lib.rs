//! Greets: `GET /?name=Alice` answers "Hello, Alice!". The variable `GREETING` says how.

use aleph_guest::prelude::*;

#[aleph_guest::handler]
fn hello(request: Request) -> String {
    let greeting = aleph_guest::env("GREETING").unwrap_or("Hello");
    let name = request.param("name").filter(|name| !name.is_empty()).unwrap_or("World".into());
    format!("{greeting}, {name}!\n")
}
