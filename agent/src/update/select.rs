//! Which target this device should run, decided from signed metadata before a byte is downloaded.

use super::record::{Candidate, Record};
use crate::types::{Digest, Release, Version};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A TUF target, as verified metadata lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Target name.
    pub name: String,
    /// File length in bytes.
    pub length: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// The `custom` field, as it is.
    pub custom: Option<serde_json::Value>,
}

/// What Samara puts into a target's `custom` field. Keys not listed here are left to newer agents.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Custom {
    /// Model name.
    pub name: String,
    /// Model version, `[major, minor, patch]`.
    pub version: Version,
    /// Bundle identity (hash of the prefix).
    pub digest: Digest,
    /// Device classes it is for: one name or a list.
    pub class: Classes,
    /// Bytes of arena, state and scratch that the bundle needs.
    #[serde(default)]
    pub arena_bytes: Option<u64>,
    /// Bytes of flash that the bundle takes; the file length when absent.
    #[serde(default)]
    pub flash_bytes: Option<u64>,
    /// Hash of inputs, outputs, labels and preprocessing.
    #[serde(default)]
    pub contract: Option<Digest>,
    /// Fresh text per release, so that canaries rotate.
    #[serde(default)]
    pub salt: Option<String>,
    /// Devices that may take it, in parts of 10,000; all when absent.
    #[serde(default)]
    pub permyriad: Option<u32>,
    /// Set on a withdrawn release: nobody takes it any more, and devices that run it return to this version.
    #[serde(default)]
    pub rollback_to: Option<Version>,
}

/// One class or several.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Classes {
    /// A single class name.
    One(String),
    /// Any of these.
    Many(Vec<String>),
}

impl Classes {
    fn contains(&self, class: &str) -> bool {
        match self {
            Self::One(one) => one == class,
            Self::Many(many) => many.iter().any(|one| one == class),
        }
    }
}

/// What the device is and may hold.
#[derive(Clone, Debug)]
pub struct Device {
    /// Identifier that rollout buckets are computed from.
    pub id: String,
    /// Device class.
    pub class: String,
    /// The model it runs.
    pub model: String,
    /// Contract that its application was built against, where it insists on one.
    pub contract: Option<Digest>,
    /// Arena it can give, in bytes.
    pub arena_bytes: u64,
    /// Largest bundle it can hold, in bytes.
    pub flash_bytes: u64,
}

/// Why a target is not for this device now.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The `custom` field is absent or not Samara's.
    Custom(String),
    /// For other device classes.
    Class,
    /// Needs more arena than the device has (bytes needed).
    Arena(u64),
    /// Larger than the device can hold (bytes needed).
    Flash(u64),
    /// Made for another contract.
    Contract,
    /// Withdrawn by its publisher.
    Withdrawn,
    /// Failed here before.
    FailedBefore,
    /// Not newer than what is active or was last committed.
    Downgrade {
        /// What it would have to exceed.
        floor: Version,
    },
    /// The device's bucket has not been reached yet.
    Rollout {
        /// The device's bucket, below 10,000.
        bucket: u32,
        /// The share released so far.
        permyriad: u32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(cause) => write!(f, "its custom field cannot be used: {cause}"),
            Self::Class => write!(f, "it is for another device class"),
            Self::Arena(bytes) => write!(f, "it needs {bytes} bytes of arena"),
            Self::Flash(bytes) => write!(f, "it needs {bytes} bytes of storage"),
            Self::Contract => write!(f, "its contract differs from the application's"),
            Self::Withdrawn => write!(f, "it was withdrawn"),
            Self::FailedBefore => write!(f, "it failed on this device before"),
            Self::Downgrade { floor } => write!(f, "it is not newer than {floor}"),
            Self::Rollout { bucket, permyriad } => {
                write!(f, "the rollout stands at {permyriad}/10000 and this device is number {bucket}")
            }
        }
    }
}

/// The outcome of [`select`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// What to install, if anything.
    pub candidate: Option<Candidate>,
    /// Targets of this device's model that were passed over, other than the active one.
    pub refused: Vec<(String, Refusal)>,
}

/// Chooses the newest release that signed metadata allows for this device. Targets of other models are not mentioned.
pub fn select(targets: &[Target], device: &Device, record: &Record) -> Selection {
    let mut selection = Selection::default();
    let mut mine = Vec::new();
    for target in targets {
        match parse(target) {
            Ok(custom) if custom.name == device.model => mine.push((target, custom)),
            Ok(_) => {}
            Err(cause) => selection.refused.push((target.name.clone(), Refusal::Custom(cause))),
        }
    }
    let active = record.active().map(|(_, release)| release);
    // "Versions never go backwards unless the signed metadata says `rollback_to`": it says so about the release
    // that is active or, where nothing intact is, about the version that was.
    let withdrawn = |custom: &Custom| match active {
        Some(active) => custom.digest == active.digest,
        None => Some(custom.version) == record.floor,
    };
    let back = mine.iter().find(|(_, custom)| withdrawn(custom)).and_then(|(_, custom)| custom.rollback_to);
    let mut best: Option<Candidate> = None;
    for (target, custom) in &mine {
        if active.is_some_and(|active| active.sha256 == target.sha256) {
            continue;
        }
        if let Err(refusal) = admit(target, custom, device, record, back) {
            selection.refused.push((target.name.clone(), refusal));
            continue;
        }
        let newest = best.as_ref().is_none_or(|best| custom.version > best.release.version);
        if newest {
            let release = Release {
                name: custom.name.clone(),
                version: custom.version,
                digest: custom.digest,
                sha256: target.sha256,
                bytes: target.length,
            };
            best = Some(Candidate { target: target.name.clone(), release });
        }
    }
    selection.candidate = best;
    selection
}

