//! The records of one `PutRecords` by shard, where there are many shards: frames of the journal and the answer, with no object a shard.
//!
//! Theory.  A group is the records of one shard, in the order of the request.  Where each goes is decided in `placed.rs`; what is written
//! here is what `engines/local/frame.py` and `columns.py` write, byte by byte.

use std::sync::Arc;

use crate::number::{NUMBER_BYTES, Number, Writer};
use crate::pages;
use crate::rows::Columns;
use crate::warm;

const FRAME_MAGIC: u32 = 0x4B54_5350;
const FRAME_KIND: u8 = 2; // RECORDS
pub const FRAME_HEAD_BYTES: usize = 32;
const CHECKED_FROM: usize = 8; // the checksum covers the frame after itself
const BLOCK_HEAD_BYTES: usize = 32;
const RUN_BYTES: usize = 12;
const LENGTHS_BYTES: usize = 6; // of a record's key and data
const NO_GROUP: u16 = u16::MAX; // there are fewer: a request has at most 500 records
const GUESS_OFF: usize = 2;

/// Records grouped by shard.
pub struct Grouped {
    columns: Arc<Columns>,
    pub order: Vec<u16>,  // for each record its group
    pub owners: Vec<u32>, // for each group the place of its shard in the ring
    members: Vec<u32>,    // records, group by group
    ends: Vec<u32>,       // where each group ends among them
}

/// Where groups go.
pub struct Targets<'a> {
    pub logs: &'a [u64],
    pub firsts: &'a [u64], // offsets of first records
    pub arrival_ms: i64,
}

impl Grouped {
    /// `starts`: where the ranges of the shards begin, ascending from 0.
    pub fn new(columns: Arc<Columns>, starts: &[u128]) -> Self {
        let most = starts.len().min(columns.len());
        let (mut owners, mut counts) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let mut groups = vec![NO_GROUP; starts.len()];
        let mut order = Vec::with_capacity(columns.len());
        for key in &columns.hash_keys {
            let owner = owner_of(starts, *key);
            let group = &mut groups[owner];
            if *group == NO_GROUP {
                *group = owners.len() as u16;
                owners.push(owner as u32);
                counts.push(0);
            }
            counts[usize::from(*group)] += 1;
            order.push(*group);
        }
        let mut ends = Vec::with_capacity(counts.len());
        let mut begin = 0;
        for count in counts {
            ends.push(begin);
            begin += count;
        }
        let mut members = vec![0; order.len()];
        for (record, group) in order.iter().enumerate() {
            let place = &mut ends[usize::from(*group)];
            members[*place as usize] = record as u32;
            *place += 1;
        }
        Self { columns, order, owners, members, ends }
    }

    /// Of each group the place of its shard; None unless all are among so many.
    pub fn places(&self, shards: usize) -> Option<impl Iterator<Item = usize>> {
        let all = self.owners.iter().all(|owner| (*owner as usize) < shards);
        all.then(|| self.owners.iter().map(|owner| *owner as usize))
    }

    pub fn groups(&self) -> impl Iterator<Item = &[u32]> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let group = &self.members[begin..*end as usize];
            begin = *end as usize;
            group
        })
    }

    pub fn records(&self) -> Vec<(&[u8], &[u8])> {
        self.columns.records()
    }

    /// Of each group the number of its first record.
    pub fn first_numbers(&self, shards: &Shards, firsts: &[u64], arrival_ms: u64) -> Option<Vec<Number>> {
        let (arrived, step) = (pages::tail_of(0, arrival_ms), Number::power(pages::INDEX_SHIFT));
        let bases: Vec<Number> = self.places(shards.bases.len())?.map(|place| shards.bases[place]).collect();
        let number = |(base, first): (Number, &u64)| base.plus(&step.times(first + 1)).plus(&arrived);
        Some(bases.into_iter().zip(firsts).map(number).collect())
    }

    /// Of each group the bytes of its smallest and its largest record.
    pub fn extremes(&self) -> impl Iterator<Item = (u64, u64)> {
        let columns = &self.columns;
        let bytes = |record: usize| u64::from(columns.key_lengths[record]) + u64::from(columns.data_lengths[record]);
        self.groups().map(move |group| {
            group
                .iter()
                .map(|record| bytes(*record as usize))
                .fold((u64::MAX, 0), |(low, high), size| (low.min(size), high.max(size)))
        })
    }

    pub fn counts(&self) -> Vec<usize> {
        self.groups().map(<[u32]>::len).collect()
    }

    /// Bytes of keys and data of each group.
    pub fn sizes(&self) -> Vec<usize> {
        self.groups().map(|group| self.size(group)).collect()
    }

    fn size(&self, group: &[u32]) -> usize {
        let size = |record: &u32| {
            let record = *record as usize;
            usize::from(self.columns.key_lengths[record]) + self.columns.data_lengths[record] as usize
        };
        group.iter().map(size).sum()
    }

    /// Of the body of a group's frame.
    fn body_length(&self, group: &[u32]) -> usize {
        BLOCK_HEAD_BYTES + RUN_BYTES + LENGTHS_BYTES * group.len() + self.size(group)
    }

    /// Of each group how many records it has, and how long the body of its frame is.
    pub fn measures(&self) -> impl Iterator<Item = (usize, usize)> {
        self.groups().map(|group| (group.len(), self.body_length(group)))
    }

    /// What the frames of all groups take.
    pub fn frames_bytes(&self) -> usize {
        (FRAME_HEAD_BYTES + BLOCK_HEAD_BYTES + RUN_BYTES) * self.owners.len()
            + LENGTHS_BYTES * self.columns.len()
            + self.columns.keys.len()
            + self.columns.data.len()
    }

    /// A RECORDS frame for each group, end to end.
    pub fn write_frames(&self, file_no: u64, commit: u64, targets: &Targets<'_>, out: &mut Writer) {
        let records = self.columns.records();
        for ((group, log), first) in self.groups().zip(targets.logs).zip(targets.firsts) {
            let length = self.body_length(group);
            let frame = out.take(FRAME_HEAD_BYTES + length);
            let mut to = Writer::new(frame);
            to.put(&FRAME_MAGIC.to_le_bytes());
            to.put(&[0; 4]);
            to.put(&(length as u32).to_le_bytes());
            to.put(&[FRAME_KIND, 0, 0, 0]);
            to.put(&file_no.to_le_bytes());
            to.put(&commit.to_le_bytes());
            write_block(group, &records, *log, *first, targets.arrival_ms, &mut to);
            let checksum = crc32c::crc32c(&frame[CHECKED_FROM..]);
            frame[4..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        }
    }

    /// The items of the answer: for each record its shard and number.
    pub fn write_answer(
        &self,
        shards: &Shards,
        firsts: &[u64],
        arrival_ms: u64,
        cbor: bool,
        answer: &mut Vec<u8>,
    ) -> Option<()> {
        let step = Number::power(pages::INDEX_SHIFT);
        let mut numbers = self.first_numbers(shards, firsts, arrival_ms)?;
        let ends = if cbor { &shards.cbor } else { &shards.json };
        warm(self.owners.iter().map(|owner| ends.around(*owner as usize)));
        for (place, group) in self.order.iter().enumerate() {
            let group = usize::from(*group);
            let number = numbers.get_mut(group)?;
            if place > 0 && !cbor {
                answer.push(b',');
            }
            pages::append_written(ends.get(self.owners[group] as usize), number, cbor, answer);
            *number = number.plus(&step);
        }
        Some(())
    }
}

