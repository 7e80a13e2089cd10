//! Attacks through delegations (specification 5.6.7).

use crate::simulator::{NOW, Simulator, id};
use samara_tuf::{Error, Limits, time};
use serde_json::json;

fn find(repo: &mut Simulator, name: &str) -> Result<(String, Vec<String>), Error> {
    let mut client = repo.client();
    client.refresh(repo, NOW)?;
    repo.requests.clear();
    let target = client.target(repo, name)?;
    Ok((target.role, std::mem::take(&mut repo.requests)))
}

#[test]
fn first_delegation_wins_and_nothing_else_is_fetched() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "a", 5, &["x*"], false);
    repo.delegate("targets", "b", 6, &["*"], false);
    repo.delegate("targets", "c", 7, &["*"], false);
    for role in ["b", "c"] {
        repo.add_target(role, "y", b"y");
    }
    repo.publish(&["a", "b", "c", "targets"]);
    let (role, requests) = find(&mut repo, "y").unwrap();
    assert_eq!((role.as_str(), requests), ("b", vec!["1.b.json".to_owned()]));
}

#[test]
fn search_is_preorder_and_depth_first() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "a", 5, &["*"], false);
    repo.delegate("targets", "b", 6, &["*"], false);
    repo.delegate("a", "c", 7, &["*"], false);
    repo.delegate("a", "d", 8, &["*"], false);
    repo.publish(&["a", "b", "c", "d", "targets"]);
    assert!(matches!(find(&mut repo, "y"), Err(Error::NoSuchTarget { .. })));
    assert_eq!(repo.requests, ["1.a.json", "1.c.json", "1.d.json", "1.b.json"]);
}

#[test]
fn terminating_delegation_hides_later_roles() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "a", 5, &["*"], false);
    repo.delegate("targets", "b", 6, &["*"], false);
    repo.delegate("a", "c", 7, &["*"], true);
    repo.delegate("a", "d", 8, &["*"], false);
    repo.add_target("b", "y", b"y");
    repo.add_target("d", "y", b"y");
    repo.publish(&["a", "b", "c", "d", "targets"]);
    assert!(matches!(find(&mut repo, "y"), Err(Error::NoSuchTarget { .. })));
    assert_eq!(repo.requests, ["1.a.json", "1.c.json"]);
}

#[test]
fn role_that_lists_what_it_is_not_trusted_for() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "rollout", 5, &["rollout-*"], false);
    repo.add_target("rollout", "model.samara", b"trojan");
    repo.publish(&["rollout", "targets"]);
    assert!(matches!(find(&mut repo, "model.samara"), Err(Error::NoSuchTarget { .. })));
    assert_eq!(repo.requests, [""; 0], "not even asked");
}

#[test]
fn delegated_role_signed_by_another_key() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "releases", 5, &["*"], false);
    repo.add_target("releases", "y", b"y");
    // The targets key, which is trusted for more, still does not speak for the role.
    repo.signers.insert("releases".into(), vec![4, 6]);
    repo.publish(&["releases", "targets"]);
    assert!(
        matches!(find(&mut repo, "y"), Err(Error::Threshold { role, valid: 0, .. }) if role == "releases")
    );
}

#[test]
fn one_role_under_two_delegators_is_checked_for_each() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "a", 5, &["a-*"], false);
    repo.delegate("targets", "b", 6, &["b-*"], false);
    repo.delegate("a", "shared", 7, &["a-*"], false);
    repo.delegate("b", "shared", 8, &["b-*"], false);
    repo.add_target("shared", "a-x", b"good");
    repo.add_target("shared", "b-x", b"bad");
    repo.publish(&["a", "b", "shared", "targets"]);
    let mut client = repo.client();
    client.refresh(&mut repo, NOW).unwrap();
    // Fetched first, then verified from the store, then remembered: none of it counts for the other delegator.
    for _ in 0..3 {
        assert_eq!(client.target(&mut repo, "a-x").unwrap().role, "shared");
        assert!(matches!(client.target(&mut repo, "b-x"), Err(Error::Threshold { valid: 0, .. })));
    }
    // A failed search leaves the refreshed client usable.
    assert_eq!(client.target(&mut repo, "a-x").unwrap().role, "shared");
}

#[test]
fn delegation_cycle() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "a", 5, &["*"], false);
    repo.delegate("a", "b", 6, &["*"], false);
    repo.delegate("b", "a", 5, &["*"], false);
    repo.publish(&["a", "b", "targets"]);
    assert!(matches!(find(&mut repo, "y"), Err(Error::NoSuchTarget { .. })));
    assert_eq!(repo.requests, ["1.a.json", "1.b.json"]);
}

