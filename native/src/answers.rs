//! Answers to calls of PutRecord that were written together: worded at once, and whole as HTTP/1.1 writes them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::number::Number;
use crate::pages::{INDEX_SHIFT, append_cbor_text, append_number};
use crate::sign::HEX;
use crate::{number_of, unpanicked};

const ID_BYTES: usize = 16; // of a request id, drawn
const EXTENDED_ID_BYTES: usize = 72;
const DRAWN_BYTES: usize = ID_BYTES + EXTENDED_ID_BYTES; // for each answer
const ID_DASHES: [usize; 4] = [4, 6, 8, 10]; // bytes before which one stands

/// One answer.
#[pyclass(frozen, module = "penstock_native")]
pub struct PutAnswer {
    is_cbor: bool,
    id: String,
    extended_id: String,
    body: Vec<u8>,
}

#[pymethods]
impl PutAnswer {
    /// Head and body; `lines`: those that every answer of a second has.
    fn whole<'py>(&self, py: Python<'py>, lines: &str) -> Bound<'py, PyBytes> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {}\r\nx-amzn-RequestId: {}\r\nx-amz-id-2: {}\r\n{lines}content-length: {}\r\n\r\n",
            self.content_type(),
            self.id,
            self.extended_id,
            self.body.len()
        );
        PyBytes::new(py, &[head.as_bytes(), &self.body].concat())
    }

    /// The headers of its own, and the body.
    #[getter]
    fn parts<'py>(&self, py: Python<'py>) -> (Vec<(&'static str, &str)>, Bound<'py, PyBytes>) {
        let headers = vec![
            ("content-type", self.content_type()),
            ("x-amzn-RequestId", self.id.as_str()),
            ("x-amz-id-2", self.extended_id.as_str()),
        ];
        (headers, PyBytes::new(py, &self.body))
    }
}

impl PutAnswer {
    fn new(is_cbor: bool, drawn: &[u8], shard_id: &str, number: &Number) -> Self {
        let (id, extended_id) = drawn.split_at(ID_BYTES);
        Self {
            is_cbor,
            id: request_id(id),
            extended_id: base64_simd::STANDARD.encode_to_string(extended_id),
            body: if is_cbor { cbor_body(shard_id, number) } else { json_body(shard_id, number) },
        }
    }

    fn content_type(&self) -> &'static str {
        if self.is_cbor { "application/x-amz-cbor-1.1" } else { "application/x-amz-json-1.1" }
    }
}

fn request_id(drawn: &[u8]) -> String {
    let mut text = String::with_capacity(2 * ID_BYTES + ID_DASHES.len());
    for (place, byte) in drawn.iter().enumerate() {
        if ID_DASHES.contains(&place) {
            text.push('-');
        }
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

fn json_body(shard_id: &str, number: &Number) -> Vec<u8> {
    let mut body = Vec::with_capacity(160);
    body.extend_from_slice(b"{\"ShardId\":\"");
    body.extend_from_slice(shard_id.as_bytes());
    body.extend_from_slice(b"\",\"SequenceNumber\":\"");
    append_number(number, false, &mut body);
    body.extend_from_slice(b"\"}");
    body
}

fn cbor_body(shard_id: &str, number: &Number) -> Vec<u8> {
    let mut body = vec![0xA2];
    append_cbor_text("ShardId", &mut body);
    append_cbor_text(shard_id, &mut body);
    append_cbor_text("SequenceNumber", &mut body);
    append_number(number, true, &mut body);
    body
}

/// Answers to calls of these forms (whether each is CBOR), in their order; None for those whose shard did not take them.
///
/// `order`: for each call the place of its shard in `shards`, two bytes each; a shard is its id and the number of its first record, 24 bytes
/// little-endian.  `drawn`: random bytes for ids, `DRAWN_BYTES` for each answer.
pub fn to_calls(
    forms: &[bool],
    order: &[u8],
    shards: Vec<Option<(String, Vec<u8>)>>,
    drawn: &[u8],
) -> PyResult<Vec<Option<PutAnswer>>> {
    if order.len() != 2 * forms.len() || drawn.len() != DRAWN_BYTES * forms.len() {
        return Err(PyValueError::new_err("something of each call is needed"));
    }
    let shards = shards.into_iter().map(|shard| match shard {
        Some((shard_id, number)) => Ok(Some((shard_id, Number::from_le(&number_of(&number)?)))),
        None => Ok(None),
    });
    let mut shards = shards.collect::<PyResult<Vec<_>>>()?;
    let step = Number::power(INDEX_SHIFT);
    let rows = forms.iter().zip(order.chunks_exact(2)).zip(drawn.chunks_exact(DRAWN_BYTES));
    let answers = rows.map(|((is_cbor, place), drawn)| {
        let shard = shards.get_mut(usize::from(u16::from_le_bytes([place[0], place[1]])))?;
        let Some((shard_id, number)) = shard else { return Some(None) };
        let answer = PutAnswer::new(*is_cbor, drawn, shard_id, number);
        *number = number.plus(&step);
        Some(Some(answer))
    });
    unpanicked(|| answers.collect::<Option<_>>())?.ok_or_else(|| PyValueError::new_err("no such shard"))
}
