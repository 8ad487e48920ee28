//! Threads that read and hash large PutRecords, and never ask for the interpreter: a thread that waits for its turn there is an idle core.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::rows::Columns;
use crate::sign::hex_sha256;
use crate::{Rows, cbor, is_cbor, json, rows_of};

struct Job {
    ticket: u64,
    body: PyBackedBytes,
    cbor: bool,
    hashed: bool,
}

struct Done {
    ticket: u64,
    read: Option<(String, Columns)>,
    digest: Option<String>,
    _body: PyBackedBytes, // let go of where the interpreter is at hand
}

struct Shared {
    done: Mutex<Vec<Done>>,
    bell: UnixStream,
}

/// The threads.
#[pyclass(frozen, module = "penstock_native")]
pub struct Readers {
    jobs: Mutex<Option<Sender<Job>>>,
    shared: Arc<Shared>,
    heard: UnixStream,
}

/// Ticket, what was read, and the hash of the body in hexadecimal, if it was asked for.
type Told = (u64, Option<(String, Rows)>, Option<String>);

#[pymethods]
impl Readers {
    #[new]
    fn new(count: usize) -> PyResult<Self> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let shared = Arc::new(Shared { done: Mutex::default(), bell });
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let (receiver, shared) = (Arc::clone(&receiver), Arc::clone(&shared));
            thread::Builder::new().name("penstock-read".into()).spawn(move || work(&receiver, &shared))?;
        }
        Ok(Self { jobs: Mutex::new(Some(sender)), shared, heard })
    }

    /// What becomes readable when there is something to take.
    fn fileno(&self) -> RawFd {
        self.heard.as_raw_fd()
    }

    /// Have a body read, and hashed where that is asked for.
    fn submit(&self, ticket: u64, format: &str, body: PyBackedBytes, hashed: bool) -> PyResult<()> {
        let job = Job { ticket, body, cbor: is_cbor(format)?, hashed };
        let sent = held(&self.jobs).as_ref().and_then(|jobs| jobs.send(job).ok());
        sent.ok_or_else(|| PyRuntimeError::new_err("the readers have ended"))
    }

    /// What was read since the last time; None in place of a request that is left to Python.
    fn take(&self) -> Vec<Told> {
        let mut bytes = [0; 64];
        while matches!((&self.heard).read(&mut bytes), Ok(64)) {}
        let done = std::mem::take(&mut *held(&self.shared.done));
        done.into_iter().map(|done| (done.ticket, done.read.map(rows_of), done.digest)).collect()
    }

    /// Let the threads end, when what they were given is read.
    fn close(&self) {
        *held(&self.jobs) = None;
    }
}

pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(jobs: &Mutex<Receiver<Job>>, shared: &Shared) {
    loop {
        let next = held(jobs).recv();
        let Ok(Job { ticket, body, cbor, hashed }) = next else { return };
        let read = || (if cbor { cbor::read(&body) } else { json::read(&body) }, hashed.then(|| hex_sha256(&body)));
        let (read, digest) = catch_unwind(AssertUnwindSafe(read)).unwrap_or_default(); // a bug of ours is Python's too
        let mut done = held(&shared.done);
        done.push(Done { ticket, read, digest, _body: body });
        if done.len() == 1 {
            let _ = (&shared.bell).write(&[1]); // full: it was rung often enough
        }
    }
}
