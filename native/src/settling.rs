//! What Python holds of a journal file on its way to segments.

use std::fs::File;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::blocks::{Finder, Memory};
use crate::joined::{Joined, Sizes};
use crate::roster::Roster;
use crate::storing::failure;
use crate::tips::Tips;
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

/// Finds the blocks that a journal file has of some logs, and makes segments of them.
#[pyclass(module = "penstock_native")]
pub struct BlockFinder(Finder);

#[pymethods]
impl BlockFinder {
    #[new]
    fn new(
        memory: &JournalMemory,
        size_bytes: usize,
        file_no: u64,
        roster: &Roster,
        tips: PyRef<'_, Tips>,
        sizes: (usize, usize, usize, usize),
    ) -> PyResult<Self> {
        let (header, segment, target, alone) = sizes;
        let sizes = Sizes { header, segment, target, alone };
        let starts = tips.settled_ends(&roster.0)?;
        Ok(Self(Finder::new(&memory.0, size_bytes, file_no, Arc::clone(&roster.0), starts, sizes)))
    }

    /// What follows of the file.
    fn take(&mut self, py: Python<'_>, piece: &[u8]) -> PyResult<()> {
        unpanicked(|| py.detach(|| self.0.take(piece)))
    }

    /// Take `length` bytes of the file at `path`, all of it; false where it cannot be opened.
    fn read(&mut self, py: Python<'_>, path: &str, length: usize) -> PyResult<bool> {
        let Ok(file) = File::open(path) else { return Ok(false) };
        unpanicked(|| py.detach(|| self.0.read(&file, length)))?.map_err(failure)?;
        Ok(true)
    }

    /// What becomes of the whole file, once: segments, each with the place of its stream.  None where Python shall make them.
    fn segments(&mut self, py: Python<'_>) -> PyResult<Option<Vec<(usize, JoinedBlocks)>>> {
        let made = unpanicked(|| py.detach(|| self.0.segments()))?;
        Ok(made.map(|made| made.into_iter().map(|(stream, joined)| (stream, JoinedBlocks(joined))).collect()))
    }
}

/// A segment behind its header that is yet to be written: an iterator of pieces, made when they are asked for.
#[pyclass(module = "penstock_native")]
pub struct JoinedBlocks(pub Joined);

#[pymethods]
impl JoinedBlocks {
    /// Bytes that are yet to be written.
    #[getter]
    fn left(&self) -> usize {
        self.0.left()
    }

    /// Of the segment's index.
    #[getter]
    fn index_checksum(&self) -> u32 {
        self.0.checksum()
    }

    /// Columns of the logs' ranges.
    fn ranges<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.ranges().columns.iter().map(|column| PyBytes::new(py, column)).collect()
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
