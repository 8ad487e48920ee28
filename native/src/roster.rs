//! The logs that there are, as `engines/local/roster.py` has them: stream by stream, in the order of their numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What is known of them.
pub struct Logs {
    pub places: Vec<usize>,  // of their tips
    pub streams: Vec<usize>, // how many of the logs each has
    by_number: HashMap<u64, u32, BuildHasherDefault<Numbers>>,
}

impl Logs {
    /// Where the log of a number stands.
    pub fn find(&self, number: u64) -> Option<usize> {
        self.by_number.get(&number).map(|at| *at as usize)
    }
}

/// Hashes log numbers: they are given out one by one, so that their lowest bits differ.
#[derive(Default)]
struct Numbers(u64);

impl Hasher for Numbers {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// Made anew when a log comes or goes.
#[pyclass(frozen, module = "penstock_native")]
pub struct Roster(pub Arc<Logs>);

#[pymethods]
impl Roster {
    /// `places` of tips and numbers of logs; how many of the logs each stream has.
    #[new]
    fn new(places: Vec<usize>, numbers: Vec<u64>, streams: Vec<usize>) -> PyResult<Self> {
        if places.len() != numbers.len() || streams.iter().sum::<usize>() != places.len() {
            return Err(PyValueError::new_err("each log has a place, a number and a stream"));
        }
        let by_number = numbers.into_iter().zip(0..).collect();
        Ok(Self(Arc::new(Logs { places, streams, by_number })))
    }
}
