//! Target files: their names, their place, and their bytes.

use crate::error::{Error, Result};
use crate::files;
use crate::metadata::{Hasher, TargetFile};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A target that signed metadata lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the metadata.
    pub name: String,
    /// The role that lists it.
    pub role: String,
    /// Path below the targets URL, percent-encoded, with the hash prefix of consistent snapshots.
    pub path: String,
    /// Length, hashes and `custom` data.
    pub file: TargetFile,
}

impl Target {
    /// A streaming check of the file's bytes.
    pub fn verifier(&self) -> Result<TargetVerifier> {
        TargetVerifier::new(&self.name, &self.file)
    }

    /// Where [`save_target`] puts the file: the URL-encoded name in `directory`.
    pub fn file_path(&self, directory: &Path) -> PathBuf {
        directory.join(files::encode_file(&self.name))
    }
}

/// Refuses names that could leave a directory or a URL: empty, `.` or `..` segments, backslashes, controls.
pub fn check_target_name(name: &str) -> Result<()> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.contains('\\') {
        "it contains a backslash"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "it has an empty, \".\" or \"..\" segment"
    } else if files::encode_file(name).len() > 180 {
        // File systems allow 255 bytes, and a repository puts 64 digits of hash and a dot before the name.
        "it is too long for a file name"
    } else {
        return Ok(());
    };
    Err(Error::TargetName { name: name.into(), reason })
}

/// Where a target is below the targets URL (5.7.3): `HASH.name` in its directory with consistent snapshots.
pub fn target_path(name: &str, file: &TargetFile, consistent_snapshot: bool) -> Result<String> {
    check_target_name(name)?;
    let (directory, base) = name.rsplit_once('/').map_or((None, name), |(d, b)| (Some(d), b));
    let mut path = String::new();
    for segment in directory.iter().flat_map(|d| d.split('/')) {
        path.push_str(&files::encode(segment));
        path.push('/');
    }
    if consistent_snapshot {
        let listed = file.hashes.sha256().or_else(|| file.hashes.0.get("sha512").map(String::as_str));
        let hash = listed.ok_or_else(|| Error::UnknownHash { what: name.into() })?;
        path.push_str(&files::encode(hash));
        path.push('.');
    }
    path.push_str(&files::encode(base));
    Ok(path)
}

/// Checks a target's bytes as they arrive; they are good only once [`TargetVerifier::finish`] says so.
#[derive(Debug, Clone)]
pub struct TargetVerifier {
    name: String,
    length: u64,
    received: u64,
    hasher: Hasher,
}

impl TargetVerifier {
    /// For the target `name` that metadata describes as `file`.
    pub fn new(name: &str, file: &TargetFile) -> Result<Self> {
        let hasher = file.hashes.hasher(name)?;
        Ok(TargetVerifier { name: name.into(), length: file.length, received: 0, hasher })
    }

    /// Takes the next bytes; fails as soon as there are more than listed.
    pub fn update(&mut self, bytes: &[u8]) -> Result<()> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.received > self.length {
            return Err(Error::TooLong { what: self.name.clone(), max: self.length });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Bytes taken so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether length and every listed hash agree.
    pub fn finish(self) -> Result<()> {
        if self.received != self.length {
            return Err(Error::LengthMismatch {
                what: self.name,
                expected: self.length,
                found: self.received,
            });
        }
        self.hasher.finish()
    }
}

/// Reads a target from `source` and saves it in `directory` under its URL-encoded name, once it has verified.
/// Nothing is left behind where it does not. A target larger than `max` bytes is refused before any is read.
pub fn save_target(target: &Target, source: &mut dyn Read, directory: &Path, max: u64) -> Result<PathBuf> {
    check_target_name(&target.name)?;
    if target.file.length > max {
        return Err(Error::TooLong { what: target.name.clone(), max });
    }
    fs::create_dir_all(directory).map_err(Error::file(directory))?;
    let path = target.file_path(directory);
    let aside = files::temporary(&path);
    let result = copy(target, source, &aside).and_then(|()| files::rename(&aside, &path));
    if let Err(error) = result {
        fs::remove_file(&aside).ok();
        return Err(error);
    }
    Ok(path)
}

/// The saved file of a target, if it is there and still has the listed length and hashes.
pub fn cached_target(target: &Target, directory: &Path) -> Result<Option<PathBuf>> {
    let path = target.file_path(directory);
    let Ok(mut file) = File::open(&path) else { return Ok(None) };
    let mut verifier = target.verifier()?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) if verifier.update(&buffer[..n]).is_err() => return Ok(None),
            Ok(_) => {}
            Err(e) => return Err(Error::file(&path)(e)),
        }
    }
    Ok(verifier.finish().is_ok().then_some(path))
}

