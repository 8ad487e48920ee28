//! Blocks of a journal file, found in the order in which it lies.
//!
//! Theory.  `Finder` takes a journal file piece by piece, verifies it while a piece is in the processor's cache, and finds the blocks of each
//! log.  What is needed of a block more than once is noted then: later its memory is cold.  When the file is whole, the blocks of each stream
//! become segments.  A frame or a block that is not sound makes all of the file Python's.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::checksums::end_to_end;
use crate::joined::{Joined, LEAD_BYTES, Sizes};
use crate::roster::Logs;

const FRAME_MAGIC: u32 = 0x4B54_5350;
const FRAME_KIND: u8 = 2; // RECORDS
const FRAME_HEAD_BYTES: usize = 32;
const CHECKED_FROM: usize = 8;
const KIND_AT: usize = 12;
const SECTOR_BYTES: usize = 4096;
pub const HEAD_BYTES: usize = 32;
pub const RUN_BYTES: usize = 12;
const KEY_LENGTH_BYTES: usize = 2;
const DATA_LENGTH_BYTES: usize = 4;
const READ_BYTES: usize = 512 << 10; // at a time: what was read is verified while it is in the cache
const CHECKED_ONCE_BYTES: usize = 512; // of data whose checksum is kept: to make one of less again costs no more than to join two

/// Memory that journal files are read into, one after the other: fresh pages cost several times the copy.
#[derive(Default)]
pub struct Memory(Arc<Spare>);

type Spare = Mutex<Vec<Vec<u8>>>;

/// What was read of a journal file.  Its memory is used again once nobody needs it.
pub struct Content {
    bytes: Vec<u8>,
    end: usize, // up to where they are the file's
    home: Weak<Spare>,
}

impl Memory {
    fn content(&self, size_bytes: usize) -> Content {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        bytes.resize(size_bytes.max(bytes.len()), 0);
        Content { bytes, end: 0, home: Arc::downgrade(&self.0) }
    }
}

impl Content {
    /// Take what `read` gives, up to `most` bytes; how many.
    fn append(&mut self, most: usize, read: impl FnOnce(&mut [u8], u64) -> io::Result<usize>) -> io::Result<usize> {
        let wanted = self.end + most;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let count = read(&mut self.bytes[self.end..wanted], self.end as u64)?;
        self.end += count;
        Ok(count)
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.end]
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.bytes));
        }
    }
}

/// One block of a journal file: what its head says, and where its columns lie.
#[derive(Clone)]
pub struct Block {
    at: usize, // of its body in the file
    pub log: u64,
    pub first: u64,
    pub began_ms: i64,
    pub ended_ms: i64,
    place: u32, // of its log, once that was looked for
    pub incarnation: u32,
    pub records: u32,
    run_count: u32,
    keys_bytes: u32,
    data_bytes: u32,
    data_checksum: Option<u32>, // where it was worth keeping
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// How many records, and when they arrived.
fn run_of(run: &[u8]) -> (u32, i64) {
    let (count, arrival) = run.split_at(4);
    (u32::from_le_bytes(count.try_into().expect("4 bytes")), i64::from_le_bytes(arrival.try_into().expect("8 bytes")))
}

impl Block {
    /// The block whose body lies at `at` of a file, if its columns add up.
    fn cut(body: &[u8], at: usize) -> Option<Self> {
        let (head, rest) = body.split_at_checked(HEAD_BYTES)?;
        let (records, run_count) = (u32_at(head, 12)?, u32_at(head, 24)?);
        let (count, first) = (records as usize, u64_at(head, 16)?);
        if run_count == 0 || run_count > records || first.checked_add(u64::from(records)).is_none() {
            return None;
        }
        let (runs, rest) = rest.split_at_checked(RUN_BYTES * run_count as usize)?;
        let (key_lengths, rest) = rest.split_at_checked(KEY_LENGTH_BYTES * count)?;
        let (data_lengths, rest) = rest.split_at_checked(DATA_LENGTH_BYTES * count)?;
        let keys_bytes =
            key_lengths.chunks_exact(2).map(|each| usize::from(u16::from_le_bytes([each[0], each[1]]))).sum();
        let (_, data) = rest.split_at_checked(keys_bytes)?;
        let data_bytes: usize = data_lengths
            .chunks_exact(4)
            .map(|each| u32::from_le_bytes(each.try_into().expect("4 bytes")) as usize)
            .sum();
        let in_runs: u64 = runs.chunks_exact(RUN_BYTES).map(|run| u64::from(run_of(run).0)).sum();
        if data_bytes != data.len() || in_runs != u64::from(records) {
            return None;
        }
        Some(Self {
            at,
            log: u64_at(head, 0)?,
            first,
            began_ms: run_of(&runs[..RUN_BYTES]).1,
            ended_ms: run_of(&runs[runs.len() - RUN_BYTES..]).1,
            place: 0,
            incarnation: u32_at(head, 8)?,
            records,
            run_count,
            keys_bytes: keys_bytes as u32,
            data_bytes: data_bytes as u32,
            data_checksum: None,
        })
    }

