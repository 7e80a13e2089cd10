//! The writer, read back by the client.

use super::*;
use crate::client::{Client, DirectoryFetch, MemoryStore, save_target};
use ed25519_dalek::SigningKey;

const NOW: u64 = 1_800_000_000;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn ring(keys: &[u8]) -> KeyRing {
    let mut ring = KeyRing::new();
    for &n in keys {
        ring.add(key(n)).unwrap();
    }
    ring
}

fn role(keys: &[u8], threshold: u32, lifetime: u64) -> RoleSetup {
    RoleSetup { keys: keys.iter().map(|&n| key(n).verifying_key()).collect(), threshold, lifetime }
}

fn setup() -> Setup {
    Setup {
        root: role(&[1, 2, 3], 2, 365 * DAY),
        timestamp: role(&[4], 1, DAY),
        snapshot: role(&[5], 1, 7 * DAY),
        targets: role(&[6], 1, 90 * DAY),
    }
}

fn releases() -> Delegation {
    Delegation {
        name: "releases".into(),
        setup: role(&[7], 1, 30 * DAY),
        paths: vec!["*.samara".into()],
        terminating: true,
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn client(directory: &Path) -> (Client<MemoryStore>, DirectoryFetch) {
    let metadata = directory.join("metadata");
    let root = std::fs::read(metadata.join("1.root.json")).unwrap();
    let client = Client::init(MemoryStore::default(), &root, Limits::DEFAULT).unwrap();
    (client, DirectoryFetch::new(&metadata))
}

#[test]
fn a_repository_grows_and_its_clients_follow() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    assert!(Repository::open(dir.path()).is_err(), "locked");
    repository.delegate("targets", &releases()).unwrap();
    repository.add_target("targets", "readme", &mut b"v1".as_slice(), None).unwrap();
    repository.publish(&ring(&[1, 3, 4, 5, 6, 7]), NOW).unwrap();
    drop(repository);
    assert_eq!(
        names(&dir.path().join("metadata")),
        ["1.releases.json", "1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json"]
    );
    let (mut client, mut fetch) = client(dir.path());
    assert!(client.refresh(&mut fetch, NOW).unwrap().changed);
    assert!(!client.refresh(&mut fetch, NOW + 1).unwrap().changed);

    // The offline targets key is not needed for a release.
    let mut repository = Repository::open(dir.path()).unwrap();
    let custom = serde_json::json!({"arena_bytes": 10_500, "classes": ["kws"]});
    repository.add_target("releases", "a b.samara", &mut b"bundle".as_slice(), Some(custom.clone())).unwrap();
    assert_eq!(repository.pending().collect::<Vec<_>>(), ["releases"]);
    repository.publish(&ring(&[4, 5, 7]), NOW + 60).unwrap();
    let versions = client.refresh(&mut fetch, NOW + 61).unwrap();
    assert_eq!((versions.root, versions.timestamp, versions.snapshot, versions.targets), (1, 2, 2, 1));
    let target = client.target(&mut fetch, "a b.samara").unwrap();
    assert_eq!((target.role.as_str(), target.file.custom.as_ref()), ("releases", Some(&custom)));
    let out = tempfile::tempdir().unwrap();
    let mut source = DirectoryFetch::open_target(&dir.path().join("targets"), &target).unwrap();
    let saved = save_target(&target, &mut source, out.path(), 100).unwrap();
    assert_eq!(std::fs::read(saved).unwrap(), b"bundle");
    assert!(matches!(client.target(&mut fetch, "b.samara"), Err(Error::NoSuchTarget { .. })));
}

#[test]
fn refresh_needs_the_timestamp_key_only_until_the_snapshot_ages() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.publish(&ring(&[1, 2, 4, 5, 6]), NOW).unwrap();
    repository.refresh(&ring(&[4]), NOW + DAY).unwrap();
    assert_eq!((repository.timestamp().version, repository.snapshot().version), (2, 1));
    repository.refresh(&ring(&[4, 5]), NOW + 2 * DAY).unwrap();
    assert_eq!(repository.snapshot().version, 1);
    repository.refresh(&ring(&[4, 5]), NOW + 4 * DAY).unwrap();
    assert_eq!((repository.timestamp().version, repository.snapshot().version), (4, 2));
    assert_eq!(repository.timestamp().expires, time::format(NOW + 5 * DAY));
    drop(repository);
    let (mut client, mut fetch) = client(dir.path());
    client.refresh(&mut fetch, NOW + 4 * DAY).unwrap();
    assert!(
        matches!(client.refresh(&mut fetch, NOW + 5 * DAY), Err(Error::Expired { role, .. }) if role == "timestamp")
    );
}

