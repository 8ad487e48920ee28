//! Penstock's hot path in Rust: heads read, signatures verified, PutRecords decoded and framed, pages of records encoded, KPL aggregates
//! packed and read.
//!
//! Theory.  Everything here exists in Python too, and tests hold the two against each other byte by byte.  What is not plainly fine is
//! answered with None, and Python decides; so nothing here words an error.  The interpreter is let go of while bytes are worked on.

mod aggregate;
mod answers;
mod blocks;
mod calls;
mod cbor;
mod checksums;
mod counts;
mod head;
mod hpack;
mod huffman;
mod joined;
mod json;
mod number;
mod pages;
mod placed;
mod readers;
mod roster;
mod rows;
mod sending;
mod settling;
mod sign;
mod spread;
mod storing;
mod tips;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use number::{NUMBER_BYTES, Number, Writer};
use placed::{Fanned, Placed};
use rows::Columns;
use spread::{Grouped, Shards};
use tips::Tips;

const HELD_MAX_BYTES: usize = 4096; // of one record: up to here letting go of the interpreter costs more than the work

/// Where the ranges of a stream's open shards begin, ascending from 0.
#[pyclass(frozen, module = "penstock_native")]
struct Ring {
    starts: Vec<u128>,
}

#[pymethods]
impl Ring {
    /// `starts`: 16 bytes each, big-endian.
    #[new]
    fn new(starts: &[u8]) -> PyResult<Self> {
        let starts: Vec<u128> =
            starts.chunks_exact(16).map(|start| u128::from_be_bytes(start.try_into().expect("16 bytes"))).collect();
        if starts.first() != Some(&0) || !starts.is_sorted() {
            return Err(PyValueError::new_err("a ring begins at 0 and ascends"));
        }
        Ok(Self { starts })
    }
}

/// The records of one PutRecords.
#[pyclass(frozen, module = "penstock_native")]
struct Rows {
    columns: Arc<Columns>,
    #[pyo3(get)]
    largest_bytes: usize,
    #[pyo3(get)]
    size_bytes: usize,
}

/// Records of one shard: its place in the ring, their number, then the lengths and bytes of their keys and data.
type Group<'py> = (usize, usize, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl Rows {
    fn __len__(&self) -> usize {
        self.columns.len()
    }

    /// Partition keys, data and hash keys (16 bytes, big-endian) as lists.
    fn lists<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>)> {
        let (keys, data): (Vec<_>, Vec<_>) =
            self.columns.records().iter().map(|(key, data)| (PyBytes::new(py, key), PyBytes::new(py, data))).unzip();
        let hashes = self.columns.hash_keys.iter().map(|key| PyBytes::new(py, &key.to_be_bytes()));
        Ok((PyList::new(py, keys)?, PyList::new(py, data)?, PyList::new(py, hashes.collect::<Vec<_>>())?))
    }

    /// The records by shard, in the order in which shards first occur.
    fn spread(&self, py: Python<'_>, ring: &Ring) -> PyResult<Spread> {
        let columns = Arc::clone(&self.columns);
        let grouped = unpanicked(|| py.detach(|| Grouped::new(columns, &ring.starts)))?;
        Ok(Spread { size_bytes: self.size_bytes, frames_bytes: grouped.frames_bytes(), grouped: Arc::new(grouped) })
    }
}

/// The records of one PutRecords by shard.
#[pyclass(frozen, module = "penstock_native")]
struct Spread {
    grouped: Arc<Grouped>,
    #[pyo3(get)]
    size_bytes: usize,
    #[pyo3(get)]
    frames_bytes: usize,
}

#[pymethods]
impl Spread {
    fn __len__(&self) -> usize {
        self.grouped.owners.len()
    }

    /// For each record its group, two bytes each.
    fn order<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let order: Vec<u8> = self.grouped.order.iter().flat_map(|group| group.to_le_bytes()).collect();
        PyBytes::new(py, &order)
    }

    /// The records of each group, as columns.
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Vec<Group<'py>>> {
        let records = self.grouped.records();
        let groups = self.grouped.owners.iter().zip(self.grouped.groups()).map(|(owner, group)| {
            let members: Vec<_> = group.iter().map(|record| records[*record as usize]).collect();
            gathered(py, *owner as usize, &members)
        });
        groups.collect()
    }

    /// Of each group the place of its shard in the ring.
    fn owners(&self) -> Vec<u32> {
        self.grouped.owners.clone()
    }

    /// Of each group the number of its records.
    fn counts(&self) -> Vec<usize> {
        self.grouped.counts()
    }

    /// Of each group the bytes of its keys and data.
    fn sizes(&self) -> Vec<usize> {
        self.grouped.sizes()
    }

    /// Give each group its log and its offsets there; None, and nothing given, where one of its logs takes no records.
    fn place(&self, fanned: &Fanned, mut tips: PyRefMut<'_, Tips>, now_ms: i64) -> PyResult<Option<Placed>> {
        Placed::new(&self.grouped, fanned, &mut tips, now_ms)
    }
}

