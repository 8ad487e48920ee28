//! Blocks of a journal file joined to those of a segment, as `engines/local/segment.py` joins them, byte by byte.
//!
//! Theory.  `Finder` verifies a journal file in the order in which it lies, and finds the blocks of each log; `Plan` joins them.  A frame or
//! a block that is not sound makes all of the file Python's.

use std::collections::HashMap;

use crate::number::Writer;

const FRAME_MAGIC: u32 = 0x4B54_5350;
const FRAME_KIND: u8 = 2; // RECORDS
const FRAME_HEAD_BYTES: usize = 32;
const CHECKED_FROM: usize = 8;
const LENGTH_AT: usize = 8;
const KIND_AT: usize = 12;
const SECTOR_BYTES: usize = 4096;
const HEAD_BYTES: usize = 32;
const RUN_BYTES: usize = 12;
const LENGTHS_BYTES: usize = 6; // of a record's key and data
const LEAD_BYTES: usize = 8; // of a block in a segment: its checksum and length

/// What `segment.py` joins to.
pub struct Sizes {
    pub target_bytes: usize,
    pub alone_bytes: usize,
}

/// What the index of a segment says of blocks: rows in MessagePack, and what each log has.
#[derive(Default)]
pub struct Told {
    pub index: Vec<u8>,
    pub rows: usize,
    pub ranges: Ranges,
}

/// Columns with a row for each log, little-endian: its number, first offset, end, first and last arrival.
#[derive(Default)]
pub struct Ranges {
    pub columns: [Vec<u8>; 5],
    last_log: Option<u64>,
}

impl Ranges {
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

/// One block of the journal, cut into its columns.
struct Block<'file> {
    body: &'file [u8],
    log: u64,
    incarnation: u32,
    first: u64,
    records: u32,
    runs: &'file [u8],
    key_lengths: &'file [u8],
    data_lengths: &'file [u8],
    keys: &'file [u8],
    data: &'file [u8],
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// How many records, and when they arrived.
fn run_at(runs: &[u8], at: usize) -> (u32, i64) {
    let run = &runs[at..at + RUN_BYTES];
    let (count, arrival) = run.split_at(4);
    (u32::from_le_bytes(count.try_into().expect("4 bytes")), i64::from_le_bytes(arrival.try_into().expect("8 bytes")))
}

impl<'file> Block<'file> {
    /// The block whose body begins at `body_at` of a journal file; its frame was verified.
    fn read(content: &'file [u8], body_at: usize) -> Option<Self> {
        let length = u32_at(content, body_at.checked_sub(FRAME_HEAD_BYTES)? + LENGTH_AT)? as usize;
        Self::cut(content.get(body_at..body_at.checked_add(length)?)?)
    }

    fn cut(body: &'file [u8]) -> Option<Self> {
        let (head, rest) = body.split_at_checked(HEAD_BYTES)?;
        let (records, run_count) = (u32_at(head, 12)?, u32_at(head, 24)?);
        let count = records as usize;
        if run_count == 0 || run_count > records {
            return None;
        }
        let (runs, rest) = rest.split_at_checked(run_count as usize * RUN_BYTES)?;
        let (key_lengths, rest) = rest.split_at_checked(2 * count)?;
        let (data_lengths, rest) = rest.split_at_checked(4 * count)?;
        let keys_bytes =
            key_lengths.chunks_exact(2).map(|each| usize::from(u16::from_le_bytes([each[0], each[1]]))).sum();
        let (keys, data) = rest.split_at_checked(keys_bytes)?;
        let data_bytes: usize = data_lengths
            .chunks_exact(4)
            .map(|each| u32::from_le_bytes(each.try_into().expect("4 bytes")) as usize)
            .sum();
        let (log, incarnation, first) = (u64_at(head, 0)?, u32_at(head, 8)?, u64_at(head, 16)?);
        let block = Self { body, log, incarnation, first, records, runs, key_lengths, data_lengths, keys, data };
        let in_runs: u64 = block.each_run().map(|run| u64::from(run.0)).sum();
        if data_bytes == data.len() && in_runs == u64::from(records) { Some(block) } else { None }
    }

    fn size(&self) -> usize {
        self.keys.len() + self.data.len()
    }

    fn end(&self) -> u64 {
        self.first + u64::from(self.records)
    }

    fn each_run(&self) -> impl Iterator<Item = (u32, i64)> {
        self.runs.chunks_exact(RUN_BYTES).map(|run| run_at(run, 0))
    }

    fn began_ms(&self) -> i64 {
        run_at(self.runs, 0).1
    }

    fn ended_ms(&self) -> i64 {
        run_at(self.runs, self.runs.len() - RUN_BYTES).1
    }
}

/// Blocks of a journal file, and which of them become one.
pub struct Plan<'file> {
    blocks: Vec<Block<'file>>,
    ends: Vec<usize>, // of each block of the segment among them
}

