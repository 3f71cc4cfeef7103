//! What the node answers at once: variables, clocks, randomness, the log.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use crate::frame::{Invalid, Reader};
use crate::operation::{Operation, nothing};
use crate::{abi, host};

/// A name and a value.
type Pair = (&'static str, &'static str);

thread_local! {
    static VARIABLES: Cell<&'static [Pair]> = const { Cell::new(&[]) };
}

/// The program's variable of that name.
#[must_use]
pub fn env(name: &str) -> Option<&'static str> {
    vars().iter().find(|pair| pair.0 == name).map(|pair| pair.1)
}

/// All of the program's variables.
#[must_use]
pub fn vars() -> &'static [(&'static str, &'static str)] {
    VARIABLES.get()
}

/// Keeps the variables of a load frame.
pub(crate) fn read_load(frame: &'static [u8]) -> Result<(), Invalid> {
    let mut variables = Vec::new();
    for field in Reader::new(frame) {
        let field = field?;
        if field.tag == abi::VARIABLE {
            let (name, value) = field.pair()?;
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Invalid);
            variables.push((text(name)?, text(value)?));
        }
    }
    VARIABLES.set(variables.leak());
    Ok(())
}

/// Unix time. `std::time` has the same, by way of WASI.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(host::clock(0))
}

/// A clock that never goes back, from some beginning.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::clock(1))
}

/// Fills with cryptographically secure random bytes.
pub fn random(to: &mut [u8]) {
    host::random(to);
}

/// Waits that long.
pub fn sleep(time: Duration) -> Operation<()> {
    let mut request = crate::frame::Writer::new();
    request.u64(abi::DURATION, crate::nanoseconds(time));
    Operation::new(abi::OP_SLEEP, request, nothing)
}

/// The `log` crate's way to the program's log.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => 3,
            log::Level::Warn => 2,
            log::Level::Info => 1,
            log::Level::Debug | log::Level::Trace => 0,
        };
        match record.args().as_str() {
            Some(text) => host::log(level, text),
            None => host::log(level, &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

/// Has the `log` crate's macros write to the program's log, from debug up.
pub(crate) fn set_logger() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}
