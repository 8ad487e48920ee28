//! What was written to each shard of a stream lately, where one request writes to many: `services/streams/traffic.py` in columns.
//!
//! Theory.  A span of time (a second, a minute) is a column: records and bytes of each shard, by its number.  The last 60 and the
//! current one are remembered.  Beside them stands what calls were like since somebody last looked (`tally.py`).

use crate::spread::{Grouped, Shards};
use crate::warm;

const SPANS: i64 = 60;
const NONE: i64 = i64::MIN;

#[derive(Clone, Copy, Default)]
struct Cell {
    bytes: u64,
    records: u32,
}

/// Columns of the last spans of one length; spans are numbered from the epoch.
struct Ring {
    columns: Vec<(i64, Vec<Cell>)>,
}

impl Ring {
    fn new() -> Self {
        Self { columns: (0..=SPANS).map(|_| (NONE, Vec::new())).collect() }
    }

    /// Add a column to that of a span.
    fn add(&mut self, span: i64, more: &[Cell]) {
        let (held, cells) = &mut self.columns[span.rem_euclid(SPANS + 1) as usize];
        if *held != span {
            *held = span;
            cells.clear();
        }
        if cells.len() < more.len() {
            cells.resize(more.len(), Cell::default());
        }
        for (cell, more) in cells.iter_mut().zip(more) {
            cell.bytes += more.bytes;
            cell.records += more.records;
        }
    }

    fn sum(&self, shard: usize, first: i64, end: i64) -> (u64, u64) {
        let within = self.columns.iter().filter(|(span, _)| (first..end).contains(span));
        within
            .filter_map(|(_, cells)| cells.get(shard))
            .fold((0, 0), |(bytes, records), cell| (bytes + cell.bytes, records + u64::from(cell.records)))
    }
}

/// Calls: how many, their records, bytes and milliseconds, and of each of these the lowest and the highest.
#[derive(Clone, Copy)]
pub struct Calls {
    pub count: u64,
    pub totals: [u64; 3],
    pub lows: [u64; 3],
    pub highs: [u64; 3],
}

const NO_CALLS: Calls = Calls { count: 0, totals: [0; 3], lows: [u64::MAX; 3], highs: [0; 3] };

impl Calls {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for place in 0..3 {
            self.totals[place] += other.totals[place];
            self.lows[place] = self.lows[place].min(other.lows[place]);
            self.highs[place] = self.highs[place].max(other.highs[place]);
        }
    }
}

/// The calls of one kind, of each shard.
#[derive(Default)]
struct Tally {
    calls: Vec<Calls>,
    taken: Vec<Calls>, // until the last `take_calls`
}

/// The counts of one stream.
pub struct Counts {
    current: i64,     // second
    cells: Vec<Cell>, // of it; they are in no ring yet
    seconds: Ring,
    minutes: Ring,
    tallies: [Tally; 2], // of calls of many records, and of those of one
    known: Vec<bool>,    // shards that were told as new
    new: Vec<u32>,
}

impl Counts {
    pub fn new() -> Self {
        Self {
            current: NONE,
            cells: Vec::new(),
            seconds: Ring::new(),
            minutes: Ring::new(),
            tallies: Default::default(),
            known: Vec::new(),
            new: Vec::new(),
        }
    }

    /// Count a call that took `took_ms` and ended in `second`; a second that steps back begins the rings anew.
    ///
    /// `alone`: each record was a call of its own.
    pub fn add(&mut self, spread: &Grouped, shards: &Shards, second: i64, took_ms: u64, alone: bool) -> Option<()> {
        if second != self.current {
            self.turn(second);
        }
        let length = shards.numbers_end;
        if self.known.len() < length {
            self.known.resize(length, false);
            self.cells.resize(length, Cell::default());
        }
        let tally = &mut self.tallies[usize::from(alone)];
        tally.calls.resize(self.known.len(), NO_CALLS);
        let places: Vec<usize> = spread.places(shards.numbers.len())?.map(|at| shards.numbers[at] as usize).collect();
        warm(places.iter().map(|shard| self.cells[*shard].records as u8 ^ ends_of(&tally.calls[*shard])));
        let figures = spread.counts().into_iter().zip(spread.sizes()).zip(spread.extremes());
        for (shard, ((records, bytes), extremes)) in places.into_iter().zip(figures) {
            let told = calls_of(records as u64, bytes as u64, took_ms, alone.then_some(extremes));
            let [records, bytes, _] = told.totals;
            let cell = &mut self.cells[shard];
            cell.records += records as u32;
            cell.bytes += bytes;
            tally.calls[shard].merge(&told);
            if !self.known[shard] {
                self.known[shard] = true;
                self.new.push(shard as u32);
            }
        }
        Some(())
    }

    fn turn(&mut self, second: i64) {
        if second < self.current {
            (self.seconds, self.minutes) = (Ring::new(), Ring::new());
        } else if self.current != NONE {
            self.seconds.add(self.current, &self.cells);
            self.minutes.add(self.current.div_euclid(60), &self.cells);
        }
        self.cells.fill(Cell::default());
        self.current = second;
    }

    /// Shards that were written to for the first time since the last time, or since they were forgotten.
    pub fn take_new(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.new)
    }

    pub fn forget(&mut self, shard: usize) {
        if let Some(known) = self.known.get_mut(shard) {
            *known = false;
        }
    }

    /// Bytes and records of a shard in the seconds, or minutes, from `first` up to `end`.
    pub fn sum(&self, shard: usize, first: i64, end: i64, in_minutes: bool) -> (u64, u64) {
        let (ring, current) =
            if in_minutes { (&self.minutes, self.current.div_euclid(60)) } else { (&self.seconds, self.current) };
        let (bytes, records) = ring.sum(shard, first, end);
        match self.cells.get(shard) {
            Some(cell) if (first..end).contains(&current) => (bytes + cell.bytes, records + u64::from(cell.records)),
            _ => (bytes, records),
        }
    }

    /// The calls of all shards since the last time; `taken` has those of each.
    pub fn take_calls(&mut self, alone: bool) -> Calls {
        let Tally { calls, taken } = &mut self.tallies[usize::from(alone)];
        *taken = vec![NO_CALLS; calls.len()];
        std::mem::swap(calls, taken);
        let mut whole = NO_CALLS;
        for calls in taken.iter() {
            whole.merge(calls);
        }
        whole
    }

    /// The calls of a shard that the last `take_calls` took, if there were any.
    pub fn taken(&self, shard: usize, alone: bool) -> Option<&Calls> {
        self.tallies[usize::from(alone)].taken.get(shard).filter(|calls| calls.count > 0)
    }
}

/// Something of where it begins and where it ends in memory.
fn ends_of(calls: &Calls) -> u8 {
    calls.count as u8 ^ calls.highs[2] as u8
}

/// What a call was to a group; or what calls of one record each were, whose smallest and largest had so many bytes.
fn calls_of(records: u64, bytes: u64, took_ms: u64, alone: Option<(u64, u64)>) -> Calls {
    match alone {
        None => {
            let figures = [records, bytes, took_ms];
            Calls { count: 1, totals: figures, lows: figures, highs: figures }
        }
        Some((low, high)) => Calls {
            count: records,
            totals: [records, bytes, records * took_ms],
            lows: [1, low, took_ms],
            highs: [1, high, took_ms],
        },
    }
}
