//! Blocks of a journal file joined to those of a segment, as `engines/local/segment.py` joins them, byte by byte.
//!
//! Theory.  What the index of a segment says of blocks is known before they are copied: their checksums are made of those that the file was
//! verified by.  So they are copied when the disk asks for them, once, to where it writes from.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::blocks::{Block, Content, HEAD_BYTES, LENGTHS_BYTES, RUN_BYTES};

const LEAD_BYTES: usize = 8; // of a block in a segment: its checksum and length

const INDEX_ROW_BYTES: usize = 48; // about

/// What `segment.py` joins to.
pub struct Sizes {
    pub target_bytes: usize,
    pub alone_bytes: usize,
}

/// What the index of a segment says of blocks: rows in MessagePack, and what each log has.
pub struct Told {
    pub index: Vec<u8>,
    pub rows: usize,
    pub ranges: Ranges,
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

/// Blocks of a journal file, some of them joined, that are yet to be written.
pub struct Joined {
    content: Arc<Content>,
    blocks: Vec<Block>,
    rows: Vec<Row>,
    left: usize,                   // bytes
    begun: usize,                  // of the rows
    front: Vec<u8>,                // of the row under way: what does not lie in the file
    front_at: usize,               // up to where it is written
    parts: VecDeque<Range<usize>>, // what is left of it in the file
}

/// A block of the segment.
struct Row {
    begin: usize, // of those of the journal that it is made of
    end: usize,
    length: usize,
    checksum: u32,
}

impl Joined {
    /// `blocks`: log by log, as `Finder` found them in the file.
    pub fn new(content: Arc<Content>, blocks: Vec<Block>, sizes: &Sizes) -> Self {
        let ends = ends(&blocks, sizes);
        let mut rows = Vec::with_capacity(ends.len());
        let (mut begin, mut small) = (0, Vec::new());
        for end in ends {
            let part = &blocks[begin..end];
            let checksum = checksum_of(part, &content, &mut small);
            rows.push(Row { begin, end, length: body_length(part, &content), checksum });
            begin = end;
        }
        let left = rows.iter().map(|row| LEAD_BYTES + row.length).sum();
        Self { content, blocks, rows, left, begun: 0, front: Vec::new(), front_at: 0, parts: VecDeque::new() }
    }

    /// Bytes that are yet to be written.
    pub fn left(&self) -> usize {
        self.left
    }

    /// What the index says where the first block begins at `at` of the segment.
    pub fn told(&self, at: usize) -> Told {
        let mut told = Told::with_capacity(self.rows.len());
        let mut body_at = at;
        for row in &self.rows {
            body_at += LEAD_BYTES;
            told.add(&self.blocks[row.begin..row.end], &self.content, body_at, row);
            body_at += row.length;
        }
        told
    }

    /// Go on writing the blocks as they lie in a segment, each behind its checksum and length; how many bytes found room, 0 at the end.
    pub fn fill(&mut self, room: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < room.len() && self.begin() {
            filled += self.go_on(&mut room[filled..]);
        }
        self.left -= filled;
        filled
    }

    /// See to it that a row is under way, if there is any left.
    fn begin(&mut self) -> bool {
        if self.is_between() && self.begun < self.rows.len() {
            let row = &self.rows[self.begun];
            let blocks = &self.blocks[row.begin..row.end];
            self.front.clear();
            self.front_at = 0;
            self.front.extend_from_slice(&row.checksum.to_le_bytes());
            self.front.extend_from_slice(&(row.length as u32).to_le_bytes());
            if let [alone] = blocks {
                self.parts.push_back(alone.body());
            } else {
                add_front(blocks, &self.content, &mut self.front);
                self.parts.extend(COLUMNS.iter().flat_map(|column| blocks.iter().map(column)));
            }
            self.begun += 1;
        }
        !self.is_between()
    }

    fn is_between(&self) -> bool {
        self.front_at == self.front.len() && self.parts.is_empty()
    }

