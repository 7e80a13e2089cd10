//! Durable files: a reader sees the old content or the new, whenever power fails.

use crate::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Everything but RFC 3986 unreserved characters is escaped, `/` included.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `name` as one URL path segment or file name.
pub(crate) fn encode(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// `name` as a file name that is never `.`, `..` or one of the temporary files below.
pub(crate) fn encode_file(name: &str) -> String {
    let encoded = encode(name);
    match encoded.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => encoded,
    }
}

/// Where a file is written before it takes its name.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Replaces `path` by `bytes`: write aside, fsync, rename, fsync the directory.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = temporary(path);
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(source) = written {
        // The write's own error matters more than whether its remains could be removed.
        fs::remove_file(&aside).ok();
        return Err(Error::File { path: aside, source });
    }
    rename(&aside, path)
}

/// Gives a finished file its name, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::file(to))?;
    sync_directory(to)
}

/// Makes the entry of `path` in its directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(Error::file(directory))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The content of `path`, nothing where there is no such file; more than `max` bytes are an error.
pub(crate) fn read_limited(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::file(path)(e)),
    };
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::file(path))?;
    if bytes.len() as u64 > max {
        return Err(Error::TooLong { what: path.display().to_string(), max });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_directory() {
        for (name, file) in [
            ("a b", "a%20b"),
            ("../x", "%2E.%2Fx"),
            ("..", "%2E."),
            (".", "%2E"),
            ("/etc/passwd", "%2Fetc%2Fpasswd"),
            ("C:\\x", "C%3A%5Cx"),
            ("nul\0", "nul%00"),
            ("é", "%C3%A9"),
            ("a%2Fb", "a%252Fb"),
        ] {
            assert_eq!(encode_file(name), file);
        }
    }

    #[test]
    fn atomic_write_replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for content in [b"one".as_slice(), b"two"] {
            write_atomic(&path, content).unwrap();
            assert_eq!(read_limited(&path, 3).unwrap().as_deref(), Some(content));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(matches!(read_limited(&path, 2), Err(Error::TooLong { max: 2, .. })));
        assert!(read_limited(&dir.path().join("y"), 2).unwrap().is_none());
    }
}
