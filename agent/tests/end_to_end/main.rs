//! The `samara-agent` executable against a TUF repository on a web server, with real signed bundles.

mod bundle;
mod fleet;
mod serving;
mod web;

use bundle::Recipe;
use fleet::{Fleet, tree};
use serde_json::json;
use web::Fault;

const V1: [u32; 3] = [1, 0, 0];
const V2: [u32; 3] = [1, 1, 0];

#[test]
fn installs_updates_rolls_back_and_remembers() {
    let fleet = Fleet::new();
    assert_eq!(fleet.agent(&["once"]).1["outcome"], "up-to-date");
    assert_eq!(fleet.active(), json!(null));
    fleet.release(&Recipe::new(V1), json!({}));
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!(
        (code, &report["outcome"], &report["installed"]["version"]),
        (0, &json!("installed"), &json!("1.0.0"))
    );
    fleet.release(&Recipe::new(V2), json!({}));
    assert_eq!(fleet.agent(&["once"]).0, 0);
    let (_, status) = fleet.agent(&["status"]);
    assert_eq!((&status["version"], &status["previous"]["version"]), (&json!("1.1.0"), &json!("1.0.0")));
    assert_eq!(status["state"], "idle");
    // An idle look costs two small requests: the next root, which is not there, and the timestamp.
    fleet.web.log();
    assert_eq!(fleet.agent(&["once"]).1["outcome"], "up-to-date");
    assert_eq!(fleet.web.log(), ["/metadata/2.root.json", "/metadata/timestamp.json"]);
    // Back, and not forward again until something newer comes.
    assert_eq!(fleet.agent(&["rollback"]).0, 0);
    assert_eq!(fleet.active(), "1.0.0");
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!((code, report["passed_over"][0]["target"].as_str()), (0, Some("same-1.1.0.samara")));
    assert_eq!(fleet.agent(&["rollback"]).0, 1, "nothing further back");
    fleet.release(&Recipe::new([1, 1, 1]), json!({}));
    assert_eq!(fleet.agent(&["once"]).0, 0);
    assert_eq!(fleet.active(), "1.1.1");
    assert_eq!(fleet.agent(&["status"]).1["failed"][0]["version"], "1.1.0");
}

#[test]
fn a_failing_self_test_is_refused_before_activation_and_not_downloaded_again() {
    let fleet = Fleet::new();
    fleet.release(&Recipe::new(V1), json!({}));
    assert_eq!(fleet.agent(&["once"]).0, 0);
    fleet.release(&Recipe { passes: false, ..Recipe::new(V2) }, json!({}));
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!((code, &report["outcome"]), (1, &json!("refused")));
    assert!(report["error"].as_str().unwrap().contains("golden vector"), "{report}");
    assert_eq!(fleet.active(), "1.0.0");
    assert_eq!(fleet.agent(&["status"]).1["failed"][0]["version"], "1.1.0");
    fleet.downloads();
    assert_eq!(fleet.agent(&["once"]).0, 0);
    assert_eq!(fleet.downloads(), [""; 0]);
    assert_eq!(fleet.agent(&["once", "--retry-failed"]).0, 1);
    assert_eq!(fleet.downloads(), ["same-1.1.0.samara"]);
}

#[test]
fn what_is_not_for_this_device_is_not_downloaded() {
    let fleet = Fleet::new();
    fleet.release(&Recipe::new([3, 0, 0]), json!({"class": "phone"}));
    fleet.release(&Recipe::new([3, 1, 0]), json!({"permyriad": 0, "salt": "s"}));
    fleet.release(&Recipe::new([3, 2, 0]), json!({"arena_bytes": 1u64 << 40}));
    fleet.release(&Recipe::new([3, 3, 0]), json!({"rollback_to": [1, 0, 0]}));
    fleet.release(&Recipe::new([3, 4, 0]), json!({"name": "other"}));
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!((code, report["passed_over"].as_array().unwrap().len()), (0, 4));
    fleet.release(&Recipe::new([2, 0, 0]), json!({"permyriad": 10000, "salt": "s"}));
    assert_eq!(fleet.agent(&["once"]).1["installed"]["version"], "2.0.0");
    // A downgrade.
    fleet.release(&Recipe::new([1, 9, 0]), json!({}));
    assert_eq!(fleet.agent(&["once"]).1["outcome"], "up-to-date");
    assert_eq!(fleet.downloads(), ["same-2.0.0.samara"]);
    // Unless signed metadata withdraws what is active.
    fleet.release(&Recipe::new([2, 0, 0]), json!({"rollback_to": [1, 9, 0]}));
    assert_eq!(fleet.agent(&["once"]).1["installed"]["version"], "1.9.0");
}

