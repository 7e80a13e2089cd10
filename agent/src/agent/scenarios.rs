//! Updates that go well and updates that do not.

use super::double::{Shelf, bundle, once, with_agent};
use super::*;
use crate::store::SimDisk;
use crate::update::Phase;
use serde_json::json;
use std::rc::Rc;

type Sim = Rc<SimDisk>;

fn sim() -> Sim {
    Rc::new(SimDisk::new())
}

fn active(disk: &Sim) -> Option<[u32; 3]> {
    crate::store::read_pointer(disk).unwrap().map(|pointer| pointer.release.version.0)
}

fn record(disk: &Sim) -> Record {
    crate::store::journal::load(disk).unwrap().1
}

fn shelf(versions: &[([u32; 3], &str)]) -> Shelf {
    let mut shelf = Shelf::default();
    for (version, verdict) in versions {
        shelf.add(bundle(*version, verdict, 200), json!({}));
    }
    shelf
}

const V1: ([u32; 3], &str) = ([1, 0, 0], "good");
const V2: ([u32; 3], &str) = ([1, 1, 0], "good");

#[test]
fn installs_updates_and_then_has_nothing_to_do() {
    let disk = sim();
    let outcome = once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    assert_eq!(outcome.installed.unwrap().version.0, V1.0);
    let mut both = shelf(&[V1, V2]);
    assert_eq!(once(disk.clone(), &mut both, Verdict::Healthy).unwrap().installed.unwrap().version.0, V2.0);
    assert_eq!(once(disk.clone(), &mut both, Verdict::Healthy).unwrap().installed, None);
    assert_eq!((active(&disk), both.served.borrow().len()), (Some(V2.0), 1));
    assert_eq!(disk.list("objects").unwrap().len(), 2, "both slots are kept");
    assert_eq!(disk.list("partial").unwrap(), Vec::<String>::new());
}

#[test]
fn a_failing_self_test_refuses_before_activation_and_is_remembered() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    let mut bad = shelf(&[V1, ([1, 1, 0], "fails-test")]);
    let outcome = once(disk.clone(), &mut bad, Verdict::Healthy).unwrap();
    assert_eq!(outcome.refused.as_deref(), Some("vector 0 differs"));
    assert_eq!((active(&disk), record(&disk).failed.len()), (Some(V1.0), 1));
    let outcome = once(disk.clone(), &mut bad, Verdict::Healthy).unwrap();
    assert_eq!(outcome.passed_over.last().unwrap().1, Refusal::FailedBefore);
    assert_eq!(bad.served.borrow().len(), 1, "not downloaded again");
    // Superseded: the next version is taken.
    let outcome = once(disk.clone(), &mut shelf(&[V1, ([1, 1, 1], "good")]), Verdict::Healthy).unwrap();
    assert_eq!(outcome.installed.unwrap().version.0, [1, 1, 1]);
    // Forgotten on request: tried again, and it fails again.
    let mut bad = shelf(&[V1, ([1, 2, 0], "fails-test")]);
    for forget in [false, true] {
        with_agent(disk.clone(), 100_000, &mut bad, Verdict::Healthy, |agent| {
            if forget {
                agent.forget_failures()?;
            }
            agent.once()
        })
        .unwrap();
    }
    assert_eq!(bad.served.borrow().len(), 2);
}

#[test]
fn an_unhealthy_probation_rolls_back_to_the_previous_slot() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    let mut both = shelf(&[V1, V2]);
    let outcome = once(disk.clone(), &mut both, Verdict::Unhealthy("3 NaN".to_owned())).unwrap();
    let (left, cause) = outcome.rolled_back.unwrap();
    assert_eq!((left.version.0, cause.as_str()), (V2.0, "3 NaN"));
    assert_eq!(active(&disk), Some(V1.0));
    assert_eq!(once(disk.clone(), &mut both, Verdict::Healthy).unwrap().installed, None);
}

#[test]
fn an_unhealthy_first_installation_leaves_nothing_active() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Unhealthy("NaN".to_owned())).unwrap();
    assert_eq!((active(&disk), record(&disk).active), (None, None));
}

#[test]
fn a_crash_loop_in_probation_rolls_back() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    let mut both = shelf(&[V1, V2]);
    for _ in 0..=Policy::default().probation_boots {
        once(disk.clone(), &mut both, Verdict::Undecided).unwrap();
        assert_eq!(active(&disk), Some(V2.0));
    }
    let outcome = once(disk.clone(), &mut both, Verdict::Undecided).unwrap();
    assert_eq!(outcome.rolled_back.unwrap().0.version.0, V2.0);
    assert_eq!((active(&disk), record(&disk).phase), (Some(V1.0), Phase::Idle));
}

