//! Where each log ends: `engines/local/tips.py` in rows, so that a scatter tells hundreds of logs at once.

use std::collections::VecDeque;
use std::ops::Range;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::roster::{Logs, Roster};

/// What every write changes.
struct Tip {
    end: u64,
    next_offset: u64,
    last_arrival_ms: i64,
    noted: u64, // one past the newest note of it
    closed: bool,
}

/// What is gone of a log, and what is settled.
struct Settled {
    start: u64,
    end: u64,
    gap: Range<u64>,
    sealed: bool,
}

impl Settled {
    fn settle(&mut self, end: u64) {
        let end = if end >= self.gap.start { end.max(self.gap.end) } else { end };
        self.end = self.end.max(end);
    }
}

/// A scatter has records of a log.
struct Note {
    number: u64, // of the scatter
    group: usize,
    before: u64, // one past the note before it of the same log
}

/// The tips of all logs, by their places.
#[pyclass(module = "penstock_native")]
pub struct Tips {
    rows: Vec<Tip>,
    settled: Vec<Settled>,
    notes: VecDeque<Note>, // in the order of scatters
    forgotten: u64,        // so many notes came before
}

/// Starts, settled ends, last arrivals (eight bytes each, little-endian), and a byte each: whether it is sealed.
type Columns<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

impl Tips {
    fn at(&self, place: usize) -> PyResult<&Tip> {
        self.rows.get(place).ok_or_else(no_place)
    }

    fn at_mut(&mut self, place: usize) -> PyResult<&mut Tip> {
        self.rows.get_mut(place).ok_or_else(no_place)
    }

    fn settled(&self, place: usize) -> PyResult<&Settled> {
        self.settled.get(place).ok_or_else(no_place)
    }

    fn settled_mut(&mut self, place: usize) -> PyResult<&mut Settled> {
        self.settled.get_mut(place).ok_or_else(no_place)
    }

    /// Something of where a row begins and where it ends.
    pub fn around(&self, place: usize) -> u8 {
        self.rows.get(place).map_or(0, |tip| tip.end as u8 ^ u8::from(tip.closed))
    }

    pub fn settled_ends(&self, logs: &Logs) -> PyResult<Vec<u64>> {
        logs.places.iter().map(|place| Ok(self.settled(*place)?.end)).collect()
    }

    /// What the next records of some logs get, each as many as `counts` says, and when they arrive: all at `now_ms`, or with the latest.
    ///
    /// None, and nothing given, where one of the logs is closed.
    pub fn give(&mut self, places: &[usize], counts: &[usize], now_ms: i64) -> PyResult<Option<(Vec<u64>, i64)>> {
        let mut arrival_ms = now_ms;
        let mut firsts = Vec::with_capacity(places.len());
        for place in places {
            let tip = self.at(*place)?;
            if tip.closed {
                return Ok(None);
            }
            arrival_ms = arrival_ms.max(tip.last_arrival_ms);
            firsts.push(tip.next_offset);
        }
        for (place, count) in places.iter().zip(counts) {
            self.at_mut(*place)?.next_offset += *count as u64;
        }
        Ok(Some((firsts, arrival_ms)))
    }

    /// Records up to `end` are there, and arrived at `arrival_ms`.
    pub fn show(&mut self, place: usize, end: u64, arrival_ms: i64) -> PyResult<()> {
        let tip = self.at_mut(place)?;
        (tip.end, tip.last_arrival_ms) = (end, arrival_ms);
        Ok(())
    }

    /// What was given and not shown is given again.
    pub fn take_back(&mut self, place: usize) -> PyResult<()> {
        let tip = self.at_mut(place)?;
        tip.next_offset = tip.end;
        Ok(())
    }
}

#[pymethods]
impl Tips {
    #[new]
    fn new() -> Self {
        Self { rows: Vec::new(), settled: Vec::new(), notes: VecDeque::new(), forgotten: 0 }
    }

    fn add(&mut self) -> usize {
        self.rows.push(Tip { end: 0, next_offset: 0, last_arrival_ms: -1, noted: 0, closed: false });
        self.settled.push(Settled { start: 0, end: 0, gap: u64::MAX..u64::MAX, sealed: false });
        self.rows.len() - 1
    }

    fn end(&self, place: usize) -> PyResult<u64> {
        Ok(self.at(place)?.end)
    }

    fn set_end(&mut self, place: usize, end: u64) -> PyResult<()> {
        self.at_mut(place)?.end = end;
        Ok(())
    }

