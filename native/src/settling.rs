//! What Python holds of a journal file on its way to segments.

use std::fs::File;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::blocks::{Finder, Memory};
use crate::joined::{Joined, Sizes};
use crate::storing::failure;
use crate::{filled, unpanicked};

const PIECE_BYTES: usize = 512 << 10; // given to Python at a time

/// Memory that files are read into, one after the other.
#[pyclass(frozen, module = "penstock_native")]
pub struct JournalMemory(Memory);

#[pymethods]
impl JournalMemory {
    #[new]
    fn new() -> Self {
        Self(Memory::default())
    }
}

/// Place of the stream, the first block and one past the last, and their bytes.
type StepRow = (usize, usize, usize, usize);

/// What is to be written; rows of the index and how many, columns of the logs' ranges.
type JoinedRow<'py> = (JoinedBlocks, Bound<'py, PyBytes>, usize, Vec<Bound<'py, PyBytes>>);

/// Finds the blocks that a journal file has of some logs.
#[pyclass(module = "penstock_native")]
pub struct BlockFinder(Finder);

#[pymethods]
impl BlockFinder {
    #[new]
    fn new(
        memory: &JournalMemory,
        size_bytes: usize,
        file_no: u64,
        logs: &[u8],
        starts: &[u8],
        streams: Vec<usize>,
    ) -> PyResult<Self> {
        let finder = Finder::new(&memory.0, size_bytes, file_no, logs, starts, streams);
        finder.map(Self).ok_or_else(|| PyValueError::new_err("no such columns"))
    }

    /// What follows of the file.
    fn take(&mut self, py: Python<'_>, piece: &[u8]) -> PyResult<()> {
        unpanicked(|| py.detach(|| self.0.take(piece)))
    }

    /// Take `length` bytes of the file at `path`; false where it cannot be opened.
    fn read(&mut self, py: Python<'_>, path: &str, length: usize) -> PyResult<bool> {
        let Ok(file) = File::open(path) else { return Ok(false) };
        unpanicked(|| py.detach(|| self.0.read(&file, length)))?.map_err(failure)?;
        Ok(true)
    }

    /// What was found, in the order of logs, of whole logs and `step_bytes` or more at a time.  None where Python shall look.
    fn steps(&mut self, py: Python<'_>, step_bytes: usize) -> PyResult<Option<Vec<StepRow>>> {
        let found = unpanicked(|| py.detach(|| self.0.steps(step_bytes)))?;
        let row = |step: crate::blocks::Step| (step.stream, step.blocks.start, step.blocks.end, step.size_bytes);
        Ok(found.map(|steps| steps.into_iter().map(row).collect()))
    }

    /// Blocks from `first` up to `end` as they lie in a segment from `at` on, and what its index says of them.
    ///
    /// Those of a log are joined up to `target_bytes`, but for those of `alone_bytes`.
    fn join<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        end: usize,
        at: usize,
        target_bytes: usize,
        alone_bytes: usize,
    ) -> PyResult<JoinedRow<'py>> {
        let sizes = Sizes { target_bytes, alone_bytes };
        let work = || {
            let joined = Joined::new(self.0.content(), self.0.blocks(first..end)?, &sizes);
            let told = joined.told(at);
            Some((joined, told))
        };
        let made = unpanicked(|| py.detach(work))?;
        let (joined, told) = made.ok_or_else(|| PyValueError::new_err("no such blocks"))?;
        let columns = told.ranges.columns.iter().map(|column| PyBytes::new(py, column)).collect();
        Ok((JoinedBlocks(joined), PyBytes::new(py, &told.index), told.rows, columns))
    }
}

/// Blocks that are yet to be written: an iterator of pieces, made when they are asked for.
#[pyclass(module = "penstock_native")]
pub struct JoinedBlocks(pub Joined);

#[pymethods]
impl JoinedBlocks {
    /// Bytes that are yet to be written.
    #[getter]
    fn left(&self) -> usize {
        self.0.left()
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let length = self.0.left().min(PIECE_BYTES);
        if length == 0 {
            return Ok(None);
        }
        let filled = filled(py, length, |out| {
            py.detach(|| self.0.fill(out.take(length)));
        });
        filled.map(Some)
    }
}
