//! Rollback, freeze, mix-and-match, and recovery from a fast-forward (specification 5.3.11 to 5.6.5).

use crate::simulator::{NOW, Simulator, id, public, stored};
use samara_tuf::metadata::RoleKeys;
use samara_tuf::{Error, time};

#[test]
fn an_idle_refresh_costs_two_requests() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let first = repo.accepted(&mut client);
    assert!(first.changed);
    assert_eq!(repo.requests, ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]);
    repo.requests.clear();
    let second = repo.accepted(&mut client);
    assert_eq!(repo.requests, ["2.root.json", "timestamp.json"]);
    assert!(!second.changed && second.targets == 1);
}

#[test]
fn timestamp_rollback() {
    let mut repo = Simulator::new();
    let old = repo.files["timestamp.json"].clone();
    let mut client = repo.client();
    repo.publish(&["targets"]);
    repo.accepted(&mut client);
    repo.files.insert("timestamp.json".into(), old);
    assert!(
        matches!(repo.refused(&mut client), Error::Rollback { role, trusted: 2, found: 1 } if role == "timestamp")
    );
    assert_eq!(stored(&client), [1, 2, 2, 2]);
}

#[test]
fn same_timestamp_version_with_other_content_is_discarded() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.accepted(&mut client);
    let before = client.store().0["timestamp"].clone();
    repo.snapshot.version = 100;
    repo.serve_snapshot();
    repo.serve_timestamp();
    assert_eq!(repo.accepted(&mut client).snapshot, 1);
    assert_eq!(client.store().0["timestamp"], before);
}

#[test]
fn snapshot_rollback_in_a_newer_timestamp() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.publish(&["targets"]);
    repo.accepted(&mut client);
    repo.snapshot.version = 1;
    repo.serve_snapshot();
    repo.timestamp.version += 1;
    repo.serve_timestamp();
    assert!(
        matches!(repo.refused(&mut client), Error::Rollback { role, trusted: 2, found: 1 } if role == "snapshot")
    );
    assert_eq!(stored(&client), [1, 2, 2, 2]);
}

#[test]
fn targets_rollback_in_a_newer_snapshot() {
    for hashes in [false, true] {
        let mut repo = Simulator::new();
        repo.hashes = hashes;
        let mut client = repo.client();
        repo.publish(&["targets"]);
        repo.accepted(&mut client);
        repo.roles.get_mut("targets").unwrap().version = 0;
        repo.publish(&["targets"]);
        assert!(
            matches!(repo.refused(&mut client), Error::Rollback { role, trusted: 2, found: 1 } if role == "targets")
        );
        assert_eq!(stored(&client), [1, 3, 2, 2]);
    }
}

#[test]
fn role_removed_from_the_snapshot() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.delegate("targets", "releases", 5, &["*"], false);
    repo.publish(&["releases", "targets"]);
    repo.accepted(&mut client);
    repo.snapshot.meta.remove("releases.json");
    repo.publish(&[]);
    assert!(
        matches!(repo.refused(&mut client), Error::RemovedFromSnapshot { file } if file == "releases.json")
    );
    assert_eq!(stored(&client)[2], 2);
}

#[test]
fn mix_and_match_of_snapshot() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.accepted(&mut client);
    repo.publish(&["targets"]);
    // Properly signed, of the right version, but not the file that the timestamp lists.
    repo.snapshot.expires = time::format(NOW + 1);
    let other = repo.sign("snapshot", &repo.snapshot);
    repo.files.insert("2.snapshot.json".into(), other);
    assert!(matches!(repo.refused(&mut client), Error::HashMismatch { what, .. } if what == "snapshot"));
    assert_eq!(stored(&client), [1, 2, 1, 1]);
}

#[test]
fn mix_and_match_of_targets() {
    for role in ["targets", "releases"] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.delegate("targets", "releases", 5, &["*"], false);
        repo.publish(&["releases", "targets"]);
        let file = format!("{}.{role}.json", repo.roles[role].version);
        // Properly signed, of the right version and length, but not the file that the snapshot lists.
        repo.roles.get_mut(role).unwrap().expires = time::format(NOW + 1);
        let other = repo.sign(role, &repo.roles[role]);
        assert_eq!(other.len(), repo.files[&file].len());
        repo.files.insert(file, other);
        let error = client.refresh(&mut repo, NOW).and_then(|_| client.target(&mut repo, "y")).unwrap_err();
        assert!(matches!(&error, Error::HashMismatch { what, .. } if what == role), "{error}");
        assert!(!client.store().0.contains_key(role));
    }
}

#[test]
fn shorter_than_listed() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let listed = repo.files["1.targets.json"].len() as u64;
    repo.files.get_mut("1.targets.json").unwrap().pop();
    assert!(
        matches!(repo.refused(&mut client), Error::LengthMismatch { expected, .. } if expected == listed)
    );
}

#[test]
fn targets_of_another_version_than_listed() {
    let mut repo = Simulator::new();
    repo.hashes = false;
    let mut client = repo.client();
    repo.publish(&["targets"]);
    repo.files.insert("2.targets.json".into(), repo.files["1.targets.json"].clone());
    let error = repo.refused(&mut client);
    assert!(matches!(error, Error::WrongVersion { role, expected: 2, found: 1 } if role == "targets"));
}

