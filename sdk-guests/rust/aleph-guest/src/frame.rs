//! Frames, for operations that this crate has no function for: [`Writer`] makes one, [`Reader`] walks one.
//!
//! A frame is `alv1` and fields, each a tag, a length and that many bytes; all numbers are little-endian.

const MAGIC: &[u8; 4] = b"alv1";

/// Makes a frame, field by field.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// Begins a frame.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(60)
    }

    /// Begins a frame whose fields, with eight bytes for each, take that many bytes.
    #[must_use]
    pub fn with_capacity(fields: usize) -> Self {
        let mut frame = Vec::with_capacity(MAGIC.len() + fields);
        frame.extend_from_slice(MAGIC);
        Self(frame)
    }

    /// Adds a number of four bytes.
    pub fn u32(&mut self, tag: u32, value: u32) {
        self.parts(tag, &[&value.to_le_bytes()]);
    }

    /// Adds a number of eight bytes.
    pub fn u64(&mut self, tag: u32, value: u64) {
        self.parts(tag, &[&value.to_le_bytes()]);
    }

    /// Adds a number of eight bytes with a sign.
    pub fn i64(&mut self, tag: u32, value: i64) {
        self.parts(tag, &[&value.to_le_bytes()]);
    }

    /// Adds bytes, or a text.
    pub fn bytes(&mut self, tag: u32, value: impl AsRef<[u8]>) {
        self.parts(tag, &[value.as_ref()]);
    }

    /// Adds a name and a value.
    pub fn pair(&mut self, tag: u32, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref();
        self.parts(tag, &[&(name.len() as u32).to_le_bytes(), name, value.as_ref()]);
    }

    /// Adds a key, and the kind and the bytes of its value.
    pub fn entry(&mut self, tag: u32, key: impl AsRef<[u8]>, kind: u32, value: impl AsRef<[u8]>) {
        let key = key.as_ref();
        self.parts(tag, &[&(key.len() as u32).to_le_bytes(), key, &kind.to_le_bytes(), value.as_ref()]);
    }

    fn parts(&mut self, tag: u32, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).expect("a field has less than 4 GiB");
        self.0.extend_from_slice(&tag.to_le_bytes());
        self.0.extend_from_slice(&length.to_le_bytes());
        for part in parts {
            self.0.extend_from_slice(part);
        }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What is not a frame, or a field that is not of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid;

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the frame is not valid")
    }
}

impl std::error::Error for Invalid {}

/// Walks a frame: an iterator over its fields. What is cut off ends it with [`Invalid`].
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    ended: bool,
}

impl<'a> Reader<'a> {
    /// Begins to read. A frame that does not begin as one gives [`Invalid`] as its first field.
    #[must_use]
    pub fn new(frame: &'a [u8]) -> Self {
        match frame.strip_prefix(MAGIC) {
            Some(rest) => Self { rest, ended: rest.is_empty() },
            None => Self { rest: &[], ended: false },
        }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Field<'a>, Invalid>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let field = number(self.rest).and_then(|(tag, rest)| {
            let (length, rest) = number(rest)?;
            let (value, rest) = rest.split_at_checked(length as usize)?;
            self.rest = rest;
            Some(Field { tag, value })
        });
        self.ended = field.is_none() || self.rest.is_empty();
        Some(field.ok_or(Invalid))
    }
}

/// Takes four bytes off the front.
#[inline]
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// A field of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub tag: u32,
    /// Its bytes.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// The value as a number of four bytes.
    pub fn u32(&self) -> Result<u32, Invalid> {
        self.value.try_into().map(u32::from_le_bytes).map_err(|_| Invalid)
    }

    /// The value as a number of eight bytes.
    pub fn u64(&self) -> Result<u64, Invalid> {
        self.value.try_into().map(u64::from_le_bytes).map_err(|_| Invalid)
    }

    /// The value as a number of eight bytes with a sign.
    pub fn i64(&self) -> Result<i64, Invalid> {
        self.value.try_into().map(i64::from_le_bytes).map_err(|_| Invalid)
    }

    /// The value as a text.
    pub fn text(&self) -> Result<&'a str, Invalid> {
        std::str::from_utf8(self.value).map_err(|_| Invalid)
    }

    /// The value as a name and a value.
    #[inline]
    pub fn pair(&self) -> Result<(&'a [u8], &'a [u8]), Invalid> {
        number(self.value).and_then(|(length, rest)| rest.split_at_checked(length as usize)).ok_or(Invalid)
    }

    /// The value as a key, and the kind and the bytes of its value.
    pub fn entry(&self) -> Result<(&'a [u8], u32, &'a [u8]), Invalid> {
        let (key, rest) = self.pair()?;
        let (kind, value) = number(rest).ok_or(Invalid)?;
        Ok((key, kind, value))
    }
}
