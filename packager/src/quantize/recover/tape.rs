//! One tensor's values over all samples, in an unlinked temporary file: memory stays that of one sample.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype};

use crate::error::{About, Result};

/// Written once, sample after sample, then read any number of times in that order.
#[derive(Debug)]
pub(crate) struct Tape {
    file: File,
    desc: Desc,
}

impl Tape {
    /// Empty.
    pub(crate) fn new(desc: Desc) -> Result<Self> {
        let file = tempfile::tempfile().about("a temporary file for layer outputs")?;
        Ok(Tape { file, desc })
    }

    /// Appends one sample's value, which has the tape's type and shape.
    pub(crate) fn push(&mut self, value: &Value) -> Result<()> {
        self.file.write_all(value.bytes()).about("a temporary file for layer outputs")
    }

    /// Goes back to the first sample.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map(|_| ()).about("a temporary file for layer outputs")
    }

    /// The next sample's value.
    pub(crate) fn next(&mut self) -> Result<Value> {
        let mut value = Value::zeros(self.desc);
        self.file.read_exact(value.bytes_mut()).about("a temporary file for layer outputs")?;
        Ok(value)
    }
}

/// A value's reals, into a buffer that is kept between samples.
pub(crate) fn reals(value: &Value, out: &mut Vec<f64>) {
    out.clear();
    let (scale, zero) = (value.desc.scale as f64, value.desc.zero_point as f64);
    match value.desc.dtype {
        Dtype::F32 => out.extend(value.elements::<f32>().iter().map(|&x| x as f64)),
        Dtype::I8 => out.extend(value.elements::<i8>().iter().map(|&q| scale * (q as f64 - zero))),
        Dtype::I16 => out.extend(value.elements::<i16>().iter().map(|&q| scale * (q as f64 - zero))),
        Dtype::U8 | Dtype::Bool => out.extend(value.bytes().iter().map(|&q| scale * (q as f64 - zero))),
        Dtype::I32 => out.extend(value.elements::<i32>().iter().map(|&q| q as f64)),
        // No operator computes these.
        Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {}
    }
}