#[test]
fn rotation_needs_old_and_new_root_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.publish(&ring(&[1, 2, 4, 5, 6]), NOW).unwrap();
    let (mut client, mut fetch) = client(dir.path());
    client.refresh(&mut fetch, NOW).unwrap();
    repository.set_role(TopLevel::Root, &role(&[11, 12], 2, DAY)).unwrap();
    repository.set_role(TopLevel::Timestamp, &role(&[14], 1, DAY)).unwrap();
    for missing in [&[1, 2, 14][..], &[11, 12, 14], &[1, 11, 12, 14], &[1, 2, 11, 14], &[1, 2, 11, 12, 4]] {
        let before = names(&dir.path().join("metadata"));
        assert!(matches!(repository.publish(&ring(missing), NOW), Err(Error::Repository(_))), "{missing:?}");
        assert_eq!(names(&dir.path().join("metadata")), before);
    }
    repository.publish(&ring(&[1, 2, 11, 12, 14]), NOW).unwrap();
    assert_eq!(client.refresh(&mut fetch, NOW).unwrap().root, 2);
    assert_eq!(repository.root().keys.len(), 5, "unused keys are gone");
}

#[test]
fn an_interrupted_rotation_is_completed_by_the_next_publication() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.publish(&ring(&[1, 2, 4, 5, 6]), NOW).unwrap();
    let timestamp = dir.path().join("metadata/timestamp.json");
    let old = std::fs::read(&timestamp).unwrap();
    repository.set_role(TopLevel::Timestamp, &role(&[14], 1, DAY)).unwrap();
    repository.publish(&ring(&[1, 2, 14]), NOW).unwrap();
    drop(repository);
    // Power failed after the root and before the timestamp.
    std::fs::write(&timestamp, old).unwrap();
    let mut repository = Repository::open(dir.path()).unwrap();
    assert_eq!(repository.pending().collect::<Vec<_>>(), ["timestamp"]);
    repository.publish(&ring(&[14]), NOW).unwrap();
    let (mut client, mut fetch) = client(dir.path());
    client.refresh(&mut fetch, NOW).unwrap();
}

#[test]
fn what_no_client_would_accept_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Repository::open(dir.path()).is_err_and(|e| e.to_string().contains("is not a repository")));
    for bad in [role(&[1], 0, DAY), role(&[1], 2, DAY), role(&[1, 1], 2, DAY), role(&[1], 1, 0)] {
        assert!(Repository::create(dir.path(), &Setup { root: bad, ..setup() }).is_err());
    }
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.delegate("targets", &releases()).unwrap();
    for name in ["../x", "a/b", "", ".."] {
        assert!(repository.add_target("targets", name, &mut b"".as_slice(), None).is_err(), "{name:?}");
    }
    let uncovered = repository.add_target("releases", "a.txt", &mut b"".as_slice(), None).unwrap_err();
    assert!(uncovered.to_string().contains("no delegated path covers it"));
    let float = Some(serde_json::json!({"accuracy": 0.9}));
    assert!(repository.add_target("targets", "a", &mut b"".as_slice(), float).is_err());
    assert!(repository.add_target("nobody", "a", &mut b"".as_slice(), None).is_err());
    for name in ["root", "Snapshot", "", "a/b", "a.b"] {
        assert!(repository.delegate("targets", &Delegation { name: name.into(), ..releases() }).is_err());
    }
    let set = Delegation { paths: vec!["[ab]".into()], ..releases() };
    assert!(repository.delegate("targets", &set).is_err());
    assert_eq!(names(&dir.path().join("targets")), [""; 0]);
    repository.publish(&ring(&[1, 2, 4, 5, 6, 7]), NOW).unwrap();
    assert!(Repository::create(dir.path(), &setup()).is_err_and(|e| e.to_string().contains("already")));
    let mut reader = Repository::read(dir.path()).unwrap();
    assert!(reader.publish(&ring(&[4]), NOW).is_err_and(|e| e.to_string().contains("reading only")));
}