/// The open shards in the order of the ring.
pub struct Shards {
    pub ids: Vec<String>,
    bases: Vec<Number>, // their parts of sequence numbers
    json: Texts,        // what an answer says of them
    cbor: Texts,
    pub numbers: Vec<u32>,
    pub numbers_end: usize, // one more than the highest number
}

impl Shards {
    /// Ids, parts of sequence numbers, numbers.
    pub fn of(shards: Vec<(String, [u8; NUMBER_BYTES], u32)>) -> Self {
        let numbers: Vec<u32> = shards.iter().map(|(_, _, number)| *number).collect();
        let text = |cbor| Texts::of(shards.iter().map(|(shard_id, _, _)| pages::end_written(shard_id, cbor)));
        Self {
            bases: shards.iter().map(|(_, base, _)| Number::from_le(base)).collect(),
            json: text(false),
            cbor: text(true),
            numbers_end: numbers.iter().max().map_or(0, |number| *number as usize + 1),
            numbers,
            ids: shards.into_iter().map(|(shard_id, _, _)| shard_id).collect(),
        }
    }
}

/// Texts end to end: those of thousands of shards take little of the processor's cache.
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn of(texts: impl Iterator<Item = Vec<u8>>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for text in texts {
            bytes.extend(text);
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    fn get(&self, place: usize) -> &[u8] {
        &self.bytes[self.ends[place]..self.ends[place + 1]]
    }

    /// Something of where a text begins and where it ends.
    fn around(&self, place: usize) -> u8 {
        self.bytes[self.ends[place]] ^ self.bytes[self.ends[place + 1] - 1]
    }
}

/// The last range that begins at or before `key`.  Most rings are even, or nearly so: it is looked for where it were in an even one.
fn owner_of(starts: &[u128], key: u128) -> usize {
    let guess = (((key >> 64) * starts.len() as u128) >> 64) as usize;
    let first = guess.saturating_sub(GUESS_OFF);
    let near = &starts[first..starts.len().min(guess + GUESS_OFF + 1)];
    let within = near.partition_point(|start| *start <= key);
    if (within > 0 || first == 0) && (within < near.len() || first + near.len() == starts.len()) {
        return first + within - 1;
    }
    starts.partition_point(|start| *start <= key) - 1
}

fn write_block(group: &[u32], records: &[(&[u8], &[u8])], log: u64, first: u64, arrival_ms: i64, to: &mut Writer) {
    let count = group.len() as u32;
    to.put(&log.to_le_bytes());
    to.put(&[0; 4]);
    to.put(&count.to_le_bytes());
    to.put(&first.to_le_bytes());
    to.put(&1u32.to_le_bytes());
    to.put(&[0; 4]);
    to.put(&count.to_le_bytes());
    to.put(&arrival_ms.to_le_bytes());
    for record in group {
        to.put(&(records[*record as usize].0.len() as u16).to_le_bytes());
    }
    for record in group {
        to.put(&(records[*record as usize].1.len() as u32).to_le_bytes());
    }
    for record in group {
        to.put(records[*record as usize].0);
    }
    for record in group {
        to.put(records[*record as usize].1);
    }
}
