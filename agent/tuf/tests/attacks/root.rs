//! Attacks on the root chain (specification 5.3).

use crate::simulator::{NOW, Simulator, id, public, stored};
use samara_tuf::client::{Client, MemoryStore};
use samara_tuf::metadata::RoleKeys;
use samara_tuf::{Error, Limits, time};

#[test]
fn honest_rotation_is_followed_one_version_at_a_time() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.root.keys.insert(id(11), public(11));
    repo.root.roles.insert("root".into(), RoleKeys { keyids: vec![id(11)], threshold: 1 });
    repo.signers.insert("root".into(), vec![1, 11]);
    repo.bump_root();
    repo.signers.insert("root".into(), vec![11]);
    repo.bump_root();
    assert_eq!(repo.accepted(&mut client).root, 3);
    assert_eq!(repo.requests[..3], ["2.root.json", "3.root.json", "4.root.json"]);
    assert_eq!(client.store().0["root"], repo.files["3.root.json"], "the exact bytes are stored");
}

#[test]
fn arbitrary_root_jump() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    // A properly signed version 3, offered as version 2.
    repo.root.version = 3;
    let bytes = repo.sign("root", &repo.root);
    repo.files.insert("2.root.json".into(), bytes);
    let error = repo.refused(&mut client);
    assert!(
        matches!(&error, Error::WrongVersion { role, expected: 2, found: 3 } if role == "root"),
        "{error}"
    );
    assert_eq!(stored(&client), [1, 0, 0, 0]);
}

#[test]
fn root_replayed_as_its_successor() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.files.insert("2.root.json".into(), repo.files["1.root.json"].clone());
    assert!(matches!(repo.refused(&mut client), Error::WrongVersion { expected: 2, found: 1, .. }));
}

#[test]
fn root_signed_by_new_keys_only() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.root.keys.insert(id(11), public(11));
    repo.root.roles.insert("root".into(), RoleKeys { keyids: vec![id(11)], threshold: 1 });
    repo.signers.insert("root".into(), vec![11]);
    repo.bump_root();
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 0, threshold: 1, .. }));
    assert_eq!(stored(&client)[0], 1);
}

#[test]
fn root_signed_by_old_keys_only() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.root.keys.insert(id(11), public(11));
    repo.root.roles.insert("root".into(), RoleKeys { keyids: vec![id(11)], threshold: 1 });
    repo.bump_root();
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 0, threshold: 1, .. }));
}

#[test]
fn expired_intermediate_root_is_passed_and_an_expired_last_one_is_not() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let good = repo.root.expires.clone();
    repo.root.expires = time::format(NOW - 1);
    repo.bump_root();
    repo.root.expires = good;
    repo.bump_root();
    assert_eq!(repo.accepted(&mut client).root, 3);
    repo.root.expires = time::format(NOW);
    repo.bump_root();
    assert!(matches!(repo.refused(&mut client), Error::Expired { role, .. } if role == "root"));
    // 5.3.8 comes before 5.3.10: the next cycle goes on from the expired root.
    assert_eq!(stored(&client), [4, 1, 1, 1]);
}

#[test]
fn endless_root_chain() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    for _ in 0..40 {
        repo.bump_root();
    }
    assert_eq!(repo.accepted(&mut client).root, 33);
    assert_eq!(repo.requests.iter().filter(|path| path.contains("root")).count(), 32);
    assert_eq!(repo.accepted(&mut client).root, 41);
}

#[test]
fn root_that_does_not_sign_itself_is_never_trusted() {
    let mut repo = Simulator::new();
    repo.tamper("1.root.json", |root| root["signed"]["version"] = 7.into());
    let error =
        Client::init(MemoryStore::default(), &repo.files["1.root.json"], Limits::DEFAULT).unwrap_err();
    assert!(matches!(error, Error::Threshold { valid: 0, .. }));
    let mut store = MemoryStore::default();
    store.0.insert("root".into(), repo.files["1.root.json"].clone());
    assert!(matches!(Client::open(store, Limits::DEFAULT), Err(Error::Threshold { .. })));
    assert!(matches!(Client::open(MemoryStore::default(), Limits::DEFAULT), Err(Error::Missing { .. })));
}

#[test]
fn root_without_a_role_or_with_threshold_zero() {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.root.roles.get_mut(role).unwrap().threshold = 0;
        repo.bump_root();
        assert!(repo.refused(&mut client).to_string().contains("threshold 0"), "{role}");
        repo.root.roles.remove(role);
        repo.publish_root();
        assert!(repo.refused(&mut client).to_string().contains("does not define"), "{role}");
    }
}

#[test]
fn initialising_again_forgets_what_the_old_root_vouched_for() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.accepted(&mut client);
    let store = client.store().clone();
    let client = Client::init(store, &repo.files["1.root.json"], Limits::DEFAULT).unwrap();
    assert_eq!(stored(&client), [1, 0, 0, 0]);
}
