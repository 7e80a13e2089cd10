//! Files: aligned reads, writes that are whole or absent.

use std::io::Write;
use std::path::Path;

pub use samara_runtime::AlignedBytes;

use crate::error::{About, Error, Result};

/// Largest file that is read: a bundle's greatest size with room for its head.
const MAX_FILE: u64 = (1 << 31) + (1 << 24);

/// Reads a whole file; errors name it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let about = path.display();
    let size = std::fs::metadata(path).about(&about)?.len();
    if size > MAX_FILE {
        return Err(Error::invalid(format!("is {size} bytes long; the most is {MAX_FILE}")).about(&about));
    }
    std::fs::read(path).about(about)
}

/// Reads a bundle at a suitable alignment.
pub fn read_aligned(path: &Path) -> Result<AlignedBytes> {
    Ok(AlignedBytes::new(&read(path)?))
}

/// Writes a whole file or leaves what was there: a temporary file beside it, synced, then renamed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let about = path.display();
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".samara-").tempfile_in(parent).about(&about)?;
    file.write_all(bytes).about(&about)?;
    file.as_file().sync_all().about(&about)?;
    set_mode(&file, path).about(&about)?;
    file.persist(path).map_err(|e| Error::invalid(e.error.to_string()).about(&about))?;
    Ok(())
}

/// Temporary files are private; the result gets the mode of the file it replaces, or the usual one.
#[cfg(unix)]
fn set_mode(file: &tempfile::NamedTempFile, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0o644, |m| m.permissions().mode());
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &tempfile::NamedTempFile, _path: &Path) -> std::io::Result<()> {
    Ok(())
}
