//! Answers with a page of records: written whole, or sent while they are written.
//!
//! Theory.  An answer of 14 MB that is written whole leaves the processor's cache, is read again to be sent, and its memory is cleared before.
//! So a thread writes it in pieces, each of which the socket takes while it is in the cache.  It waits for the client only for moments:
//! what a slow one has not taken then goes back to Python in one piece, and everything that is known there about slow clients holds.
//!
//! A socket is handed over as between processes, by a message that carries it: so it is owned here, and closed once, without `unsafe`.

use std::io::{self, IoSliceMut};
use std::iter::Peekable;
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

use crate::number::{Number, Writer};
use crate::pages::{Page, Row, Span};
use crate::readers::held;
use crate::{filled, is_cbor, number_of, unpanicked};

const PIECE_BYTES: usize = 256 << 10; // fits the cache of a core
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 }; // for a client to take something
const PATIENCE: Duration = Duration::from_millis(100); // for a client to take an answer, all such waits together

#[cfg(target_vendor = "apple")]
const FLAGS: SendFlags = SendFlags::DONTWAIT; // and SIGPIPE is ignored, as the interpreter has it
#[cfg(not(target_vendor = "apple"))]
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Where sockets are handed over.
#[pyclass(frozen, module = "penstock_native")]
pub struct Handover {
    ours: UnixStream,
}

#[pymethods]
impl Handover {
    /// The place, and the descriptor to send sockets to, which is the caller's to close.
    #[staticmethod]
    fn open() -> PyResult<(Self, RawFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self { ours }, theirs.into_raw_fd()))
    }

    /// The socket that was sent.
    fn take(&self) -> PyResult<Outlet> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut carried = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&self.ours, &mut [IoSliceMut::new(&mut byte)], &mut carried, RecvFlags::empty()).map_err(failed)?;
        let sockets = carried.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let socket = sockets.flatten().next().ok_or_else(|| PyOSError::new_err("no socket was handed over"))?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC).map_err(failed)?;
        Ok(Outlet { socket: Mutex::new(Some(Arc::new(socket))) })
    }
}

/// A socket to send an answer to.
#[pyclass(frozen, module = "penstock_native")]
pub struct Outlet {
    socket: Mutex<Option<Arc<OwnedFd>>>,
}

#[pymethods]
impl Outlet {
    /// Let the socket go, at the end of what is being sent: while it is held, the client does not see the end of its connection.
    fn close(&self) {
        *held(&self.socket) = None;
    }
}

/// How much of `bytes` was taken: all, unless the client takes nothing for a moment, or too little for all of `patience`.
fn taken_of(bytes: &[u8], socket: &OwnedFd, patience: &mut Duration) -> Result<usize, Errno> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(socket, &bytes[sent..], FLAGS) {
            Ok(taken) => sent += taken,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if patience.is_zero() => break,
            Err(Errno::AGAIN) => {
                let began = Instant::now();
                let ready = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&WAIT));
                *patience = patience.saturating_sub(began.elapsed());
                match ready {
                    Ok(0) => break,
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// What is not yet sent of an answer: bytes that are written, rows that are not, and the end.
struct Unsent<'page, Rows: Iterator<Item = Row<'page>>> {
    written: Vec<u8>,
    rows: Peekable<Rows>,
    end: &'page [u8],
    size: usize, // of all that
}

impl<'page, Rows: Iterator<Item = Row<'page>>> Unsent<'page, Rows> {
    /// Send as much as is taken.
    fn send(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        let mut piece = std::mem::take(&mut self.written);
        let mut used = piece.len();
        piece.resize(PIECE_BYTES.max(used), 0);
        let mut patience = PATIENCE;
        while self.size > 0 {
            used += self.fill(&mut piece, used);
            assert!(used > 0, "an answer was measured wrongly"); // else it would never end
            let taken = taken_of(&piece[..used], socket, &mut patience)?;
            self.size -= taken;
            if taken < used {
                self.written.extend_from_slice(&piece[taken..used]);
                break;
            }
            used = 0;
        }
        Ok(())
    }

    /// Write behind the `used` bytes of a piece what fits; one thing at least into one that is empty.
    fn fill(&mut self, piece: &mut Vec<u8>, used: usize) -> usize {
        let next = self.rows.peek().map_or(self.end.len(), Row::len);
        if used == 0 && next > piece.len() {
            piece.resize(next, 0);
        }
        let mut out = Writer::new(&mut piece[used..]);
        while let Some(row) = self.rows.next_if(|row| row.len() <= out.room()) {
            row.write(&mut out);
        }
        if self.rows.peek().is_none() && self.end.len() <= out.room() {
            out.put(std::mem::take(&mut self.end));
        }
        out.written()
    }

    fn write(self, out: &mut Writer) {
        out.put(&self.written);
        self.rows.for_each(|row| row.write(out));
        out.put(self.end);
    }
}

/// Lengths and bytes of keys, then of data.
type SpanBytes<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

fn span_of<'page>((key_lengths, keys, data_lengths, data): &'page SpanBytes<'_>) -> Span<'page> {
    Span {
        keys: keys.as_bytes(),
        key_lengths: key_lengths.as_bytes(),
        data: data.as_bytes(),
        data_lengths: data_lengths.as_bytes(),
    }
}

/// An answer with a page of records: `begin`, the records, `end`.  None where Python shall write it.
///
/// `number`: of the first record without its arrival, 24 bytes little-endian.  `head_of` makes what stands in front of it all of its size.
/// Where there is an outlet it is sent there, and what the client has yet to take is answered.  Raises OSError where the client is gone, or the
/// outlet was closed.
#[pyfunction]
#[pyo3(signature = (format, begin, spans, number, arrivals_ms, end, head_of=None, outlet=None))]
#[allow(clippy::too_many_arguments)] // a page is four things, and two go around it
pub fn write_page<'py>(
    py: Python<'py>,
    format: &str,
    begin: &[u8],
    spans: Vec<SpanBytes<'py>>,
    number: &[u8],
    arrivals_ms: Vec<u64>,
    end: &[u8],
    head_of: Option<Bound<'py, PyAny>>,
    outlet: Option<&Outlet>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let cbor = is_cbor(format)?;
    let base = Number::from_le(&number_of(number)?);
    let views: Vec<Span<'_>> = spans.iter().map(span_of).collect();
    let measured = unpanicked(|| {
        py.detach(|| {
            let page = Page::new(&views, base, arrivals_ms, cbor)?;
            let size = begin.len() + page.len() + end.len();
            Some((page, size))
        })
    })?;
    let Some((page, size)) = measured else { return Ok(None) };
    let mut written = match head_of {
        Some(head_of) => head_of.call1((size,))?.cast_into::<PyBytes>()?.as_bytes().to_vec(),
        None => Vec::new(),
    };
    let size = written.len() + size;
    written.extend_from_slice(begin);
    let socket = match outlet {
        Some(outlet) => Some(held(&outlet.socket).clone().ok_or(Errno::PIPE).map_err(failed)?),
        None => None,
    };
    let unsent = unpanicked(|| {
        py.detach(|| {
            let mut unsent = Unsent { written, rows: page.rows().peekable(), end, size };
            socket.map_or(Ok(()), |socket| unsent.send(&socket)).map(|()| unsent)
        })
    })?;
    let unsent = unsent.map_err(failed)?;
    filled(py, unsent.size, |out| py.detach(|| unsent.write(out))).map(Some)
}

fn failed(error: Errno) -> PyErr {
    io::Error::from(error).into()
}
