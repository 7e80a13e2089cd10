//! Every file-system write of the agent passes through [`Disk`], so that a test can stop the world at any of them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    rc::Rc,
};

/// A directory tree with the durability rules of POSIX: bytes are durable once their file is synced, names
/// once their directory is. Paths are relative, `/`-separated, and never leave the root.
pub trait Disk {
    /// The whole file; `InvalidData` when it is longer than `limit` bytes, `NotFound` when absent.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;
    /// File length in bytes; `NotFound` when absent.
    fn len(&self, path: &str) -> io::Result<u64>;
    /// Names in a directory, sorted; empty when the directory is absent.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Creates a directory readable by its owner only; succeeds when it exists already.
    fn create_dir(&self, dir: &str) -> io::Result<()>;
    /// Creates or truncates a private file, writes `bytes`, and syncs through the same handle.
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Adds `bytes` at the end of a private file, creating it when absent, and syncs through the same handle.
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Renames a file over another atomically; durable after [`Disk::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; succeeds when it is absent.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable; `""` is the root.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
}

/// Replaces a file so that a reader, or a reboot, sees either the old bytes or the new ones.
///
/// # Errors
/// Whatever the disk reports; the old file is then still in place or the new one complete.
pub fn replace(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{path}.tmp");
    disk.put(&temporary, bytes)?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(parent(path))
}

/// The directory part of a path, `""` for a name in the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// A directory of the host's file system.
#[derive(Clone, Debug)]
pub struct HostDisk {
    root: PathBuf,
}

impl HostDisk {
    /// Opens `root`, creating it (private to its owner) when absent.
    ///
    /// # Errors
    /// When the directory cannot be created or is not a directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        let disk = Self { root: root.to_owned() };
        disk.create_dir("")?;
        Ok(disk)
    }

    /// Refers to `root` without creating it, for readers: an absent directory reads as empty.
    pub fn existing(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl Disk for HostDisk {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.at(path))?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{path} is longer than {limit} bytes"),
            ));
        }
        Ok(bytes)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.at(path))?.len())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.at(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(self.at(dir))
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = private(options.write(true).create(true).truncate(true)).open(self.at(path))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = private(options.append(true).create(true)).open(self.at(path))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        match fs::remove_file(self.at(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        // Directories cannot be opened as files on Windows; renames are journalled there.
        #[cfg(unix)]
        File::open(self.at(dir))?.sync_all()?;
        #[cfg(not(unix))]
        let _ = dir;
        Ok(())
    }
}

impl<D: Disk> Disk for Rc<D> {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        (**self).read(path, limit)
    }
    fn len(&self, path: &str) -> io::Result<u64> {
        (**self).len(path)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        (**self).list(dir)
    }
    fn create_dir(&self, dir: &str) -> io::Result<()> {
        (**self).create_dir(dir)
    }
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).put(path, bytes)
    }
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).append(path, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        (**self).remove(path)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        (**self).sync_dir(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_leaves_no_temporary_file_and_keeps_files_private() {
        let dir = tempfile::tempdir().unwrap();
        let disk = HostDisk::open(&dir.path().join("data")).unwrap();
        disk.create_dir("objects").unwrap();
        replace(&disk, "objects/x", b"one").unwrap();
        replace(&disk, "objects/x", b"two").unwrap();
        disk.append("objects/x", b"!").unwrap();
        assert_eq!(disk.read("objects/x", 4).unwrap(), b"two!");
        assert_eq!(disk.list("objects").unwrap(), ["x"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("data"), mode("data/objects"), mode("data/objects/x")), (0o700, 0o700, 0o600));
        }
        disk.remove("objects/x").unwrap();
        disk.remove("objects/x").unwrap();
    }

    #[test]
    fn read_refuses_a_file_over_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let disk = HostDisk::open(dir.path()).unwrap();
        disk.put("x", b"12345").unwrap();
        assert_eq!(disk.read("x", 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(disk.read("y", 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
