//! What holds for the machine whatever happens, in any order.

use super::{Action, Device, Event, Machine, Phase, Policy, Record, Slot, Target};
use crate::types::{Digest, Release, Version};
use serde_json::json;

fn device() -> Device {
    Device {
        id: "d1".into(),
        class: "gateway".into(),
        model: "kws".into(),
        contract: None,
        arena_bytes: 1,
        flash_bytes: 10,
    }
}

fn target(patch: u32) -> Target {
    let digest = Digest::of(&patch.to_le_bytes());
    let custom = json!({ "name": "kws", "version": [1, 0, patch], "digest": digest, "class": "gateway" });
    Target { name: format!("kws-{patch}"), length: 1, sha256: digest, custom: Some(custom) }
}

/// A small reproducible generator; the numbers are those of Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// An event that the action asks for.
    fn answer(&mut self, action: &Action, patch: u32) -> Event {
        let cause = || "x".repeat(1000);
        let answers = match action {
            Action::Check => vec![Event::Targets(vec![target(patch)]), Event::CheckFailed(cause())],
            Action::Fetch(_) => vec![Event::Fetched, Event::FetchFailed(cause()), Event::NoRoom],
            Action::Verify(_) => vec![Event::Verified, Event::Verified, Event::Refused(cause())],
            Action::Stage(_) => vec![Event::Staged],
            Action::Test(_) => vec![Event::TestPassed, Event::TestPassed, Event::TestFailed(cause())],
            Action::Point(_) => vec![Event::Pointed],
            Action::Observe(_) => vec![Event::Healthy, Event::Unhealthy(cause())],
            Action::Clean(_) => vec![Event::Cleaned],
            Action::Rest | Action::Decline(_) => vec![Event::Poll, Event::RollBack],
        };
        answers[self.below(answers.len() as u64) as usize].clone()
    }

    /// Any event, also one that makes no sense now; mostly one that the action asks for.
    fn event(&mut self, action: &Action, patch: u32) -> Event {
        if self.below(8) > 0 {
            return self.answer(action, patch);
        }
        let cause = || "x".repeat(1000);
        let any = [
            Event::Boot { intact: [true, true] },
            Event::Boot { intact: [self.below(3) > 0, self.below(3) > 0] },
            Event::Poll,
            Event::Targets(vec![target(patch)]),
            Event::Verified,
            Event::Staged,
            Event::TestPassed,
            Event::TestFailed(cause()),
            Event::Pointed,
            Event::Healthy,
            Event::Unhealthy(cause()),
            Event::Cleaned,
            Event::RollBack,
        ];
        any[self.below(any.len() as u64) as usize].clone()
    }
}

fn check(before: &Record, event: &Event, machine: &Machine, action: &Action) {
    let record = machine.record();
    let context = || format!("{before:?}\n{event:?}\n{record:?}\n{action:?}");
    // The record survives the journal, and stays small.
    let json = serde_json::to_vec(record).unwrap();
    assert_eq!(&serde_json::from_slice::<Record>(&json).unwrap(), record);
    assert!(json.len() < 64 << 10, "{}", json.len());
    // What is active exists.
    assert!(record.active.is_none() || record.active().is_some(), "{}", context());
    // Nothing but a boot that finds it damaged, or leaving it, takes the active bundle away.
    let leaves = matches!(before.phase, Phase::RollingBack { .. } | Phase::Activating { .. });
    if !leaves && !matches!(event, Event::Boot { .. }) {
        assert_eq!(record.active(), before.active(), "{}", context());
    }
    // A bundle becomes active only from Activating, and Activating only comes after a passed test.
    if matches!(record.phase, Phase::Activating { .. }) && !matches!(before.phase, Phase::Activating { .. }) {
        assert!(
            matches!((&before.phase, event), (Phase::Testing { .. }, Event::TestPassed)),
            "{}",
            context()
        );
    }
    // An update never goes where the active bundle is.
    if let Phase::Staging { slot, .. } | Phase::Testing { slot, .. } | Phase::Activating { slot, .. } =
        &record.phase
    {
        assert_ne!(Some(*slot), record.active, "{}", context());
    }
    match action {
        // Consumers are pointed at what the record knows, or at nothing because there is nothing to run.
        Action::Point(Some((slot, release))) => {
            assert_eq!(record.slot(*slot), Some(release), "{}", context())
        }
        Action::Point(None) => {
            let leaving = matches!(record.phase, Phase::RollingBack { .. });
            let nothing = record.active.is_none() || (leaving && record.slot(record.spare()).is_none());
            assert!(nothing, "{}", context());
        }
        // Before verification nothing is staged.
        Action::Stage(_) => assert_eq!(*event, Event::Verified, "{}", context()),
        Action::Fetch(candidate) => {
            let release = &candidate.release;
            assert!(!before.has_failed(release.sha256, release.digest), "{}", context());
        }
        _ => {}
    }
}

