//! Random damage to every file: refused, or the very same metadata.

use crate::simulator::{NOW, Simulator};
use samara_tuf::metadata::{Envelope, canonical};
use samara_tuf::{Error, Limits};

/// A small generator with a fixed seed, so that a failure can be repeated (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// One to four edits: a flipped bit, a removed range, a doubled range, or a character that JSON cares about.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => {
                    let end = (at + 1 + self.below(16)).min(bytes.len() - 1).max(at);
                    bytes.drain(at..end);
                }
                2 => {
                    let end = (at + 1 + self.below(64)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => bytes[at] = b"{}[]\",:0 \\-e"[self.below(12)],
            }
        }
    }
}

fn signed_part(bytes: &[u8]) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    canonical(&value["signed"]).unwrap()
}

#[test]
fn random_damage_is_refused_or_harmless() {
    let mut pristine = Simulator::new();
    pristine.hashes = false;
    pristine.delegate("targets", "releases", 5, &["*.samara"], true);
    pristine.add_target("releases", "a.samara", b"bundle");
    pristine.publish(&["releases", "targets"]);
    pristine.bump_root();
    let mut random = Random(0x5a3a7a);
    let mut accepted = 0;
    for (file, role) in [
        ("2.root.json", "root"),
        ("timestamp.json", "timestamp"),
        ("2.snapshot.json", "snapshot"),
        ("2.targets.json", "targets"),
        ("1.releases.json", "releases"),
    ] {
        let good = pristine.files[file].clone();
        for _ in 0..2_000 {
            let mut bytes = good.clone();
            random.mutate(&mut bytes);
            let mut client = pristine.client();
            pristine.requests.clear();
            pristine.files.insert(file.into(), bytes.clone());
            let result =
                client.refresh(&mut pristine, NOW).and_then(|_| client.target(&mut pristine, "a.samara"));
            if result.is_ok() {
                // White space, or a change among the signatures that left enough of them.
                assert_eq!(signed_part(&bytes), signed_part(&good), "{file}");
                assert_eq!(client.store().0[role], bytes);
                accepted += 1;
            }
            let message = result.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!message.contains('\n'), "{message}");
        }
        pristine.files.insert(file.into(), good);
    }
    assert!(accepted < 500, "{accepted} of 10000 damaged files passed");
}

#[test]
fn every_flipped_bit_of_a_timestamp_is_refused_or_harmless() {
    let mut repo = Simulator::new();
    let good = repo.files["timestamp.json"].clone();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        repo.files.insert("timestamp.json".into(), bytes.clone());
        let mut client = repo.client();
        if client.refresh(&mut repo, NOW).is_ok() {
            // Hexadecimal digits of the signature in capitals are the same signature.
            assert_eq!(signed_part(&bytes), signed_part(&good), "bit {bit}");
        }
    }
}

#[test]
fn envelope_gives_nothing_away_before_verification() {
    let mut repo = Simulator::new();
    repo.tamper("timestamp.json", |value| value["signatures"] = serde_json::json!([]));
    let envelope = Envelope::parse("timestamp", &repo.files["timestamp.json"], &Limits::DEFAULT).unwrap();
    let error = envelope
        .verify::<samara_tuf::metadata::Timestamp>(
            "timestamp",
            &repo.root.keys,
            repo.root.role(samara_tuf::metadata::TopLevel::Timestamp),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Threshold { valid: 0, threshold: 1, .. }));
}
