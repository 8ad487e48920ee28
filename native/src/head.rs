//! Heads of HTTP/1.1 requests, as `server/http1.py` reads them: those of a call to "/" with a length, spelled as SDKs spell them.

use std::collections::HashMap;
use std::sync::Mutex;

use memchr::memchr;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

const NAMES_KEPT_MAX: usize = 512; // spellings of header names; SDKs use some thirty
const NAME_KEPT_MAX_BYTES: usize = 64;
const LENGTH_MAX_DIGITS: usize = 18;
const METHOD_MAX_BYTES: usize = 32;

/// What a header is to the framing of its request.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    None,
    Length,
    Connection,
    Host,
    Rare,
}

/// A header's name in lower case, made once.
struct Name {
    lower: Py<PyBytes>,
    text: Py<PyString>,
    role: Role,
}

impl Name {
    fn new(py: Python<'_>, lower: &str) -> Self {
        let role = match lower {
            "content-length" => Role::Length,
            "connection" => Role::Connection,
            "host" => Role::Host,
            "transfer-encoding" | "expect" => Role::Rare,
            _ => Role::None,
        };
        let text = PyString::new(py, lower);
        Self { lower: PyBytes::new(py, lower.as_bytes()).unbind(), text: text.unbind(), role }
    }
}

/// What the framing headers said so far.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    keeps: Option<bool>,
    hosts: usize,
}

impl Framing {
    /// Take a header in; None where Python shall look.
    fn take(&mut self, role: Role, value: &[u8]) -> Option<()> {
        match role {
            Role::None => {}
            Role::Length if self.length.is_none() => self.length = Some(digits(value)?),
            Role::Connection if self.keeps.is_none() => {
                self.keeps = Some(match value.to_ascii_lowercase().as_slice() {
                    b"keep-alive" => true,
                    b"close" => false,
                    _ => return None,
                });
            }
            Role::Host if self.hosts == 0 => self.hosts = 1,
            _ => return None,
        }
        Some(())
    }

    fn keep_alive(&self, minor: u8) -> bool {
        self.keeps.unwrap_or(minor == 1)
    }
}

/// Method, headers by name, all headers as they came, body's length, whether the connection stays, HTTP/1.<minor>.
type Read<'py> = (&'py str, Bound<'py, PyDict>, Bound<'py, PyTuple>, u64, bool, u8);

/// Reads heads; it knows the spellings of names that it has seen.
#[pyclass(frozen, module = "penstock_native")]
pub struct HeadReader {
    names: Mutex<HashMap<Box<[u8]>, Name>>,
}

#[pymethods]
impl HeadReader {
    #[new]
    fn new() -> Self {
        Self { names: Mutex::new(HashMap::new()) }
    }

    /// A head, given up to but without the empty line that ends it.  None where Python shall look.
    fn read<'py>(&self, py: Python<'py>, data: &'py [u8], headers_max: usize) -> PyResult<Option<Read<'py>>> {
        let mut lines = Lines::of(data);
        let Some((method, minor)) = lines.next().and_then(read_line) else { return Ok(None) };
        // never waited for: whoever holds it may be waiting for the interpreter, which is ours
        let Ok(mut names) = self.names.try_lock() else { return Ok(None) };
        let (headers, mut raw, mut framing) = (PyDict::new(py), Vec::with_capacity(24), Framing::default());
        for line in lines {
            let Some((spelled, value)) = split(line) else { return Ok(None) };
            if raw.len() == headers_max {
                return Ok(None);
            }
            let made;
            if !names.contains_key(spelled) && names.len() < NAMES_KEPT_MAX && spelled.len() <= NAME_KEPT_MAX_BYTES {
                let Some(lower) = lowered(spelled) else { return Ok(None) };
                names.insert(spelled.into(), Name::new(py, &lower));
            }
            let name = if let Some(name) = names.get(spelled) {
                name
            } else {
                let Some(lower) = lowered(spelled) else { return Ok(None) };
                made = Name::new(py, &lower);
                &made
            };
            let Some(text) = plain(value).filter(|_| framing.take(name.role, value).is_some()) else { return Ok(None) };
            headers.set_item(name.text.bind(py), text)?;
            raw.push(PyTuple::new(py, [name.lower.bind(py), &PyBytes::new(py, value)])?);
        }
        let raw = PyTuple::new(py, raw)?;
        Ok(Some((method, headers, raw, framing.length.unwrap_or(0), framing.keep_alive(minor), minor)))
    }
}

/// The lines of a head, without their ends.
pub struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Lines<'a> {
    pub fn of(head: &'a [u8]) -> Self {
        Self(Some(head))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        if let Some(end) = memchr(b'\r', rest).filter(|end| rest.get(end + 1) == Some(&b'\n')) {
            self.0 = Some(&rest[end + 2..]);
            Some(&rest[..end])
        } else {
            self.0 = None; // a bare CR is a control character, and refused as one
            Some(rest)
        }
    }
}

/// Method and minor version of a request for "/".
pub fn read_line(line: &[u8]) -> Option<(&str, u8)> {
    let (method, minor) = match line.split_last()? {
        (b'0', rest) => (rest.strip_suffix(b" / HTTP/1.")?, 0),
        (b'1', rest) => (rest.strip_suffix(b" / HTTP/1.")?, 1),
        _ => return None,
    };
    let known = method.first().is_some_and(u8::is_ascii_uppercase)
        && method.len() <= METHOD_MAX_BYTES
        && method.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    if known { Some((std::str::from_utf8(method).ok()?, minor)) } else { None }
}

/// Name as it is spelled, and value without blanks around it.
pub fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let mut value = &line[colon + 1..];
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Some((&line[..colon], value))
}

/// A name in lower case; None for what is no token.
fn lowered(spelled: &[u8]) -> Option<String> {
    if is_token(spelled) { String::from_utf8(spelled.to_ascii_lowercase()).ok() } else { None }
}

/// Whether a header may have this name.
pub fn is_token(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(fits)
}

/// A value of ASCII without control characters.
pub fn plain(value: &[u8]) -> Option<&str> {
    let fits = value.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\t'));
    if fits { std::str::from_utf8(value).ok() } else { None }
}

pub fn digits(value: &[u8]) -> Option<u64> {
    let fits = (1..=LENGTH_MAX_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if fits { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}