#[test]
fn an_operator_goes_back_once_and_the_release_is_not_taken_again() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    let mut both = shelf(&[V1, V2]);
    once(disk.clone(), &mut both, Verdict::Healthy).unwrap();
    let back = |shelf: &mut Shelf| {
        with_agent(disk.clone(), 100_000, shelf, Verdict::Healthy, |agent| agent.roll_back()).unwrap()
    };
    assert_eq!(back(&mut both).rolled_back.unwrap().0.version.0, V2.0);
    assert_eq!(active(&disk), Some(V1.0));
    once(disk.clone(), &mut both, Verdict::Healthy).unwrap();
    assert_eq!(active(&disk), Some(V1.0));
    assert!(back(&mut both).declined.is_some(), "there is nothing further back");
    assert_eq!(active(&disk), Some(V1.0));
}

#[test]
fn a_withdrawn_release_goes_back_without_a_download() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    once(disk.clone(), &mut shelf(&[V1, V2]), Verdict::Healthy).unwrap();
    let mut withdrawn = shelf(&[V1]);
    withdrawn.add(bundle(V2.0, V2.1, 200), json!({"rollback_to": [1, 0, 0]}));
    for _ in 0..2 {
        once(disk.clone(), &mut withdrawn, Verdict::Healthy).unwrap();
        assert_eq!((active(&disk), withdrawn.served.borrow().len()), (Some(V1.0), 0));
    }
}

#[test]
fn an_interrupted_download_is_resumed_where_it_stopped() {
    for ignores_ranges in [false, true] {
        let disk = sim();
        let mut v1 = shelf(&[V1]);
        v1.stop_after = Some(160);
        let outcome = once(disk.clone(), &mut v1, Verdict::Healthy).unwrap();
        assert_eq!(outcome.unreachable.as_deref(), Some("connection reset"));
        assert_eq!(active(&disk), None);
        (v1.stop_after, v1.ignores_ranges) = (None, ignores_ranges);
        assert!(once(disk.clone(), &mut v1, Verdict::Healthy).unwrap().installed.is_some());
        let total = v1.targets[0].0.length;
        let second = if ignores_ranges { (0, total) } else { (160, total - 160) };
        assert_eq!(*v1.served.borrow(), [(0, 160), second]);
    }
}

#[test]
fn a_damaged_download_is_dropped_and_not_held_against_the_release() {
    let disk = sim();
    let mut v1 = shelf(&[V1]);
    v1.damage = true;
    let outcome = once(disk.clone(), &mut v1, Verdict::Healthy).unwrap();
    assert!(outcome.refused.unwrap().contains("not the ones that metadata promises"));
    assert_eq!((active(&disk), disk.list("partial").unwrap().len()), (None, 0));
    v1.damage = false;
    assert!(once(disk.clone(), &mut v1, Verdict::Healthy).unwrap().installed.is_some());
}

#[test]
fn a_damaged_partial_file_is_begun_again() {
    let disk = sim();
    let mut v1 = shelf(&[V1]);
    v1.stop_after = Some(160);
    once(disk.clone(), &mut v1, Verdict::Healthy).unwrap();
    let name = disk.list("partial").unwrap().remove(0);
    assert!(disk.flip_bit(&format!("partial/{name}"), 77));
    v1.stop_after = None;
    let outcome = once(disk.clone(), &mut v1, Verdict::Healthy).unwrap();
    assert!(outcome.installed.is_some() && outcome.refused.is_none());
}

#[test]
fn a_bundle_that_is_not_what_metadata_says_is_refused() {
    let disk = sim();
    let mut shelf = shelf(&[V1]);
    shelf.targets[0].0.custom.as_mut().unwrap()["version"] = json!([9, 0, 0]);
    let outcome = once(disk.clone(), &mut shelf, Verdict::Healthy).unwrap();
    assert!(outcome.refused.unwrap().contains("metadata says kws 9.0.0"));
    assert_eq!(active(&disk), None);
}

