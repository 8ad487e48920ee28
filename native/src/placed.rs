//! A spread that has its places: which log each group goes to, and its offsets there.  No object a log, on the way into a commit and out.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::answers::{self, PutAnswer};
use crate::calls::{PutCall, forms_of};
use crate::number::Number;
use crate::spread::{FRAME_HEAD_BYTES, Grouped, Targets};
use crate::tips::Tips;
use crate::{ShardNames, filled, is_cbor, unpanicked, warm};

/// Logs in the order of a ring: places of their tips, and their numbers.
#[pyclass(frozen, module = "penstock_native")]
pub struct Fanned {
    places: Vec<usize>,
    logs: Vec<u64>,
}

#[pymethods]
impl Fanned {
    #[new]
    fn new(places: Vec<usize>, logs: Vec<u64>) -> PyResult<Self> {
        if places.len() == logs.len() {
            Ok(Self { places, logs })
        } else {
            Err(PyValueError::new_err("each log has a place and a number"))
        }
    }

    #[getter]
    fn places(&self) -> Vec<usize> {
        self.places.clone()
    }

    #[getter]
    fn log_nos(&self) -> Vec<u64> {
        self.logs.clone()
    }
}

/// Groups that have their logs and offsets.
#[pyclass(frozen, module = "penstock_native")]
pub struct Placed {
    grouped: Arc<Grouped>,
    places: Vec<usize>,
    logs: Vec<u64>,
    firsts: Vec<u64>,
    #[pyo3(get)]
    arrival_ms: i64,
}

/// First offset, end, where in `frames` the frame begins, and the length of its body.
type BlockRow = (u64, u64, usize, usize);

/// Where the blocks of a scatter lie: what readers ask for until its file is settled.
#[pyclass(frozen, module = "penstock_native")]
pub struct PlacedBlocks {
    rows: Vec<BlockRow>,
    #[pyo3(get)]
    arrival_ms: i64,
}

#[pymethods]
impl PlacedBlocks {
    fn row(&self, group: usize) -> Option<BlockRow> {
        self.rows.get(group).copied()
    }
}

impl Placed {
    /// Give each group its offsets; None, and nothing given, where one of its logs takes no records.
    pub fn new(grouped: &Arc<Grouped>, fanned: &Fanned, tips: &mut Tips, now_ms: i64) -> PyResult<Option<Self>> {
        let owners = grouped.places(fanned.places.len()).ok_or_else(|| PyValueError::new_err("no such shard"))?;
        let (places, logs): (Vec<_>, Vec<_>) = owners.map(|owner| (fanned.places[owner], fanned.logs[owner])).unzip();
        let given = tips.give(&places, &grouped.counts(), now_ms)?;
        Ok(given.map(|(firsts, arrival_ms)| {
            let grouped = Arc::clone(grouped);
            Self { grouped, places, logs, firsts, arrival_ms }
        }))
    }
}

#[pymethods]
impl Placed {
    /// Of each group the offset of its first record.
    #[getter]
    fn firsts(&self) -> Vec<u64> {
        self.firsts.clone()
    }

    /// Of each group the place of its log.
    #[getter]
    fn places(&self) -> Vec<usize> {
        self.places.clone()
    }

    /// Frames of the journal, one for each group, end to end.
    fn frames<'py>(&self, py: Python<'py>, file_no: u64, commit: u64) -> PyResult<Bound<'py, PyBytes>> {
        let targets = Targets { logs: &self.logs, firsts: &self.firsts, arrival_ms: self.arrival_ms };
        let length = self.grouped.frames_bytes();
        filled(py, length, |out| py.detach(|| self.grouped.write_frames(file_no, commit, &targets, out)))
    }

    /// Let readers see the groups; `number`: of the scatter that they are.
    fn show(&self, mut tips: PyRefMut<'_, Tips>, number: u64) -> PyResult<()> {
        warm(self.places.iter().map(|place| tips.around(*place)));
        let rows = self.places.iter().zip(&self.firsts).zip(self.grouped.groups());
        for (group, ((place, first), records)) in rows.enumerate() {
            tips.show(*place, first + records.len() as u64, self.arrival_ms)?;
            tips.note_scatter(*place, number, group)?;
        }
        Ok(())
    }

    /// Take the offsets back: nothing was written.
    fn roll_back(&self, mut tips: PyRefMut<'_, Tips>) -> PyResult<()> {
        self.places.iter().try_for_each(|place| tips.take_back(*place))
    }

    /// Where the groups lie in `frames`, without their records.
    fn blocks(&self) -> PlacedBlocks {
        let mut at = 0;
        let rows = self.firsts.iter().zip(self.grouped.measures()).map(|(first, (records, length))| {
            let begin = at;
            at += FRAME_HEAD_BYTES + length;
            (*first, first + records as u64, begin, length)
        });
        PlacedBlocks { rows: rows.collect(), arrival_ms: self.arrival_ms }
    }

    /// Answers to calls that are its records.  `drawn`: random bytes for ids.
    fn answer_calls(
        &self,
        calls: Vec<Bound<'_, PutCall>>,
        shards: &ShardNames,
        drawn: &[u8],
    ) -> PyResult<Vec<Option<PutAnswer>>> {
        let numbers = self.grouped.first_numbers(&shards.0, &self.firsts, self.arrival_ms.unsigned_abs());
        let numbers = numbers.ok_or_else(|| PyValueError::new_err("no such shard"))?;
        let shard = |(owner, number): (&u32, Number)| Some((shards.0.ids[*owner as usize].as_str(), number));
        let shards = self.grouped.owners.iter().zip(numbers).map(shard).collect();
        answers::to_calls(&forms_of(&calls), &self.grouped.order, shards, drawn)
    }

    /// What PutRecords answers: `head`, an item for each record, `tail`.
    fn write_written<'py>(
        &self,
        py: Python<'py>,
        format: &str,
        head: &[u8],
        shards: &ShardNames,
        tail: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let cbor = is_cbor(format)?;
        let mut answer = Vec::with_capacity(head.len() + self.grouped.order.len() * 128 + tail.len());
        answer.extend_from_slice(head);
        let arrival_ms = self.arrival_ms.unsigned_abs();
        let mut write = || self.grouped.write_answer(&shards.0, &self.firsts, arrival_ms, cbor, &mut answer);
        let written = unpanicked(|| py.detach(&mut write))?;
        written.ok_or_else(|| PyValueError::new_err("no such shard"))?;
        answer.extend_from_slice(tail);
        Ok(PyBytes::new(py, &answer))
    }
}
