//! The codec as the vectors' test asks it: a line in, a line out.

use std::fmt::Write;

use aleph_guest::frame::{self, Field, Invalid, Reader};
use aleph_guest::{__rt as rt, ErrorKind};

pub fn answer(lines: &str) -> String {
    lines.lines().map(|line| one(line).unwrap_or_else(|_| "invalid".into()) + "\n").collect()
}

fn one(line: &str) -> Result<String, Invalid> {
    let (what, arguments) = line.split_once(' ').unwrap_or((line, ""));
    match what {
        "write" => {
            let mut frame = frame::Writer::new();
            arguments.split(' ').filter(|field| !field.is_empty()).for_each(|field| write(&mut frame, field));
            Ok(hex(&frame.finish()))
        }
        "read" => {
            let frame = unhex(arguments);
            let fields: Result<Vec<_>, _> = Reader::new(&frame).map(|field| field.map(|field| shown(&field))).collect();
            Ok(fields?.join(" "))
        }
        "event" => rt::read_event(unhex(arguments)).map(|request| request.uri().to_string()),
        "load" => rt::read_load(unhex(arguments)).map(|()| format!("{:?}", aleph_guest::vars())),
        "result" => match rt::read_result(unhex(arguments)) {
            Err(error) if error.kind() == ErrorKind::InvalidFrame => Err(Invalid),
            outcome => Ok(format!("{outcome:?}")),
        },
        _ => Ok("what?".into()),
    }
}

/// Writes a field: its type, tag and parts.
fn write(frame: &mut frame::Writer, field: &str) {
    let mut parts = field.split(':');
    let kind = parts.next().unwrap_or_default();
    let tag = parts.next().and_then(|tag| tag.parse().ok()).unwrap_or_default();
    let mut part = || unhex(parts.next().unwrap_or_default());
    let value = part();
    let field = Field { tag, value: &value };
    match kind {
        "u32" => frame.u32(tag, field.u32().unwrap_or_default()),
        "u64" => frame.u64(tag, field.u64().unwrap_or_default()),
        "pair" => frame.pair(tag, &value, part()),
        "entry" => {
            let kind = part();
            frame.entry(tag, &value, Field { tag, value: &kind }.u32().unwrap_or_default(), part());
        }
        _ => frame.bytes(tag, &value),
    }
}

/// A field as its tag, its value, and what it is as a pair and as an entry.
fn shown(field: &Field) -> String {
    let mut text = format!("{}:{}", field.tag, hex(field.value));
    if let Ok((name, _)) = field.pair() {
        let _ = write!(text, ":{}", hex(name));
    }
    if let Ok((_, kind, value)) = field.entry() {
        let _ = write!(text, ":{kind}:{}", hex(value));
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| char::from(text.as_bytes()[at]).to_digit(16).unwrap_or_default() as u8;
    (0..text.len() / 2).map(|n| (digit(2 * n) << 4) | digit(2 * n + 1)).collect()
}
