//! PutRecord as SDKs send it, read in one go from the first byte of its head to the last of its body; and many such calls as one request.
//!
//! Theory.  A call is taken only if nothing about it is unusual: what `server/http1.py`, the router, the door and the codec would each
//! let pass, in the spelling of SDKs.  Everything else is None, and goes their way.  Nothing is believed here: whether a signature is
//! right is asked of each call, with what Python knows of the key.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::answers::{self, PutAnswer};
use crate::head::{Lines, digits, is_token, plain, read_line, split};
use crate::number::Number;
use crate::rows::Columns;
use crate::sign::{SignedNames, SigningKey};
use crate::{Rows, cbor, json, number_of, rows_of, unpanicked};

const HEADERS_MAX: usize = 20; // no server lets in fewer
const CLAIM_MAX_CHARS: usize = 1024; // of an Authorization header
const SIGNATURE_CHARS: usize = 64;

/// The headers that say what a call is.  One that names none of them is signed, perhaps, and otherwise means nothing here.
#[derive(Default)]
struct Said<'a> {
    authorization: Option<&'a [u8]>,
    connection: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    date: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
}

impl<'a> Said<'a> {
    /// Take a header in; None where it is unusual in such a call, or comes twice.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Option<()> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let place = match name.len() {
            4 if is(b"host") => &mut self.host,
            6 if is(b"origin") || is(b"expect") => return None,
            10 if is(b"connection") => &mut self.connection,
            10 if is(b"x-amz-date") => &mut self.date,
            12 if is(b"content-type") => &mut self.content_type,
            12 if is(b"x-amz-target") => &mut self.target,
            13 if is(b"authorization") => &mut self.authorization,
            14 if is(b"content-length") => &mut self.length,
            15 if is(b"smithy-protocol") => return None,
            16 if is(b"content-encoding") => return None,
            17 if is(b"transfer-encoding") => return None,
            20 if is(b"x-amz-security-token") || is(b"x-amz-content-sha256") => return None,
            _ => return Some(()),
        };
        place.replace(value).is_none().then_some(())
    }
}

/// One PutRecord.
#[pyclass(frozen, module = "penstock_native")]
pub struct PutCall {
    request: Py<PyBytes>,
    headers: Vec<[Range<usize>; 2]>, // names and values
    claim: Range<usize>,             // the Authorization header up to its signature
    signature: Range<usize>,
    date: Range<usize>,
    body: Range<usize>,
    is_cbor: bool,
    stream: String,
    key: String,
    data: Vec<u8>,
}

#[pymethods]
impl PutCall {
    /// A whole request; None where it is unusual, or anything else than one request.
    #[staticmethod]
    fn read(request: Bound<'_, PyBytes>) -> PyResult<Option<Self>> {
        unpanicked(|| read(request))
    }

    /// As it came.
    #[getter]
    fn request(&self, py: Python<'_>) -> Py<PyBytes> {
        self.request.clone_ref(py)
    }

    #[getter]
    fn claim<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text_of(py, &self.request.as_bytes(py)[self.claim.clone()])
    }

    #[getter]
    fn date<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text_of(py, &self.request.as_bytes(py)[self.date.clone()])
    }

    #[getter]
    fn stream<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, &self.stream)
    }

    #[getter]
    fn form(&self) -> &'static str {
        if self.is_cbor { "cbor" } else { "json" }
    }

    /// Places of calls of the same origin: who calls which stream in which form.
    #[staticmethod]
    fn by_origin(py: Python<'_>, calls: Vec<Bound<'_, PutCall>>) -> Vec<Vec<usize>> {
        let mut numbers = HashMap::new();
        let mut origins: Vec<Vec<usize>> = Vec::new();
        for (place, call) in calls.iter().enumerate() {
            let number = *numbers.entry(call.get().origin(py)).or_insert(origins.len());
            if number == origins.len() {
                origins.push(Vec::new());
            }
            origins[number].push(place);
        }
        origins
    }

    /// Places of the calls among those at `places` whose signatures are right; `before`: the string to sign up to the hash.
    #[staticmethod]
    fn proven(
        py: Python<'_>,
        calls: Vec<Bound<'_, PutCall>>,
        places: Vec<usize>,
        names: &SignedNames,
        key: &SigningKey,
        before: &[u8],
    ) -> PyResult<Vec<usize>> {
        let is_signed =
            |place: &usize| calls.get(*place).is_some_and(|call| call.get().is_signed(py, names, key, before));
        unpanicked(|| places.into_iter().filter(is_signed).collect())
    }

    /// The records of calls, as those of one request.
    #[staticmethod]
    fn rows(calls: Vec<Bound<'_, PutCall>>) -> PyResult<Rows> {
        let mut columns = Columns::default();
        for call in calls.iter().map(Bound::get) {
            let data_at = columns.data.len();
            columns.data.extend_from_slice(&call.data);
            columns.push(data_at, &call.key, None).ok_or_else(|| PyValueError::new_err("too many calls"))?;
        }
        Ok(rows_of((String::new(), columns)).1)
    }

    /// Answers to calls, in their order; None for those whose shard did not take them.  `shards`: ids, and numbers of their first records.
    #[staticmethod]
    fn answers(
        calls: Vec<Bound<'_, PutCall>>,
        order: &[u8],
        shards: Vec<Option<(String, Vec<u8>)>>,
        drawn: &[u8],
    ) -> PyResult<Vec<Option<PutAnswer>>> {
        let order: Vec<u16> = order.chunks_exact(2).map(|shard| u16::from_le_bytes([shard[0], shard[1]])).collect();
        let numbered = |(shard_id, number): (String, Vec<u8>)| Ok((shard_id, Number::from_le(&number_of(&number)?)));
        let shards = shards.into_iter().map(|shard| shard.map(numbered).transpose()).collect::<PyResult<_>>()?;
        answers::to_calls(&forms_of(&calls), &order, shards, drawn)
    }
}

