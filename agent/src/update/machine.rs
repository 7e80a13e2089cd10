//! The transitions.

use super::{
    record::{Candidate, Phase, Record, Slot, clip},
    select::{Device, Selection, Target, select},
};
use crate::types::{Digest, Release};

/// How patient the machine is.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Self-tests that may begin without ending (the device went down) before the candidate is given up.
    pub test_attempts: u32,
    /// Starts of the device during one probation before it counts as a crash loop.
    pub probation_boots: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { test_attempts: 3, probation_boots: 3 }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The agent started. Which slots hold the object that the record says they hold.
    Boot {
        /// For slot A and slot B.
        intact: [bool; 2],
    },
    /// It is time to look for an update.
    Poll,
    /// Metadata verified; these are the targets.
    Targets(Vec<Target>),
    /// Metadata could not be fetched or did not verify.
    CheckFailed(String),
    /// The object does not fit the quota.
    NoRoom,
    /// All bytes are there and hash to what metadata promises.
    Fetched,
    /// The bytes could not be fetched, or were not the promised ones; worth another try later.
    FetchFailed(String),
    /// Signatures, digest and version are as promised.
    Verified,
    /// The file is what metadata promises, and not acceptable.
    Refused(String),
    /// The object is durable.
    Staged,
    /// All golden vectors gave what they should.
    TestPassed,
    /// The self-test failed.
    TestFailed(String),
    /// The pointer is durable.
    Pointed,
    /// Probation ended well.
    Healthy,
    /// Probation ended badly.
    Unhealthy(String),
    /// Unneeded files are gone.
    Cleaned,
    /// An operator asks for the other slot.
    RollBack,
}

/// What to do next. The caller makes the record durable first.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Refresh metadata, answer `Targets` or `CheckFailed`.
    Check,
    /// Download, answer `Fetched`, `FetchFailed` or `NoRoom`.
    Fetch(Candidate),
    /// Verify the downloaded bytes, answer `Verified` or `Refused`.
    Verify(Candidate),
    /// Write the verified bytes as an object, answer `Staged`.
    Stage(Candidate),
    /// Run the golden vectors, answer `TestPassed` or `TestFailed`.
    Test(Release),
    /// Point consumers at a slot, or at nothing; answer `Pointed`.
    Point(Option<(Slot, Release)>),
    /// Watch the active bundle, answer `Healthy` or `Unhealthy`.
    Observe(Release),
    /// Remove what no slot holds except this download, answer `Cleaned`.
    Clean(Option<Digest>),
    /// Nothing until the next `Poll`.
    Rest,
    /// The request makes no sense now.
    Decline(&'static str),
}

/// The machine: durable record, policy, and what the device is.
#[derive(Clone, Debug)]
pub struct Machine {
    record: Record,
    policy: Policy,
    device: Device,
    selection: Selection,
}

impl Machine {
    /// Takes up where `record` left off; feed it [`Event::Boot`] first.
    pub fn new(record: Record, policy: Policy, device: Device) -> Self {
        Self { record, policy, device, selection: Selection::default() }
    }

    /// The state that must be durable before the last action is carried out.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the last check chose and refused.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Forgets failed candidates, so that the next check may choose them again.
    pub fn forget_failures(&mut self) {
        self.record.failed.clear();
    }

