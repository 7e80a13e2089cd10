//! NumPy archives, written so that their bytes depend on nothing but the arrays.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use npyz::npz::{NpzArchive, NpzWriter};
use npyz::{AutoSerialize, Deserialize, Order, WriterBuilder};

/// Shape and values of the array `name` in the archive at `path`.
pub fn read<T: Deserialize>(path: &Path, name: &str) -> Result<(Vec<u64>, Vec<T>)> {
    let mut archive = NpzArchive::open(path)?;
    let array = archive.by_name(name)?.with_context(|| format!("no array {name}"))?;
    ensure!(array.order() == Order::C || array.shape().len() < 2, "{name}: not in C order");
    let shape = array.shape().to_vec();
    let values = array.into_vec().with_context(|| name.to_string())?;
    Ok((shape, values))
}

/// A compressed `.npz` in the making.
pub struct Archive {
    writer: NpzWriter<Cursor<Vec<u8>>>,
}

impl Archive {
    /// An archive without arrays.
    pub fn new() -> Self {
        Self { writer: NpzWriter::new(Cursor::new(Vec::new())) }
    }

    /// Appends an array in C order.
    pub fn add<T: AutoSerialize>(&mut self, name: &str, shape: &[u64], values: &[T]) -> Result<()> {
        // Without a fixed time stamp the bytes would change from second to second.
        let options = zip::write::FileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(zip::DateTime::default());
        let mut array = self.writer.array(name, options)?.default_dtype().shape(shape).begin_nd()?;
        array.extend(values)?;
        array.finish()?;
        Ok(())
    }

    /// The bytes of the finished archive.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        Ok(self.writer.zip_writer().finish()?.into_inner())
    }
}

impl Default for Archive {
    fn default() -> Self {
        Self::new()
    }
}
