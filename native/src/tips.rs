//! Where each log ends: `engines/local/tips.py` in rows, so that a scatter tells hundreds of logs at once.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

struct Tip {
    end: u64,
    next_offset: u64,
    last_arrival_ms: i64,
    closed: bool,
    scatters: Vec<(u64, usize)>, // that have records of it, ascending: number, and which group they are
}

/// The tips of all logs, by their places.
#[pyclass(module = "penstock_native")]
pub struct Tips(Vec<Tip>);

impl Tips {
    fn at(&self, place: usize) -> PyResult<&Tip> {
        self.0.get(place).ok_or_else(no_place)
    }

    fn at_mut(&mut self, place: usize) -> PyResult<&mut Tip> {
        self.0.get_mut(place).ok_or_else(no_place)
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
        Self(Vec::new())
    }

    fn add(&mut self) -> usize {
        self.0.push(Tip { end: 0, next_offset: 0, last_arrival_ms: -1, closed: false, scatters: Vec::new() });
        self.0.len() - 1
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

    fn last_arrivals_ms(&self, places: Vec<usize>) -> PyResult<Vec<i64>> {
        places.iter().map(|place| Ok(self.at(*place)?.last_arrival_ms)).collect()
    }

    /// A scatter has records of a log: those of its group.
    pub fn note_scatter(&mut self, place: usize, number: u64, group: usize) -> PyResult<()> {
        self.at_mut(place)?.scatters.push((number, group));
        Ok(())
    }

    fn scatters_since(&self, place: usize, since: u64) -> PyResult<Vec<(u64, usize)>> {
        let scatters = &self.at(place)?.scatters;
        Ok(scatters[scatters.partition_point(|(number, _)| *number < since)..].to_vec())
    }

    fn forget_scatters(&mut self, before: u64) {
        for tip in &mut self.0 {
            tip.scatters.drain(..tip.scatters.partition_point(|(number, _)| *number < before));
            if tip.scatters.is_empty() {
                tip.scatters = Vec::new(); // and its memory
            }
        }
    }

    fn is_closed(&self, place: usize) -> PyResult<bool> {
        Ok(self.at(place)?.closed)
    }

    fn set_closed(&mut self, place: usize, closed: bool) -> PyResult<()> {
        self.at_mut(place)?.closed = closed;
        Ok(())
    }
}

fn no_place() -> PyErr {
    PyIndexError::new_err("no such log")
}