#[test]
fn tampered_files_are_noticed_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.delegate("targets", &releases()).unwrap();
    repository.publish(&ring(&[1, 2, 4, 5, 6, 7]), NOW).unwrap();
    drop(repository);
    for name in names(&dir.path().join("metadata")) {
        let path = dir.path().join("metadata").join(&name);
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, good.replace("\"expires\":\"2", "\"expires\":\"3")).unwrap();
        assert!(matches!(Repository::open(dir.path()), Err(Error::Threshold { .. })), "{name}");
        std::fs::write(&path, good).unwrap();
    }
    Repository::open(dir.path()).unwrap();
}

#[test]
fn power_cut_at_every_write_of_a_publication() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.delegate("targets", &releases()).unwrap();
    repository.publish(&ring(&[1, 2, 4, 5, 6, 7]), NOW).unwrap();
    let metadata = dir.path().join("metadata");
    let read = |name: &String| (name.clone(), std::fs::read(metadata.join(name)).unwrap());
    let before: BTreeMap<_, _> = names(&metadata).iter().map(read).collect();
    repository.add_target("releases", "a.samara", &mut b"bundle".as_slice(), None).unwrap();
    repository.set_role(TopLevel::Snapshot, &role(&[15], 1, 7 * DAY)).unwrap();
    repository.renew("targets").unwrap();
    repository.publish(&ring(&[1, 2, 4, 15, 6, 7]), NOW).unwrap();
    drop(repository);
    // The order in which they were written.
    let written = ["2.root.json", "2.releases.json", "2.targets.json", "2.snapshot.json", "timestamp.json"];
    let after: BTreeMap<_, _> = written.iter().map(|name| read(&name.to_string())).collect();
    assert_eq!(names(&metadata).len(), before.len() + written.len() - 1);
    for survived in 0..=written.len() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = dir.path().join("metadata");
        std::fs::create_dir(&metadata).unwrap();
        std::fs::create_dir(dir.path().join("targets")).unwrap();
        for (name, bytes) in &before {
            std::fs::write(metadata.join(name), bytes).unwrap();
        }
        for name in &written[..survived] {
            std::fs::write(metadata.join(name), &after[*name]).unwrap();
        }
        // What the writer finds is complete enough to go on, and a client that starts from version 1 follows.
        let mut repository = Repository::open(dir.path()).unwrap();
        repository.renew("timestamp").unwrap();
        repository.publish(&ring(&[4, if survived == 0 { 5 } else { 15 }]), NOW + 1).unwrap();
        let (mut client, mut fetch) = client(dir.path());
        let versions = client.refresh(&mut fetch, NOW + 2).unwrap();
        assert_eq!(versions.root, if survived == 0 { 1 } else { 2 });
        assert_eq!(client.target(&mut fetch, "a.samara").is_ok(), survived == written.len());
    }
}

#[test]
fn a_device_without_a_clock_learns_the_time_from_the_timestamp() {
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(dir.path(), &setup()).unwrap();
    repository.publish(&ring(&[1, 2, 4, 5, 6]), NOW).unwrap();
    let (mut client, mut fetch) = client(dir.path());
    assert_eq!(client.time_floor().unwrap(), 0);
    client.refresh(&mut fetch, 0).unwrap();
    assert_eq!(client.time_floor().unwrap(), NOW);
    repository.refresh(&ring(&[4]), NOW + 60).unwrap();
    client.refresh(&mut fetch, NOW).unwrap();
    assert_eq!(client.time_floor().unwrap(), NOW + 60);
}
