//! Answers to calls of PutRecord that were written together: worded at once, and whole as HTTP/1.1 writes them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::number::Number;
use crate::pages::{INDEX_SHIFT, append_cbor_text, append_number};
use crate::sign::HEX;
use crate::{filled, unpanicked};

const ID_BYTES: usize = 16; // of a request id, drawn
const EXTENDED_ID_BYTES: usize = 72;
const DRAWN_BYTES: usize = ID_BYTES + EXTENDED_ID_BYTES; // for each answer
const ID_DASHES: [usize; 4] = [4, 6, 8, 10]; // bytes before which one stands

const STATUS_LINE: &str = "HTTP/1.1 200 OK\r\n";
const HEAD_BYTES: usize = 288; // about, without the lines of a second
const BODY_BYTES: usize = 128; // about

/// One answer.
#[pyclass(frozen, module = "penstock_native")]
pub struct PutAnswer {
    head: String,
    lines_at: usize, // where the lines of a second go
    body: Vec<u8>,
}

#[pymethods]
impl PutAnswer {
    /// Head and body; `lines`: those that every answer of a second has.
    fn whole<'py>(&self, py: Python<'py>, lines: &str) -> PyResult<Bound<'py, PyBytes>> {
        let (own, rest) = self.head.as_bytes().split_at(self.lines_at);
        filled(py, self.head.len() + lines.len() + self.body.len(), |out| {
            for part in [own, lines.as_bytes(), rest, &self.body] {
                out.put(part);
            }
        })
    }

    /// The headers of its own, and the body.
    #[getter]
    fn parts<'py>(&self, py: Python<'py>) -> (Vec<(&str, &str)>, Bound<'py, PyBytes>) {
        let own = self.head[STATUS_LINE.len()..self.lines_at].lines();
        (own.filter_map(|line| line.split_once(": ")).collect(), PyBytes::new(py, &self.body))
    }
}

impl PutAnswer {
    fn new(is_cbor: bool, drawn: &[u8], shard_id: &str, number: &Number) -> Self {
        let (id, extended_id) = drawn.split_at(ID_BYTES);
        let (form, body) =
            if is_cbor { ("cbor", cbor_body(shard_id, number)) } else { ("json", json_body(shard_id, number)) };
        let mut head = String::with_capacity(HEAD_BYTES);
        for part in [STATUS_LINE, "content-type: application/x-amz-", form, "-1.1\r\nx-amzn-RequestId: "] {
            head.push_str(part);
        }
        push_request_id(id, &mut head);
        head.push_str("\r\nx-amz-id-2: ");
        base64_simd::STANDARD.encode_append(extended_id, &mut head);
        head.push_str("\r\n");
        let lines_at = head.len();
        for part in ["content-length: ", &body.len().to_string(), "\r\n\r\n"] {
            head.push_str(part);
        }
        Self { head, lines_at, body }
    }
}

fn push_request_id(drawn: &[u8], head: &mut String) {
    for (place, byte) in drawn.iter().enumerate() {
        if ID_DASHES.contains(&place) {
            head.push('-');
        }
        head.push(char::from(HEX[usize::from(byte >> 4)]));
        head.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

fn json_body(shard_id: &str, number: &Number) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY_BYTES);
    body.extend_from_slice(b"{\"ShardId\":\"");
    body.extend_from_slice(shard_id.as_bytes());
    body.extend_from_slice(b"\",\"SequenceNumber\":\"");
    append_number(number, false, &mut body);
    body.extend_from_slice(b"\"}");
    body
}

fn cbor_body(shard_id: &str, number: &Number) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY_BYTES);
    body.push(0xA2);
    append_cbor_text("ShardId", &mut body);
    append_cbor_text(shard_id, &mut body);
    append_cbor_text("SequenceNumber", &mut body);
    append_number(number, true, &mut body);
    body
}

/// Answers to calls of these forms (whether each is CBOR), in their order; None for those whose shard did not take them.
///
/// `order`: for each call the place of its shard in `shards`; a shard is its id and the number of its first record.  `drawn`: random bytes
/// for ids, `DRAWN_BYTES` for each answer.
pub fn to_calls<Id: AsRef<str>>(
    forms: &[bool],
    order: &[u16],
    mut shards: Vec<Option<(Id, Number)>>,
    drawn: &[u8],
) -> PyResult<Vec<Option<PutAnswer>>> {
    if order.len() != forms.len() || drawn.len() != DRAWN_BYTES * forms.len() {
        return Err(PyValueError::new_err("something of each call is needed"));
    }
    let step = Number::power(INDEX_SHIFT);
    let rows = forms.iter().zip(order).zip(drawn.chunks_exact(DRAWN_BYTES));
    let answers = rows.map(|((is_cbor, place), drawn)| {
        let shard = shards.get_mut(usize::from(*place))?;
        let Some((shard_id, number)) = shard else { return Some(None) };
        let answer = PutAnswer::new(*is_cbor, drawn, shard_id.as_ref(), number);
        *number = number.plus(&step);
        Some(Some(answer))
    });
    unpanicked(|| answers.collect::<Option<_>>())?.ok_or_else(|| PyValueError::new_err("no such shard"))
}
