//! The attributes of `aleph-guest`, which is where they are documented and used from.

use proc_macro::{Delimiter, Span, TokenStream, TokenTree};

/// Makes a function the one that answers the program's events.
///
/// It takes a `Request` or nothing, is `async` or not, and returns anything that is `IntoResponse`.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::read("handler", arguments, &item) {
        Ok(function) => function,
        Err(error) => return error,
    };
    let (parameter, argument) = if function.parameters { ("request", "request") } else { ("_request", "") };
    let name = function.name;
    let serve = if function.is_async {
        format!("serve_async(event_len, |{parameter}| {name}({argument}))")
    } else {
        format!("serve(event_len, |{parameter}| {name}({argument}))")
    };
    with(
        item,
        &format!(
            r#"
            #[doc(hidden)] #[allow(unused_imports)] use ::aleph_guest::__rt::defaults::*;
            const _: () = {{
                #[unsafe(export_name = "aleph_init")]
                extern "C" fn init(event_len: u32) {{ ::aleph_guest::__rt::init(event_len, __aleph_guest_init) }}
                #[unsafe(export_name = "aleph_handle")]
                extern "C" fn handle(event_len: u32) {{ ::aleph_guest::__rt::{serve} }}
                #[unsafe(export_name = "aleph_body")]
                extern "C" fn body() {{}}
            }};
            "#
        ),
    )
}

/// Has a function run once, when the program is deployed: every event begins with the memory that it leaves.
///
/// It stands in the module of the handler, takes nothing, and returns nothing or a `Result<()>`, whose error refuses the deploy. There
/// are no operations in it, and time and random bytes would be the same in all events.
#[proc_macro_attribute]
pub fn init(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::read("init", arguments, &item) {
        Ok(function) => function,
        Err(error) => return error,
    };
    if function.is_async || function.parameters {
        return error(function.span, "#[init] is for a function without parameters that is not async");
    }
    let name = function.name;
    with(
        item,
        &format!("#[doc(hidden)] fn __aleph_guest_init() -> ::aleph_guest::Result<()> {{ ::aleph_guest::__rt::prepared({name}()) }}"),
    )
}

/// What the attributes have to know of a function.
struct Function {
    name: String,
    span: Span,
    is_async: bool,
    parameters: bool,
}

impl Function {
    /// Reads the item up to its parameters: `… async fn name(…)`.
    fn read(attribute: &str, arguments: TokenStream, item: &TokenStream) -> Result<Self, TokenStream> {
        if let Some(token) = arguments.into_iter().next() {
            return Err(error(token.span(), &format!("#[{attribute}] takes no arguments")));
        }
        let mut tokens = item.clone().into_iter();
        let mut is_async = false;
        for token in tokens.by_ref() {
            match token.to_string().as_str() {
                "async" => is_async = true,
                "fn" => break,
                "struct" | "enum" | "mod" | "impl" | "trait" | "const" | "static" => {
                    return Err(error(token.span(), &format!("#[{attribute}] is for a function")));
                }
                _ => {}
            }
        }
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return Err(error(Span::call_site(), &format!("#[{attribute}] is for a function")));
        };
        match tokens.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                Ok(Self { name: name.to_string(), span: name.span(), is_async, parameters: !group.stream().is_empty() })
            }
            _ => Err(error(name.span(), &format!("#[{attribute}] is for a function without type parameters"))),
        }
    }
}

/// The item and what the attribute adds to it.
fn with(mut item: TokenStream, added: &str) -> TokenStream {
    item.extend(added.parse::<TokenStream>().expect("the attribute's own code is Rust"));
    item
}

/// An error of the compiler's at that place.
fn error(span: Span, message: &str) -> TokenStream {
    let error: TokenStream = format!("::core::compile_error!({message:?});").parse().expect("a macro's call is Rust");
    error
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}