    /// One transition.
    pub fn step(&mut self, event: Event) -> Action {
        // The phase is taken out and put back changed or unchanged; an event that does not belong to the
        // phase changes nothing and rests.
        match (self.record.phase.clone(), event) {
            (_, Event::Boot { intact }) => self.boot(intact),
            (Phase::Idle | Phase::Fetching { .. }, Event::Poll) => Action::Check,
            (Phase::Probation { candidate, .. }, Event::Poll) => Action::Observe(candidate.release),
            (Phase::Idle | Phase::Fetching { .. }, Event::Targets(targets)) => self.targets(&targets),
            (Phase::Idle | Phase::Fetching { .. }, Event::CheckFailed(cause)) => self.rest_with(cause),

            (Phase::Fetching { candidate }, Event::Fetched) => Action::Verify(candidate),
            (Phase::Fetching { .. }, Event::FetchFailed(cause)) => self.rest_with(cause),
            (Phase::Fetching { candidate }, Event::NoRoom) => self.make_room(&candidate),
            (Phase::Fetching { candidate }, Event::Verified) => self.stage(candidate),
            (Phase::Fetching { candidate }, Event::Refused(cause)) => {
                self.fail(candidate.release, false, &cause)
            }
            (Phase::Fetching { candidate }, Event::Cleaned) => Action::Fetch(candidate),

            (Phase::Staging { candidate, slot }, Event::Staged) => {
                self.record.slots[slot as usize] = Some(candidate.release.clone());
                self.test(candidate, slot, 1)
            }
            // After a restart: the pointer is right again, the test is next.
            (Phase::Testing { candidate, .. }, Event::Pointed) => Action::Test(candidate.release),
            (Phase::Testing { candidate, slot, .. }, Event::TestPassed) => {
                let release = candidate.release.clone();
                self.record.phase = Phase::Activating { candidate, slot };
                Action::Point(Some((slot, release)))
            }
            (Phase::Testing { candidate, slot, .. }, Event::TestFailed(cause)) => {
                self.record.slots[slot as usize] = None;
                self.fail(candidate.release, true, &format!("self-test: {cause}"))
            }

            (Phase::Activating { candidate, slot }, Event::Pointed) => {
                self.record.active = Some(slot);
                let release = candidate.release.clone();
                self.record.phase = Phase::Probation { candidate, boots: 0 };
                Action::Observe(release)
            }
            (Phase::Probation { candidate, .. }, Event::Pointed) => Action::Observe(candidate.release),
            (Phase::Probation { candidate, .. }, Event::Healthy) => {
                self.record.floor = Some(candidate.release.version);
                self.record.last_error = None;
                self.idle()
            }
            (Phase::Probation { candidate, .. }, Event::Unhealthy(cause)) => {
                self.record.remember(candidate.release, true, &format!("probation: {cause}"));
                self.roll_back(cause)
            }
            (Phase::RollingBack { .. }, Event::Pointed) => {
                let left = self.record.active;
                let spare = self.record.spare();
                self.record.active = self.record.slot(spare).is_some().then_some(spare);
                if let Some(slot) = left {
                    self.record.slots[slot as usize] = None;
                }
                self.idle()
            }

            (Phase::Idle | Phase::Fetching { .. } | Phase::Probation { .. }, Event::RollBack) => {
                match (
                    self.record.active().map(|(_, release)| release.clone()),
                    self.record.slot(self.record.spare()),
                ) {
                    (Some(active), Some(_)) => {
                        let cause = "an operator asked for the previous version";
                        self.record.remember(active, true, cause);
                        self.roll_back(cause.to_owned())
                    }
                    _ => Action::Decline("there is no previous version to go back to"),
                }
            }
            (_, Event::RollBack) => {
                Action::Decline("an update is being installed; try again when it is done")
            }
            _ => Action::Rest,
        }
    }