#[test]
fn invariants_hold_under_any_order_of_events() {
    let mut committed = 0;
    let mut rolled_back = 0;
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut machine = Machine::new(Record::default(), Policy::default(), device());
        let mut action = Action::Rest;
        for step in 0..500 {
            let event = random.event(&action, step / 20);
            let before = machine.record().clone();
            action = machine.step(event.clone());
            check(&before, &event, &machine, &action);
            let was =
                |phase: fn(&Phase) -> bool| phase(&before.phase) && machine.record().phase == Phase::Idle;
            committed +=
                u32::from(was(|phase| matches!(phase, Phase::Probation { .. })) && event == Event::Healthy);
            rolled_back += u32::from(was(|phase| matches!(phase, Phase::RollingBack { .. })));
        }
    }
    assert!(committed > 100 && rolled_back > 100, "the walk reaches the ends: {committed}, {rolled_back}");
}

#[test]
fn versions_only_rise_without_signed_permission() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let mut machine = Machine::new(Record::default(), Policy::default(), device());
        let mut action = Action::Rest;
        let mut rises = 0;
        for _ in 0..1000 {
            let patch = random.below(30) as u32;
            let event = match &action {
                // Rollbacks aside, which go back by design.
                Action::Rest | Action::Decline(_) => Event::Poll,
                Action::Observe(_) => Event::Healthy,
                action => random.answer(action, patch),
            };
            let before = machine.record().active().map(|(_, release)| release.version);
            action = machine.step(event);
            let after = machine.record().active().map(|(_, release)| release.version);
            assert!(after >= before);
            rises += u32::from(after > before);
        }
        assert!(rises > 0 && machine.record().floor <= Some(Version([1, 0, 29])));
    }
}

#[test]
fn every_event_in_every_phase_is_answered() {
    let release = |name: &str| Release {
        name: "kws".into(),
        version: Version([1, 0, 0]),
        digest: Digest::of(name.as_bytes()),
        sha256: Digest::of(name.as_bytes()),
        bytes: 1,
    };
    let candidate = super::Candidate { target: "t".into(), release: release("b") };
    let slot = Slot::B;
    let phases = [
        Phase::Idle,
        Phase::Fetching { candidate: candidate.clone() },
        Phase::Staging { candidate: candidate.clone(), slot },
        Phase::Testing { candidate: candidate.clone(), slot, attempts: 1 },
        Phase::Activating { candidate: candidate.clone(), slot },
        Phase::Probation { candidate, boots: 0 },
        Phase::RollingBack { reason: String::new() },
    ];
    for phase in phases {
        for slots in [[None, None], [Some(release("a")), None], [Some(release("a")), Some(release("b"))]] {
            for intact in [[true, true], [true, false], [false, true], [false, false]] {
                let active = slots[0].as_ref().map(|_| Slot::A);
                let record =
                    Record { slots: slots.clone(), active, phase: phase.clone(), ..Record::default() };
                let mut machine = Machine::new(record.clone(), Policy::default(), device());
                let action = machine.step(Event::Boot { intact });
                check(&record, &Event::Boot { intact }, &machine, &action);
            }
        }
    }
}
