//! A fleet's repository: TUF metadata around bundles, with what devices check before they download.
//!
//! Offline keys (root, targets, releases) approve; online keys (snapshot, timestamp) keep the listing fresh.

use std::fs;
use std::path::{Path, PathBuf};

use samara_runtime::bundle::verify::{Trust, digest};
use samara_runtime::bundle::{Bundle, Tag, Version};
use samara_runtime::{Session, ops};
use samara_tuf::repository::{DAY, Delegation, KeyRing, Repository, RoleSetup, Setup};
use samara_tuf::{keyfile, time};
use serde_json::{Value, json};

use crate::error::{About, Error, Result};
use crate::files;

/// The role that approves bundles.
pub const RELEASES: &str = "releases";

/// A role's keys, how many of them sign, and for how many days a signature lasts.
struct Role {
    name: &'static str,
    keys: usize,
    threshold: u32,
    days: u64,
}

/// Root needs two of three keys; everything else one.
const ROLES: &[Role] = &[
    Role { name: "root", keys: 3, threshold: 2, days: 365 },
    Role { name: "targets", keys: 1, threshold: 1, days: 365 },
    Role { name: "snapshot", keys: 1, threshold: 1, days: 7 },
    Role { name: "timestamp", keys: 1, threshold: 1, days: 1 },
    Role { name: RELEASES, keys: 1, threshold: 1, days: 90 },
];

fn tuf(e: samara_tuf::Error) -> Error {
    Error::invalid(e.to_string())
}

impl Role {
    fn files(&self, keys: &Path) -> Vec<PathBuf> {
        match self.keys {
            1 => vec![keys.join(self.name)],
            n => (1..=n).map(|i| keys.join(format!("{}-{i}", self.name))).collect(),
        }
    }

    fn setup(&self, keys: &Path) -> Result<RoleSetup> {
        let keys =
            self.files(keys).into_iter().map(|f| Ok(keyfile::read_secret(&f).map_err(tuf)?.verifying_key()));
        Ok(RoleSetup {
            keys: keys.collect::<Result<_>>()?,
            threshold: self.threshold,
            lifetime: self.days * DAY,
        })
    }
}

/// The keys of a directory that [`init`] filled, as many as are there: an online machine has only its own.
fn key_ring(keys: &Path) -> Result<KeyRing> {
    let mut ring = KeyRing::new();
    for file in ROLES.iter().flat_map(|r| r.files(keys)).filter(|f| f.exists()) {
        ring.read(&file).map_err(tuf)?;
    }
    Ok(ring)
}

/// A new repository with no bundles; makes the keys that `keys` lacks.
pub fn init(repository: &Path, keys: &Path) -> Result<()> {
    fs::create_dir_all(keys).about(keys.display())?;
    for file in ROLES.iter().flat_map(|r| r.files(keys)).filter(|f| !f.exists()) {
        keyfile::generate(&file).map_err(tuf)?;
    }
    let role = |name: &str| {
        ROLES.iter().find(|r| r.name == name).map_or_else(|| Err(Error::invalid(name)), |r| r.setup(keys))
    };
    let setup = Setup {
        root: role("root")?,
        timestamp: role("timestamp")?,
        snapshot: role("snapshot")?,
        targets: role("targets")?,
    };
    let mut tree = Repository::create(repository, &setup).map_err(tuf)?;
    let delegation = Delegation {
        name: RELEASES.into(),
        setup: role(RELEASES)?,
        paths: vec!["*.samara".into()],
        terminating: true,
    };
    tree.delegate("targets", &delegation).map_err(tuf)?;
    tree.publish(&key_ring(keys)?, time::now()).map_err(tuf)
}

/// Who may install an added bundle.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Device classes; the bundle's own where empty.
    pub classes: Vec<String>,
    /// Keys that must have signed the bundle, and how many.
    pub trusted: Vec<[u8; 32]>,
    /// Distinct trusted keys that must have signed.
    pub threshold: usize,
    /// Take the golden vectors on trust: for a bundle whose kernels this machine lacks.
    pub skip_self_test: bool,
}

