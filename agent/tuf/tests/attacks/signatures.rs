//! Attacks on signatures and on what is signed (specification 4.2, 5.3.4 and its siblings).

use crate::simulator::{NOW, Simulator, id, key, public, sign, stored};
use ed25519_dalek::Signer;
use samara_tuf::Error;
use samara_tuf::metadata::{RoleKeys, canonical};
use serde_json::{Value, json};

fn timestamp_needs_two(repo: &mut Simulator) {
    repo.root.keys.insert(id(12), public(12));
    repo.root.roles.insert("timestamp".into(), RoleKeys { keyids: vec![id(2), id(12)], threshold: 2 });
    repo.bump_root();
}

#[test]
fn changed_content() {
    for file in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut repo = Simulator::new();
        repo.hashes = false;
        repo.publish(&["targets"]);
        let mut client = repo.client();
        let file = file.replace('1', "2");
        repo.tamper(&file, |value| value["signed"]["expires"] = "2099-01-01T00:00:00Z".into());
        assert!(
            matches!(repo.refused(&mut client), Error::Threshold { valid: 0, threshold: 1, .. }),
            "{file}"
        );
    }
}

#[test]
fn threshold_by_duplicate_signatures() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    timestamp_needs_two(&mut repo);
    repo.tamper("timestamp.json", |value| {
        let first = value["signatures"][0].clone();
        value["signatures"].as_array_mut().unwrap().push(first);
    });
    assert!(matches!(repo.refused(&mut client), Error::DuplicateSignature { keyid, .. } if keyid == id(2)));
}

#[test]
fn threshold_by_one_key_under_two_identifiers() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    // The same key again, with an unknown field and with capital digits: other identifiers, the same signer.
    let mut alias = public(2);
    alias.extra.insert("x".into(), json!(1));
    alias.keyval.public = alias.keyval.public.to_ascii_uppercase();
    let alias_id = alias.id().unwrap();
    repo.root.keys.insert(alias_id.clone(), alias);
    repo.root
        .roles
        .insert("timestamp".into(), RoleKeys { keyids: vec![id(2), alias_id.clone()], threshold: 2 });
    repo.bump_root();
    repo.tamper("timestamp.json", |value| {
        let mut second = value["signatures"][0].clone();
        second["keyid"] = alias_id.into();
        value["signatures"].as_array_mut().unwrap().push(second);
    });
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 1, threshold: 2, .. }));
}

#[test]
fn unknown_and_foreign_keys_do_not_count() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    timestamp_needs_two(&mut repo);
    // Key 99 is unknown, key 3 is known but speaks for the snapshot only.
    repo.signers.insert("timestamp".into(), vec![2, 3, 99]);
    repo.publish(&[]);
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 1, threshold: 2, .. }));
    // They do no harm either.
    repo.signers.insert("timestamp".into(), vec![99, 2, 3, 12]);
    repo.publish(&[]);
    repo.accepted(&mut client);
}

#[test]
fn invalid_signatures_beside_enough_valid_ones_do_no_harm() {
    for sig in ["", "zz", "00", &"0".repeat(128)] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.root.keys.insert(id(12), public(12));
        repo.root.roles.get_mut("timestamp").unwrap().keyids.push(id(12));
        repo.bump_root();
        repo.tamper("timestamp.json", |value| {
            value["signatures"].as_array_mut().unwrap().push(json!({"keyid": id(12), "sig": sig}));
        });
        repo.accepted(&mut client);
    }
}

#[test]
fn unsupported_key_types_do_not_count() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let mut odd = public(2);
    odd.keytype = "rot13".into();
    repo.root.keys.insert("odd".into(), odd);
    repo.root.roles.insert("timestamp".into(), RoleKeys { keyids: vec!["odd".into()], threshold: 1 });
    repo.bump_root();
    repo.tamper("timestamp.json", |value| value["signatures"][0]["keyid"] = "odd".into());
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 0, .. }));
}