/// The open shards of a stream, in the order of its ring: ids, and their parts of sequence numbers.
#[pyclass(frozen, module = "penstock_native")]
struct ShardNames(Shards);

#[pymethods]
impl ShardNames {
    #[new]
    fn new(shards: Vec<(String, Vec<u8>, u32)>) -> PyResult<Self> {
        let shards = shards.into_iter().map(|(shard_id, base, number)| Ok((shard_id, number_of(&base)?, number)));
        Ok(Self(Shards::of(shards.collect::<PyResult<_>>()?)))
    }
}

/// Records of one shard end to end.
fn gathered<'py>(py: Python<'py>, owner: usize, records: &[(&[u8], &[u8])]) -> PyResult<Group<'py>> {
    let (keys_bytes, data_bytes) =
        records.iter().fold((0, 0), |(keys, all), (key, data)| (keys + key.len(), all + data.len()));
    let key_lengths: Vec<u8> = records.iter().flat_map(|(key, _)| (key.len() as u16).to_le_bytes()).collect();
    let data_lengths: Vec<u8> = records.iter().flat_map(|(_, data)| (data.len() as u32).to_le_bytes()).collect();
    Ok((
        owner,
        records.len(),
        PyBytes::new(py, &key_lengths),
        PyBytes::new(py, &data_lengths),
        filled(py, keys_bytes, |out| records.iter().for_each(|(key, _)| out.put(key)))?,
        filled(py, data_bytes, |out| records.iter().for_each(|(_, data)| out.put(data)))?,
    ))
}

/// Bytes of a known length, written by `write`, which needs no interpreter.
fn filled<'py>(py: Python<'py>, length: usize, write: impl FnOnce(&mut Writer)) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, length, |buffer| {
        let mut out = Writer::new(buffer);
        unpanicked(|| write(&mut out))?;
        if out.is_full() { Ok(()) } else { Err(PyValueError::new_err("an answer was measured wrongly")) }
    })
}

/// The stream's name and the records of a PutRecords in JSON, or None where Python shall look.
#[pyfunction]
fn read_json(py: Python<'_>, body: &[u8]) -> PyResult<Option<(String, Rows)>> {
    Ok(unpanicked(|| py.detach(|| json::read(body)))?.map(rows_of))
}

/// As `read_json`, of CBOR.
#[pyfunction]
fn read_cbor(py: Python<'_>, body: &[u8]) -> PyResult<Option<(String, Rows)>> {
    Ok(unpanicked(|| py.detach(|| cbor::read(body)))?.map(rows_of))
}

/// Stream, partition key, data, and hash key (16 bytes, big-endian) of a PutRecord.
type One<'py> = (Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// A PutRecord, or None where Python shall look.
#[pyfunction]
fn read_record<'py>(py: Python<'py>, format: &str, body: &[u8]) -> PyResult<Option<One<'py>>> {
    let read = if is_cbor(format)? { cbor::read_one } else { json::read_one };
    let work = || read(body).map(|record| (record.hash_key(), record));
    let found = unpanicked(|| if body.len() > HELD_MAX_BYTES { py.detach(work) } else { work() })?;
    Ok(found.map(|(hash_key, record)| {
        (
            PyString::new(py, record.name),
            PyString::new(py, &record.key),
            PyBytes::new(py, &record.data),
            PyBytes::new(py, &hash_key.to_be_bytes()),
        )
    }))
}

/// What `work` returns.  A panic is a bug, and costs the request that met it: in Python it would be no `Exception`, and end the server.
fn unpanicked<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| PyRuntimeError::new_err("the native part panicked"))
}

/// Read a little of what is needed next, here and there: these loads wait for cold memory together, where the work itself would wait for one
/// after the other.
fn warm(loads: impl Iterator<Item = u8>) {
    black_box(loads.fold(0, |sum, load| sum ^ load));
}

fn rows_of((name, columns): (String, Columns)) -> (String, Rows) {
    let (largest_bytes, size_bytes) = columns.sizes();
    (name, Rows { columns: Arc::new(columns), largest_bytes, size_bytes })
}

/// What was written to the shards of one stream lately.
#[pyclass(module = "penstock_native")]
struct WriteCounts(counts::Counts);

/// How many, then totals, lowest and highest of records, bytes and milliseconds.
type CallsRow = (u64, [u64; 3], [u64; 3], [u64; 3]);

fn calls_row(calls: &counts::Calls) -> CallsRow {
    (calls.count, calls.totals, calls.lows, calls.highs)
}

#[pymethods]
impl WriteCounts {
    #[new]
    fn new() -> Self {
        Self(counts::Counts::new())
    }

