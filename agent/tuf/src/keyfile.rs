//! ed25519 keys on disk, shared by TUF roles and the bundle signer.
//!
//! A secret key file `K` is one line of 64 hexadecimal digits, the 32-byte seed of RFC 8032; `K.pub` beside it
//! is one line of 64 hexadecimal digits, the public key. Files are created with mode 0600 (secret) and never
//! overwritten.

use crate::error::{Error, Result};
use ed25519_dalek::{SigningKey, VerifyingKey};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the public half of the key at `secret` lives: the same name with `.pub` appended.
pub fn public_path(secret: &Path) -> PathBuf {
    let mut name = secret.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Makes a key from the system's random source and writes `path` and `path.pub`; refuses to overwrite either.
pub fn generate(path: &Path) -> Result<SigningKey> {
    let public = public_path(path);
    for existing in [path, &public] {
        if existing.symlink_metadata().is_ok() {
            return Err(Error::content(
                existing,
                "exists already; a key is never overwritten, choose another name",
            ));
        }
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|e| Error::content(path, format!("no random numbers: {e}")))?;
    let key = SigningKey::from_bytes(&seed);
    write_new(path, &Zeroizing::new(hex::encode(key.to_bytes())), 0o600)?;
    if let Err(error) = write_new(&public, &hex::encode(key.verifying_key().to_bytes()), 0o644) {
        // Half a pair is worse than none: the next attempt would refuse because of it.
        std::fs::remove_file(path).map_err(Error::file(path))?;
        return Err(error);
    }
    Ok(key)
}

/// Reads a secret key file; the file's own name is in every error.
pub fn read_secret(path: &Path) -> Result<SigningKey> {
    let seed = read_line(path, "a secret key (`samara key new` makes one)")?;
    let key = SigningKey::from_bytes(&seed);
    Ok(key)
}

/// Reads a public key file (`K.pub`); small-order points, which verify anything, are refused.
pub fn read_public(path: &Path) -> Result<VerifyingKey> {
    let bytes = read_line(path, "a public key")?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| Error::content(path, "not a point of ed25519"))?;
    if key.is_weak() {
        return Err(Error::content(path, "a weak ed25519 key (small order); use another"));
    }
    Ok(key)
}

fn read_line(path: &Path, what: &str) -> Result<Zeroizing<[u8; 32]>> {
    // One digit more than any valid file with its line end, so that a longer file is noticed, not truncated.
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    File::open(path).and_then(|file| file.take(67).read_to_end(&mut text)).map_err(Error::file(path))?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text[..]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(line, &mut *bytes).map_err(|_| {
        Error::content(path, format!("not {what}: expected one line of 64 hexadecimal digits"))
    })?;
    Ok(bytes)
}

fn write_new(path: &Path, line: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(Error::file(path))?;
    writeln!(file, "{line}").and_then(|()| file.sync_all()).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_reads_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let key = generate(&path).unwrap();
        assert_eq!(read_secret(&path).unwrap().to_bytes(), key.to_bytes());
        assert_eq!(read_public(&public_path(&path)).unwrap(), key.verifying_key());
        assert_eq!(std::fs::read(&path).unwrap().len(), 65);
        let before = std::fs::read(&path).unwrap();
        assert!(generate(&path).unwrap_err().to_string().contains("exists already"));
        std::fs::remove_file(&path).unwrap();
        assert!(generate(&path).unwrap_err().to_string().contains("k.pub"), "the public half is there still");
        assert!(!path.exists());
        assert_ne!(before, b"");
    }

    #[cfg(unix)]
    #[test]
    fn the_secret_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        generate(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn wrong_content_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        for text in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &format!("{}\n\n", "0".repeat(64))]
        {
            std::fs::write(&path, text).unwrap();
            assert!(read_secret(&path).unwrap_err().to_string().contains("64 hexadecimal"), "{text:?}");
        }
        // The identity point: it "verifies" signatures of messages nobody signed.
        std::fs::write(&path, format!("01{}\n", "00".repeat(31))).unwrap();
        assert!(read_public(&path).unwrap_err().to_string().contains("weak"));
    }
}