fn copy(target: &Target, source: &mut dyn Read, to: &Path) -> Result<()> {
    let mut verifier = target.verifier()?;
    let mut file = File::create(to).map_err(Error::file(to))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = match source.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::Fetch { url: target.path.clone(), reason: e.to_string() }),
        };
        if n == 0 {
            break;
        }
        verifier.update(&buffer[..n])?;
        file.write_all(&buffer[..n]).map_err(Error::file(to))?;
    }
    verifier.finish()?;
    file.sync_all().map_err(Error::file(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Extra, Hashes};

    fn target(name: &str, content: &[u8]) -> Target {
        let file = TargetFile {
            length: content.len() as u64,
            hashes: Hashes::of(content),
            custom: None,
            extra: Extra::new(),
        };
        Target { name: name.into(), role: "targets".into(), path: name.into(), file }
    }

    fn files_in(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn path_traversal_in_target_name() {
        for name in
            ["", "/a", "../a", "a/../b", "a//b", "a/.", ".", "..", "a\\b", "a\nb", "a/", &"x".repeat(300)]
        {
            assert!(matches!(check_target_name(name), Err(Error::TargetName { .. })), "{name:?}");
        }
        for name in ["a", "a/b", "..a", "a..b", ".a", "é", "a%2e", &"x".repeat(180)] {
            check_target_name(name).unwrap();
        }
    }

    #[test]
    fn paths_carry_the_hash_before_the_base_name() {
        let t = target("dir x/a#b", b"");
        let hash = t.file.hashes.sha256().unwrap();
        assert_eq!(target_path(&t.name, &t.file, true).unwrap(), format!("dir%20x/{hash}.a%23b"));
        assert_eq!(target_path(&t.name, &t.file, false).unwrap(), "dir%20x/a%23b");
    }

    #[test]
    fn a_good_target_is_saved_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let t = target("a/b", b"content");
        assert!(cached_target(&t, dir.path()).unwrap().is_none());
        let path = save_target(&t, &mut b"content".as_slice(), dir.path(), 100).unwrap();
        assert_eq!(files_in(dir.path()), ["a%2Fb"]);
        assert_eq!(cached_target(&t, dir.path()).unwrap(), Some(path.clone()));
        fs::write(&path, b"cOntent").unwrap();
        assert!(cached_target(&t, dir.path()).unwrap().is_none());
    }

    #[test]
    fn wrong_endless_and_short_targets_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let t = target("t", b"content");
        let save = |source: &mut dyn Read, max| save_target(&t, source, dir.path(), max).unwrap_err();
        assert!(matches!(save(&mut b"CONTENT".as_slice(), 100), Error::HashMismatch { .. }));
        assert!(matches!(save(&mut b"conten".as_slice(), 100), Error::LengthMismatch { found: 6, .. }));
        assert!(matches!(save(&mut std::io::repeat(0), 100), Error::TooLong { max: 7, .. }));
        assert!(matches!(save(&mut b"content".as_slice(), 6), Error::TooLong { max: 6, .. }));
        assert_eq!(files_in(dir.path()), [""; 0]);
    }

    #[test]
    fn every_listed_hash_counts() {
        let mut t = target("t", b"content");
        t.file.hashes.0.insert("sha512".into(), "00".repeat(64));
        let mut verifier = t.verifier().unwrap();
        verifier.update(b"content").unwrap();
        assert!(
            matches!(verifier.finish(), Err(Error::HashMismatch { algorithm, .. }) if algorithm == "sha512")
        );
        t.file.hashes.0.clear();
        t.file.hashes.0.insert("md5".into(), "00".repeat(16));
        assert!(matches!(t.verifier(), Err(Error::UnknownHash { .. })));
    }
}
