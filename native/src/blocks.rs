//! Blocks of a journal file joined to those of a segment, as `engines/local/segment.py` joins them, byte by byte.
//!
//! Theory.  What is here is many small blocks; a frame or a block that is not sound makes all of it Python's.

const FRAME_MAGIC: u32 = 0x4B54_5350;
const FRAME_KIND: u8 = 2; // RECORDS
const FRAME_HEAD_BYTES: usize = 32;
const CHECKED_FROM: usize = 8;
const HEAD_BYTES: usize = 32;
const RUN_BYTES: usize = 12;

/// What `segment.py` joins to.
pub struct Sizes {
    pub target_bytes: usize,
    pub alone_bytes: usize,
}

/// Blocks as they lie in a segment, each behind its checksum and length; their rows of its index, in MessagePack; what each log has.
#[derive(Default)]
pub struct Joined {
    pub bytes: Vec<u8>,
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
    runs: Vec<(u32, i64)>,
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

impl<'file> Block<'file> {
    /// The block whose body begins at `body_at` of a journal file.
    fn read(content: &'file [u8], file_no: u64, body_at: usize) -> Option<Self> {
        let at = body_at.checked_sub(FRAME_HEAD_BYTES)?;
        let length = u32_at(content, at + 8)? as usize;
        let frame = content.get(at..body_at.checked_add(length)?)?;
        let sound = u32_at(frame, 0)? == FRAME_MAGIC
            && frame[12] == FRAME_KIND
            && u64_at(frame, 16)? == file_no
            && u32_at(frame, 4)? == crc32c::crc32c(&frame[CHECKED_FROM..]);
        if sound { Self::cut(&frame[FRAME_HEAD_BYTES..]) } else { None }
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
        let runs: Vec<_> = runs
            .chunks_exact(RUN_BYTES)
            .map(|run| Some((u32_at(run, 0)?, i64::from_le_bytes(run[4..].try_into().ok()?))))
            .collect::<Option<_>>()?;
        if data_bytes != data.len() || runs.iter().map(|run| u64::from(run.0)).sum::<u64>() != u64::from(records) {
            return None;
        }
        let (log, incarnation, first) = (u64_at(head, 0)?, u32_at(head, 8)?, u64_at(head, 16)?);
        Some(Self { body, log, incarnation, first, records, runs, key_lengths, data_lengths, keys, data })
    }

    fn size(&self) -> usize {
        self.keys.len() + self.data.len()
    }

    fn end(&self) -> u64 {
        self.first + u64::from(self.records)
    }
}

/// Blocks joined, to lie in a segment from `at` on.  `bodies`: where they begin in the file, eight bytes each, log by log.
pub fn join(content: &[u8], file_no: u64, bodies: &[u8], at: usize, sizes: &Sizes) -> Option<Joined> {
    let mut joined = Joined::default();
    let mut held: Vec<Block<'_>> = Vec::new();
    let mut held_bytes = 0;
    for body_at in bodies.chunks_exact(8) {
        let body_at = u64::from_le_bytes(body_at.try_into().expect("8 bytes"));
        let block = Block::read(content, file_no, body_at.try_into().ok()?)?;
        if let (Some(first), Some(last)) = (held.first(), held.last()) {
            if first.size().max(block.size()) >= sizes.alone_bytes
                || held_bytes + block.size() > sizes.target_bytes
                || (last.log, last.end()) != (block.log, block.first)
            {
                write(&held, at, &mut joined);
                held.clear();
                held_bytes = 0;
            }
        }
        held_bytes += block.size();
        held.push(block);
    }
    if !held.is_empty() {
        write(&held, at, &mut joined);
    }
    Some(joined)
}

/// One block of blocks that follow each other.
fn write(blocks: &[Block<'_>], at: usize, joined: &mut Joined) {
    let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
    let records: u32 = blocks.iter().map(|block| block.records).sum();
    let out = &mut joined.bytes;
    let lead_at = out.len();
    out.extend_from_slice(&[0; 8]);
    let body_at = out.len();
    write_body(blocks, records, out);
    let length = out.len() - body_at;
    let checksum = crc32c::crc32c(&out[body_at..]);
    out[lead_at..lead_at + 4].copy_from_slice(&checksum.to_le_bytes());
    out[lead_at + 4..body_at].copy_from_slice(&(length as u32).to_le_bytes());
    let (began_ms, ended_ms) = (first.runs[0].1, last.runs[last.runs.len() - 1].1);
    joined.ranges.add(first.log, first.first, first.first + u64::from(records), began_ms, ended_ms);
    joined.rows += 1;
    let index = &mut joined.index;
    index.push(0x90 | 8); // an array of eight
    for number in [first.log, first.first, u64::from(records)] {
        pack(number, index);
    }
    for moment in [began_ms, ended_ms] {
        pack_signed(moment, index);
    }
    for number in [(at + body_at) as u64, length as u64, u64::from(checksum)] {
        pack(number, index);
    }
}

fn write_body(blocks: &[Block<'_>], records: u32, out: &mut Vec<u8>) {
    let first = &blocks[0];
    if blocks.len() == 1 {
        out.extend_from_slice(first.body);
        return;
    }
    let runs = joined_runs(blocks);
    out.extend_from_slice(&first.log.to_le_bytes());
    out.extend_from_slice(&first.incarnation.to_le_bytes());
    out.extend_from_slice(&records.to_le_bytes());
    out.extend_from_slice(&first.first.to_le_bytes());
    out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for (count, arrival_ms) in runs {
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&arrival_ms.to_le_bytes());
    }
    for column in [
        |block: &Block<'_>| block.key_lengths,
        |block: &Block<'_>| block.data_lengths,
        |block: &Block<'_>| block.keys,
        |block: &Block<'_>| block.data,
    ] as [for<'a> fn(&Block<'a>) -> &'a [u8]; 4]
    {
        for block in blocks {
            out.extend_from_slice(column(block));
        }
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

fn joined_runs(blocks: &[Block<'_>]) -> Vec<(u32, i64)> {
    let mut runs: Vec<(u32, i64)> = Vec::new();
    for (count, arrival_ms) in blocks.iter().flat_map(|block| &block.runs) {
        match runs.last_mut() {
            Some(last) if last.1 == *arrival_ms => last.0 += count,
            _ => runs.push((*count, *arrival_ms)),
        }
    }
    runs
}
