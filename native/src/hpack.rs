//! Header blocks of HTTP/2 requests, as `server/http2/heads.py` reads them.  Source: RFC 7541.
//!
//! A field is made into Python's values once, as it enters the table; a request that names it again only refers to them.

use std::collections::VecDeque;
use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::huffman;

const FIELD_EXTRA_BYTES: usize = 32; // what a field counts beyond its name and value
const TABLE_MAX_BYTES: usize = 4096; // the protocol's default; we ask for no other
const INTEGER_MAX_SHIFT: u32 = 21; // four bytes behind the prefix: more than any block that is taken
const LENGTH_MAX_DIGITS: usize = 18;
const METHOD_MAX_BYTES: usize = 32;

/// Source: RFC 7541, appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

/// What a field is to its request.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Method,
    Scheme,
    Path,
    Authority,
    Host,
    Length(i64),
    Plain,
    Odd, // Python shall look
}

/// A field in Python's values.
struct Field {
    size: usize,
    role: Role,
    name: Py<PyString>,
    value: Option<Py<PyString>>, // where it is not odd
    pair: Py<PyTuple>,
}

impl Field {
    fn new(py: Python<'_>, name: &[u8], value: &[u8]) -> PyResult<Arc<Self>> {
        let text = std::str::from_utf8(value).ok().filter(|_| is_plain(value));
        let role = if text.is_some() { role_of(name, value) } else { Role::Odd };
        let shown: &[u8] = if role == Role::Authority { b"host" } else { name };
        Ok(Arc::new(Self {
            size: name.len() + value.len() + FIELD_EXTRA_BYTES,
            role,
            name: PyString::new(py, &String::from_utf8_lossy(shown)).unbind(),
            value: text.map(|text| PyString::new(py, text).unbind()),
            pair: PyTuple::new(py, [PyBytes::new(py, shown), PyBytes::new(py, value)])?.unbind(),
        }))
    }

    fn value_text<'a>(&'a self, py: Python<'a>) -> PyResult<&'a str> {
        self.value.as_ref().map_or(Ok(""), |value| value.bind(py).to_str())
    }

    fn name_bytes<'a>(&self, py: Python<'a>) -> PyResult<Bound<'a, PyBytes>> {
        if self.role == Role::Authority {
            return Ok(PyBytes::new(py, b":authority"));
        }
        Ok(self.pair.bind(py).get_item(0)?.cast_into()?)
    }
}

/// ASCII without control characters, and without blanks around it.
fn is_plain(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let fits = value.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\t'));
    fits && !is_blank(value.first()) && !is_blank(value.last())
}

fn is_method(value: &[u8]) -> bool {
    let known = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    value.first().is_some_and(u8::is_ascii_uppercase) && value.len() <= METHOD_MAX_BYTES && value.iter().all(known)
}

fn role_of(name: &[u8], value: &[u8]) -> Role {
    match name {
        b":method" if is_method(value) => Role::Method,
        b":scheme" => Role::Scheme,
        b":path" if value.starts_with(b"/") && !value.iter().any(|byte| matches!(byte, b' ' | b'\t')) => Role::Path,
        b":authority" => Role::Authority,
        b"host" => Role::Host,
        b"content-length" => {
            let digits = (1..=LENGTH_MAX_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).filter(|_| digits);
            number.map_or(Role::Odd, Role::Length)
        }
        b"connection" | b"transfer-encoding" | b"keep-alive" | b"proxy-connection" | b"upgrade" | b"te" => Role::Odd,
        _ => {
            let is_token = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(byte);
            if !name.is_empty() && name.iter().all(is_token) { Role::Plain } else { Role::Odd }
        }
    }
}

/// Reads the header blocks of one connection, in the order in which they came.
#[pyclass(module = "penstock_native")]
pub struct BlockReader {
    table: VecDeque<Arc<Field>>, // the newest first
    size: usize,
    size_max: usize,
    scratch: Vec<u8>,
}

/// Why a block is not read.
enum Refusal {
    Broken,
    TooLarge,
    Python(PyErr),
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

#[pymethods]
impl BlockReader {
    #[new]
    fn new() -> Self {
        Self { table: VecDeque::new(), size: 0, size_max: TABLE_MAX_BYTES, scratch: Vec::new() }
    }

    /// Method, path, headers by name, all headers, the body's length and the head as HTTP/1.1 has it but for the empty line, where that is
    /// all plain; else all fields as they came.
    ///
    /// Raises ValueError where the compression is broken, OverflowError where the fields count more than `fields_max_bytes`.
    fn read<'py>(&mut self, py: Python<'py>, block: &[u8], fields_max_bytes: usize) -> PyResult<Bound<'py, PyAny>> {
        let fields = self.fields(py, block, fields_max_bytes).map_err(|refusal| match refusal {
            Refusal::Broken => PyValueError::new_err("the compression of headers is broken"),
            Refusal::TooLarge => PyOverflowError::new_err("the headers are too large"),
            Refusal::Python(error) => error,
        })?;
        if let Some(request) = request(py, &fields)? {
            return Ok(request.into_any());
        }
        let pairs = fields.iter().map(|field| (field.name_bytes(py), field.pair.bind(py).get_item(1)));
        let pairs: PyResult<Vec<_>> = pairs.map(|(name, value)| Ok((name?, value?))).collect();
        Ok(PyList::new(py, pairs?)?.into_any())
    }
}