impl<'file> Plan<'file> {
    /// `bodies`: where they begin in the file, eight bytes each, log by log, as `Finder` found them.
    pub fn new(content: &'file [u8], bodies: &[u8], sizes: &Sizes) -> Option<Self> {
        let mut blocks: Vec<Block<'_>> = Vec::with_capacity(bodies.len() / 8);
        let mut ends = Vec::new();
        let mut begin = 0;
        let mut held_bytes = 0;
        for body_at in bodies.chunks_exact(8) {
            let body_at = u64::from_le_bytes(body_at.try_into().expect("8 bytes"));
            let block = Block::read(content, body_at.try_into().ok()?)?;
            if let (Some(first), Some(last)) = (blocks.get(begin), blocks.last()) {
                if first.size().max(block.size()) >= sizes.alone_bytes
                    || held_bytes + block.size() > sizes.target_bytes
                    || (last.log, last.end()) != (block.log, block.first)
                {
                    begin = blocks.len();
                    ends.push(begin);
                    held_bytes = 0;
                }
            }
            held_bytes += block.size();
            blocks.push(block);
        }
        if !blocks.is_empty() {
            ends.push(blocks.len());
        }
        Some(Self { blocks, ends })
    }

    fn joined(&self) -> impl Iterator<Item = &[Block<'file>]> {
        let mut begin = 0;
        self.ends.iter().map(move |end| &self.blocks[std::mem::replace(&mut begin, *end)..*end])
    }

    /// What `write` writes.
    pub fn length(&self) -> usize {
        self.joined().map(|blocks| LEAD_BYTES + body_length(blocks)).sum()
    }

