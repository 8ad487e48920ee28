//! Records to the bytes of an answer.
//!
//! Theory.  An answer is measured first and written once: whole into bytes that Python owns, or piece by piece for a socket (sending.rs).

use base64_simd::{Out, STANDARD};

use crate::number::{NUMBER_BYTES, Number, Writer, write_digits};

/// Records end to end, as the engine holds them.
pub struct Span<'page> {
    pub keys: &'page [u8],
    pub key_lengths: &'page [u8], // two bytes each, little-endian
    pub data: &'page [u8],
    pub data_lengths: &'page [u8], // four bytes each
}

impl<'page> Span<'page> {
    /// Keys and data; `None` where the lengths do not fit them.
    fn records(&self) -> Option<Vec<(&'page str, &'page [u8])>> {
        let (mut keys, mut data) = (self.keys, self.data);
        let mut records = Vec::with_capacity(self.key_lengths.len() / 2);
        for (key, blob) in self.key_lengths.chunks_exact(2).zip(self.data_lengths.chunks_exact(4)) {
            let key_length = u16::from_le_bytes(key.try_into().ok()?) as usize;
            let length = u32::from_le_bytes(blob.try_into().ok()?) as usize;
            let (key, keys_left) = keys.split_at_checked(key_length)?;
            let (blob, data_left) = data.split_at_checked(length)?;
            (keys, data) = (keys_left, data_left);
            records.push((std::str::from_utf8(key).ok()?, blob));
        }
        (keys.is_empty() && data.is_empty()).then_some(records)
    }
}

/// Records of one page, with their numbers and arrival times.
pub struct Page<'page> {
    records: Vec<(&'page str, &'page [u8])>,
    base: Number, // of the first record, but for its arrival
    arrivals_ms: Vec<u64>,
    cbor: bool,
}

pub const INDEX_SHIFT: u32 = 80; // between the numbers of two records
const ARRIVED_SHIFT: u32 = 36;

impl<'page> Page<'page> {
    /// `None` where the columns are not of one length.
    pub fn new(spans: &[Span<'page>], base: Number, arrivals_ms: Vec<u64>, cbor: bool) -> Option<Self> {
        let mut records = Vec::with_capacity(arrivals_ms.len());
        for span in spans {
            records.append(&mut span.records()?);
        }
        (records.len() == arrivals_ms.len()).then_some(Self { records, base, arrivals_ms, cbor })
    }

    /// Each record as it is written.
    pub fn rows(&self) -> impl Iterator<Item = Row<'page>> {
        let step = Number::power(INDEX_SHIFT);
        let mut base = self.base;
        let mut arrived = (u64::MAX, base); // the second that was looked at last, and its part of a number
        let mut told = (u64::MAX, Text::default()); // the millisecond that was, and its text
        self.records.iter().zip(&self.arrivals_ms).enumerate().map(move |(place, ((key, data), ms))| {
            let second = ms / 1000;
            if arrived.0 != second {
                let mut bytes = [0u8; 24];
                bytes[..16].copy_from_slice(&(u128::from(second) << ARRIVED_SHIFT).to_le_bytes());
                arrived = (second, Number::from_le(&bytes));
            }
            if told.0 != *ms {
                told = (*ms, seconds(*ms));
            }
            let number = base.plus(&arrived.1);
            base = base.plus(&step);
            Row { first: place == 0, cbor: self.cbor, number, ms: *ms, seconds: told.1, key, data }
        })
    }

    /// Bytes of all rows.
    pub fn len(&self) -> usize {
        self.rows().map(|row| row.len()).sum()
    }
}

/// A record, as an item of a list.
pub struct Row<'page> {
    first: bool,
    cbor: bool,
    number: Number,
    ms: u64,
    seconds: Text,
    key: &'page str,
    data: &'page [u8],
}

impl Row<'_> {
    pub fn len(&self) -> usize {
        if self.cbor { self.cbor_len() } else { self.json_len() }
    }

    pub fn write(&self, out: &mut Writer) {
        if self.cbor { self.write_cbor(out) } else { self.write_json(out) }
    }

    fn json_len(&self) -> usize {
        let fixed = JSON_FIXED + usize::from(!self.first);
        fixed + self.number.text_len() + self.seconds.len() + self.data.len().div_ceil(3) * 4 + escaped_len(self.key)
    }

    fn write_json(&self, out: &mut Writer) {
        if !self.first {
            out.put(b",");
        }
        out.put(b"{\"SequenceNumber\":\"");
        self.number.write(out);
        out.put(b"\",\"ApproximateArrivalTimestamp\":");
        out.put(self.seconds.bytes());
        out.put(b",\"Data\":\"");
        let length = self.data.len().div_ceil(3) * 4;
        let written = STANDARD.encode(self.data, Out::from_slice(out.take(length)));
        debug_assert_eq!(written.len(), length);
        out.put(b"\",\"PartitionKey\":\"");
        write_escaped(self.key, out);
        out.put(b"\"}");
    }

    fn cbor_len(&self) -> usize {
        let (text, data, key) = (self.number.text_len(), self.data.len(), self.key.len());
        let heads = [text as u64, self.ms, data as u64, key as u64].map(cbor_head_len);
        CBOR_FIXED + heads.iter().sum::<usize>() + text + data + key
    }

    fn write_cbor(&self, out: &mut Writer) {
        out.put(&[0xA4]);
        cbor_text("SequenceNumber", out);
        cbor_head(3, self.number.text_len() as u64, out);
        self.number.write(out);
        cbor_text("ApproximateArrivalTimestamp", out);
        out.put(&[0xC1]);
        cbor_head(0, self.ms, out);
        cbor_text("Data", out);
        cbor_head(2, self.data.len() as u64, out);
        out.put(self.data);
        cbor_text("PartitionKey", out);
        cbor_text(self.key, out);
    }
}

