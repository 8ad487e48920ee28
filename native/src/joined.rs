//! Segments made of the blocks of a journal file, as `engines/local/segment.py` builds them, byte by byte.
//!
//! Theory.  A segment is its header, which is Python's, blocks, an index and a trailer.  A block is a front (its checksum and length, head,
//! runs, lengths and keys), which is made here, and data, which is copied when the disk asks for it, once, from where it lies in the journal
//! file to where it is written from: the checksum is made of those that the file was verified by.

use std::ops::Range;
use std::sync::Arc;

use crate::blocks::{Block, Content};
use crate::warm;

pub const LEAD_BYTES: usize = 8; // of a block in a segment: its checksum and length
const WARMED_BLOCKS: usize = 16;
const INDEX_ROW_BYTES: usize = 48; // about, and more than a trailer
const TRAILER_MAGIC: u32 = 0x504B_5347;

/// Bytes of segments.
pub struct Sizes {
    pub header: usize,
    pub segment: usize, // at most
    pub target: usize,  // of a block that others are joined to
    pub alone: usize,   // a block as large as this is not joined
}

/// Columns with a row for each log, little-endian: its number, first offset, end, first and last arrival.
pub struct Ranges {
    pub columns: [Vec<u8>; 5],
    last_log: Option<u64>,
}

impl Ranges {
    fn with_capacity(rows: usize) -> Self {
        Self { columns: std::array::from_fn(|_| Vec::with_capacity(8 * rows)), last_log: None }
    }

    /// Blocks of one log follow each other.
    fn add(&mut self, log: u64, first: u64, end: u64, began_ms: i64, ended_ms: i64) {
        let [logs, firsts, ends, begins, lasts] = &mut self.columns;
        if self.last_log == Some(log) {
            ends.truncate(ends.len() - 8);
            lasts.truncate(lasts.len() - 8);
        } else {
            self.last_log = Some(log);
            logs.extend_from_slice(&log.to_le_bytes());
            firsts.extend_from_slice(&first.to_le_bytes());
            begins.extend_from_slice(&began_ms.to_le_bytes());
        }
        ends.extend_from_slice(&end.to_le_bytes());
        lasts.extend_from_slice(&ended_ms.to_le_bytes());
    }
}

/// All of a segment behind its header, yet to be written.
pub struct Joined {
    content: Arc<Content>,
    rows: Vec<Row>,
    index: Index,
    fronts: Vec<u8>,          // end to end
    parts: Vec<Range<usize>>, // of the file: what follows the fronts
    left: usize,              // bytes
    row: usize,               // under way
    front: usize,
    part: usize,
    part_at: usize, // in it
}

/// A block of the segment: where its front ends, and its parts.
struct Row {
    front_end: usize,
    part_end: usize,
}

impl Joined {
    /// `blocks`: log by log, as `Finder` found them in the file.
    pub fn new(content: &Arc<Content>, blocks: &[Block], sizes: &Sizes) -> Self {
        let ends = ends(blocks, sizes);
        let mut joined = Self {
            content: Arc::clone(content),
            rows: Vec::with_capacity(ends.len()),
            fronts: Vec::with_capacity(fronts_bytes(blocks)),
            parts: Vec::with_capacity(blocks.len()),
            index: Index::with_capacity(ends.len()),
            left: 0,
            row: 0,
            front: 0,
            part: 0,
            part_at: 0,
        };
        let (mut begin, mut ahead) = (0, 0);
        for end in ends {
            if end > ahead {
                ahead = blocks.len().min(end + WARMED_BLOCKS);
                let fronts = blocks[begin..ahead].iter();
                warm(fronts.map(|block| content[block.body().start] ^ content[block.data().start - 1]));
            }
            joined.add(&blocks[begin..end], content, sizes.header);
            begin = end;
        }
        joined.finish(sizes.header);
        joined
    }

    /// The index and the trailer, behind all blocks.
    fn finish(&mut self, at: usize) {
        let tail = self.index.finish(at + self.left);
        self.left += tail.len();
        self.fronts.extend(tail);
        self.rows.push(Row { front_end: self.fronts.len(), part_end: self.parts.len() });
    }