    /// Keys and data.
    pub fn size(&self) -> usize {
        self.keys_bytes as usize + self.data_bytes as usize
    }

    pub fn end(&self) -> u64 {
        self.first + u64::from(self.records)
    }

    pub fn body(&self) -> Range<usize> {
        self.at..self.data().end
    }

    fn runs(&self) -> Range<usize> {
        let begin = self.at + HEAD_BYTES;
        begin..begin + RUN_BYTES * self.run_count as usize
    }

    pub fn key_lengths(&self) -> Range<usize> {
        let begin = self.runs().end;
        begin..begin + KEY_LENGTH_BYTES * self.records as usize
    }

    pub fn data_lengths(&self) -> Range<usize> {
        let begin = self.key_lengths().end;
        begin..begin + DATA_LENGTH_BYTES * self.records as usize
    }

    pub fn keys(&self) -> Range<usize> {
        let begin = self.data_lengths().end;
        begin..begin + self.keys_bytes as usize
    }

    pub fn data(&self) -> Range<usize> {
        let begin = self.keys().end;
        begin..begin + self.data_bytes as usize
    }

    /// How many records, and when they arrived.  Cost: one run lies in no memory that is cold.
    pub fn each_run(&self, file: &[u8]) -> impl Iterator<Item = (u32, i64)> {
        let (alone, several) =
            if self.run_count == 1 { (Some((self.records, self.began_ms)), 0..0) } else { (None, self.runs()) };
        alone.into_iter().chain(file[several].chunks_exact(RUN_BYTES).map(run_of))
    }

    /// The checksum of some bytes and then its data.
    pub fn checksum_with_data(&self, before: u32, file: &[u8]) -> u32 {
        match self.data_checksum {
            Some(checksum) => end_to_end(before, checksum, self.data_bytes),
            None => crc32c::crc32c_append(before, &file[self.data()]),
        }
    }
}

/// Finds the blocks of some logs in a journal file, and verifies every frame of it.
pub struct Finder {
    content: Arc<Content>, // as much as was read of it
    file_no: u64,
    logs: Arc<Logs>,
    starts: Vec<u64>, // of each log its first offset that is wanted
    sizes: Sizes,
    at: usize, // up to where it was verified
    sound: bool,
    found: Vec<Block>,
    made: Option<Vec<(usize, Joined)>>, // segments, with the place of the stream, once the file is whole
}

impl Finder {
    pub fn new(
        memory: &Memory,
        size_bytes: usize,
        file_no: u64,
        logs: Arc<Logs>,
        starts: Vec<u64>,
        sizes: Sizes,
    ) -> Self {
        let (content, found) = (Arc::new(memory.content(size_bytes)), Vec::new());
        Self { content, file_no, logs, starts, sizes, at: SECTOR_BYTES, sound: true, found, made: None }
    }

    /// Go on in the file by what follows of it.
    pub fn take(&mut self, piece: &[u8]) {
        let copied = self.go_on(piece.len(), |room, _| {
            room.copy_from_slice(piece);
            Ok(piece.len())
        });
        self.sound = self.sound && copied.is_ok();
    }

    /// Take the file up to `length` bytes of it, or its end, and make its segments.
    pub fn read(&mut self, file: &File, length: usize) -> io::Result<()> {
        while self.content.len() < length {
            let most = READ_BYTES.min(length - self.content.len());
            if self.go_on(most, |room, at| file.read_at(room, at))? == 0 {
                break;
            }
        }
        self.finish();
        Ok(())
    }

    fn go_on(&mut self, most: usize, read: impl FnOnce(&mut [u8], u64) -> io::Result<usize>) -> io::Result<usize> {
        let Some(content) = Arc::get_mut(&mut self.content) else {
            self.sound = false; // it was joined already
            return Ok(0);
        };
        let count = content.append(most, read)?;
        self.sound = self.sound && self.walk().is_some();
        Ok(count)
    }

    /// Verify the frames that are there whole.  None where Python shall look.
    fn walk(&mut self) -> Option<()> {
        let content = Arc::clone(&self.content);
        while let Some(head) = content.get(self.at..self.at + FRAME_HEAD_BYTES) {
            let Some(length) = length_in(head, self.file_no) else {
                let Some(end) = blank_to(&content, self.at)? else { break };
                self.at = end;
                continue;
            };
            let Some(frame) = content.get(self.at..self.at + FRAME_HEAD_BYTES + length) else { break };
            self.verify(frame)?;
            self.at += frame.len();
        }
        Some(())
    }

