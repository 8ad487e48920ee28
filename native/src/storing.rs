//! Files that are written whole, as `host/disk.py` writes them, by a thread that asks for the interpreter once a piece.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::settling::JoinedBlocks;
use crate::unpanicked;

const UNIT_BYTES: usize = 4096; // of what passes the page cache, in memory as in the file

/// An error that tells Python its number.
pub fn failure(error: io::Error) -> PyErr {
    PyOSError::new_err((error.raw_os_error(), error.to_string()))
}

/// Memory that a file may be written from past the page cache.
struct Step {
    bytes: Vec<u8>,
    begin: usize,
}

impl Step {
    fn new(size_bytes: usize) -> Self {
        let bytes = vec![0; size_bytes + UNIT_BYTES];
        let begin = bytes.as_ptr().align_offset(UNIT_BYTES);
        Self { bytes, begin }
    }

    fn room(&mut self) -> &mut [u8] {
        let end = self.begin + self.bytes.len() - UNIT_BYTES;
        &mut self.bytes[self.begin..end]
    }
}

/// A file in the making.
struct Output<'path> {
    path: &'path str,
    file: File,
    direct: bool, // past the page cache
    at: usize,
    step: Step,
    filled: usize,
}

fn open(path: &str, flags: i32) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

impl Output<'_> {
    /// Have `fill` write to what room there is, and the file be written whenever there is none, until it writes nothing.
    fn put(&mut self, mut fill: impl FnMut(&mut [u8]) -> usize) -> io::Result<()> {
        loop {
            let room = &mut self.step.room()[self.filled..];
            let (size_bytes, count) = (room.len(), fill(room));
            self.filled += count;
            if count == size_bytes {
                self.flush()?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// What is behind the end, up to a whole unit, is to be cut off.
    fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.filled {
            let end = self.filled.next_multiple_of(UNIT_BYTES);
            match self.file.write_at(&self.step.room()[written..end], (self.at + written) as u64) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput && self.direct => {
                    (self.file, self.direct) = (open(self.path, 0)?, false);
                }
                Err(error) => return Err(error),
            }
        }
        self.at += self.filled;
        self.filled = 0;
        Ok(())
    }
}

/// Writes files, from memory that it uses again.
#[pyclass(frozen, module = "penstock_native")]
pub struct FileWriter {
    step_bytes: usize,
    spare: Mutex<Vec<Step>>,
}

#[pymethods]
impl FileWriter {
    /// `step_bytes`: so many are written at a time.
    #[new]
    fn new(step_bytes: usize) -> Self {
        Self { step_bytes: step_bytes.next_multiple_of(UNIT_BYTES).max(UNIT_BYTES), spare: Mutex::default() }
    }

    /// Write the pieces of parts from the beginning of the file at `path` on, and perhaps a part of a unit more; how many bytes they are.
    ///
    /// None where it cannot be opened.  `flags`: for writing past the page cache, where that is possible.
    fn write(&self, py: Python<'_>, path: &str, flags: i32, parts: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let opened = open(path, flags).map(|file| (file, true)).or_else(|_| open(path, 0).map(|file| (file, false)));
        let Ok((file, direct)) = opened else { return Ok(None) };
        let step = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let step = step.unwrap_or_else(|| Step::new(self.step_bytes));
        let mut output = Output { path, file, direct, at: 0, step, filled: 0 };
        let written = write_all(py, &mut output, parts);
        let at = output.at;
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(output.step);
        written.map(|()| Some(at))
    }
}

fn write_all(py: Python<'_>, output: &mut Output<'_>, parts: &Bound<'_, PyAny>) -> PyResult<()> {
    for part in parts.try_iter()? {
        let part = part?;
        if let Ok(joined) = part.cast::<JoinedBlocks>() {
            let mut joined = joined.try_borrow_mut()?;
            let blocks = &mut joined.0;
            unpanicked(|| py.detach(|| output.put(|room| blocks.fill(room))))?.map_err(failure)?;
        } else {
            for piece in part.try_iter()? {
                write_piece(py, output, piece?.extract()?)?;
            }
        }
    }
    unpanicked(|| py.detach(|| output.flush()))?.map_err(failure)
}

fn write_piece(py: Python<'_>, output: &mut Output<'_>, piece: &[u8]) -> PyResult<()> {
    let mut rest = piece;
    let fill = |room: &mut [u8]| {
        let (now, later) = rest.split_at(room.len().min(rest.len()));
        room[..now.len()].copy_from_slice(now);
        rest = later;
        now.len()
    };
    unpanicked(|| py.detach(|| output.put(fill)))?.map_err(failure)
}
