//! The update record on disk: two alternating files, each framed with a sequence number and a CRC.
//!
//! The file with the higher sequence that passes its CRC is the truth. Each write goes to the other file by
//! temporary file, sync, rename, directory sync; so one intact record exists at every moment, and a record
//! that rots later falls back to the one before it, whose actions are all safe to repeat.

use super::disk::{Disk, replace};
use crate::update::Record;
use std::io;

const FILES: [&str; 2] = ["journal.0", "journal.1"];
const MAGIC: &str = "samara-journal 1";
/// A record holds two releases, one candidate and the remembered failures: far below this.
const MAX_BYTES: u64 = 256 << 10;

/// Encodes one journal file: a header line `magic sequence length crc`, then the record as JSON.
pub fn encode(sequence: u64, record: &Record) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(record)?;
    let crc = checksum(sequence, &body);
    let mut file = format!("{MAGIC} {sequence} {} {crc:08x}\n", body.len()).into_bytes();
    file.extend_from_slice(&body);
    Ok(file)
}

/// Decodes one journal file; `None` for anything that is not exactly what [`encode`] writes.
pub fn decode(file: &[u8]) -> Option<(u64, Record)> {
    let line_end = file.iter().position(|&byte| byte == b'\n')?;
    let header = std::str::from_utf8(&file[..line_end]).ok()?.strip_prefix(MAGIC)?;
    let body = &file[line_end + 1..];
    let mut fields = header.split_ascii_whitespace();
    let sequence = fields.next()?.parse().ok()?;
    let length: usize = fields.next()?.parse().ok()?;
    let crc = u32::from_str_radix(fields.next()?, 16).ok()?;
    if fields.next().is_some() || body.len() != length || checksum(sequence, body) != crc {
        return None;
    }
    Some((sequence, serde_json::from_slice(body).ok()?))
}

/// The newest intact record and its sequence number; `(0, default)` when there is none.
///
/// # Errors
/// When the disk cannot be read (absence and damage are not errors).
pub fn load(disk: &dyn Disk) -> io::Result<(u64, Record)> {
    let mut newest = (0, Record::default());
    for path in FILES {
        let bytes = match disk.read(path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(found) = decode(&bytes).filter(|(sequence, _)| *sequence > newest.0) {
            newest = found;
        }
    }
    Ok(newest)
}

/// Makes a record durable under `sequence`.
///
/// # Errors
/// Whatever the disk reports; the record before is then still intact.
pub fn save(disk: &dyn Disk, sequence: u64, record: &Record) -> io::Result<()> {
    let file = encode(sequence, record)?;
    if file.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("the update record has outgrown its limit"));
    }
    replace(disk, FILES[(sequence % 2) as usize], &file)
}

fn checksum(sequence: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SimDisk;

    fn record(error: &str) -> Record {
        Record { last_error: Some(error.to_owned()), ..Record::default() }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = encode(7, &record("x")).unwrap();
        assert_eq!(decode(&file), Some((7, record("x"))));
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Hex digits of the CRC read the same in either case; the record is then the same too.
            assert!(decode(&damaged).is_none_or(|found| found == (7, record("x"))), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let file = encode(7, &record("x")).unwrap();
        for length in 0..file.len() {
            assert_eq!(decode(&file[..length]), None, "length {length}");
        }
    }

    #[test]
    fn a_rotten_record_falls_back_to_the_one_before() {
        let disk = SimDisk::new();
        save(&disk, 1, &record("one")).unwrap();
        save(&disk, 2, &record("two")).unwrap();
        assert_eq!(load(&disk).unwrap(), (2, record("two")));
        assert!(disk.flip_bit("journal.0", 300));
        assert_eq!(load(&disk).unwrap(), (1, record("one")));
    }
}