#[test]
fn snapshot_of_another_version_than_listed() {
    let mut repo = Simulator::new();
    repo.hashes = false;
    let mut client = repo.client();
    repo.publish(&["targets"]);
    repo.files.insert("2.snapshot.json".into(), repo.files["1.snapshot.json"].clone());
    assert!(
        matches!(repo.refused(&mut client), Error::WrongVersion { role, expected: 2, found: 1 } if role == "snapshot")
    );
}

#[test]
fn freeze_of_the_timestamp() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    // Shorter than everything else, as is usual.
    repo.timestamp.expires = time::format(NOW + 100);
    repo.publish(&[]);
    repo.accepted(&mut client);
    // An attacker serves the same good files for ever.
    client.refresh(&mut repo, NOW + 99).unwrap();
    let error = client.refresh(&mut repo, NOW + 100).unwrap_err();
    assert!(matches!(&error, Error::Expired { role, .. } if role == "timestamp"), "{error}");
    assert!(client.timestamp().is_none() && client.targets().is_none(), "nothing stale is given out");
}

#[test]
fn expired_metadata_is_not_stored() {
    let past = time::format(NOW);
    for (role, expected) in
        [("timestamp", [1, 1, 1, 1]), ("snapshot", [1, 2, 1, 1]), ("targets", [1, 2, 2, 1])]
    {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.accepted(&mut client);
        match role {
            "timestamp" => repo.timestamp.expires = past.clone(),
            "snapshot" => repo.snapshot.expires = past.clone(),
            _ => repo.roles.get_mut("targets").unwrap().expires = past.clone(),
        }
        repo.publish(&["targets"]);
        assert!(matches!(repo.refused(&mut client), Error::Expired { role: r, .. } if r == role));
        assert_eq!(stored(&client), expected, "{role}");
    }
}

#[test]
fn expired_local_metadata_still_guards_against_rollback() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let good = repo.timestamp.expires.clone();
    repo.timestamp.expires = time::format(NOW + 10);
    repo.publish(&["targets"]);
    repo.accepted(&mut client);
    repo.timestamp.expires = good;
    repo.timestamp.version = 1;
    repo.serve_timestamp();
    assert!(matches!(client.refresh(&mut repo, NOW + 20), Err(Error::Rollback { trusted: 2, found: 1, .. })));
    repo.timestamp.version = 3;
    repo.serve_timestamp();
    client.refresh(&mut repo, NOW + 20).unwrap();
}

#[test]
fn fast_forward_recovery_of_timestamp_and_snapshot() {
    for (role, n) in [("timestamp", 12), ("snapshot", 13)] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        // The thief of the keys counts to the end, so that no honest version is ever newer.
        (repo.timestamp.version, repo.snapshot.version) = (u64::MAX - 1, u64::MAX - 1);
        repo.publish(&["targets"]);
        repo.accepted(&mut client);
        repo.root.keys.insert(id(n), public(n));
        repo.root.roles.insert(role.into(), RoleKeys { keyids: vec![id(n)], threshold: 1 });
        repo.signers.insert(role.into(), vec![n]);
        (repo.timestamp.version, repo.snapshot.version) = (0, 0);
        repo.publish(&["targets"]);
        assert!(client.refresh(&mut repo, NOW).is_err(), "{role}: no recovery without a new root");
        repo.bump_root();
        let versions = repo.accepted(&mut client);
        assert_eq!((versions.root, versions.timestamp, versions.snapshot), (2, 1, 1), "{role}");
    }
}

#[test]
fn adding_a_key_is_no_rotation() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.publish(&["targets"]);
    repo.accepted(&mut client);
    repo.root.keys.insert(id(12), public(12));
    repo.root.roles.get_mut("timestamp").unwrap().keyids.push(id(12));
    repo.bump_root();
    repo.timestamp.version = 1;
    repo.serve_timestamp();
    assert!(matches!(repo.refused(&mut client), Error::Rollback { trusted: 2, found: 1, .. }));
}

#[test]
fn missing_files_are_named_and_end_the_cycle() {
    for (file, expected) in [
        ("timestamp.json", [1, 1, 1, 1]),
        ("2.snapshot.json", [1, 2, 1, 1]),
        ("2.targets.json", [1, 2, 2, 1]),
    ] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.accepted(&mut client);
        repo.publish(&["targets"]);
        let bytes = repo.files.remove(file).unwrap();
        assert!(matches!(repo.refused(&mut client), Error::Missing { path } if path == file));
        assert_eq!(stored(&client), expected);
        // The client is not stuck.
        repo.files.insert(file.into(), bytes);
        assert_eq!(repo.accepted(&mut client).targets, 2);
    }
}

#[test]
fn damaged_local_files_are_fetched_again() {
    for role in ["timestamp", "snapshot", "targets"] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.accepted(&mut client);
        let mut store = client.store().clone();
        store.0.get_mut(role).unwrap()[40] ^= 1;
        let mut client = samara_tuf::client::Client::open(store, samara_tuf::Limits::DEFAULT).unwrap();
        repo.accepted(&mut client);
        assert_eq!(stored(&client), [1, 1, 1, 1], "{role}");
    }
}