#[test]
fn too_many_delegations() {
    let chain = |length: usize| {
        let mut repo = Simulator::new();
        let names: Vec<_> = (0..length).map(|n| format!("r{n}")).collect();
        let mut from = "targets";
        for name in &names {
            repo.delegate(from, name, 5, &["*"], false);
            from = name;
        }
        repo.add_target(from, "y", b"y");
        let mut roles: Vec<_> = names.iter().map(String::as_str).collect();
        roles.push("targets");
        repo.publish(&roles);
        find(&mut repo, "y")
    };
    // The top-level role counts too.
    let limit = Limits::DEFAULT.delegations;
    assert_eq!(chain(limit - 1).unwrap().1.len(), limit - 1);
    assert!(matches!(chain(limit), Err(Error::TooManyDelegations { max, .. }) if max == limit));
}

#[test]
fn delegated_role_missing_from_the_snapshot() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "releases", 5, &["*"], false);
    repo.publish(&["releases", "targets"]);
    repo.snapshot.meta.remove("releases.json");
    repo.publish(&[]);
    assert!(matches!(find(&mut repo, "y"), Err(Error::NotInSnapshot { role }) if role == "releases"));
    assert_eq!(repo.requests, [""; 0]);
}

#[test]
fn expired_delegated_role() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "releases", 5, &["*"], false);
    repo.roles.get_mut("releases").unwrap().expires = time::format(NOW);
    repo.publish(&["releases", "targets"]);
    assert!(matches!(find(&mut repo, "y"), Err(Error::Expired { role, .. }) if role == "releases"));
}

#[test]
fn delegated_role_is_stored_and_not_fetched_again() {
    let mut repo = Simulator::new();
    repo.delegate("targets", "releases", 5, &["*"], false);
    repo.add_target("releases", "y", b"y");
    repo.publish(&["releases", "targets"]);
    let mut client = repo.client();
    client.refresh(&mut repo, NOW).unwrap();
    client.target(&mut repo, "y").unwrap();
    repo.requests.clear();
    client.refresh(&mut repo, NOW).unwrap();
    client.target(&mut repo, "y").unwrap();
    assert_eq!(repo.requests, ["2.root.json", "timestamp.json"]);
    repo.publish(&["releases"]);
    client.refresh(&mut repo, NOW).unwrap();
    client.target(&mut repo, "y").unwrap();
    assert!(repo.requests.contains(&"2.releases.json".to_owned()));
}

#[test]
fn malformed_delegations() {
    let authority = json!({"keyids": [id(5)], "threshold": 1, "terminating": false});
    let role = |fields: serde_json::Value| {
        let mut role = authority.clone();
        role.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        role
    };
    let good = role(json!({"name": "a", "paths": ["*"]}));
    for (roles, reason) in [
        (json!([role(json!({"name": "a", "paths": ["*"], "threshold": 0}))]), "threshold 0"),
        (json!([role(json!({"name": "root", "paths": ["*"]}))]), "named \"root\""),
        (json!([role(json!({"name": "Targets", "paths": ["*"]}))]), "named \"Targets\""),
        (json!([role(json!({"name": "", "paths": ["*"]}))]), "named \"\""),
        (json!([role(json!({"name": "a"}))]), "one of paths"),
        (json!([role(json!({"name": "a", "paths": [], "path_hash_prefixes": []}))]), "one of paths"),
        (json!([role(json!({"name": "a", "paths": ["[ab]"]}))]), "character sets"),
        (json!([good.clone(), good.clone()]), "twice"),
    ] {
        let mut repo = Simulator::new();
        let mut client = repo.client();
        repo.hashes = false;
        repo.publish(&["targets"]);
        let mut targets = serde_json::to_value(&repo.roles["targets"]).unwrap();
        targets["delegations"] = json!({"keys": {}, "roles": roles});
        repo.files.insert("2.targets.json".into(), crate::simulator::sign(&targets, &[4]));
        let error = repo.refused(&mut client).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn path_traversal_in_target_name_and_role_name() {
    let mut repo = Simulator::new();
    repo.add_target("targets", "../../etc/passwd", b"x");
    repo.publish(&["targets"]);
    assert!(matches!(find(&mut repo, "../../etc/passwd"), Err(Error::TargetName { .. })));
    repo.delegate("targets", "../a", 5, &["*"], false);
    repo.roles.get_mut("../a").unwrap().version += 1;
    repo.serve_targets("../a");
    repo.publish(&["targets"]);
    let encoded = repo.files.remove("1.../a.json").unwrap();
    repo.files.insert("1...%2Fa.json".into(), encoded);
    assert!(matches!(find(&mut repo, "y"), Err(Error::NoSuchTarget { .. })));
    assert_eq!(repo.requests, ["1...%2Fa.json"]);
}
