//! NumPy arrays in and out, and samples made from them.

pub mod dataset;
mod element;
#[cfg(test)]
mod faults;
mod header;
mod labels;
mod npy;
mod npz;
mod part;
pub mod samples;
mod source;
mod stream;

use std::path::Path;

use samara_runtime::Dtype;
pub(crate) use stream::ahead;

use crate::error::{About, Error, Result};
use crate::files;

/// Most dimensions of an array: the runtime's rank and a sample axis.
pub const MAX_RANK: usize = 8;
/// Most arrays of an archive.
pub const MAX_ARRAYS: usize = 256;
/// Most bytes of a file's arrays once unpacked, where they are read whole; [`samples`] have no such bound.
pub const MAX_BYTES: u64 = 8 << 30;
/// Most files of a directory of samples.
pub const MAX_FILES: usize = 1 << 16;
/// Most bytes of an array in Fortran order among samples: each of its samples is spread over the whole file.
pub const MAX_TURNED: u64 = 64 << 20;

/// An array in C order. Wider NumPy types are narrowed on the way in: float64 to float32, int64 to int32
/// (refused where a value does not fit). float16 is widened to float32.
#[derive(Clone, PartialEq, Debug)]
pub struct Array {
    /// Its name in the archive; empty for an `.npy`.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Outermost first.
    pub shape: Vec<usize>,
    /// Little-endian elements.
    pub bytes: Vec<u8>,
}

impl Array {
    /// Refuses NaN and infinities, naming array, sample and index.
    pub fn check_finite(&self) -> Result<()> {
        if self.dtype != Dtype::F32 {
            return Ok(());
        }
        let per_sample: usize = self.shape.iter().skip(1).product::<usize>().max(1);
        let values = self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        match values.enumerate().find(|(_, x)| !x.is_finite()) {
            Some((i, x)) => Err(Error::invalid(format!(
                "array '{}' holds {x} in sample {} at index {}",
                self.name,
                i / per_sample,
                i % per_sample
            ))),
            None => Ok(()),
        }
    }
}

/// Reads an `.npz` (its arrays by name) or an `.npy` (one array without a name), told apart by content.
pub fn read(path: &Path) -> Result<Vec<Array>> {
    let bytes = files::read(path)?;
    parse(&bytes).about(path.display())
}

/// As [`read`], for a file's content.
pub fn parse(bytes: &[u8]) -> Result<Vec<Array>> {
    if bytes.starts_with(header::MAGIC) {
        return Ok(vec![npy::parse("", bytes)?]);
    }
    if bytes.starts_with(b"PK") {
        return npz::parse(bytes);
    }
    Err(Error::invalid("is neither .npy nor .npz").remedy("save it with numpy.save or numpy.savez"))
}

/// Writes arrays, whole or not at all: one without a name or a path ending in `.npy` as `.npy`, else `.npz`.
/// Equal arrays give equal bytes.
pub fn write(path: &Path, arrays: &[Array]) -> Result<()> {
    let npy = path.extension().is_some_and(|e| e == "npy");
    let bytes = match arrays {
        [array] if npy => npy::emit(array)?,
        _ if npy => {
            return Err(
                Error::invalid(format!("{} arrays do not fit one .npy", arrays.len())).remedy("name it .npz")
            )
            .about(path.display());
        }
        _ => npz::emit(arrays)?,
    };
    files::write_atomic(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(name: &str, dtype: Dtype, shape: &[usize]) -> Array {
        let n = shape.iter().product::<usize>() * dtype.size();
        Array {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            bytes: (0..n).map(|i| i as u8 % 2).collect(),
        }
    }

    #[test]
    fn every_type_survives_both_formats() {
        let dir = tempfile::tempdir().unwrap();
        let arrays: Vec<Array> = Dtype::COMPUTED.iter().map(|&d| array(d.name(), d, &[3, 2])).collect();
        let path = dir.path().join("x.npz");
        write(&path, &arrays).unwrap();
        assert_eq!(read(&path).unwrap(), arrays);
        for a in &arrays {
            let path = dir.path().join("x.npy");
            write(&path, std::slice::from_ref(a)).unwrap();
            assert_eq!(read(&path).unwrap(), [Array { name: String::new(), ..a.clone() }]);
        }
    }

    #[test]
    fn damage_is_refused_by_name() {
        let good = npy::emit(&array("", Dtype::F32, &[4, 4])).unwrap();
        let error = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(error(&good[..good.len() - 1]).contains("63 bytes of data where its shape needs 64"));
        assert!(error(&good[..20]).contains("header"));
        assert!(error(b"hello").contains("neither .npy nor .npz"));
        assert!(error(b"PK\x03\x04 not a zip").contains("archive"));
        let text = |from: &str, to: &str| {
            let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            bytes
        };
        assert!(error(&text("<f4", ">f4")).contains("big-endian"));
        assert!(error(&text("<f4", "<c8")).contains("not supported"));
    }

    #[test]
    fn nan_names_its_place() {
        let mut a = array("x", Dtype::F32, &[3, 2]);
        a.bytes[16..20].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(a.check_finite().unwrap_err().to_string(), "array 'x' holds NaN in sample 2 at index 0");
    }
}
