//! KPL aggregates, packed and read as `wire/aggregate.py` does it, which says what they are.
//!
//! Reading is for what nearly everybody writes: records with a partition key and data alone.  Anything else is None, and Python reads it.

use std::collections::HashMap;

use md5::{Digest, Md5};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySequence, PyString};

use crate::rows::hash_key;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;
const FRAMING_BYTES: usize = MAGIC.len() + DIGEST_BYTES;
const AGGREGATE_KEY: &str = "a";
const TAG_UNIQUE_ID: &[u8] = b"penstock-id";

// what begins a field: its number and kind, as protobuf writes them
const KEY_TABLE: u8 = 0x0A; // AggregatedRecord 1
const EXPLICIT_TABLE: u8 = 0x12; // AggregatedRecord 2
const RECORD: u8 = 0x1A; // AggregatedRecord 3
const KEY_INDEX: u8 = 0x08; // Record 1
const EXPLICIT_INDEX: u8 = 0x10; // Record 2
const DATA: u8 = 0x1A; // Record 3
const TAG: u8 = 0x22; // Record 4
const TAG_KEY: u8 = 0x0A; // Tag 1
const TAG_VALUE: u8 = 0x12; // Tag 2

/// User records being packed into one Kinesis record of at most `max_bytes`.
#[pyclass(module = "penstock_native")]
pub struct Aggregate {
    max_bytes: u64,
    keys: Table,
    explicit_keys: Table,
    records: Vec<u8>,
    first: Option<(String, Option<String>)>,
    #[pyo3(get)]
    count: usize,
    #[pyo3(get)]
    size_bytes: usize,
}

/// Texts, each once, and how the aggregate tells them.
#[derive(Default)]
struct Table {
    places: HashMap<String, usize>,
    written: Vec<u8>,
}

impl Table {
    /// The place that a text has or would get, and how many bytes more it takes.
    fn place(&self, text: &str) -> (usize, usize) {
        match self.places.get(text) {
            Some(place) => (*place, 0),
            None => (self.places.len(), 1 + varint_len(text.len()) + text.len()),
        }
    }

    fn keep(&mut self, begin: u8, place: usize, text: &str) {
        if place == self.places.len() {
            self.places.insert(text.to_owned(), place);
            put_field(&mut self.written, begin, text.as_bytes());
        }
    }
}

#[pymethods]
impl Aggregate {
    #[new]
    fn new(max_bytes: u64) -> Self {
        let (keys, explicit_keys) = (Table::default(), Table::default());
        Self { max_bytes, keys, explicit_keys, records: Vec::new(), first: None, count: 0, size_bytes: FRAMING_BYTES }
    }

    /// Take a record; false, and nothing is done, if that would make it larger than `max_bytes`.  The first one always fits.
    #[pyo3(signature = (partition_key, data, explicit_hash_key=None, unique_id=None))]
    fn add(
        &mut self,
        partition_key: &str,
        data: &[u8],
        explicit_hash_key: Option<&str>,
        unique_id: Option<&str>,
    ) -> bool {
        let (key_at, key_bytes) = self.keys.place(partition_key);
        let explicit = explicit_hash_key.map(|text| (text, self.explicit_keys.place(text)));
        let (explicit_at, explicit_bytes) = explicit.map_or((None, 0), |(_, (at, bytes))| (Some(at), bytes));
        let tag = unique_id.map_or_else(Vec::new, |id| tag_of(id.as_bytes()));
        let inner_bytes = 1
            + varint_len(key_at)
            + explicit_at.map_or(0, |at| 1 + varint_len(at))
            + 1
            + varint_len(data.len())
            + data.len()
            + tag.len();
        let size_bytes = self.size_bytes + key_bytes + explicit_bytes + 1 + varint_len(inner_bytes) + inner_bytes;
        if size_bytes as u64 > self.max_bytes && self.count > 0 {
            return false;
        }
        self.first.get_or_insert_with(|| (partition_key.to_owned(), explicit_hash_key.map(str::to_owned)));
        self.keys.keep(KEY_TABLE, key_at, partition_key);
        if let Some((text, (at, _))) = explicit {
            self.explicit_keys.keep(EXPLICIT_TABLE, at, text);
        }
        let out = &mut self.records;
        out.push(RECORD);
        put_varint(out, inner_bytes);
        out.push(KEY_INDEX);
        put_varint(out, key_at);
        if let Some(at) = explicit_at {
            out.push(EXPLICIT_INDEX);
            put_varint(out, at);
        }
        put_field(out, DATA, data);
        out.extend_from_slice(&tag);
        self.size_bytes = size_bytes;
        self.count += 1;
        true
    }