/// The device's place in the queue of a release, `0..10_000`: the first four bytes, big-endian, of
/// SHA-256(salt || device identifier), scaled.
pub fn bucket(salt: &str, device_id: &str) -> u32 {
    let hash: [u8; 32] = Sha256::new().chain_update(salt).chain_update(device_id).finalize().into();
    let word = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    ((u64::from(word) * 10_000) >> 32) as u32
}

fn parse(target: &Target) -> Result<Custom, String> {
    let custom = target.custom.as_ref().ok_or("it has none")?;
    Custom::deserialize(custom).map_err(|error| error.to_string())
}

fn admit(
    target: &Target,
    custom: &Custom,
    device: &Device,
    record: &Record,
    back: Option<Version>,
) -> Result<(), Refusal> {
    let flash = custom.flash_bytes.unwrap_or(0).max(target.length);
    if !custom.class.contains(&device.class) {
        return Err(Refusal::Class);
    }
    if let Some(arena) = custom.arena_bytes.filter(|&arena| arena > device.arena_bytes) {
        return Err(Refusal::Arena(arena));
    }
    if flash > device.flash_bytes {
        return Err(Refusal::Flash(flash));
    }
    if device.contract.is_some() && custom.contract != device.contract {
        return Err(Refusal::Contract);
    }
    if custom.rollback_to.is_some() {
        return Err(Refusal::Withdrawn);
    }
    if record.has_failed(target.sha256, custom.digest) {
        return Err(Refusal::FailedBefore);
    }
    if back != Some(custom.version) {
        match record.active() {
            Some((_, active)) if custom.version <= active.version => {
                return Err(Refusal::Downgrade { floor: active.version });
            }
            // Nothing intact is active: the version last committed may come back, an older one may not.
            None if record.floor.is_some_and(|floor| custom.version < floor) => {
                return Err(Refusal::Downgrade { floor: record.floor.unwrap_or(custom.version) });
            }
            _ => {}
        }
    }
    if let Some(permyriad) = custom.permyriad {
        let bucket = bucket(custom.salt.as_deref().unwrap_or(""), &device.id);
        if bucket >= permyriad {
            return Err(Refusal::Rollout { bucket, permyriad });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Slot;
    use serde_json::json;

    fn device() -> Device {
        Device {
            id: "d1".into(),
            class: "gateway".into(),
            model: "kws".into(),
            contract: None,
            arena_bytes: 10_000,
            flash_bytes: 100_000,
        }
    }

    fn target(version: [u32; 3], extra: serde_json::Value) -> Target {
        let text = format!("{version:?}");
        let mut custom = json!({
            "name": "kws", "version": version, "digest": Digest::of(text.as_bytes()), "class": "gateway",
        });
        custom.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let name = format!("kws-{}.samara", Version(version));
        Target {
            name,
            length: 5000,
            sha256: Digest::of(format!("file {version:?}").as_bytes()),
            custom: Some(custom),
        }
    }

    fn running(version: [u32; 3]) -> Record {
        let target = target(version, json!({}));
        let custom = parse(&target).unwrap();
        let release = Release {
            name: custom.name,
            version: custom.version,
            digest: custom.digest,
            sha256: target.sha256,
            bytes: target.length,
        };
        Record {
            slots: [Some(release), None],
            active: Some(Slot::A),
            floor: Some(Version(version)),
            ..Record::default()
        }
    }

    fn refusal(extra: serde_json::Value) -> Option<Refusal> {
        let selection = select(&[target([1, 0, 0], extra)], &device(), &Record::default());
        assert_eq!(selection.candidate.is_some(), selection.refused.is_empty());
        selection.refused.into_iter().next().map(|(_, refusal)| refusal)
    }

    #[test]
    fn every_constraint_refuses_by_name() {
        let contract = Digest::of(b"contract");
        assert_eq!(refusal(json!({})), None);
        assert_eq!(refusal(json!({"class": ["phone", "gateway"]})), None);
        assert_eq!(refusal(json!({"class": ["phone"]})), Some(Refusal::Class));
        assert_eq!(refusal(json!({"arena_bytes": 10_000})), None);
        assert_eq!(refusal(json!({"arena_bytes": 10_001})), Some(Refusal::Arena(10_001)));
        assert_eq!(refusal(json!({"flash_bytes": 100_001})), Some(Refusal::Flash(100_001)));
        assert_eq!(refusal(json!({"rollback_to": [0, 9, 0]})), Some(Refusal::Withdrawn));
        assert!(matches!(refusal(json!({"version": "1.0.0"})), Some(Refusal::Custom(_))));
        let insists = Device { contract: Some(contract), ..device() };
        let offered = |extra| select(&[target([1, 0, 0], extra)], &insists, &Record::default());
        assert_eq!(offered(json!({})).refused[0].1, Refusal::Contract);
        assert!(offered(json!({ "contract": contract })).candidate.is_some());
    }

    #[test]
    fn a_target_without_custom_is_refused_and_another_model_ignored() {
        let bare = Target { custom: None, ..target([1, 0, 0], json!({})) };
        let other = target([1, 0, 0], json!({"name": "vww"}));
        let selection = select(&[bare, other], &device(), &Record::default());
        assert_eq!((selection.candidate, selection.refused.len()), (None, 1));
    }

    #[test]
    fn the_newest_wins_and_older_ones_are_downgrades() {
        let targets = [[1, 2, 0], [1, 10, 0], [1, 3, 0]].map(|version| target(version, json!({})));
        let chosen = |record| select(&targets, &device(), &record).candidate.map(|c| c.release.version.0);
        assert_eq!(chosen(Record::default()), Some([1, 10, 0]));
        assert_eq!(chosen(running([1, 2, 0])), Some([1, 10, 0]));
        assert_eq!(chosen(running([1, 10, 0])), None);
        assert_eq!(chosen(running([2, 0, 0])), None);
        // Storage lost its bundles: the last committed version may return, nothing older.
        let lost = Record { slots: [None, None], active: None, ..running([1, 3, 0]) };
        assert_eq!(chosen(lost), Some([1, 10, 0]));
        let lost = Record { slots: [None, None], active: None, ..running([1, 11, 0]) };
        assert_eq!(chosen(lost), None);
    }

    #[test]
    fn a_withdrawn_release_sends_its_devices_back_and_nobody_else() {
        let targets = [target([1, 0, 0], json!({})), target([1, 1, 0], json!({"rollback_to": [1, 0, 0]}))];
        let chosen = |record| select(&targets, &device(), &record).candidate.map(|c| c.release.version.0);
        assert_eq!(chosen(running([1, 1, 0])), Some([1, 0, 0]));
        assert_eq!(chosen(running([1, 0, 0])), None);
        assert_eq!(chosen(running([1, 2, 0])), None);
        assert_eq!(chosen(Record::default()), Some([1, 0, 0]));
        let mut fixed = targets.to_vec();
        fixed.push(target([1, 2, 0], json!({})));
        let chosen = select(&fixed, &device(), &running([1, 1, 0])).candidate.unwrap();
        assert_eq!(chosen.release.version.0, [1, 2, 0]);
    }

    #[test]
    fn a_failed_candidate_waits_for_a_successor() {
        let targets = [target([1, 1, 0], json!({}))];
        let mut record = running([1, 0, 0]);
        let candidate = select(&targets, &device(), &record).candidate.unwrap();
        record.remember(candidate.release.clone(), true, "self-test");
        assert_eq!(select(&targets, &device(), &record).refused[0].1, Refusal::FailedBefore);
        // The same content under other signatures has another file hash and fails all the same.
        let mut resigned = targets[0].clone();
        resigned.sha256 = Digest::of(b"resigned");
        assert_eq!(select(&[resigned.clone()], &device(), &record).refused[0].1, Refusal::FailedBefore);
        // A file that was refused for its signatures may come back with others.
        record.failed.clear();
        record.remember(candidate.release, false, "signature");
        assert!(select(&[resigned], &device(), &record).candidate.is_some());
        let next = [targets[0].clone(), target([1, 1, 1], json!({}))];
        assert_eq!(select(&next, &device(), &record).candidate.unwrap().release.version.0, [1, 1, 1]);
    }

    #[test]
    fn buckets_fill_evenly_and_rotate_with_the_salt() {
        let share = |salt: &str, permyriad| {
            (0..10_000).filter(|n| bucket(salt, &format!("device-{n}")) < permyriad).count()
        };
        for salt in ["r1", "r2"] {
            // Binomial with n = 10,000: four standard deviations are 200 at one half, 120 at one tenth.
            assert!(share(salt, 5000).abs_diff(5000) < 200);
            assert!(share(salt, 1000).abs_diff(1000) < 120);
            assert_eq!((share(salt, 0), share(salt, 10_000)), (0, 10_000));
        }
        assert_ne!(bucket("r1", "device-1"), bucket("r2", "device-1"));
        let all = |permyriad| refusal(json!({"salt": "r1", "permyriad": permyriad}));
        assert_eq!(all(10_000), None);
        assert_eq!(all(0), Some(Refusal::Rollout { bucket: bucket("r1", "d1"), permyriad: 0 }));
    }
}