#[test]
fn small_order_key_that_signs_everything() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    // The identity point with R = identity and s = 0 passes the cofactored equation for every message.
    let mut weak = public(2);
    weak.keyval.public = format!("01{}", "00".repeat(31));
    repo.root.keys.insert("weak".into(), weak);
    repo.root.roles.insert("timestamp".into(), RoleKeys { keyids: vec!["weak".into()], threshold: 1 });
    repo.bump_root();
    repo.tamper("timestamp.json", |value| {
        value["signatures"] = json!([{"keyid": "weak", "sig": format!("01{}", "00".repeat(63))}]);
    });
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 0, .. }));
}

#[test]
fn metadata_of_another_type() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    // Signed by the right key and otherwise well-formed as a timestamp.
    let mut value = serde_json::to_value(&repo.timestamp).unwrap();
    value["_type"] = "snapshot".into();
    repo.files.insert("timestamp.json".into(), sign(&value, &[2]));
    assert!(matches!(repo.refused(&mut client), Error::Malformed { reason, .. } if reason.contains("type")));
    assert_eq!(stored(&client), [1, 0, 0, 0]);
}

#[test]
fn future_specification() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.timestamp.spec_version = "2.0.0".into();
    repo.serve_timestamp();
    assert!(matches!(repo.refused(&mut client), Error::Malformed { reason, .. } if reason.contains("2.0.0")));
}

#[test]
fn malformed_files_are_refused_and_leave_the_client_usable() {
    let good = Simulator::new().files["timestamp.json"].clone();
    let text = String::from_utf8(good.clone()).unwrap();
    let field = |name: &str, value: Value| {
        let mut changed = serde_json::to_value(&Simulator::new().timestamp).unwrap();
        changed[name] = value;
        sign(&changed, &[2])
    };
    let mut cases = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{\"signatures\":[],\"signed\":{}}".to_vec(),
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), b"x"].concat(),
        b"\xff".to_vec(),
        format!("{{\"signed\":{}", "[".repeat(10_000)).into_bytes(),
        text.replace("\"version\":1", "\"version\":1.5").into_bytes(),
        text.replace("\"version\":1", "\"version\":1e400").into_bytes(),
        field("version", json!(0)),
        field("version", json!(-1)),
        field("version", json!("1")),
        field("expires", json!("tomorrow")),
        field("expires", json!("2099-02-30T00:00:00Z")),
        field("meta", json!({})),
        field("meta", json!({"snapshot.json": {"version": 0}})),
        field("meta", json!({"snapshot.json": {"version": 1, "hashes": {"sha256": 3}}})),
    ];
    cases.extend((0..good.len()).step_by(97).map(|cut| good[..cut].to_vec()));
    for bytes in cases {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.files.insert("timestamp.json".into(), bytes.clone());
        let error = repo.refused(&mut client);
        assert!(!error.to_string().contains('\n'), "one line: {error}");
        repo.files.insert("timestamp.json".into(), good.clone());
        repo.accepted(&mut client);
    }
}

#[test]
fn unknown_fields_are_covered_by_the_signature() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    repo.timestamp.extra.insert("x-note".into(), json!({"a": [1, "é"]}));
    repo.publish(&[]);
    repo.accepted(&mut client);
    repo.publish(&[]);
    repo.tamper("timestamp.json", |value| value["signed"]["x-note"]["a"][0] = 2.into());
    assert!(matches!(repo.refused(&mut client), Error::Threshold { valid: 0, .. }));
}

#[test]
fn signature_over_the_file_instead_of_its_canonical_form() {
    let mut repo = Simulator::new();
    let mut client = repo.client();
    let value = serde_json::to_value(&repo.timestamp).unwrap();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    assert_ne!(pretty, canonical(&value).unwrap());
    let sig = hex::encode(key(2).sign(&pretty).to_bytes());
    let file = json!({"signatures": [{"keyid": id(2), "sig": sig}], "signed": value});
    repo.files.insert("timestamp.json".into(), serde_json::to_vec(&file).unwrap());
    assert!(client.refresh(&mut repo, NOW).is_err());
}
