//! PutRecords and PutRecord from CBOR, as the SDKs write it: maps and lists of a known length or not, strings of a known length.
//!
//! Rule of this file: whatever is not plainly fine is `None`, and another reader decides.

use std::borrow::Cow;

use crate::rows::{Columns, Record, is_name, read_hash_key};

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const BREAK: u8 = 0xFF;

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
            let text = source.string(TEXT)?;
            name = Some(std::str::from_utf8(text).ok().filter(|_| is_name(text))?.to_owned());
            Some(())
        }
        b"Records" if columns.is_none() => {
            columns = Some(source.records()?);
            Some(())
        }
        _ => None,
    })?;
    let columns: Columns = columns?;
    (source.at == body.len() && columns.len() > 0).then_some((name?, columns))
}

/// The stream's name and the one record.
pub fn read_one(body: &[u8]) -> Option<Record<'_>> {
    let mut source = Source { body, at: 0 };
    let (mut name, mut key, mut data) = (None, None, None);
    source.members(|source, member| match member {
        b"StreamName" if name.is_none() => {
            name = Some(source.string(TEXT)?);
            Some(())
        }
        b"PartitionKey" if key.is_none() => {
            key = Some(std::str::from_utf8(source.string(TEXT)?).ok()?);
            Some(())
        }
        b"Data" if data.is_none() => {
            data = Some(source.string(BYTES)?);
            Some(())
        }
        _ => None,
    })?;
    if source.at == body.len() { Record::new(name?, Cow::Borrowed(key?), Cow::Borrowed(data?)) } else { None }
}

impl<'body> Source<'body> {
    /// The count or length of an item of one kind; `None` inside where it is not known ahead.
    fn head(&mut self, kind: u8) -> Option<Option<usize>> {
        let first = *self.body.get(self.at)?;
        self.at += 1;
        if first >> 5 != kind {
            return None;
        }
        let width = match first & 31 {
            short @ 0..24 => return Some(Some(usize::from(short))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Some(None),
            _ => return None,
        };
        let bytes = self.body.get(self.at..self.at + width)?;
        self.at += width;
        let value = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok().map(Some)
    }

    fn string(&mut self, kind: u8) -> Option<&'body [u8]> {
        let length = self.head(kind)??;
        let bytes = self.body.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(bytes)
    }

    /// The items of a list or map: `item` is called for each, and reads it.
    fn items(&mut self, kind: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if let Some(count) = self.head(kind)? {
            for _ in 0..count {
                item(self)?;
            }
            return Some(());
        }
        while *self.body.get(self.at)? != BREAK {
            item(self)?;
        }
        self.at += 1;
        Some(())
    }

    fn members(&mut self, mut value: impl FnMut(&mut Self, &'body [u8]) -> Option<()>) -> Option<()> {
        self.items(MAP, |source| {
            let name = source.string(TEXT)?;
            value(source, name)
        })
    }

    fn records(&mut self) -> Option<Columns> {
        let mut columns = Columns::default();
        columns.data.reserve(self.body.len());
        self.items(LIST, |source| source.record(&mut columns))?;
        Some(columns)
    }

    fn record(&mut self, columns: &mut Columns) -> Option<()> {
        let (mut data, mut key, mut explicit) = (None, None, None);
        self.members(|source, member| match member {
            b"Data" if data.is_none() => {
                data = Some(source.string(BYTES)?);
                Some(())
            }
            b"PartitionKey" if key.is_none() => {
                key = Some(std::str::from_utf8(source.string(TEXT)?).ok()?);
                Some(())
            }
            b"ExplicitHashKey" if explicit.is_none() => {
                explicit = Some(read_hash_key(source.string(TEXT)?)?);
                Some(())
            }
            _ => None,
        })?;
        let data_at = columns.data.len();
        columns.data.extend_from_slice(data?);
        columns.push(data_at, key?, explicit)
    }
}