    fn go_on(&mut self, room: &mut [u8]) -> usize {
        let front = &self.front[self.front_at..];
        if !front.is_empty() {
            let count = room.len().min(front.len());
            room[..count].copy_from_slice(&front[..count]);
            self.front_at += count;
            return count;
        }
        let Some(part) = self.parts.front_mut() else { return 0 };
        let count = room.len().min(part.len());
        room[..count].copy_from_slice(&self.content[part.start..part.start + count]);
        part.start += count;
        if part.start == part.end {
            self.parts.pop_front();
        }
        count
    }
}

/// Which blocks become one: where each of them ends.
fn ends(blocks: &[Block], sizes: &Sizes) -> Vec<usize> {
    let mut ends = Vec::new();
    let (mut begin, mut held_bytes) = (0, 0);
    for (place, block) in blocks.iter().enumerate() {
        if place > begin {
            let (first, last) = (&blocks[begin], &blocks[place - 1]);
            if first.size().max(block.size()) >= sizes.alone_bytes
                || held_bytes + block.size() > sizes.target_bytes
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

impl Told {
    fn with_capacity(rows: usize) -> Self {
        Self { index: Vec::with_capacity(INDEX_ROW_BYTES * rows), rows: 0, ranges: Ranges::with_capacity(rows) }
    }

    fn add(&mut self, blocks: &[Block], file: &[u8], body_at: usize, row: &Row) {
        let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
        let (began_ms, ended_ms) = (first.began_ms(file), last.ended_ms(file));
        self.ranges.add(first.log, first.first, last.end(), began_ms, ended_ms);
        self.rows += 1;
        self.index.push(0x90 | 8); // an array of eight
        for number in [first.log, first.first, u64::from(records_of(blocks))] {
            pack(number, &mut self.index);
        }
        for moment in [began_ms, ended_ms] {
            pack_signed(moment, &mut self.index);
        }
        for number in [body_at as u64, row.length as u64, u64::from(row.checksum)] {
            pack(number, &mut self.index);
        }
    }
}

fn records_of(blocks: &[Block]) -> u32 {
    blocks.iter().map(|block| block.records).sum()
}

/// Of blocks that become one.
fn body_length(blocks: &[Block], file: &[u8]) -> usize {
    if let [alone] = blocks {
        return alone.body().len();
    }
    let bytes: usize = blocks.iter().map(Block::size).sum();
    front_length(blocks, file) + LENGTHS_BYTES * records_of(blocks) as usize + bytes
}

/// Of head and runs.
fn front_length(blocks: &[Block], file: &[u8]) -> usize {
    HEAD_BYTES + RUN_BYTES * joined_runs(blocks, file)
}

type Column = fn(&Block) -> Range<usize>;

/// In their order; data is the last.
const COLUMNS: [Column; 4] = [Block::key_lengths, Block::data_lengths, Block::keys, Block::data];

/// `small`: room for all but the data.
fn checksum_of(blocks: &[Block], file: &[u8], small: &mut Vec<u8>) -> u32 {
    if let [alone] = blocks {
        let before = crc32c::crc32c(&file[alone.body().start..alone.data().start]);
        return alone.checksum_with_data(before, file);
    }
    small.clear();
    add_front(blocks, file, small);
    for range in COLUMNS[..3].iter().flat_map(|column| blocks.iter().map(column)) {
        small.extend_from_slice(&file[range]);
    }
    blocks.iter().fold(crc32c::crc32c(small), |sum, block| block.checksum_with_data(sum, file))
}

/// Head and runs of the block that they become.
fn add_front(blocks: &[Block], file: &[u8], front: &mut Vec<u8>) {
    let first = &blocks[0];
    front.extend_from_slice(&first.log.to_le_bytes());
    front.extend_from_slice(&first.incarnation.to_le_bytes());
    front.extend_from_slice(&records_of(blocks).to_le_bytes());
    front.extend_from_slice(&first.first.to_le_bytes());
    front.extend_from_slice(&(joined_runs(blocks, file) as u32).to_le_bytes());
    front.extend_from_slice(&[0; 4]);
    write_runs(blocks, file, front);
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
