//! What a server tells the agent about the bundle it runs, through a file in the data directory; and the verdict
//! on a probation that follows from it.

use crate::{
    agent::{Verdict, Watch},
    config::Probation,
    store::{Disk, disk},
    types::{Digest, Release},
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    time::{Duration, Instant},
};

const FILE: &str = "health.json";
const MAX_BYTES: u64 = 4096;
const POLL: Duration = Duration::from_millis(100);

/// Counts since the server took up a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Which bundle, by file hash.
    pub sha256: Digest,
    /// Inferences answered.
    pub inferences: u64,
    /// Inferences, or loads, that failed through no fault of the request.
    pub errors: u64,
    /// Answers that contained NaN.
    pub nan: u64,
}

impl Health {
    /// Nothing seen yet of this bundle.
    pub fn new(sha256: Digest) -> Self {
        Self { sha256, inferences: 0, errors: 0, nan: 0 }
    }

    /// What a server wrote last; `None` when there is nothing readable.
    ///
    /// # Errors
    /// Whatever the disk reports beyond absence and damage.
    pub fn read(disk: &dyn Disk) -> io::Result<Option<Self>> {
        match disk.read(FILE, MAX_BYTES) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        disk::replace(disk, FILE, &serde_json::to_vec(self)?)
    }

    /// Why this bundle is not acceptable, if it is not.
    pub fn complaint(&self, probation: &Probation) -> Option<String> {
        let all = self.inferences + self.errors;
        if self.nan > 0 {
            return Some(format!("{} answers contained NaN", self.nan));
        }
        let too_many =
            u128::from(self.errors) * 10_000 > u128::from(probation.max_errors_permyriad) * u128::from(all);
        too_many.then(|| format!("{} of {all} inferences failed", self.errors))
    }
}

/// Watches the health file until the probation is over.
pub struct HealthWatch<D> {
    /// Where the file is.
    pub disk: D,
    /// The rules.
    pub probation: Probation,
    /// Whether the agent is to stop.
    pub stopped: fn() -> bool,
}

impl<D: Disk> Watch for HealthWatch<D> {
    fn prepare(&mut self, release: &Release) -> io::Result<()> {
        // Complaints about this bundle from before a rollback, which an operator has decided to try again.
        if Health::read(&self.disk)?.is_some_and(|health| health.sha256 == release.sha256) {
            self.disk.remove(FILE)?;
            self.disk.sync_dir("")?;
        }
        Ok(())
    }

    /// Healthy after the probation's time, with the inferences asked for; a device where no server has taken the
    /// bundle up by then is judged by its self-test alone.
    fn watch(&mut self, release: &Release) -> Verdict {
        let started = Instant::now();
        loop {
            let health = match Health::read(&self.disk) {
                Ok(health) => health.filter(|health| health.sha256 == release.sha256),
                Err(error) => return Verdict::Unhealthy(format!("{FILE}: {error}")),
            };
            if let Some(complaint) = health.and_then(|health| health.complaint(&self.probation)) {
                return Verdict::Unhealthy(complaint);
            }
            let enough = health.is_none_or(|health| health.inferences >= self.probation.inferences);
            if started.elapsed() >= self.probation.time && enough {
                return Verdict::Healthy;
            }
            if (self.stopped)() {
                return Verdict::Undecided;
            }
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::SimDisk, types::Version};
    use std::rc::Rc;

    const RULES: Probation = Probation { time: Duration::ZERO, inferences: 10, max_errors_permyriad: 100 };

    fn verdict(health: Option<Health>, stopped: fn() -> bool) -> Verdict {
        let disk = Rc::new(SimDisk::new());
        if let Some(health) = health {
            health.write(&disk).unwrap();
        }
        let digest = Digest::of(b"x");
        let release =
            Release { name: "kws".into(), version: Version([1, 0, 0]), digest, sha256: digest, bytes: 1 };
        HealthWatch { disk, probation: RULES, stopped }.watch(&release)
    }

    #[test]
    fn the_verdict_follows_the_counts() {
        let seen =
            |inferences, errors, nan| Health { inferences, errors, nan, ..Health::new(Digest::of(b"x")) };
        assert_eq!(verdict(Some(seen(10, 0, 0)), || false), Verdict::Healthy);
        assert_eq!(verdict(Some(seen(99, 1, 0)), || false), Verdict::Healthy);
        assert_eq!(
            verdict(Some(seen(98, 2, 0)), || false),
            Verdict::Unhealthy("2 of 100 inferences failed".into())
        );
        assert_eq!(
            verdict(Some(seen(9, 0, 1)), || false),
            Verdict::Unhealthy("1 answers contained NaN".into())
        );
        // Too few inferences: it waits, until the agent stops.
        assert_eq!(verdict(Some(seen(9, 0, 0)), || true), Verdict::Undecided);
        // Nobody serves this bundle.
        assert_eq!(verdict(None, || false), Verdict::Healthy);
        let disk = Rc::new(SimDisk::new());
        seen(1, 1, 1).write(&disk).unwrap();
        let mut watch = HealthWatch { disk: disk.clone(), probation: RULES, stopped: || false };
        let digest = Digest::of(b"x");
        let release =
            Release { name: "kws".into(), version: Version([1, 0, 0]), digest, sha256: digest, bytes: 1 };
        watch.prepare(&release).unwrap();
        assert_eq!(watch.watch(&release), Verdict::Healthy, "complaints of an earlier life are forgotten");
        let other = Health { nan: 5, ..Health::new(Digest::of(b"other")) };
        assert_eq!(verdict(Some(other), || false), Verdict::Healthy);
    }
}
