//! CRC-32C of bytes that lie end to end, from that of each part.
//!
//! Theory.  A checksum is a polynomial over GF(2) modulo Castagnoli's, its lowest power in the highest bit.  A byte that follows multiplies
//! it by x^8; so many bytes, by a power that is the product of one from each row of a table.

const CASTAGNOLI: u32 = 0x82F6_3B78;
const ONE: u32 = 1 << 31;

/// In row r, at n: x^(8 n 256^r).
static POWERS: [[u32; 256]; 4] = powers();

/// At a byte: what it becomes when it is shifted out.
static BYTES: [u32; 256] = bytes();

const fn times_x(polynomial: u32) -> u32 {
    polynomial >> 1 ^ CASTAGNOLI & (polynomial & 1).wrapping_neg()
}

const fn bytes() -> [u32; 256] {
    let (mut row, mut at) = ([0; 256], 0);
    while at < 256 {
        let (mut byte, mut power) = (at as u32, 0);
        while power < 8 {
            byte = times_x(byte);
            power += 1;
        }
        row[at] = byte;
        at += 1;
    }
    row
}

const fn times_x8(polynomial: u32) -> u32 {
    polynomial >> 8 ^ BYTES[(polynomial & 0xff) as usize]
}

/// In four lanes, a byte of `left` each: one alone would be a chain of 32 steps that wait for each other.
const fn product(left: u32, right: u32) -> u32 {
    let second = times_x8(right);
    let third = times_x8(second);
    let mut shifted = [right, second, third, times_x8(third)];
    let (mut sums, mut power) = ([0; 4], 0);
    while power < 8 {
        let mut lane = 0;
        while lane < 4 {
            sums[lane] ^= shifted[lane] & (left >> (31 - 8 * lane - power) & 1).wrapping_neg();
            shifted[lane] = times_x(shifted[lane]);
            lane += 1;
        }
        power += 1;
    }
    sums[0] ^ sums[1] ^ sums[2] ^ sums[3]
}

const fn powers() -> [[u32; 256]; 4] {
    let mut rows = [[ONE; 256]; 4];
    let (mut step, mut row) = (ONE >> 8, 0);
    while row < 4 {
        let mut at = 1;
        while at < 256 {
            rows[row][at] = product(rows[row][at - 1], step);
            at += 1;
        }
        step = product(rows[row][255], step);
        row += 1;
    }
    rows
}

/// Of `first` and then `second_bytes` whose checksum is `second`.  Cost: 0.1 us.
pub fn end_to_end(first: u32, second: u32, second_bytes: u32) -> u32 {
    let digits = POWERS.iter().zip(second_bytes.to_le_bytes()).filter(|(_, digit)| *digit != 0);
    digits.fold(first, |shifted, (row, digit)| product(row[usize::from(digit)], shifted)) ^ second
}
