//! Sequence numbers as decimal text, each a fixed step above the one before.
//!
//! Theory.  A number of up to 192 bits is kept as four digits of base 10^19, so that a step is an addition with carries and the text is
//! three or four words printed, where a division of the whole number would cost ten times as much.

const BASE: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;
const CHUNKS: usize = 4;
pub const NUMBER_BYTES: usize = 24; // little-endian, of a number that comes from Python

/// A number, least digit first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number([u64; CHUNKS]);

impl Number {
    /// From little-endian bytes.
    pub fn from_le(bytes: &[u8; NUMBER_BYTES]) -> Self {
        let mut words = [0u64; 3];
        for (word, piece) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(piece.try_into().expect("a chunk of eight bytes"));
        }
        let mut digits = [0u64; CHUNKS];
        for digit in &mut digits {
            let mut rest = 0u64;
            for word in words.iter_mut().rev() {
                let value = (u128::from(rest) << 64) | u128::from(*word);
                *word = (value / u128::from(BASE)) as u64;
                rest = (value % u128::from(BASE)) as u64;
            }
            *digit = rest;
        }
        Self(digits)
    }

    /// 2 to the power of `shift`, which is below 192.
    pub fn power(shift: u32) -> Self {
        let mut bytes = [0u8; NUMBER_BYTES];
        bytes[(shift / 8) as usize] = 1 << (shift % 8);
        Self::from_le(&bytes)
    }

    pub fn plus(mut self, other: &Self) -> Self {
        let mut carry = 0u64;
        for (digit, more) in self.0.iter_mut().zip(other.0) {
            let sum = u128::from(*digit) + u128::from(more) + u128::from(carry);
            carry = u64::from(sum >= u128::from(BASE));
            *digit = if carry == 1 { (sum - u128::from(BASE)) as u64 } else { sum as u64 };
        }
        self
    }

    /// So many of it.
    pub fn times(mut self, count: u64) -> Self {
        let mut carry = 0u64;
        for digit in &mut self.0 {
            let product = u128::from(*digit) * u128::from(count) + u128::from(carry);
            (*digit, carry) = match u64::try_from(product) {
                Ok(low) if low < BASE => (low, 0),
                _ => ((product % u128::from(BASE)) as u64, (product / u128::from(BASE)) as u64),
            };
        }
        self
    }

    /// How long its text is.
    pub fn text_len(&self) -> usize {
        let top = self.0.iter().rposition(|digit| *digit != 0).unwrap_or(0);
        top * CHUNK_DIGITS + self.0[top].checked_ilog10().unwrap_or(0) as usize + 1
    }

    pub fn write(&self, out: &mut Writer) {
        let mut text = [0; CHUNKS * CHUNK_DIGITS + DIGITS - CHUNK_DIGITS];
        let (length, mut end) = (self.text_len(), text.len());
        let begin = end - length;
        for digit in self.0 {
            if end <= begin {
                break;
            }
            text[end - DIGITS..end].copy_from_slice(&digits_of(digit)); // the zeros in front are written over by the next
            end -= CHUNK_DIGITS;
        }
        out.put(&text[begin..]);
    }
}

/// `value` in decimal, with zeros in front until `place` is full.
pub fn write_digits(value: u64, place: &mut [u8]) {
    place.copy_from_slice(&digits_of(value)[DIGITS - place.len()..]);
}

const DIGITS: usize = 24; // three times eight, of which a value has twenty at most

/// `value` in decimal, in parts that do not wait for each other.
fn digits_of(value: u64) -> [u8; DIGITS] {
    const EIGHT: u64 = 100_000_000;
    let mut digits = [0; DIGITS];
    let parts = [value / (EIGHT * EIGHT), value / EIGHT % EIGHT, value % EIGHT];
    for (place, part) in digits.chunks_exact_mut(8).zip(parts) {
        place.copy_from_slice(&eight_digits(part));
    }
    digits
}

/// A value below 10^8 in eight digits: split in two, four and eight, all parts of a step in one multiplication.
///
/// 10,486 / 2^20 is a hundredth for every value below 10,000, and 103 / 2^10 a tenth for every one below 100.
fn eight_digits(value: u64) -> [u8; 8] {
    let fours = (value / 10_000) | (value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    let ones = tens | (twos - 10 * tens) << 8;
    (ones + 0x3030_3030_3030_3030).to_le_bytes()
}

/// Fills a buffer from its front.  What is written was measured before; more than fits is a bug, and panics.
pub struct Writer<'buffer> {
    buffer: &'buffer mut [u8],
    at: usize,
}

impl<'buffer> Writer<'buffer> {
    pub fn new(buffer: &'buffer mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub fn take(&mut self, length: usize) -> &mut [u8] {
        let start = self.at;
        self.at += length;
        &mut self.buffer[start..self.at]
    }

    pub fn put(&mut self, bytes: &[u8]) {
        self.take(bytes.len()).copy_from_slice(bytes);
    }

    pub fn written(&self) -> usize {
        self.at
    }

    pub fn room(&self) -> usize {
        self.buffer.len() - self.at
    }

    pub fn is_full(&self) -> bool {
        self.at == self.buffer.len()
    }
}