/// Approves a bundle without releasing it to anyone; returns its target name. The bundle must verify, load and
/// hold golden vectors that it passes.
pub fn add(repository: &Path, keys: &Path, bundle: &Path, admission: &Admission) -> Result<String> {
    let bytes = files::read_aligned(bundle)?;
    let about = bundle.display();
    let trust = Trust { keys: &admission.trusted, threshold: admission.threshold };
    let parsed = Bundle::verify(&bytes, &trust).map_err(|e| Error::refused(e.message()).about(&about))?;
    let session = Session::load(&parsed, ops::ALL).about(&about)?;
    let golden = parsed
        .golden
        .ok_or_else(|| Error::invalid("has no golden vectors to test itself on").about(&about))?;
    if !admission.skip_self_test {
        let mut arena = files::AlignedBytes::zeros(session.arena_bytes());
        let tested = session.bind(&mut arena).and_then(|mut run| run.self_test(&golden));
        tested.map_err(|e| Error::refused(e.message()).about(&about))?;
    }
    let own: String = parsed.prefix.class.iter().take_while(|&&b| b != 0).map(|&b| char::from(b)).collect();
    let classes = match (&admission.classes[..], &own[..]) {
        ([], "") => {
            return Err(Error::invalid("names no device class")
                .remedy("say which with --class")
                .about(&about));
        }
        ([], own) => vec![own.to_owned()],
        (given, "") => given.to_vec(),
        (given, own) if given.iter().all(|g| g == own) => given.to_vec(),
        (given, own) => {
            let cause = format!("is for class '{own}', not for '{}'", given.join("', '"));
            return Err(Error::refused(cause).about(&about));
        }
    };
    let Version { major, minor, patch } = parsed.prefix.version;
    let name = parsed.manifest.string(Tag::Name).unwrap_or_default();
    let custom = json!({
        "name": name,
        "version": [major, minor, patch],
        "digest": hex(&digest(&parsed.prefix)),
        "class": classes,
        "arena_bytes": session.arena_bytes(),
        "flash_bytes": bytes.len(),
        "contract": parsed.manifest.contract().map(|c| hex(&c)),
        "permyriad": 0,
    });
    let target = target_name(name, &parsed.prefix.version.to_string())?;
    let ring = key_ring(keys)?;
    let mut tree = Repository::open(repository).map_err(tuf)?;
    if tree.role(RELEASES).is_some_and(|r| r.targets.contains_key(&target)) {
        let cause = format!("{target} is in the repository already");
        return Err(Error::invalid(cause)
            .remedy("a released version never changes; raise --model-version")
            .about(&about));
    }
    tree.add_target_file(RELEASES, &target, bundle, Some(custom)).map_err(tuf)?;
    tree.publish(&ring, time::now()).map_err(tuf)?;
    Ok(target)
}

/// Releases an approved target to a share of the devices (parts of 10,000), with a fresh salt. Refused where its
/// contract differs from what the same model's released bundles have promised applications, unless
/// `new_contract` says that the applications were changed.
pub fn release(
    repository: &Path,
    keys: &Path,
    target: &str,
    permyriad: u32,
    new_contract: bool,
) -> Result<()> {
    let ring = key_ring(keys)?;
    let mut tree = Repository::open(repository).map_err(tuf)?;
    let listed = tree.role(RELEASES).map(|r| r.targets.clone()).unwrap_or_default();
    let file = listed.get(target).ok_or_else(|| {
        let known: Vec<&str> = listed.keys().map(|k| &k[..]).collect();
        Error::invalid(format!("no bundle '{target}' was added"))
            .remedy(format!("there are: {}", known.join(", ")))
    })?;
    let mut custom = file.custom.clone().unwrap_or_default();
    let earlier = listed.iter().find(|(name, other)| {
        let c = other.custom.as_ref();
        let field = |key: &str| c.map(|c| &c[key]);
        *name != target
            && field("name") == Some(&custom["name"])
            && field("permyriad").and_then(Value::as_u64).unwrap_or(0) > 0
            && field("contract") != Some(&custom["contract"])
    });
    if let Some((name, _)) = earlier.filter(|_| !new_contract) {
        let cause =
            format!("its inputs, outputs or labels differ from those of {name}, which devices run now");
        return Err(Error::refused(cause).about(target).remedy(
            "pack it with the same contract, or say --new-contract once the applications are ready",
        ));
    }
    let sha256 =
        file.hashes.sha256().ok_or_else(|| Error::invalid("is listed without SHA-256").about(target))?;
    custom["permyriad"] = json!(permyriad);
    // Fresh with every release, so that it is not always the same devices that go first.
    custom["salt"] = json!(format!("{target}-{}-{permyriad}", time::now()));
    let path = repository.join("targets").join(format!("{sha256}.{target}"));
    tree.add_target_file(RELEASES, target, &path, Some(custom)).map_err(tuf)?;
    tree.publish(&ring, time::now()).map_err(tuf)
}

/// Signs timestamp and snapshot anew; the online keys suffice.
pub fn refresh(repository: &Path, keys: &Path) -> Result<()> {
    Repository::open(repository).map_err(tuf)?.refresh(&key_ring(keys)?, time::now()).map_err(tuf)
}

/// Roles with versions and expiry, targets with their custom fields.
pub fn status(repository: &Path) -> Result<Value> {
    let tree = Repository::read(repository).map_err(tuf)?;
    let targets: Vec<Value> = tree
        .roles()
        .flat_map(|(role, listed)| {
            listed.targets.iter().map(move |(name, t)| {
                json!({ "name": name, "role": role, "length": t.length, "sha256": t.hashes.sha256(), "custom": t.custom })
            })
        })
        .collect();
    let mut roles = vec![
        json!({ "name": "root", "version": tree.root().version, "expires": tree.root().expires }),
        json!({ "name": "timestamp", "version": tree.timestamp().version, "expires": tree.timestamp().expires }),
        json!({ "name": "snapshot", "version": tree.snapshot().version, "expires": tree.snapshot().expires }),
    ];
    roles.extend(
        tree.roles().map(|(name, r)| json!({ "name": name, "version": r.version, "expires": r.expires })),
    );
    Ok(json!({ "roles": roles, "targets": targets }))
}

fn target_name(name: &str, version: &str) -> Result<String> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !plain || name.starts_with('.') {
        return Err(Error::invalid(format!("the model's name '{name}' does not suit a file"))
            .remedy("pack with --name of letters, digits, '-', '_' and '.'"));
    }
    Ok(format!("{name}-{version}.samara"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