impl PutCall {
    /// Who calls which stream in which form: calls with the same of it differ in nothing but their signature and record.
    fn origin<'a>(&'a self, py: Python<'a>) -> (bool, &'a [u8], &'a [u8], &'a str) {
        let request = self.request.as_bytes(py);
        (self.is_cbor, &request[self.claim.clone()], &request[self.date.clone()], &self.stream)
    }

    /// Whether its signature is right; `before`: the string to sign up to the hash.  False also where Python shall look.
    fn is_signed(&self, py: Python<'_>, names: &SignedNames, key: &SigningKey, before: &[u8]) -> bool {
        let request = self.request.as_bytes(py);
        let headers = self.headers.iter().map(|[name, value]| (&request[name.clone()], &request[value.clone()]));
        let (body, given) = (&request[self.body.clone()], &request[self.signature.clone()]);
        names.signs_body_of(key, before, headers, body, given).is_some()
    }
}

fn text_of<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let text = std::str::from_utf8(bytes).map_err(|_| PyRuntimeError::new_err("a header is no text"))?;
    Ok(PyString::new(py, text))
}

fn read(request: Bound<'_, PyBytes>) -> Option<PutCall> {
    let bytes = request.as_bytes();
    let end = memmem::find(bytes, b"\r\n\r\n")?;
    let mut lines = Lines::of(&bytes[..end]);
    if read_line(lines.next()?)? != ("POST", 1) {
        return None;
    }
    let (mut said, mut headers) = (Said::default(), Vec::with_capacity(16));
    for line in lines {
        let (name, value) = split(line)?;
        if headers.len() == HEADERS_MAX || !is_token(name) {
            return None;
        }
        plain(value)?;
        said.take(name, value)?;
        headers.push([range_in(bytes, name), range_in(bytes, value)]);
    }
    said.host?;
    let stays = said.connection.is_none_or(|value| value.eq_ignore_ascii_case(b"keep-alive"));
    let body = end + 4..bytes.len();
    if !stays || said.target? != b"Kinesis_20131202.PutRecord" || digits(said.length?)? != body.len() as u64 {
        return None;
    }
    let is_cbor = match said.content_type? {
        b"application/x-amz-json-1.1" => false,
        b"application/x-amz-cbor-1.1" => true,
        _ => return None,
    };
    let (authorization, date) = (said.authorization?, said.date?);
    let claimed = authorization.len().checked_sub(SIGNATURE_CHARS)?;
    let (claim, signature) = authorization.split_at(claimed);
    if authorization.len() > CLAIM_MAX_CHARS || date.is_empty() || !signature.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let record = (if is_cbor { cbor::read_one } else { json::read_one })(&bytes[body.clone()])?;
    Some(PutCall {
        claim: range_in(bytes, claim),
        signature: range_in(bytes, signature),
        date: range_in(bytes, date),
        stream: record.name.to_owned(),
        key: record.key.into_owned(),
        data: record.data.into_owned(),
        request: request.unbind(),
        headers,
        body,
        is_cbor,
    })
}

/// Whether each is CBOR.
pub fn forms_of(calls: &[Bound<'_, PutCall>]) -> Vec<bool> {
    calls.iter().map(|call| call.get().is_cbor).collect()
}

/// Where a part of some bytes lies in them.
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let begin = part.as_ptr() as usize - whole.as_ptr() as usize;
    begin..begin + part.len()
}