    /// Blocks that become one, behind the others; the first lies at `at` of the segment.
    fn add(&mut self, blocks: &[Block], file: &[u8], at: usize) {
        let (front, part) = (self.fronts.len(), self.parts.len());
        self.fronts.extend_from_slice(&[0; LEAD_BYTES]);
        let checksum = if let [alone] = blocks {
            self.parts.push(alone.body());
            alone.checksum_with_data(crc32c::crc32c(&file[alone.body().start..alone.data().start]), file)
        } else {
            add_front(blocks, file, &mut self.fronts);
            self.parts.extend(blocks.iter().map(Block::data));
            let before = crc32c::crc32c(&self.fronts[front + LEAD_BYTES..]);
            blocks.iter().fold(before, |sum, block| block.checksum_with_data(sum, file))
        };
        let size_bytes = self.fronts.len() - front + self.parts[part..].iter().map(Range::len).sum::<usize>();
        let lead = &mut self.fronts[front..front + LEAD_BYTES];
        lead[..4].copy_from_slice(&checksum.to_le_bytes());
        lead[4..].copy_from_slice(&((size_bytes - LEAD_BYTES) as u32).to_le_bytes());
        self.index.add(blocks, at + self.left + LEAD_BYTES, size_bytes - LEAD_BYTES, checksum);
        self.rows.push(Row { front_end: self.fronts.len(), part_end: self.parts.len() });
        self.left += size_bytes;
    }

    /// Bytes that are yet to be written.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Of the index.
    pub fn checksum(&self) -> u32 {
        self.index.checksum
    }

    pub fn ranges(&self) -> &Ranges {
        &self.index.ranges
    }

    /// Go on writing the blocks as they lie in a segment, each behind its checksum and length; how many bytes found room, 0 at the end.
    pub fn fill(&mut self, room: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < room.len() {
            let Some(row) = self.rows.get(self.row) else { break };
            let (front, room) = (&self.fronts[self.front..row.front_end], &mut room[filled..]);
            let count;
            if !front.is_empty() {
                count = copy(front, room);
                self.front += count;
            } else if self.part < row.part_end {
                let part = self.parts[self.part].clone();
                count = copy(&self.content[part.start + self.part_at..part.end], room);
                self.part_at += count;
                if self.part_at == part.len() {
                    (self.part, self.part_at) = (self.part + 1, 0);
                }
            } else {
                count = 0;
                self.row += 1;
            }
            filled += count;
        }
        self.left -= filled;
        filled
    }
}

/// As many bytes as find room.
fn copy(from: &[u8], room: &mut [u8]) -> usize {
    let count = room.len().min(from.len());
    room[..count].copy_from_slice(&from[..count]);
    count
}

/// Which blocks become one: where each of them ends.
fn ends(blocks: &[Block], sizes: &Sizes) -> Vec<usize> {
    let mut ends = Vec::new();
    let (mut begin, mut held_bytes) = (0, 0);
    for (place, block) in blocks.iter().enumerate() {
        if place > begin {
            let (first, last) = (&blocks[begin], &blocks[place - 1]);
            if first.size().max(block.size()) >= sizes.alone
                || held_bytes + block.size() > sizes.target
                || (last.log, last.end()) != (block.log, block.first)
            {
                ends.push(place);
                (begin, held_bytes) = (place, 0);
            }
        }
        held_bytes += block.size();
    }
    if !blocks.is_empty() {
        ends.push(blocks.len());
    }
    ends
}

/// What a segment says of its blocks, and the logs' ranges in it.
struct Index {
    rows: Vec<u8>, // in MessagePack
    count: usize,
    ranges: Ranges,
    checksum: u32,
}