    /// Picks up after a restart. Slots whose object is gone or damaged are emptied first; then the phase is
    /// continued, which is safe because every action may be repeated.
    fn boot(&mut self, intact: [bool; 2]) -> Action {
        for (slot, intact) in self.record.slots.iter_mut().zip(intact) {
            if !intact {
                *slot = None;
            }
        }
        let holds = |record: &Record, slot: Slot, candidate: &Candidate| {
            record.slot(slot) == Some(&candidate.release)
        };
        let lost_active = self.record.active.is_some() && self.record.active().is_none();
        if lost_active {
            let spare = self.record.spare();
            // A candidate on its way is no substitute: it has not passed its test, or is about to be activated anyway.
            let candidate = matches!(self.record.phase, Phase::Testing { .. } | Phase::Activating { .. });
            let substitute = !candidate && self.record.slot(spare).is_some();
            self.record.active = substitute.then_some(spare);
            self.record.last_error = Some("the active bundle was lost or damaged in storage".to_owned());
        }
        match self.record.phase.clone() {
            Phase::Staging { candidate, .. } => self.record.phase = Phase::Fetching { candidate },
            Phase::Testing { candidate, slot, attempts } if holds(&self.record, slot, &candidate) => {
                if attempts < self.policy.test_attempts {
                    self.record.phase = Phase::Testing { candidate, slot, attempts: attempts + 1 };
                } else {
                    self.record.slots[slot as usize] = None;
                    let cause = format!("self-test: the device went down during it {attempts} times");
                    self.record.remember(candidate.release, true, &cause);
                    self.record.phase = Phase::Idle;
                }
            }
            Phase::Activating { candidate, slot } if holds(&self.record, slot, &candidate) => {
                return Action::Point(Some((slot, candidate.release)));
            }
            Phase::Testing { .. } | Phase::Activating { .. } => self.record.phase = Phase::Idle,
            Phase::Probation { candidate, boots } => {
                let watched = self.record.active().map(|(_, release)| release) == Some(&candidate.release);
                if watched && boots >= self.policy.probation_boots {
                    let cause = format!("the device started {} times during probation", boots + 1);
                    self.record.remember(candidate.release, true, &format!("probation: {cause}"));
                    return self.roll_back(cause);
                }
                self.record.phase =
                    if watched { Phase::Probation { candidate, boots: boots + 1 } } else { Phase::Idle };
            }
            // The bundle to leave is the one that was lost: there is nothing left to roll back from.
            Phase::RollingBack { .. } if lost_active => self.record.phase = Phase::Idle,
            Phase::RollingBack { .. } => return Action::Point(self.previous()),
            Phase::Idle | Phase::Fetching { .. } => {}
        }
        Action::Point(self.record.active().map(|(slot, release)| (slot, release.clone())))
    }

    fn targets(&mut self, targets: &[Target]) -> Action {
        self.selection = select(targets, &self.device, &self.record);
        let Some(candidate) = self.selection.candidate.clone() else {
            self.record.last_error = None;
            return self.idle();
        };
        // The other slot may hold it already: going back needs no download, and is tested all the same.
        let spare = self.record.spare();
        if self.record.slot(spare) == Some(&candidate.release) {
            return self.test(candidate, spare, 1);
        }
        let keep = candidate.release.sha256;
        self.record.phase = Phase::Fetching { candidate };
        Action::Clean(Some(keep))
    }

    fn make_room(&mut self, candidate: &Candidate) -> Action {
        let spare = self.record.spare();
        if self.record.slots[spare as usize].take().is_some() {
            return Action::Clean(Some(candidate.release.sha256));
        }
        let cause =
            format!("{} ({} bytes) does not fit the disk quota", candidate.target, candidate.release.bytes);
        self.rest_with(cause)
    }

    fn stage(&mut self, candidate: Candidate) -> Action {
        let slot = self.record.spare();
        self.record.slots[slot as usize] = None;
        self.record.phase = Phase::Staging { candidate: candidate.clone(), slot };
        Action::Stage(candidate)
    }

    fn test(&mut self, candidate: Candidate, slot: Slot, attempts: u32) -> Action {
        let release = candidate.release.clone();
        self.record.phase = Phase::Testing { candidate, slot, attempts };
        Action::Test(release)
    }

    fn fail(&mut self, release: Release, content: bool, cause: &str) -> Action {
        self.record.remember(release, content, cause);
        self.idle()
    }

    fn roll_back(&mut self, reason: String) -> Action {
        self.record.phase = Phase::RollingBack { reason: clip(&reason) };
        Action::Point(self.previous())
    }

    fn previous(&self) -> Option<(Slot, Release)> {
        let spare = self.record.spare();
        self.record.slot(spare).map(|release| (spare, release.clone()))
    }

    fn idle(&mut self) -> Action {
        self.record.phase = Phase::Idle;
        Action::Clean(None)
    }

    fn rest_with(&mut self, cause: String) -> Action {
        self.record.last_error = Some(clip(&cause));
        Action::Rest
    }
}