    fn next_offset(&self, place: usize) -> PyResult<u64> {
        Ok(self.at(place)?.next_offset)
    }

    fn set_next_offset(&mut self, place: usize, offset: u64) -> PyResult<()> {
        self.at_mut(place)?.next_offset = offset;
        Ok(())
    }

    fn last_arrival_ms(&self, place: usize) -> PyResult<i64> {
        Ok(self.at(place)?.last_arrival_ms)
    }

    fn set_last_arrival_ms(&mut self, place: usize, arrival_ms: i64) -> PyResult<()> {
        self.at_mut(place)?.last_arrival_ms = arrival_ms;
        Ok(())
    }

    /// A scatter has records of a log: those of its group.
    pub fn note_scatter(&mut self, place: usize, number: u64, group: usize) -> PyResult<()> {
        let noted = self.forgotten + self.notes.len() as u64 + 1;
        let before = std::mem::replace(&mut self.at_mut(place)?.noted, noted);
        self.notes.push_back(Note { number, group, before });
        Ok(())
    }

    fn scatters_since(&self, place: usize, since: u64) -> PyResult<Vec<(u64, usize)>> {
        let mut noted = self.at(place)?.noted;
        let mut scatters = Vec::new();
        while noted > self.forgotten {
            let note = &self.notes[(noted - 1 - self.forgotten) as usize];
            if note.number < since {
                break;
            }
            scatters.push((note.number, note.group));
            noted = note.before;
        }
        scatters.reverse();
        Ok(scatters)
    }

    fn forget_scatters(&mut self, before: u64) {
        let gone = self.notes.partition_point(|note| note.number < before);
        self.notes.drain(..gone);
        self.forgotten += gone as u64;
    }

    fn is_closed(&self, place: usize) -> PyResult<bool> {
        Ok(self.at(place)?.closed)
    }

    fn set_closed(&mut self, place: usize, closed: bool) -> PyResult<()> {
        self.at_mut(place)?.closed = closed;
        Ok(())
    }

    fn start(&self, place: usize) -> PyResult<u64> {
        Ok(self.settled(place)?.start)
    }

    fn set_start(&mut self, place: usize, start: u64) -> PyResult<()> {
        self.settled_mut(place)?.start = start;
        Ok(())
    }

    fn settled_end(&self, place: usize) -> PyResult<u64> {
        Ok(self.settled(place)?.end)
    }

    fn settle_to(&mut self, place: usize, end: u64) -> PyResult<()> {
        self.settled_mut(place)?.settle(end);
        Ok(())
    }

    fn set_gap(&mut self, place: usize, first: u64, end: u64) -> PyResult<()> {
        self.settled_mut(place)?.gap = first..end;
        Ok(())
    }

    fn is_sealed(&self, place: usize) -> PyResult<bool> {
        Ok(self.settled(place)?.sealed)
    }

    fn seal(&mut self, place: usize) -> PyResult<()> {
        self.settled_mut(place)?.sealed = true;
        self.set_closed(place, true)
    }

    /// Records of logs, by their numbers, up to some ends are settled; where those logs stand that still need them.
    fn settle(&mut self, roster: &Roster, numbers: &[u8], ends: &[u8]) -> PyResult<Vec<usize>> {
        let mut needing = Vec::with_capacity(numbers.len() / 8);
        for (number, end) in words(numbers).zip(words(ends)) {
            let Some(at) = roster.0.find(number) else { continue };
            let settled = self.settled_mut(roster.0.places[at])?;
            if end > settled.start {
                needing.push(at);
            }
            settled.settle(end);
        }
        Ok(needing)
    }

    /// What a manifest says of logs.
    fn columns<'py>(&self, py: Python<'py>, roster: &Roster) -> PyResult<Columns<'py>> {
        let mut columns = [const { Vec::new() }; 4];
        for place in &roster.0.places {
            let settled = self.settled(*place)?;
            columns[0].extend_from_slice(&settled.start.to_le_bytes());
            columns[1].extend_from_slice(&settled.end.to_le_bytes());
            columns[2].extend_from_slice(&self.at(*place)?.last_arrival_ms.to_le_bytes());
            columns[3].push(u8::from(settled.sealed));
        }
        let [starts, ends, arrivals_ms, sealed] = columns.map(|column| PyBytes::new(py, &column));
        Ok((starts, ends, arrivals_ms, sealed))
    }
}

/// Little-endian.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
}

fn no_place() -> PyErr {
    PyIndexError::new_err("no such log")
}