impl BlockReader {
    fn fields(&mut self, py: Python<'_>, block: &[u8], max_bytes: usize) -> Result<Vec<Arc<Field>>, Refusal> {
        let (mut rest, mut fields, mut size) = (block, Vec::with_capacity(24), 0);
        while let Some(&first) = rest.first() {
            let field = if first & 0x80 != 0 {
                self.named(py, integer(&mut rest, 7)?)?
            } else if first & 0xe0 == 0x20 {
                let size_max = integer(&mut rest, 5)?;
                if size_max > TABLE_MAX_BYTES || !fields.is_empty() {
                    return Err(Refusal::Broken);
                }
                self.size_max = size_max;
                self.shrink(0);
                continue;
            } else {
                let indexed = first & 0x40 != 0;
                let name = integer(&mut rest, if indexed { 6 } else { 4 })?;
                let field = self.literal(py, name, &mut rest)?;
                if indexed {
                    self.enter(&field);
                }
                field
            };
            size += field.size;
            if size > max_bytes {
                return Err(Refusal::TooLarge);
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn named(&self, py: Python<'_>, index: usize) -> Result<Arc<Field>, Refusal> {
        let field = match index.checked_sub(1).ok_or(Refusal::Broken)? {
            at if at < STATIC.len() => Some(&statics(py)?[at]),
            at => self.table.get(at - STATIC.len()),
        };
        field.map(Arc::clone).ok_or(Refusal::Broken)
    }

    fn literal(&mut self, py: Python<'_>, name: usize, rest: &mut &[u8]) -> Result<Arc<Field>, Refusal> {
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        if name == 0 {
            string(rest, &mut text)?;
        } else {
            let named = self.named(py, name)?;
            text.extend_from_slice(named.name_bytes(py)?.as_bytes());
        }
        let split = text.len();
        string(rest, &mut text)?;
        let field = Field::new(py, &text[..split], &text[split..])?;
        self.scratch = text;
        Ok(field)
    }

    fn enter(&mut self, field: &Arc<Field>) {
        self.shrink(field.size);
        if field.size <= self.size_max {
            self.size += field.size;
            self.table.push_front(Arc::clone(field));
        }
    }

    /// Let the oldest go until there is room for so many bytes.
    fn shrink(&mut self, room: usize) {
        while self.size + room > self.size_max
            && let Some(oldest) = self.table.pop_back()
        {
            self.size -= oldest.size;
        }
    }
}

/// A head as HTTP/1.1 has it, but for the empty line.
fn text_of(method: &str, path: &str, raw: &[&Bound<'_, PyTuple>]) -> PyResult<Vec<u8>> {
    let mut text = Vec::with_capacity(1024);
    for piece in [method, " ", path, " HTTP/1.1\r\n"] {
        text.extend_from_slice(piece.as_bytes());
    }
    for pair in raw {
        for (at, behind) in [(0, b": "), (1, b"\r\n")] {
            text.extend_from_slice(pair.get_item(at)?.cast::<PyBytes>()?.as_bytes());
            text.extend_from_slice(behind);
        }
    }
    Ok(text)
}

fn statics(py: Python<'_>) -> PyResult<&Vec<Arc<Field>>> {
    static FIELDS: PyOnceLock<Vec<Arc<Field>>> = PyOnceLock::new();
    FIELDS.get_or_try_init(py, || {
        STATIC.iter().map(|(name, value)| Field::new(py, name.as_bytes(), value.as_bytes())).collect()
    })
}

/// A number whose first byte has `bits` bits of it.
fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, Refusal> {
    let full = (1usize << bits) - 1;
    let mut next = || {
        let (&first, behind) = rest.split_first().ok_or(Refusal::Broken)?;
        *rest = behind;
        Ok::<_, Refusal>(usize::from(first))
    };
    let mut value = next()? & full;
    if value < full {
        return Ok(value);
    }
    for shift in (0..=INTEGER_MAX_SHIFT).step_by(7) {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Refusal::Broken)
}

/// Append a string.
fn string(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (text, behind) = rest.split_at_checked(length).ok_or(Refusal::Broken)?;
    *rest = behind;
    if coded {
        huffman::decode(text, out).ok_or(Refusal::Broken)
    } else {
        out.extend_from_slice(text);
        Ok(())
    }
}

/// A request of which everything is plain and stands where it should.
fn request<'py>(py: Python<'py>, fields: &[Arc<Field>]) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let (mut method, mut scheme, mut path, mut authority, mut host, mut length) = (None, None, None, None, None, None);
    let (headers, mut raw) = (PyDict::new(py), Vec::with_capacity(fields.len()));
    for field in fields {
        let (slot, is_pseudo) = match field.role {
            Role::Odd => return Ok(None),
            Role::Method => (Some(&mut method), true),
            Role::Scheme => (Some(&mut scheme), true),
            Role::Path => (Some(&mut path), true),
            Role::Authority => (Some(&mut authority), true),
            Role::Host => (Some(&mut host), false),
            Role::Length(_) => (Some(&mut length), false),
            Role::Plain => (None, false),
        };
        if slot.is_some_and(|slot| slot.replace(field).is_some()) || (is_pseudo && !raw.is_empty()) {
            return Ok(None);
        }
        if !is_pseudo {
            headers.set_item(field.name.bind(py), &field.value)?;
            raw.push(field.pair.bind(py));
        }
    }
    let (Some(method), Some(_), Some(path)) = (method, scheme, path) else { return Ok(None) };
    if let (Some(authority), None) = (authority, host) {
        headers.set_item(authority.name.bind(py), &authority.value)?;
        raw.insert(0, authority.pair.bind(py));
    }
    let length = match length.map(|field| field.role) {
        Some(Role::Length(number)) => number,
        _ => -1,
    };
    let text = PyBytes::new(py, &text_of(method.value_text(py)?, path.value_text(py)?, &raw)?);
    let raw = PyTuple::new(py, raw)?;
    Ok(Some((&method.value, &path.value, headers, raw, length, text).into_pyobject(py)?))
}
