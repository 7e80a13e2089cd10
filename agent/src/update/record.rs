//! What the device remembers about updates across a power cut.

use crate::types::{Digest, Release, Version};
use serde::{Deserialize, Serialize};

/// One of the two places a bundle may be installed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first slot.
    A,
    /// The second slot.
    B,
}

impl Slot {
    /// The slot that this one is not.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A release under way to this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// TUF target name.
    pub target: String,
    /// What the signed metadata promises.
    #[serde(flatten)]
    pub release: Release,
}

/// Where the update stands. A phase names what is being done; every one of them may be repeated after a power cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing under way.
    #[default]
    Idle,
    /// The download is not complete, or not verified.
    Fetching {
        /// What is being fetched.
        candidate: Candidate,
    },
    /// Verified bytes are being written as an object.
    Staging {
        /// What is being staged.
        candidate: Candidate,
        /// Where it goes.
        slot: Slot,
    },
    /// The golden vectors are being run, before activation.
    Testing {
        /// What is being tested.
        candidate: Candidate,
        /// Where it is.
        slot: Slot,
        /// Tests begun, this one included; more than one means that the device went down during a test.
        attempts: u32,
    },
    /// The pointer may or may not have moved.
    Activating {
        /// What becomes active.
        candidate: Candidate,
        /// Where it is.
        slot: Slot,
    },
    /// Active, watched, not committed.
    Probation {
        /// What is watched.
        candidate: Candidate,
        /// Times the device started during this probation.
        boots: u32,
    },
    /// The pointer is being moved back.
    RollingBack {
        /// Why.
        reason: String,
    },
}

/// A candidate that failed, and is not tried again until something supersedes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed.
    #[serde(flatten)]
    pub release: Release,
    /// Whether the model itself failed (self-test, probation), so that signing the same content again does
    /// not help; a refused file may come back with other signatures.
    pub content: bool,
    /// Why.
    pub reason: String,
}

/// The durable state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What each slot holds.
    pub slots: [Option<Release>; 2],
    /// The slot that consumers use.
    pub active: Option<Slot>,
    /// Where the update stands.
    pub phase: Phase,
    /// The version last committed: with nothing active, older ones are still refused.
    pub floor: Option<Version>,
    /// Newest last; at most [`Record::MAX_FAILED`].
    pub failed: Vec<Failure>,
    /// What went wrong last; cleared by the next success.
    pub last_error: Option<String>,
}

impl Record {
    /// Failures remembered; the oldest are forgotten.
    pub const MAX_FAILED: usize = 32;

    /// What a slot holds.
    pub fn slot(&self, slot: Slot) -> Option<&Release> {
        self.slots[slot as usize].as_ref()
    }

    /// The active slot and what it holds.
    pub fn active(&self) -> Option<(Slot, &Release)> {
        let slot = self.active?;
        Some((slot, self.slot(slot)?))
    }

    /// The slot that an update may overwrite.
    pub fn spare(&self) -> Slot {
        self.active.map_or(Slot::A, Slot::other)
    }

    /// Whether this candidate failed before, under this file hash or, where the content failed, this digest.
    pub fn has_failed(&self, sha256: Digest, digest: Digest) -> bool {
        let same = |failure: &&Failure| {
            failure.release.sha256 == sha256 || (failure.content && failure.release.digest == digest)
        };
        self.failed.iter().find(same).is_some()
    }

    /// Remembers a failure.
    pub fn remember(&mut self, release: Release, content: bool, reason: &str) {
        self.failed.retain(|failure| failure.release.sha256 != release.sha256);
        self.failed.push(Failure { release, content, reason: clip(reason) });
        let excess = self.failed.len().saturating_sub(Self::MAX_FAILED);
        self.failed.drain(..excess);
        self.last_error = Some(clip(reason));
    }
}

/// Reasons quote what others wrote. Bounded and without control characters they can neither outgrow the journal nor
/// play tricks on a terminal.
pub(super) fn clip(reason: &str) -> String {
    const MAX_CHARS: usize = 300;
    reason.chars().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
