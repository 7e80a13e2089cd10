//! Writing a set of files so that each is either the old one or the whole new one.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// Writes all `files`; folders are created where missing. None is replaced before every one is on disk.
pub fn write(files: &[(PathBuf, &[u8])]) -> Result<()> {
    let mut staged = Vec::new();
    for (path, bytes) in files {
        let file = stage(path, bytes).with_context(|| format!("{}: cannot write", path.display()))?;
        staged.push((path, file));
    }
    for (path, file) in staged {
        file.persist(path).with_context(|| format!("{}: cannot replace", path.display()))?;
    }
    Ok(())
}

fn stage(path: &Path, bytes: &[u8]) -> Result<NamedTempFile> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; these get what a plain `create` would give them.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_leaves_every_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first");
        std::fs::write(&first, "old").unwrap();
        // A file where a folder is needed.
        let second = first.join("second");
        assert!(write(&[(first.clone(), b"new"), (second, b"new")]).is_err());
        assert_eq!(std::fs::read(&first).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