    /// `add` for many, at most so many: how many were taken.  None instead of a column: no record has that.
    fn add_columns(
        &mut self,
        partition_keys: &Bound<'_, PySequence>,
        data: &Bound<'_, PySequence>,
        explicit_hash_keys: Option<&Bound<'_, PySequence>>,
        unique_ids: Option<&Bound<'_, PySequence>>,
        most: usize,
    ) -> PyResult<usize> {
        let count = partition_keys.len()?.min(most);
        for at in 0..count {
            let (key, data) = (partition_keys.get_item(at)?, data.get_item(at)?);
            let explicit = explicit_hash_keys.map(|column| column.get_item(at)).transpose()?;
            let id = unique_ids.map(|column| column.get_item(at)).transpose()?;
            let explicit: Option<&str> = explicit.as_ref().map(PyAnyMethods::extract).transpose()?.flatten();
            let id: Option<&str> = id.as_ref().map(PyAnyMethods::extract).transpose()?.flatten();
            if !self.add(key.extract()?, data.extract()?, explicit, id) {
                return Ok(at);
            }
        }
        Ok(count)
    }

    /// The Kinesis record that holds what was added, at least one: partition key, explicit hash key, data.
    fn pack<'py>(&self, py: Python<'py>) -> PyResult<(&'static str, String, Bound<'py, PyBytes>)> {
        let (key, explicit) = self.first.as_ref().ok_or_else(|| PyValueError::new_err("there is nothing to pack"))?;
        let place = match explicit {
            Some(digits) => digits.parse().map_err(|_| PyValueError::new_err("an explicit hash key that is none"))?,
            None => hash_key(key.as_bytes()),
        };
        let data = PyBytes::new_with(py, self.size_bytes, |out| {
            let (magic, rest) = out.split_at_mut(MAGIC.len());
            let (message, digest) = rest.split_at_mut(rest.len() - DIGEST_BYTES);
            magic.copy_from_slice(&MAGIC);
            let (keys, rest) = message.split_at_mut(self.keys.written.len());
            let (explicit_keys, records) = rest.split_at_mut(self.explicit_keys.written.len());
            keys.copy_from_slice(&self.keys.written);
            explicit_keys.copy_from_slice(&self.explicit_keys.written);
            records.copy_from_slice(&self.records);
            digest.copy_from_slice(&py.detach(|| Md5::digest(&*message)));
            Ok(())
        })?;
        Ok((AGGREGATE_KEY, place.to_string(), data))
    }
}

/// Of an aggregate: the partition keys that its records have, each once, and the key and the data of each record.
type Unpacked<'py> = (Vec<Bound<'py, PyString>>, Vec<Bound<'py, PyString>>, Vec<Bound<'py, PyBytes>>);

/// The records of an aggregate that are nothing but a partition key and data; None where Python shall look.
#[pyfunction]
pub fn unpack<'py>(py: Python<'py>, data: &[u8]) -> Option<Unpacked<'py>> {
    let message = data.strip_prefix(&MAGIC)?;
    let (message, digest) = message.split_at_checked(message.len().checked_sub(DIGEST_BYTES)?)?;
    if message.is_empty() || Md5::digest(message)[..] != *digest {
        return None;
    }
    let (mut texts, mut records) = (Vec::new(), Vec::new());
    let mut rest = message;
    while let Some((begin, value, after)) = read_field(rest) {
        match begin {
            KEY_TABLE => texts.push(std::str::from_utf8(value).ok()?),
            RECORD => records.push(read_record(value)?),
            _ => return None,
        }
        rest = after;
    }
    if !rest.is_empty() {
        return None;
    }
    let mut keys: Vec<Option<Bound<'py, PyString>>> = vec![None; texts.len()];
    let mut used = Vec::new();
    let mut owners = Vec::with_capacity(records.len());
    for (at, _) in &records {
        let at = usize::try_from(*at).ok()?;
        let text = texts.get(at)?;
        let key = keys[at].get_or_insert_with(|| {
            used.push(PyString::new(py, text));
            used[used.len() - 1].clone()
        });
        owners.push(key.clone());
    }
    Some((used, owners, records.iter().map(|(_, data)| PyBytes::new(py, data)).collect()))
}

/// Key index and data of a record that has nothing else, each once and in this order.
fn read_record(record: &[u8]) -> Option<(u64, &[u8])> {
    let (index, rest) = read_varint(record.strip_prefix(&[KEY_INDEX])?)?;
    let (begin, data, rest) = read_field(rest)?;
    (begin == DATA && rest.is_empty()).then_some((index, data))
}

/// What begins a field that has a length, its value, and what follows it; None for anything else.
fn read_field(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (begin, rest) = bytes.split_first()?;
    let (length, rest) = read_varint(rest)?;
    let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((*begin, value, rest))
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        number |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

fn tag_of(unique_id: &[u8]) -> Vec<u8> {
    let (mut inner, mut tag) = (Vec::new(), Vec::new());
    put_field(&mut inner, TAG_KEY, TAG_UNIQUE_ID);
    put_field(&mut inner, TAG_VALUE, unique_id);
    put_field(&mut tag, TAG, &inner);
    tag
}

fn put_field(out: &mut Vec<u8>, begin: u8, value: &[u8]) {
    out.push(begin);
    put_varint(out, value.len());
    out.extend_from_slice(value);
}

fn put_varint(out: &mut Vec<u8>, mut number: usize) {
    while number > 0x7F {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_len(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}
