//! Several arrays as `.npz`: a zip archive of `.npy` files.

use std::io::{Cursor, Read, Write};

use zip::write::FileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::{Array, MAX_ARRAYS, MAX_BYTES, npy};
use crate::error::{About, Error, Result};

pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Array>> {
    let broken = |e: zip::result::ZipError| Error::invalid(format!("its archive cannot be read ({e})"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if archive.len() > MAX_ARRAYS {
        return Err(Error::invalid(format!("{} arrays are more than {MAX_ARRAYS}", archive.len())));
    }
    let mut arrays: Vec<Array> = Vec::new();
    let mut left = MAX_BYTES;
    for i in 0..archive.len() {
        let file = archive.by_index(i).map_err(broken)?;
        let name = file.name().strip_suffix(".npy").unwrap_or(file.name()).to_owned();
        // Bounded whatever the archive claims: a small file can unpack to a huge one.
        let mut content = Vec::new();
        file.take(left + 1).read_to_end(&mut content).about(format_args!("array '{name}'"))?;
        let Some(rest) = left.checked_sub(content.len() as u64) else {
            return Err(Error::invalid(format!("its arrays unpack to more than {MAX_BYTES} bytes")));
        };
        left = rest;
        if arrays.iter().any(|a| a.name == name) {
            return Err(Error::invalid(format!("array '{name}' is there twice")));
        }
        arrays.push(npy::parse(&name, &content).about(format_args!("array '{name}'"))?);
    }
    Ok(arrays)
}

pub(super) fn emit(arrays: &[Array]) -> Result<Vec<u8>> {
    let failed = |e: zip::result::ZipError| Error::invalid(format!("the archive cannot be written ({e})"));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // No clock: equal arrays give equal bytes.
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .large_file(arrays.iter().any(|a| a.bytes.len() >= 1 << 31));
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options).map_err(failed)?;
        archive.write_all(&npy::emit(array)?).about(format_args!("array '{}'", array.name))?;
    }
    Ok(archive.finish().map_err(failed)?.into_inner())
}
