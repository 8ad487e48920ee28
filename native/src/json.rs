//! PutRecords and PutRecord from JSON.
//!
//! Rule of this file: whatever is not plainly fine is `None`, and another reader decides; so this one can be wrong about speed only.

use std::borrow::Cow;

use base64_simd::STANDARD;
use memchr::memchr2;

use crate::rows::{Columns, Record, is_name, read_hash_key};

struct Source<'body> {
    body: &'body [u8],
    at: usize,
}

/// The stream's name and the records.
pub fn read(body: &[u8]) -> Option<(String, Columns)> {
    let mut source = Source { body, at: 0 };
    let (mut name, mut columns) = (None, None);
    source.members(|source, member| match member {
        b"StreamName" if name.is_none() => {
            let text = source.plain_string()?;
            name = Some(std::str::from_utf8(text).ok().filter(|_| is_name(text))?.to_owned());
            Some(())
        }
        b"Records" if columns.is_none() => {
            columns = Some(source.records()?);
            Some(())
        }
        _ => None,
    })?;
    source.blanks();
    let columns: Columns = columns?;
    (source.at == body.len() && columns.len() > 0).then_some((name?, columns))
}

/// The stream's name and the one record.
pub fn read_one(body: &[u8]) -> Option<Record<'_>> {
    let mut source = Source { body, at: 0 };
    let (mut name, mut key, mut data) = (None, None, None);
    source.members(|source, member| match member {
        b"StreamName" if name.is_none() => {
            name = Some(source.plain_string()?);
            Some(())
        }
        b"PartitionKey" if key.is_none() => {
            key = Some(source.string()?);
            Some(())
        }
        b"Data" if data.is_none() => {
            let mut bytes = Vec::new();
            append_base64(source.plain_string()?, &mut bytes)?;
            data = Some(Cow::Owned(bytes));
            Some(())
        }
        _ => None,
    })?;
    source.blanks();
    if source.at == body.len() { Record::new(name?, key?, data?) } else { None }
}

impl<'body> Source<'body> {
    fn blanks(&mut self) {
        while matches!(self.body.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.body.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.next_is(byte).then_some(())
    }

    /// The members of an object, each name given to `value`, which reads what follows.
    fn members(&mut self, mut value: impl FnMut(&mut Self, &'body [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.next_is(b'}') {
            return Some(());
        }
        loop {
            let name = self.plain_string()?;
            self.expect(b':')?;
            value(self, name)?;
            if !self.next_is(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn records(&mut self) -> Option<Columns> {
        let mut columns = Columns::default();
        columns.data.reserve(self.body.len() / 4 * 3);
        self.expect(b'[')?;
        loop {
            self.record(&mut columns)?;
            if !self.next_is(b',') {
                self.expect(b']')?;
                return Some(columns);
            }
        }
    }

    fn record(&mut self, columns: &mut Columns) -> Option<()> {
        let data_at = columns.data.len();
        let (mut data, mut key, mut explicit) = (None, None, None);
        self.members(|source, member| match member {
            b"Data" if data.is_none() => {
                data = Some(());
                append_base64(source.plain_string()?, &mut columns.data)
            }
            b"PartitionKey" if key.is_none() => {
                key = Some(source.string()?);
                Some(())
            }
            b"ExplicitHashKey" if explicit.is_none() => {
                explicit = Some(read_hash_key(source.plain_string()?)?);
                Some(())
            }
            _ => None,
        })?;
        data?;
        columns.push(data_at, &key?, explicit)
    }

    /// The bytes of a string in which nothing is escaped.
    fn plain_string(&mut self) -> Option<&'body [u8]> {
        self.expect(b'"')?;
        let rest = &self.body[self.at..];
        let end = memchr2(b'"', b'\\', rest)?;
        self.at += end + 1;
        (rest[end] == b'"').then_some(&rest[..end])
    }

    fn string(&mut self) -> Option<Cow<'body, str>> {
        let start = self.at;
        if let Some(plain) = self.plain_string() {
            let text = std::str::from_utf8(plain).ok()?;
            return plain.iter().all(|byte| *byte >= b' ').then_some(Cow::Borrowed(text));
        }
        self.at = start;
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            match *self.body.get(self.at)? {
                b'"' => break,
                b'\\' => self.escape(&mut text)?,
                0..b' ' => return None,
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        String::from_utf8(text).ok().map(Cow::Owned)
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let kind = *self.body.get(self.at + 1)?;
        self.at += 2;
        text.push(match kind {
            b'"' | b'\\' | b'/' => kind,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(text),
            _ => return None,
        });
        Some(())
    }

    fn unicode(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let mut code = self.hex4()?;
        if (0xD800..0xDC00).contains(&code) {
            if self.body.get(self.at..self.at + 2)? != b"\\u" {
                return None;
            }
            self.at += 2;
            let low = self.hex4()?;
            if !(0xDC00..0xE000).contains(&low) {
                return None;
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        text.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.body.get(self.at..self.at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// Decode strict base64: padded, no blanks, no stray bits in the last digit.
fn append_base64(text: &[u8], data: &mut Vec<u8>) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let pads = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    STANDARD.decode_append(text, data).ok()?;
    let stray = match pads {
        0 => 0,
        1 => digit(text[text.len() - 2]) & 0b11,
        _ => digit(text[text.len() - 3]) & 0b1111,
    };
    (text.len() % 4 == 0 && stray == 0).then_some(())
}

/// The value of a base64 digit.
fn digit(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    }
}
