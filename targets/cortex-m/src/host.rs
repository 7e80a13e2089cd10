//! Files of the machine that emulates or debugs this one.

use core::ffi::CStr;

use semihosting::fs::File;
use semihosting::io::{self, Read, Write};

/// Most bytes of a path, its final zero included.
const MAX_PATH: usize = 256;

/// Calls `open` with the path as a C string.
fn with_path<T>(path: &str, open: impl FnOnce(&CStr) -> io::Result<T>) -> io::Result<T> {
    let mut buffer = [0u8; MAX_PATH];
    let bytes = path.as_bytes();
    let Some(start) = buffer.get_mut(..bytes.len()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    start.copy_from_slice(bytes);
    open(CStr::from_bytes_until_nul(&buffer).map_err(|_| io::ErrorKind::InvalidInput)?)
}

/// Opens for reading.
pub(crate) fn open(path: &str) -> io::Result<File> {
    with_path(path, |path| File::open(path))
}

/// Creates or empties.
pub(crate) fn create(path: &str) -> io::Result<File> {
    with_path(path, |path| File::create(path))
}

/// Fills `buffer`; `false` at the end of the file. A part of a buffer is an error.
pub(crate) fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<bool> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 if got == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => got += n,
        }
    }
    Ok(true)
}

/// Writes all bytes.
pub(crate) fn put(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}
