//! Signatures of calls to "/", as `wire/signature.py` verifies them: canonical request, its hash and the HMAC without a text between.
//!
//! Only a right signature is told; whatever else is the matter, Python finds out and words it.

use hmac::{Hmac, KeyInit, Mac as _};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use sha2::{Digest, Sha256};

const NAMES_MAX: usize = 32; // more are for Python, whose look-up is not a search
pub const HEX: &[u8; 16] = b"0123456789abcdef";

/// An HMAC-SHA256 with its key already in it.
#[pyclass(frozen, module = "penstock_native")]
pub struct SigningKey {
    begun: Hmac<Sha256>,
}

#[pymethods]
impl SigningKey {
    #[new]
    fn new(key: &[u8]) -> PyResult<Self> {
        let begun = Hmac::new_from_slice(key).map_err(|_| PyValueError::new_err("no key of an HMAC"))?;
        Ok(Self { begun })
    }
}

/// A list of signed headers, in the order in which they are signed.
#[pyclass(frozen, module = "penstock_native")]
pub struct SignedNames {
    names: Vec<Vec<u8>>,
    listed: Vec<u8>, // "\na;b\n"
}

#[pymethods]
impl SignedNames {
    #[new]
    fn new(names: Vec<Vec<u8>>) -> Self {
        let listed = [b"\n", names.join(&b';').as_slice(), b"\n"].concat();
        Self { names, listed }
    }

    /// Whether `given` is the signature of a POST to "/" with these headers and this payload (its hash, or a mark).
    ///
    /// `before`: the string to sign up to the hash.  False also where Python shall look.
    fn signs(
        &self,
        key: &SigningKey,
        before: &[u8],
        raw_headers: &Bound<'_, PyTuple>,
        payload: &[u8],
        given: &[u8],
    ) -> bool {
        found_in(raw_headers).is_some_and(|pairs| self.verify(key, before, views(&pairs), payload, given).is_some())
    }

    /// The hash of the body, in hexadecimal, if `given` is the signature of a POST with it; else None.
    fn signs_body(
        &self,
        key: &SigningKey,
        before: &[u8],
        raw_headers: &Bound<'_, PyTuple>,
        body: &[u8],
        given: &[u8],
    ) -> Option<String> {
        self.signs_body_of(key, before, views(&found_in(raw_headers)?), body, given)
    }
}

type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Names and values of headers that Python holds.
fn found_in<'py>(raw_headers: &Bound<'py, PyTuple>) -> Option<Vec<Pair<'py>>> {
    raw_headers.iter().map(|pair| pair.extract().ok()).collect()
}

fn views<'a>(pairs: &'a [Pair<'_>]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

impl SignedNames {
    /// As `signs_body`, of headers in whatever case.
    pub fn signs_body_of<'a>(
        &self,
        key: &SigningKey,
        before: &[u8],
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        body: &[u8],
        given: &[u8],
    ) -> Option<String> {
        let payload = hex_sha256(body);
        self.verify(key, before, headers, payload.as_bytes(), given)?;
        Some(payload)
    }

    fn verify<'a>(
        &self,
        key: &SigningKey,
        before: &[u8],
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        payload: &[u8],
        given: &[u8],
    ) -> Option<()> {
        let given = read_hex(given)?;
        if self.names.len() > NAMES_MAX {
            return None;
        }
        let mut canonical = Sha256::new_with_prefix(b"POST\n/\n\n");
        self.headers(headers, &mut canonical)?;
        canonical.update(&self.listed);
        canonical.update(payload);
        let mut mac = key.begun.clone();
        mac.update(before);
        mac.update(&to_hex(&canonical.finalize().into()));
        mac.verify_slice(&given).ok() // in constant time
    }

    /// Hash the signed headers; None where one is missing, came twice, or has blanks to be folded.
    fn headers<'a>(&self, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>, canonical: &mut Sha256) -> Option<()> {
        let mut found: [Option<&[u8]>; NAMES_MAX] = [None; NAMES_MAX];
        for (name, value) in headers {
            if let Some(place) = self.names.iter().position(|each| is_lower_of(each, name)) {
                if found[place].is_some() || is_folded(value) {
                    return None;
                }
                found[place] = Some(value);
            }
        }
        for (name, value) in self.names.iter().zip(&found) {
            canonical.update(name);
            canonical.update(b":");
            canonical.update((*value)?);
            canonical.update(b"\n");
        }
        Some(())
    }
}

fn is_lower_of(lower: &[u8], name: &[u8]) -> bool {
    lower.len() == name.len() && lower.iter().zip(name).all(|(low, byte)| *low == byte.to_ascii_lowercase())
}

/// Whether a value is signed in another form than it came.
fn is_folded(value: &[u8]) -> bool {
    value.first() == Some(&b' ')
        || value.last() == Some(&b' ')
        || value.iter().zip(value.iter().skip(1)).any(|pair| pair == (&b' ', &b' '))
        || value.contains(&b'\t')
}

/// SHA-256 in hexadecimal.
pub fn hex_sha256(body: &[u8]) -> String {
    to_hex(&Sha256::digest(body).into()).into_iter().map(char::from).collect()
}

fn to_hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}

/// 32 bytes from lower-case hexadecimal digits.
fn read_hex(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