impl Index {
    fn with_capacity(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(INDEX_ROW_BYTES * rows),
            count: 0,
            ranges: Ranges::with_capacity(rows),
            checksum: 0,
        }
    }

    /// The index, which begins at `at` of the segment, and the trailer behind it.
    fn finish(&mut self, at: usize) -> Vec<u8> {
        let mut tail = Vec::with_capacity(self.rows.len() + INDEX_ROW_BYTES);
        match self.count {
            0..0x10 => tail.push(0x90 | self.count as u8),
            0x10..0x1_0000 => put(0xdc, &(self.count as u16).to_be_bytes(), &mut tail),
            _ => put(0xdd, &(self.count as u32).to_be_bytes(), &mut tail),
        }
        tail.append(&mut std::mem::take(&mut self.rows));
        self.checksum = crc32c::crc32c(&tail);
        let length = tail.len() as u64;
        tail.extend_from_slice(&(at as u64).to_le_bytes());
        tail.extend_from_slice(&length.to_le_bytes());
        tail.extend_from_slice(&self.checksum.to_le_bytes());
        tail.extend_from_slice(&TRAILER_MAGIC.to_le_bytes());
        tail
    }

    fn add(&mut self, blocks: &[Block], body_at: usize, length: usize, checksum: u32) {
        let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
        let (began_ms, ended_ms) = (first.began_ms, last.ended_ms);
        self.ranges.add(first.log, first.first, last.end(), began_ms, ended_ms);
        self.count += 1;
        self.rows.push(0x90 | 8); // an array of eight
        for number in [first.log, first.first, u64::from(records_of(blocks))] {
            pack(number, &mut self.rows);
        }
        for moment in [began_ms, ended_ms] {
            pack_signed(moment, &mut self.rows);
        }
        for number in [body_at as u64, length as u64, u64::from(checksum)] {
            pack(number, &mut self.rows);
        }
    }
}

fn records_of(blocks: &[Block]) -> u32 {
    blocks.iter().map(|block| block.records).sum()
}

/// What the fronts of some blocks take, at most.
fn fronts_bytes(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| LEAD_BYTES + block.data().start - block.body().start).sum()
}

type Column = fn(&Block) -> Range<usize>;

/// What follows the runs, but for the data.
const COLUMNS: [Column; 3] = [Block::key_lengths, Block::data_lengths, Block::keys];

/// All but the data of the block that they become.
fn add_front(blocks: &[Block], file: &[u8], front: &mut Vec<u8>) {
    let first = &blocks[0];
    front.extend_from_slice(&first.log.to_le_bytes());
    front.extend_from_slice(&first.incarnation.to_le_bytes());
    front.extend_from_slice(&records_of(blocks).to_le_bytes());
    front.extend_from_slice(&first.first.to_le_bytes());
    front.extend_from_slice(&(joined_runs(blocks, file) as u32).to_le_bytes());
    front.extend_from_slice(&[0; 4]);
    write_runs(blocks, file, front);
    for range in COLUMNS.iter().flat_map(|column| blocks.iter().map(column)) {
        front.extend_from_slice(&file[range]);
    }
}

/// How many runs are left when those that arrived together have become one.
fn joined_runs(blocks: &[Block], file: &[u8]) -> usize {
    let mut last = None;
    let arrivals = blocks.iter().flat_map(|block| block.each_run(file)).map(|run| run.1);
    arrivals.filter(|arrival_ms| last.replace(*arrival_ms) != Some(*arrival_ms)).count()
}

fn write_runs(blocks: &[Block], file: &[u8], out: &mut Vec<u8>) {
    let mut held: Option<(u32, i64)> = None;
    let mut put = |run: (u32, i64)| {
        out.extend_from_slice(&run.0.to_le_bytes());
        out.extend_from_slice(&run.1.to_le_bytes());
    };
    for (count, arrival_ms) in blocks.iter().flat_map(|block| block.each_run(file)) {
        held = match held {
            Some(last) if last.1 == arrival_ms => Some((last.0 + count, arrival_ms)),
            last => {
                last.map(&mut put);
                Some((count, arrival_ms))
            }
        };
    }
    held.map(put);
}

/// A number in MessagePack, as short as it can be.
fn pack(number: u64, out: &mut Vec<u8>) {
    match number {
        0..0x80 => out.push(number as u8),
        0x80..0x100 => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..0x1_0000 => put(0xcd, &(number as u16).to_be_bytes(), out),
        0x1_0000..0x1_0000_0000 => put(0xce, &(number as u32).to_be_bytes(), out),
        _ => put(0xcf, &number.to_be_bytes(), out),
    }
}

fn pack_signed(number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    match number {
        0.. => pack(u64::from_be_bytes(bytes), out),
        -0x20..0 => out.push(bytes[7]),
        -0x80..-0x20 => put(0xd0, &bytes[7..], out),
        -0x8000..-0x80 => put(0xd1, &bytes[6..], out),
        -0x8000_0000..-0x8000 => put(0xd2, &bytes[4..], out),
        _ => put(0xd3, &bytes, out),
    }
}

fn put(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(bytes);
}
