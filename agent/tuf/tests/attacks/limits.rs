//! Endless data, and using the client out of order.

use crate::simulator::{NOW, Simulator, stored};
use samara_tuf::client::{Client, MemoryStore, Response, Want};
use samara_tuf::{Error, Limits};

#[test]
fn endless_data() {
    for (file, limit) in [
        ("2.root.json", Limits::DEFAULT.root),
        ("timestamp.json", Limits::DEFAULT.timestamp),
        ("2.snapshot.json", Limits::DEFAULT.snapshot),
        ("2.targets.json", Limits::DEFAULT.targets),
    ] {
        let mut repo = Simulator::new();
        repo.hashes = false;
        let mut client = repo.client();
        repo.publish(&["targets"]);
        repo.bump_root();
        // White space makes a signed file longer without changing it.
        let bytes = repo.files.get_mut(file).unwrap();
        bytes.resize(limit as usize, b' ');
        assert!(client.refresh(&mut repo, NOW).is_ok(), "{file}: exactly the limit is allowed");
        let mut client = repo.client();
        repo.files.get_mut(file).unwrap().push(b' ');
        assert!(matches!(repo.refused(&mut client), Error::TooLong { max, .. } if max == limit), "{file}");
    }
}

#[test]
fn longer_than_listed() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let listed = repo.files["1.snapshot.json"].len() as u64;
    repo.files.get_mut("1.snapshot.json").unwrap().push(b' ');
    assert!(matches!(repo.refused(&mut client), Error::TooLong { max, .. } if max == listed));
}

#[test]
fn more_signatures_than_anyone_needs() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.signers.insert("timestamp".into(), (2..=66).collect());
    repo.publish(&[]);
    assert!(
        matches!(repo.refused(&mut client), Error::Malformed { reason, .. } if reason.contains("64 signatures"))
    );
    repo.signers.insert("timestamp".into(), (2..=65).collect());
    repo.publish(&[]);
    repo.accepted(&mut client);
}

#[test]
fn requests_say_what_they_want() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    assert_eq!(client.request(), None);
    assert!(matches!(client.feed(Response::NotFound), Err(Error::OutOfOrder(_))));
    assert!(matches!(client.begin_search("x"), Err(Error::OutOfOrder(_))));
    client.begin(NOW);
    assert_eq!(client.request().unwrap().want, Want::Root(2));
    client.feed(Response::NotFound).unwrap();
    let request = client.request().unwrap();
    assert_eq!((request.want, request.path.as_str()), (Want::Timestamp, "timestamp.json"));
    assert!(matches!(client.begin_search("x"), Err(Error::OutOfOrder(_))));
    client.feed(Response::Bytes(&repo.files["timestamp.json"])).unwrap();
    let request = client.request().unwrap();
    assert_eq!(request.want, Want::Snapshot(1));
    assert_eq!(request.max_bytes, repo.files["1.snapshot.json"].len() as u64);
    client.feed(Response::Bytes(&repo.files["1.snapshot.json"])).unwrap();
    assert_eq!(client.request().unwrap().want, Want::Targets { role: "targets".into(), version: 1 });
    assert!(client.feed(Response::Bytes(b"{}")).is_err());
    assert_eq!(client.request(), None, "an error ends the cycle");
    assert_eq!(stored(&client), [1, 1, 1, 0]);
    assert_eq!(repo.accepted(&mut client).targets, 1);
}

#[test]
fn plain_file_names_without_consistent_snapshots() {
    let mut repo = Simulator::new();
    repo.root.consistent_snapshot = false;
    repo.publish_root();
    for role in ["snapshot", "targets"] {
        let bytes = repo.files.remove(&format!("1.{role}.json")).unwrap();
        repo.files.insert(format!("{role}.json"), bytes);
    }
    let root = repo.files["1.root.json"].clone();
    let mut client = Client::init(MemoryStore::default(), &root, Limits::DEFAULT).unwrap();
    repo.accepted(&mut client);
    assert_eq!(repo.requests, ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"]);
}