#[test]
fn a_corrupted_download_is_refused_and_the_next_one_accepted() {
    let fleet = Fleet::new();
    fleet.release(&Recipe::new(V1), json!({}));
    fleet.web.fault(Fault::Flip("/targets/"));
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!((code, &report["outcome"]), (1, &json!("refused")));
    assert_eq!(fleet.active(), json!(null));
    assert_eq!(fleet.agent(&["once"]).0, 0);
    assert_eq!(fleet.active(), "1.0.0");
}

#[test]
fn a_stalled_download_is_resumed_where_it_stopped() {
    let fleet = Fleet::new();
    let recipe = Recipe { weights: 600_000, ..Recipe::new(V1) };
    fleet.release(&recipe, json!({}));
    let length = recipe.pack(&fleet.signer).0.len();
    fleet.web.fault(Fault::Stall("/targets/"));
    let text = std::fs::read_to_string(fleet.path("agent.toml")).unwrap();
    let impatient = text.replace("read_timeout_seconds = 20", "read_timeout_seconds = 3");
    std::fs::write(fleet.path("agent.toml"), impatient).unwrap();
    assert_eq!(fleet.agent(&["once"]).0, 0);
    let downloads = fleet.downloads();
    assert_eq!(
        downloads,
        ["same-1.0.0.samara".to_owned(), format!("same-1.0.0.samara bytes={}-", length / 2)]
    );
}

#[test]
fn tampered_metadata_is_refused_and_nothing_changes() {
    let fleet = Fleet::new();
    fleet.release(&Recipe::new(V1), json!({}));
    assert_eq!(fleet.agent(&["once"]).0, 0);
    fleet.release(&Recipe::new(V2), json!({}));
    for file in ["timestamp.json", "snapshot.json", "releases.json"] {
        fleet.web.fault(Fault::Flip(file));
        let (code, report) = fleet.agent(&["once"]);
        assert_eq!((code, &report["outcome"]), (1, &json!("refused")), "{file}");
        assert_eq!(fleet.active(), "1.0.0");
    }
    assert_eq!(fleet.agent(&["once"]).0, 0);
    assert_eq!(fleet.active(), "1.1.0");
}

#[test]
fn a_bundle_signed_by_a_stranger_is_refused_though_metadata_lists_it() {
    let fleet = Fleet::new();
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    fleet.release_as(&Recipe::new(V1), &stranger, json!({}));
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!(code, 1);
    assert!(report["error"].as_str().unwrap().contains("too few trusted keys"), "{report}");
    assert!(!fleet.path("data/active").exists());
}

#[test]
fn an_unreachable_repository_is_exit_2_and_a_directory_works_without_a_network() {
    let fleet = Fleet::new();
    fleet.release(&Recipe::new(V1), json!({}));
    let text = std::fs::read_to_string(fleet.path("agent.toml")).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = text.replace(&fleet.web.url, &format!("http://{free}"));
    std::fs::write(fleet.path("nowhere.toml"), nowhere).unwrap();
    let (code, report) = fleet.agent_with("nowhere.toml", &["once"]);
    assert_eq!((code, &report["outcome"]), (2, &json!("unreachable")));
    let usb = text.replace(&format!("{}/", fleet.web.url), "repo/");
    std::fs::write(fleet.path("usb.toml"), usb).unwrap();
    assert_eq!(fleet.agent_with("usb.toml", &["once"]).1["installed"]["version"], "1.0.0");
}

#[test]
fn mistakes_are_one_line_and_leave_files_as_they_were() {
    let fleet = Fleet::new();
    fleet.release(&Recipe::new(V1), json!({}));
    assert_eq!(fleet.agent(&["once"]).0, 0);
    fleet.configure("wrong.toml", "[poll]\ninterval = 5\n");
    let before = tree(&fleet.path("data"));
    let output = fleet.command("wrong.toml", &["once"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(2), 1), "{errors}");
    assert!(errors.contains("wrong.toml:") && errors.contains("interval_seconds"), "{errors}");
    assert_eq!(tree(&fleet.path("data")), before);
    assert_eq!(fleet.command("agent.toml", &["nonsense"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn a_second_agent_on_the_same_store_is_refused() {
    let fleet = Fleet::new();
    std::fs::create_dir(fleet.path("data")).unwrap();
    let held = std::fs::File::create(fleet.path("data/lock")).unwrap();
    held.lock().unwrap();
    let (code, report) = fleet.agent(&["once"]);
    assert_eq!(code, 2);
    assert!(report["error"].as_str().unwrap().contains("another samara-agent"));
    assert_eq!(fleet.agent(&["status"]).0, 0, "looking is always allowed");
}
