//! Power is cut at every single write of an update, with every kind of loss, and the device comes back.

use super::double::{HashedText, Shelf, bundle, once};
use super::*;
use crate::store::{SimDisk, Survival};
use serde_json::json;
use std::rc::Rc;

/// The version a consumer would load now, having verified it; what it must be able to do at any moment.
fn consumer(disk: &SimDisk) -> Option<[u32; 3]> {
    let pointer = crate::store::read_pointer(disk).unwrap()?;
    let bytes = disk.read(&pointer.path, pointer.release.bytes).expect("the pointer names a file");
    Some(HashedText.verify(&bytes).expect("what is active verifies").version.0)
}

fn shelf(second: &str) -> Shelf {
    let mut shelf = Shelf::default();
    shelf.add(bundle([1, 0, 0], "good", 100), json!({}));
    if !second.is_empty() {
        shelf.add(bundle([1, 1, 0], second, 300), json!({}));
    }
    shelf
}

fn prepared() -> Rc<SimDisk> {
    let disk = Rc::new(SimDisk::new());
    once(disk.clone(), &mut shelf(""), Verdict::Healthy).unwrap();
    assert_eq!(consumer(&disk), Some([1, 0, 0]));
    disk
}

/// Cuts the update from 1.0.0 at `cut`; `None` when it completed before the cut.
fn cut_update(cut: u64, second: &str, verdict: &Verdict) -> Option<Rc<SimDisk>> {
    let disk = prepared();
    disk.cut_at(disk.operations() + cut);
    let _ = once(disk.clone(), &mut shelf(second), verdict.clone());
    disk.is_off().then_some(disk)
}

fn every_cut(second: &str, verdict: Verdict, expected: [u32; 3]) -> u64 {
    for cut in 0.. {
        for survival in Survival::ALL {
            let Some(disk) = cut_update(cut, second, &verdict) else { return cut };
            disk.reboot(survival);
            let seen = consumer(&disk).expect("a device that had a bundle has one");
            assert!(seen == [1, 0, 0] || seen == [1, 1, 0], "cut {cut}, {survival:?}");
            // Offline, the device comes up with a bundle; online, it gets to where it was going.
            let mut down = Shelf { down: true, ..Shelf::default() };
            once(disk.clone(), &mut down, Verdict::Undecided).unwrap();
            assert!(consumer(&disk).is_some(), "cut {cut}, {survival:?}");
            once(disk.clone(), &mut shelf(second), verdict.clone()).unwrap();
            assert_eq!(consumer(&disk), Some(expected), "cut {cut}, {survival:?}");
        }
    }
    unreachable!("some run completes")
}

#[test]
fn a_cut_at_any_write_of_an_update_is_survived() {
    let cuts = every_cut("good", Verdict::Healthy, [1, 1, 0]);
    println!("{cuts} cut points x {} kinds of loss", Survival::ALL.len());
    assert!(cuts > 50, "an update makes more writes than {cuts}");
}

#[test]
fn a_cut_at_any_write_of_a_failing_self_test_is_survived() {
    assert!(every_cut("fails-test", Verdict::Healthy, [1, 0, 0]) > 30);
}

#[test]
fn a_cut_at_any_write_of_a_rollback_is_survived() {
    assert!(every_cut("good", Verdict::Unhealthy("NaN".to_owned()), [1, 0, 0]) > 50);
}

#[test]
fn a_second_cut_during_recovery_is_survived() {
    let mut pairs = 0;
    'first: for first in 0.. {
        for second in 0.. {
            let Some(disk) = cut_update(first, "good", &Verdict::Healthy) else { break 'first };
            disk.reboot(Survival::Nothing);
            disk.cut_at(disk.operations() + second);
            let _ = once(disk.clone(), &mut shelf("good"), Verdict::Healthy);
            let done = !disk.is_off();
            disk.reboot(Survival::Torn);
            assert!(consumer(&disk).is_some(), "cuts {first} and {second}");
            once(disk.clone(), &mut shelf("good"), Verdict::Healthy).unwrap();
            assert_eq!(consumer(&disk), Some([1, 1, 0]), "cuts {first} and {second}");
            pairs += 1;
            if done {
                break;
            }
        }
    }
    println!("{pairs} pairs of cuts");
    assert!(pairs > 1000);
}

#[test]
fn a_cut_at_any_write_of_the_first_installation_is_survived() {
    for cut in 0.. {
        for survival in Survival::ALL {
            let disk = Rc::new(SimDisk::new());
            disk.cut_at(cut);
            let _ = once(disk.clone(), &mut shelf(""), Verdict::Healthy);
            if !disk.is_off() {
                assert!(cut > 30);
                return;
            }
            disk.reboot(survival);
            consumer(&disk);
            once(disk.clone(), &mut shelf(""), Verdict::Healthy).unwrap();
            assert_eq!(consumer(&disk), Some([1, 0, 0]), "cut {cut}, {survival:?}");
        }
    }
}
