//! abi/vectors, as README.md there says.

use aleph_guest::__rt as rt;
use aleph_guest::ErrorKind;
use aleph_guest::frame::{Reader, Writer};

fn lines(file: &str) -> Vec<Vec<String>> {
    let path = format!("{}/../../../abi/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the vectors are beside the SDKs");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(|token| token.replace("\"\"", "")).collect()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// A percent-encoded text.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.extend(unhex(&part[..2]));
        bytes.extend(part[2..].bytes());
    }
    bytes
}

#[test]
fn frames_are_written_and_read() {
    let fields = lines("fields.txt");
    for frame in lines("frames.txt") {
        let golden = unhex(&frame[1]);
        let mut written = Writer::new();
        let mut reader = Reader::new(&golden);
        let mut ends = vec![4];
        for field in fields.iter().filter(|field| field[0] == frame[0]) {
            let (tag, value) = (field[2].parse().unwrap(), &field[3]);
            let read = reader.next().expect("a field").expect("a valid one");
            assert_eq!(read.tag, tag, "{}", frame[0]);
            match field[1].as_str() {
                "u32" => {
                    written.u32(tag, value.parse().unwrap());
                    assert_eq!(read.u32(), Ok(value.parse().unwrap()));
                }
                "u64" => {
                    written.u64(tag, value.parse().unwrap());
                    assert_eq!(read.u64(), Ok(value.parse().unwrap()));
                }
                "i64" => {
                    written.i64(tag, value.parse().unwrap());
                    assert_eq!(read.i64(), Ok(value.parse().unwrap()));
                }
                "pair" => {
                    written.pair(tag, bytes(value), bytes(&field[4]));
                    assert_eq!(read.pair(), Ok((&bytes(value)[..], &bytes(&field[4])[..])));
                }
                "entry" => {
                    let kind = field[4].parse().unwrap();
                    written.entry(tag, bytes(value), kind, bytes(&field[5]));
                    assert_eq!(read.entry(), Ok((&bytes(value)[..], kind, &bytes(&field[5])[..])));
                }
                _ => {
                    written.bytes(tag, bytes(value));
                    assert_eq!(read.value, bytes(value));
                }
            }
            ends.push(ends[ends.len() - 1] + 8 + read.value.len());
        }
        assert_eq!(reader.next(), None, "{}", frame[0]);
        assert_eq!(written.finish(), golden, "{}", frame[0]);
        for length in 0..golden.len() {
            let valid = Reader::new(&golden[..length]).all(|field| field.is_ok());
            assert_eq!(valid, ends.contains(&length), "{} cut at {length}", frame[0]);
        }
        match frame[0].split('-').next() {
            Some("event") => assert!(rt::read_event(golden).is_ok(), "{}", frame[0]),
            Some("load") => assert!(rt::read_load(golden).is_ok(), "{}", frame[0]),
            Some("result") => assert_ne!(rt::read_result(golden).map_err(|e| e.kind()), Err(ErrorKind::InvalidFrame), "{}", frame[0]),
            _ => {}
        }
    }
}

#[test]
fn what_is_invalid_is_refused() {
    for line in lines("invalid.txt") {
        let (name, frame) = (&line[0], unhex(&line[1]));
        let refused = match name.split('-').next() {
            Some("frame") => Reader::new(&frame).any(|field| field.is_err()),
            Some("event") => rt::read_event(frame).is_err(),
            Some("result") => rt::read_result(frame).is_err_and(|e| e.kind() == ErrorKind::InvalidFrame),
            Some("load") if name != "load-memory-short" => rt::read_load(frame).is_err(), // nobody here reads the limit
            _ => continue,                                                                // the node reads responses
        };
        assert!(refused, "{name}");
    }
}