/// The part of a number that tells index and arrival.
pub fn tail_of(index: u64, arrival_ms: u64) -> Number {
    let low = (u128::from(index) << INDEX_SHIFT) | (u128::from(arrival_ms / 1000) << ARRIVED_SHIFT);
    let mut bytes = [0u8; NUMBER_BYTES];
    bytes[..16].copy_from_slice(&low.to_le_bytes());
    bytes[16..18].copy_from_slice(&((index >> (128 - INDEX_SHIFT)) as u16).to_le_bytes());
    Number::from_le(&bytes)
}

const WRITTEN_JSON: &[u8] = b"{\"SequenceNumber\":\"";
const WRITTEN_CBOR: &[u8] = b"\xA2\x6ESequenceNumber";

/// What stands behind the number of a record that was written to a shard.
pub fn end_written(shard_id: &str, cbor: bool) -> Vec<u8> {
    if !cbor {
        return format!("\",\"ShardId\":\"{shard_id}\"}}").into_bytes();
    }
    let mut end = Vec::new();
    append_cbor_text("ShardId", &mut end);
    append_cbor_text(shard_id, &mut end);
    end
}

/// One item of the answer to PutRecords.
pub fn append_written(end: &[u8], number: &Number, cbor: bool, answer: &mut Vec<u8>) {
    answer.extend_from_slice(if cbor { WRITTEN_CBOR } else { WRITTEN_JSON });
    append_number(number, cbor, answer);
    answer.extend_from_slice(end);
}

/// The text of a number; in CBOR with its head.
pub fn append_number(number: &Number, cbor: bool, bytes: &mut Vec<u8>) {
    let length = number.text_len();
    let at = bytes.len();
    bytes.resize(at + if cbor { cbor_head_len(length as u64) } else { 0 } + length, 0);
    let mut out = Writer::new(&mut bytes[at..]);
    if cbor {
        cbor_head(3, length as u64, &mut out);
    }
    number.write(&mut out);
}

pub fn append_cbor_text(text: &str, bytes: &mut Vec<u8>) {
    let at = bytes.len();
    bytes.resize(at + cbor_head_len(text.len() as u64) + text.len(), 0);
    cbor_text(text, &mut Writer::new(&mut bytes[at..]));
}

const JSON_FIXED: usize = r#"{"SequenceNumber":"","ApproximateArrivalTimestamp":,"Data":"","PartitionKey":""}"#.len();
const CBOR_FIXED: usize = 1 + (1 + 14) + (2 + 27) + 1 + (1 + 4) + (1 + 12); // the map, four names, the tag

/// A short text.
#[derive(Default, Clone, Copy)]
struct Text {
    digits: [u8; 24],
    length: usize,
}

impl Text {
    fn len(&self) -> usize {
        self.length
    }

    fn bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

/// Milliseconds as seconds with as many places as they need.
fn seconds(ms: u64) -> Text {
    let (whole, mut rest) = (ms / 1000, ms % 1000);
    let mut text = Text { length: whole.checked_ilog10().unwrap_or(0) as usize + 1, ..Text::default() };
    write_digits(whole, &mut text.digits[..text.length]);
    if rest > 0 {
        let mut places = 3;
        while rest % 10 == 0 {
            rest /= 10;
            places -= 1;
        }
        text.digits[text.length] = b'.';
        write_digits(rest, &mut text.digits[text.length + 1..text.length + 1 + places]);
        text.length += 1 + places;
    }
    text
}

/// What a byte of a JSON string is written as, if not as itself.
fn escape(byte: u8, hex: &mut [u8; 6]) -> Option<&[u8]> {
    Some(match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        8 => b"\\b",
        9 => b"\\t",
        10 => b"\\n",
        12 => b"\\f",
        13 => b"\\r",
        0..32 => {
            *hex = *b"\\u0000";
            hex[4] = b'0' + (byte >> 4);
            hex[5] = b"0123456789abcdef"[usize::from(byte & 15)];
            hex
        }
        _ => return None,
    })
}

fn is_plain(key: &str) -> bool {
    key.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

fn escaped_len(key: &str) -> usize {
    if is_plain(key) {
        return key.len();
    }
    let mut hex = [0; 6];
    key.bytes().map(|byte| escape(byte, &mut hex).map_or(1, <[u8]>::len)).sum()
}

fn write_escaped(key: &str, out: &mut Writer) {
    if is_plain(key) {
        return out.put(key.as_bytes());
    }
    let mut hex = [0; 6];
    for byte in key.bytes() {
        match escape(byte, &mut hex) {
            Some(escaped) => out.put(escaped),
            None => out.put(&[byte]),
        }
    }
}

fn cbor_head_len(value: u64) -> usize {
    match value {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

fn cbor_head(kind: u8, value: u64, out: &mut Writer) {
    let bytes = value.to_be_bytes();
    let width = cbor_head_len(value) - 1;
    let size = match width {
        0 => value as u8,
        1 => 24,
        2 => 25,
        4 => 26,
        _ => 27,
    };
    out.put(&[kind << 5 | size]);
    out.put(&bytes[8 - width..]);
}

fn cbor_text(text: &str, out: &mut Writer) {
    cbor_head(3, text.len() as u64, out);
    out.put(text.as_bytes());
}