#[test]
fn an_unknown_signer_is_refused_and_remembered() {
    let disk = sim();
    let mut forged = shelf(&[V1]);
    let bytes = &mut forged.targets[0].1;
    bytes[10] ^= 1;
    forged.targets[0].0.sha256 = crate::types::Digest::of(bytes);
    let outcome = once(disk.clone(), &mut forged, Verdict::Healthy).unwrap();
    assert!(outcome.refused.unwrap().contains("unknown key"));
    assert_eq!(disk.list("objects").unwrap(), Vec::<String>::new(), "never written as if it were good");
    once(disk.clone(), &mut forged, Verdict::Healthy).unwrap();
    assert_eq!(forged.served.borrow().len(), 1);
}

#[test]
fn a_wrong_class_is_not_downloaded() {
    let disk = sim();
    let mut shelf = Shelf::default();
    shelf.add(bundle(V1.0, V1.1, 10), json!({"class": "phone"}));
    let outcome = once(disk.clone(), &mut shelf, Verdict::Healthy).unwrap();
    assert_eq!(outcome.passed_over[0].1, Refusal::Class);
    assert_eq!(shelf.served.borrow().len(), 0);
}

#[test]
fn a_downgrade_is_not_downloaded() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V2]), Verdict::Healthy).unwrap();
    let mut older = shelf(&[V1]);
    let outcome = once(disk.clone(), &mut older, Verdict::Healthy).unwrap();
    assert_eq!(outcome.passed_over[0].1, Refusal::Downgrade { floor: crate::types::Version(V2.0) });
    assert_eq!((active(&disk), older.served.borrow().len()), (Some(V2.0), 0));
}

#[test]
fn a_tight_quota_gives_up_the_previous_slot_first_and_then_the_update() {
    let run = |disk: &Sim, quota, shelf: &mut Shelf| {
        with_agent(disk.clone(), quota, shelf, Verdict::Healthy, |agent| agent.once()).unwrap()
    };
    let disk = sim();
    let size = bundle(V1.0, V1.1, 200).len() as u64;
    run(&disk, 10 * size, &mut shelf(&[V1]));
    run(&disk, 10 * size, &mut shelf(&[V1, V2]));
    let v3 = ([1, 2, 0], "good");
    // Active, partial and new object: three sizes; the previous slot would be a fourth.
    assert!(run(&disk, 3 * size, &mut shelf(&[v3])).installed.is_some());
    let v4 = ([1, 3, 0], "good");
    assert!(run(&disk, 3 * size - 1, &mut shelf(&[v4])).installed.is_none());
    assert!(record(&disk).last_error.unwrap().contains("quota"));
    assert_eq!(active(&disk), Some(v3.0));
}

#[test]
fn a_bundle_that_rots_in_storage_is_replaced_by_the_previous_one() {
    let disk = sim();
    once(disk.clone(), &mut shelf(&[V1]), Verdict::Healthy).unwrap();
    once(disk.clone(), &mut shelf(&[V1, V2]), Verdict::Healthy).unwrap();
    let path = crate::store::read_pointer(&disk).unwrap().unwrap().path;
    assert!(disk.flip_bit(&path, 99));
    let mut down = Shelf { down: true, ..Shelf::default() };
    once(disk.clone(), &mut down, Verdict::Healthy).unwrap();
    assert_eq!(active(&disk), Some(V1.0));
    // The release is not to blame: it may come again.
    once(disk.clone(), &mut shelf(&[V1, V2]), Verdict::Healthy).unwrap();
    assert_eq!(active(&disk), Some(V2.0));
}

#[test]
fn a_device_that_goes_down_in_every_self_test_gives_the_candidate_up() {
    struct GoesDown;
    impl Model for GoesDown {
        fn verify(&self, bytes: &[u8]) -> Result<Identity, String> {
            super::double::HashedText.verify(bytes)
        }
        fn self_test(&self, _: &[u8]) -> Result<(), String> {
            std::panic::panic_any("watchdog")
        }
    }
    let disk = sim();
    let attempt = |shelf: &mut Shelf| {
        let (mut watch, mut progress) = (super::double::Says(Verdict::Healthy), |_: &str| {});
        let parts = Parts { repository: shelf, model: &GoesDown, watch: &mut watch, progress: &mut progress };
        Agent::start(disk.clone(), 100_000, super::double::device(), Policy::default(), parts)?.once()
    };
    let mut v1 = shelf(&[V1]);
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let downs = (0..10)
        .take_while(|_| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attempt(&mut v1).map(drop))).is_err()
        })
        .count();
    std::panic::set_hook(silent);
    assert_eq!(downs as u32, Policy::default().test_attempts);
    assert!(record(&disk).failed[0].reason.contains("went down"));
}