    /// Count a request that took `took_ms` and ended in `second`; `alone`: each record was one.
    fn add(&mut self, spread: &Spread, shards: &ShardNames, second: i64, took_ms: u64, alone: bool) -> PyResult<()> {
        let counted = unpanicked(|| self.0.add(&spread.grouped, &shards.0, second, took_ms, alone))?;
        counted.ok_or_else(|| PyValueError::new_err("no such shard"))
    }

    /// Numbers of shards that were written to for the first time since the last time, or since they were forgotten.
    fn take_new(&mut self) -> Vec<u32> {
        self.0.take_new()
    }

    fn forget(&mut self, shard: usize) {
        self.0.forget(shard);
    }

    /// Bytes and records of a shard in the seconds from `first` up to `end`.
    fn seconds(&self, shard: usize, first: i64, end: i64) -> (u64, u64) {
        self.0.sum(shard, first, end, false)
    }

    /// The same of minutes.
    fn minutes(&self, shard: usize, first: i64, end: i64) -> (u64, u64) {
        self.0.sum(shard, first, end, true)
    }

    /// The calls, of many records or of one, of all shards since the last time.
    fn take_calls(&mut self, alone: bool) -> CallsRow {
        calls_row(&self.0.take_calls(alone))
    }

    /// What one shard had of the calls that were taken last.
    fn taken(&self, shard: u32, alone: bool) -> Option<CallsRow> {
        self.0.taken(shard as usize, alone).map(calls_row)
    }
}

/// What PutRecords answers where every record was written: `head`, an item for each record, `tail`.
///
/// `order`: for each record the place of its shard in `shards`, two bytes each; a shard is its id and the number of its first record.
#[pyfunction]
fn write_written<'py>(
    py: Python<'py>,
    format: &str,
    head: &[u8],
    order: &[u8],
    shards: Vec<(String, Vec<u8>)>,
    tail: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let cbor = is_cbor(format)?;
    let step = Number::power(pages::INDEX_SHIFT);
    let mut owners = Vec::with_capacity(shards.len());
    for (shard_id, number) in &shards {
        owners.push((pages::end_written(shard_id, cbor), Number::from_le(&number_of(number)?)));
    }
    let mut answer = Vec::with_capacity(head.len() + order.len() / 2 * 128 + tail.len());
    answer.extend_from_slice(head);
    for (place, owner) in order.chunks_exact(2).enumerate() {
        let owner = usize::from(u16::from_le_bytes([owner[0], owner[1]]));
        let (end, number) = owners.get_mut(owner).ok_or_else(|| PyValueError::new_err("no such shard"))?;
        if place > 0 && !cbor {
            answer.push(b',');
        }
        pages::append_written(end, number, cbor, &mut answer);
        *number = number.plus(&step);
    }
    answer.extend_from_slice(tail);
    Ok(PyBytes::new(py, &answer))
}

fn is_cbor(format: &str) -> PyResult<bool> {
    match format {
        "json" => Ok(false),
        "cbor" => Ok(true),
        _ => Err(PyValueError::new_err("a format is json or cbor")),
    }
}

fn number_of(bytes: &[u8]) -> PyResult<[u8; NUMBER_BYTES]> {
    bytes.try_into().map_err(|_| PyValueError::new_err("a number has 24 bytes"))
}

/// What Python asks for (`wire/native.py`); raised when what is offered here changes.
const INTERFACE: u32 = 17;

#[pymodule]
fn penstock_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("INTERFACE", INTERFACE)?;
    module.add_class::<aggregate::Aggregate>()?;
    module.add_function(wrap_pyfunction!(aggregate::unpack, module)?)?;
    module.add_class::<calls::PutCall>()?;
    module.add_class::<answers::PutAnswer>()?;
    module.add_class::<head::HeadReader>()?;
    module.add_class::<hpack::BlockReader>()?;
    module.add_class::<sign::SignedNames>()?;
    module.add_class::<sign::SigningKey>()?;
    module.add_class::<readers::Readers>()?;
    module.add_class::<Fanned>()?;
    module.add_class::<Placed>()?;
    module.add_class::<roster::Roster>()?;
    module.add_class::<Tips>()?;
    module.add_class::<Ring>()?;
    module.add_class::<Rows>()?;
    module.add_class::<ShardNames>()?;
    module.add_class::<Spread>()?;
    module.add_class::<WriteCounts>()?;
    module.add_class::<sending::Handover>()?;
    module.add_class::<sending::Outlet>()?;
    module.add_class::<settling::BlockFinder>()?;
    module.add_class::<settling::JoinedBlocks>()?;
    module.add_class::<settling::JournalMemory>()?;
    module.add_class::<storing::FileWriter>()?;
    module.add_function(wrap_pyfunction!(read_json, module)?)?;
    module.add_function(wrap_pyfunction!(read_record, module)?)?;
    module.add_function(wrap_pyfunction!(read_cbor, module)?)?;
    module.add_function(wrap_pyfunction!(sending::write_page, module)?)?;
    module.add_function(wrap_pyfunction!(write_written, module)?)?;
    Ok(())
}
