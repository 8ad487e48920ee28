//! The records of one `PutRecords`, in columns, and their hash keys; the record of one `PutRecord`.

use std::borrow::Cow;

use md5::{Digest, Md5};

pub const COUNT_MAX: usize = 500;
pub const DATA_MAX_BYTES: usize = 10 << 20;
pub const KEY_MAX_CHARS: usize = 256;
pub const NAME_MAX_CHARS: usize = 128;

/// Records end to end.  A request that is not plainly fine never becomes one.
#[derive(Default)]
pub struct Columns {
    pub keys: Vec<u8>,
    pub key_lengths: Vec<u16>,
    pub data: Vec<u8>,
    pub data_lengths: Vec<u32>,
    pub hash_keys: Vec<u128>,
}

impl Columns {
    pub fn len(&self) -> usize {
        self.hash_keys.len()
    }

    /// Take in a record whose data was just put behind `data`, from `data_at` on.
    pub fn push(&mut self, data_at: usize, key: &str, explicit: Option<u128>) -> Option<()> {
        let data_length = self.data.len() - data_at;
        let chars = key.chars().take(KEY_MAX_CHARS + 1).count();
        if self.len() == COUNT_MAX || data_length > DATA_MAX_BYTES || chars == 0 || chars > KEY_MAX_CHARS {
            return None;
        }
        self.hash_keys.push(explicit.unwrap_or_else(|| hash_key(key.as_bytes())));
        self.keys.extend_from_slice(key.as_bytes());
        self.key_lengths.push(u16::try_from(key.len()).ok()?);
        self.data_lengths.push(u32::try_from(data_length).ok()?);
        Some(())
    }

    /// Key and data of each record.
    pub fn records(&self) -> Vec<(&[u8], &[u8])> {
        let (mut keys, mut data) = (self.keys.as_slice(), self.data.as_slice());
        let lengths = self.key_lengths.iter().zip(&self.data_lengths);
        lengths
            .map(|(key_length, data_length)| {
                let (key, keys_left) = keys.split_at(usize::from(*key_length));
                let (blob, data_left) = data.split_at(*data_length as usize);
                (keys, data) = (keys_left, data_left);
                (key, blob)
            })
            .collect()
    }

    /// Bytes of the largest record and of all, keys and data.
    pub fn sizes(&self) -> (usize, usize) {
        let of_each = self.key_lengths.iter().zip(&self.data_lengths).map(|(key, data)| *key as usize + *data as usize);
        (of_each.max().unwrap_or(0), self.keys.len() + self.data.len())
    }
}

/// The record of a `PutRecord` that names stream and partition key, and nothing else.
pub struct Record<'body> {
    pub name: &'body str,
    pub key: Cow<'body, str>,
    pub data: Cow<'body, [u8]>,
}

impl<'body> Record<'body> {
    /// `None` where Python shall look.
    pub fn new(name: &'body [u8], key: Cow<'body, str>, data: Cow<'body, [u8]>) -> Option<Self> {
        let name = std::str::from_utf8(name).ok().filter(|_| is_name(name))?;
        let chars = key.chars().take(KEY_MAX_CHARS + 1).count();
        ((1..=KEY_MAX_CHARS).contains(&chars) && data.len() <= DATA_MAX_BYTES).then_some(Self { name, key, data })
    }

    /// Where it belongs.
    pub fn hash_key(&self) -> u128 {
        hash_key(self.key.as_bytes())
    }
}

/// MD5 of a partition key, as a number.
pub fn hash_key(key: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(key).into())
}

/// An explicit hash key: digits without zeros in front, of 128 bits.
pub fn read_hash_key(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > 39 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0u128, |number, digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        number.checked_mul(10)?.checked_add(u128::from(digit - b'0'))
    })
}

/// Whether a stream may have this name.
pub fn is_name(text: &[u8]) -> bool {
    (1..=NAME_MAX_CHARS).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