    /// Check a frame, and note its block.
    fn verify(&mut self, frame: &[u8]) -> Option<()> {
        let body = &frame[FRAME_HEAD_BYTES..];
        let block =
            if frame[KIND_AT] == FRAME_KIND { Some(Block::cut(body, self.at + FRAME_HEAD_BYTES)?) } else { None };
        let data_bytes = block.as_ref().map_or(0, |block| block.data_bytes as usize);
        let kept_apart = if data_bytes < CHECKED_ONCE_BYTES { 0 } else { data_bytes };
        let (before, data) = frame.split_at(frame.len() - kept_apart);
        let (mut checksum, of_data) = (crc32c::crc32c(&before[CHECKED_FROM..]), crc32c::crc32c(data));
        if kept_apart > 0 {
            checksum = end_to_end(checksum, of_data, kept_apart as u32);
        }
        if u32_at(frame, 4)? != checksum {
            return None;
        }
        if let Some(block) = block {
            let data_checksum = if kept_apart > 0 { Some(of_data) } else { None };
            self.found.push(Block { data_checksum, ..block });
        }
        Some(())
    }

    /// The segments that the file becomes, each with the place of its stream; once.  None where Python shall make them.
    pub fn segments(&mut self) -> Option<Vec<(usize, Joined)>> {
        if self.made.is_none() {
            self.finish();
        }
        self.made.take()
    }

    /// The file is whole.
    fn finish(&mut self) {
        if self.at < self.content.len() {
            self.sound = self.sound && blank_to(&self.content, self.at).flatten().is_some();
        }
        if self.sound {
            self.keep_wanted();
            let found = by_place(&self.found, self.starts.len());
            self.found = Vec::new();
            let made = |(stream, blocks)| (stream, Joined::new(&self.content, &found[blocks], &self.sizes));
            self.made = cut(&found, &self.logs.streams, &self.sizes).map(|cut| cut.into_iter().map(made).collect());
            self.sound = false; // it takes nothing more
        }
    }

    /// Find the places of all blocks at once: one by one, each would wait for memory that is cold.
    fn keep_wanted(&mut self) {
        let (logs, starts) = (&self.logs, &self.starts);
        self.found.retain_mut(|block| {
            let place = logs.find(block.log).filter(|place| block.end() > starts[*place]);
            block.place = place.unwrap_or(0) as u32;
            place.is_some()
        });
    }
}

/// In the order of places, of which there are `count`, and of the file.
fn by_place(found: &[Block], count: usize) -> Vec<Block> {
    let mut next = vec![0; count + 1]; // of each place where its next block goes
    for block in found {
        next[block.place as usize + 1] += 1;
    }
    for place in 0..count {
        next[place + 1] += next[place];
    }
    let mut order = vec![0; found.len()];
    for (at, block) in found.iter().enumerate() {
        let place = &mut next[block.place as usize];
        order[*place] = at;
        *place += 1;
    }
    order.into_iter().map(|at| found[at].clone()).collect()
}

/// How long the body of the frame with this head is, if it is one.
fn length_in(head: &[u8], file_no: u64) -> Option<usize> {
    let begun = u32_at(head, 0)? == FRAME_MAGIC && u64_at(head, 16)? == file_no;
    if begun { Some(u32_at(head, 8)? as usize) } else { None }
}

/// The end of the sector, if all of it is there; None if anything but zeros is up to it.
fn blank_to(content: &[u8], at: usize) -> Option<Option<usize>> {
    let end = at.next_multiple_of(SECTOR_BYTES);
    let Some(rest) = content.get(at..end) else { return Some(None) };
    if !rest.is_empty() && rest.iter().all(|byte| *byte == 0) { Some(Some(end)) } else { None }
}

/// Which blocks make a segment: those of whole logs of one stream, as many as find room.  None where one log is too large.
fn cut(found: &[Block], streams: &[usize], sizes: &Sizes) -> Option<Vec<(usize, Range<usize>)>> {
    let mut segments: Vec<(usize, Range<usize>)> = Vec::new();
    let (mut stream, mut stream_end) = (0, streams.first().copied().unwrap_or(0));
    let (mut begin, mut segment_bytes) = (0, 0);
    for log in found.chunk_by(|left, right| left.place == right.place) {
        while log[0].place as usize >= stream_end && stream + 1 < streams.len() {
            stream += 1;
            stream_end += streams[stream];
        }
        let log_bytes: usize = log.iter().map(|block| LEAD_BYTES + block.body().len()).sum();
        let end = begin + log.len();
        match segments.last_mut() {
            Some((held, blocks)) if *held == stream && segment_bytes + log_bytes <= sizes.segment => {
                blocks.end = end;
                segment_bytes += log_bytes;
            }
            _ => {
                segments.push((stream, begin..end));
                segment_bytes = sizes.header + log_bytes;
            }
        }
        if segment_bytes > sizes.segment {
            return None;
        }
        begin = end;
    }
    Some(segments)
}