    /// The blocks as they lie in a segment from `at` on, each behind its checksum and length.
    pub fn write(&self, at: usize, out: &mut Writer<'_>) -> Told {
        let mut told = Told::default();
        let mut body_at = at;
        for blocks in self.joined() {
            body_at += LEAD_BYTES;
            let length = body_length(blocks);
            let place = out.take(LEAD_BYTES + length);
            write_body(blocks, &mut Writer::new(&mut place[LEAD_BYTES..]));
            let checksum = crc32c::crc32c(&place[LEAD_BYTES..]);
            place[..4].copy_from_slice(&checksum.to_le_bytes());
            place[4..LEAD_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
            told.add(blocks, body_at, length, checksum);
            body_at += length;
        }
        told
    }
}

impl Told {
    fn add(&mut self, blocks: &[Block<'_>], body_at: usize, length: usize, checksum: u32) {
        let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
        let (began_ms, ended_ms) = (first.began_ms(), last.ended_ms());
        self.ranges.add(first.log, first.first, last.end(), began_ms, ended_ms);
        self.rows += 1;
        self.index.push(0x90 | 8); // an array of eight
        for number in [first.log, first.first, u64::from(records_of(blocks))] {
            pack(number, &mut self.index);
        }
        for moment in [began_ms, ended_ms] {
            pack_signed(moment, &mut self.index);
        }
        for number in [body_at as u64, length as u64, u64::from(checksum)] {
            pack(number, &mut self.index);
        }
    }
}

fn records_of(blocks: &[Block<'_>]) -> u32 {
    blocks.iter().map(|block| block.records).sum()
}

/// Of blocks that become one.
fn body_length(blocks: &[Block<'_>]) -> usize {
    if let [alone] = blocks {
        return alone.body.len();
    }
    let bytes: usize = blocks.iter().map(Block::size).sum();
    HEAD_BYTES + RUN_BYTES * joined_runs(blocks) + LENGTHS_BYTES * records_of(blocks) as usize + bytes
}

fn write_body(blocks: &[Block<'_>], out: &mut Writer<'_>) {
    let first = &blocks[0];
    if blocks.len() == 1 {
        out.put(first.body);
        return;
    }
    let runs = joined_runs(blocks);
    out.put(&first.log.to_le_bytes());
    out.put(&first.incarnation.to_le_bytes());
    out.put(&records_of(blocks).to_le_bytes());
    out.put(&first.first.to_le_bytes());
    out.put(&(runs as u32).to_le_bytes());
    out.put(&[0; 4]);
    write_runs(blocks, out);
    for block in blocks {
        out.put(block.key_lengths);
    }
    for block in blocks {
        out.put(block.data_lengths);
    }
    for block in blocks {
        out.put(block.keys);
    }
    for block in blocks {
        out.put(block.data);
    }
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

/// How many runs are left when those that arrived together have become one.
fn joined_runs(blocks: &[Block<'_>]) -> usize {
    let mut last = None;
    let arrivals = blocks.iter().flat_map(Block::each_run).map(|run| run.1);
    arrivals.filter(|arrival_ms| last.replace(*arrival_ms) != Some(*arrival_ms)).count()
}

fn write_runs(blocks: &[Block<'_>], out: &mut Writer<'_>) {
    let mut held: Option<(u32, i64)> = None;
    let mut put = |run: (u32, i64)| {
        out.put(&run.0.to_le_bytes());
        out.put(&run.1.to_le_bytes());
    };
    for (count, arrival_ms) in blocks.iter().flat_map(Block::each_run) {
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

/// Blocks of whole logs of one stream, enough of them to be worth a call.
pub struct Step {
    pub stream: usize,
    pub bodies: Vec<u8>, // where they begin, eight bytes each
    pub size_bytes: usize,
}

/// Finds the blocks of some logs in a journal file, and verifies every frame of it.
pub struct Finder {
    file_no: u64,
    places: HashMap<u64, (usize, u64)>, // of each log: where it stands among the wanted, and its first offset that is wanted
    streams: Vec<usize>,                // how many of the logs each has
    at: usize,
    found: Vec<(usize, usize, usize)>, // place of the log, of the body, its length
}

impl Finder {
    /// `logs` and `starts`: numbers and first offsets that are wanted, eight bytes each, stream by stream.
    pub fn new(file_no: u64, logs: &[u8], starts: &[u8], streams: Vec<usize>) -> Option<Self> {
        let mut places = HashMap::with_capacity(logs.len() / 8);
        for (place, (log, start)) in logs.chunks_exact(8).zip(starts.chunks_exact(8)).enumerate() {
            places.insert(u64_at(log, 0)?, (place, u64_at(start, 0)?));
        }
        Some(Self { file_no, places, streams, at: SECTOR_BYTES, found: Vec::new() })
    }

    /// Go on by about `step_bytes`; whether there is more to go.  None where Python shall look.
    pub fn walk(&mut self, content: &[u8], step_bytes: usize) -> Option<bool> {
        let end = content.len().min(self.at + step_bytes);
        while self.at < end {
            let Some(length) = length_at(content, self.at, self.file_no) else {
                self.at = blank_to(content, self.at)?;
                continue;
            };
            let frame = content.get(self.at..self.at + FRAME_HEAD_BYTES + length)?;
            if u32_at(frame, 4)? != crc32c::crc32c(&frame[CHECKED_FROM..]) {
                return None;
            }
            if frame[KIND_AT] == FRAME_KIND {
                if let Some(place) = wanted_place(&frame[FRAME_HEAD_BYTES..], &self.places)? {
                    self.found.push((place, self.at + FRAME_HEAD_BYTES, length));
                }
            }
            self.at += frame.len();
        }
        Some(self.at < content.len())
    }

    /// What was found in the order of logs, of whole logs and `step_bytes` or more at a time.
    pub fn steps(&mut self, step_bytes: usize) -> Vec<Step> {
        self.found.sort_unstable();
        cut(&self.found, &self.streams, step_bytes)
    }
}

/// Where the log of a block stands among the wanted, if the block is.
fn wanted_place(body: &[u8], places: &HashMap<u64, (usize, u64)>) -> Option<Option<usize>> {
    let end = u64_at(body, 16)?.checked_add(u64::from(u32_at(body, 12)?))?;
    Some(places.get(&u64_at(body, 0)?).filter(|(_, start)| end > *start).map(|(place, _)| *place))
}

/// How long the body of the frame at `at` is, if one begins there.
fn length_at(content: &[u8], at: usize, file_no: u64) -> Option<usize> {
    let head = content.get(at..at + FRAME_HEAD_BYTES)?;
    let begun = u32_at(head, 0)? == FRAME_MAGIC && u64_at(head, 16)? == file_no;
    if begun { Some(u32_at(head, 8)? as usize) } else { None }
}

/// The end of the sector, if nothing but zeros is up to it.
fn blank_to(content: &[u8], at: usize) -> Option<usize> {
    let end = at.next_multiple_of(SECTOR_BYTES);
    let rest = content.get(at..end)?;
    if !rest.is_empty() && rest.iter().all(|byte| *byte == 0) { Some(end) } else { None }
}

fn cut(found: &[(usize, usize, usize)], streams: &[usize], step_bytes: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = None; // the log of the block before
    let (mut stream, mut stream_end) = (0, streams.first().copied().unwrap_or(0));
    for (place, body_at, length) in found {
        while *place >= stream_end && stream + 1 < streams.len() {
            stream += 1;
            stream_end += streams[stream];
        }
        let full = |step: &Step| step.stream != stream || before != Some(*place) && step.size_bytes >= step_bytes;
        if steps.last().is_none_or(full) {
            steps.push(Step { stream, bodies: Vec::new(), size_bytes: 0 });
        }
        if let Some(step) = steps.last_mut() {
            step.bodies.extend_from_slice(&(*body_at as u64).to_le_bytes());
            step.size_bytes += length;
        }
        before = Some(*place);
    }
    steps
}
