//! Signatures of calls to "/", as `wire/signature.py` verifies them: canonical request, its hash and the HMAC without a text between.
//!
//! Only a right signature is told; whatever else is the matter, Python finds out and words it.

use hmac::{Hmac, KeyInit, Mac as _};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use sha2::{Digest, Sha256};

const NAMES_MAX: usize = 32; // more are for Python, whose look-up is not a search
const HEX: &[u8; 16] = b"0123456789abcdef";

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
        self.verify(key, before, raw_headers, payload, given).is_some()
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
        let payload = to_hex(&Sha256::digest(body).into());
        self.verify(key, before, raw_headers, &payload, given)?;
        String::from_utf8(payload.to_vec()).ok()
    }
}

impl SignedNames {
    fn verify(
        &self,
        key: &SigningKey,
        before: &[u8],
        raw_headers: &Bound<'_, PyTuple>,
        payload: &[u8],
        given: &[u8],
    ) -> Option<()> {
        let given = read_hex(given)?;
        if self.names.len() > NAMES_MAX {
            return None;
        }
        let mut canonical = Sha256::new_with_prefix(b"POST\n/\n\n");
        self.headers(raw_headers, &mut canonical)?;
        canonical.update(&self.listed);
        canonical.update(payload);
        let mut mac = key.begun.clone();
        mac.update(before);
        mac.update(&to_hex(&canonical.finalize().into()));
        mac.verify_slice(&given).ok() // in constant time
    }

    /// Hash the signed headers; None where one is missing, came twice, or has blanks to be folded.
    fn headers(&self, raw_headers: &Bound<'_, PyTuple>, canonical: &mut Sha256) -> Option<()> {
        let mut found: [Option<Bound<'_, PyBytes>>; NAMES_MAX] = [const { None }; NAMES_MAX];
        for pair in raw_headers.iter() {
            let pair = pair.cast_into::<PyTuple>().ok()?;
            let name = pair.get_item(0).ok()?.cast_into::<PyBytes>().ok()?;
            if let Some(place) = self.names.iter().position(|each| each == name.as_bytes()) {
                let value = pair.get_item(1).ok()?.cast_into::<PyBytes>().ok()?;
                if found[place].is_some() || is_folded(value.as_bytes()) {
                    return None;
                }
                found[place] = Some(value);
            }
        }
        for (name, value) in self.names.iter().zip(&found) {
            canonical.update(name);
            canonical.update(b":");
            canonical.update(value.as_ref()?.as_bytes());
            canonical.update(b"\n");
        }
        Some(())
    }
}

/// Whether a value is signed in another form than it came.
fn is_folded(value: &[u8]) -> bool {
    value.first() == Some(&b' ')
        || value.last() == Some(&b' ')
        || value.iter().zip(value.iter().skip(1)).any(|pair| pair == (&b' ', &b' '))
        || value.contains(&b'\t')
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
