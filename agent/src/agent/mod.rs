//! The driver: carries out the actions of the [state machine](crate::update) on a store, a repository and a model.

#[cfg(test)]
mod double;
mod fetch;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod scenarios;

use crate::{
    model::{Identity, Model},
    repository::{Failure, Repository},
    store::{Disk, Store},
    types::Release,
    update::{Action, Candidate, Device, Event, Machine, Policy, Record, Refusal, Slot, Target},
};
use std::io;

/// How a probation ended, or that it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bundle behaved.
    Healthy,
    /// It did not: errors, NaN, a failing self-test.
    Unhealthy(String),
    /// The agent was asked to stop first; probation goes on at the next start.
    Undecided,
}

/// Watches a freshly activated bundle at work.
pub trait Watch {
    /// Forgets what was seen of `release` in an earlier life; called before it is activated.
    ///
    /// # Errors
    /// When that cannot be made durable.
    fn prepare(&mut self, release: &Release) -> io::Result<()>;

    /// Returns when the probation of `release` is over or the agent is to stop.
    fn watch(&mut self, release: &Release) -> Verdict;
}

/// What one run of the agent led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Installed and committed.
    pub installed: Option<Release>,
    /// Left behind, and why.
    pub rolled_back: Option<(Release, String)>,
    /// Why a candidate or the metadata was refused.
    pub refused: Option<String>,
    /// Why the repository could not be asked.
    pub unreachable: Option<String>,
    /// Why a request could not be followed.
    pub declined: Option<String>,
    /// Targets passed over by the last check.
    pub passed_over: Vec<(String, Refusal)>,
}

/// One device's agent.
pub struct Agent<'a, D> {
    store: Store<D>,
    machine: Machine,
    durable: Record,
    repository: &'a mut dyn Repository,
    model: &'a dyn Model,
    watch: &'a mut dyn Watch,
    progress: &'a mut dyn FnMut(&str),
    targets: Vec<Target>,
    /// Bytes that were fetched and hashed, on their way into the store.
    bytes: Vec<u8>,
    checkpoint: usize,
    outcome: Outcome,
}

/// What an agent works with besides its store.
pub struct Parts<'a> {
    /// Where updates come from.
    pub repository: &'a mut dyn Repository,
    /// Verifies and tests bundles.
    pub model: &'a dyn Model,
    /// Watches probation.
    pub watch: &'a mut dyn Watch,
    /// Told in words what happens.
    pub progress: &'a mut dyn FnMut(&str),
}

impl<'a, D: Disk> Agent<'a, D> {
    /// A download is made durable every this many bytes, so that a power cut loses no more than that.
    pub const CHECKPOINT: usize = 256 << 10;

    /// Opens the store on `disk` and recovers: whatever was under way is continued as far as it goes without the
    /// network, and the active pointer is made to name an intact bundle or none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn start(disk: D, quota: u64, device: Device, policy: Policy, parts: Parts<'a>) -> io::Result<Self> {
        let (store, record) = Store::open(disk, quota)?;
        let mut agent = Self {
            store,
            machine: Machine::new(record.clone(), policy, device),
            durable: record,
            repository: parts.repository,
            model: parts.model,
            watch: parts.watch,
            progress: parts.progress,
            targets: Vec::new(),
            bytes: Vec::new(),
            checkpoint: Self::CHECKPOINT,
            outcome: Outcome::default(),
        };
        let mut intact = [true; 2];
        for (intact, release) in intact.iter_mut().zip(&agent.durable.slots) {
            if let Some(release) = release {
                *intact = agent.store.object(release)?.is_some();
            }
        }
        agent.run(Event::Boot { intact })?;
        Ok(agent)
    }

    /// Looks for an update and takes it as far as it goes: to commitment, to a rollback, or to a failure. The
    /// outcome includes what recovery did at the start.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn once(&mut self) -> io::Result<Outcome> {
        self.run(Event::Poll)?;
        Ok(std::mem::take(&mut self.outcome))
    }

    /// Goes back to the other slot and remembers the active bundle as failed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn roll_back(&mut self) -> io::Result<Outcome> {
        self.run(Event::RollBack)?;
        Ok(std::mem::take(&mut self.outcome))
    }

    /// Allows failed candidates to be chosen again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget_failures(&mut self) -> io::Result<()> {
        self.machine.forget_failures();
        self.persist()
    }

    /// The durable state.
    pub fn record(&self) -> &Record {
        &self.durable
    }

    /// The store.
    pub fn store(&self) -> &Store<D> {
        &self.store
    }

    fn run(&mut self, first: Event) -> io::Result<()> {
        let mut event = first;
        loop {
            self.note(&event);
            let tested = event == Event::TestPassed;
            let action = self.machine.step(event);
            if let (true, Action::Point(Some((_, release)))) = (tested, &action) {
                self.watch.prepare(release)?;
            }
            // A transition counts only once it is durable.
            self.persist()?;
            match self.perform(action)? {
                Some(next) => event = next,
                None => return Ok(()),
            }
        }
    }

    fn persist(&mut self) -> io::Result<()> {
        if *self.machine.record() != self.durable {
            self.store.commit(self.machine.record())?;
            self.durable = self.machine.record().clone();
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) -> io::Result<Option<Event>> {
        let event = match action {
            Action::Check => self.check(),
            Action::Fetch(candidate) => {
                (self.progress)(&format!(
                    "fetching {} ({} bytes)",
                    candidate.target, candidate.release.bytes
                ));
                self.fetch(&candidate)?
            }
            Action::Verify(candidate) => match self.verify(&candidate) {
                Ok(()) => Event::Verified,
                Err(cause) => {
                    self.store.drop_partial(candidate.release.sha256)?;
                    Event::Refused(format!("{}: {cause}", candidate.target))
                }
            },
            Action::Stage(candidate) => {
                let bytes = std::mem::take(&mut self.bytes);
                self.store.put_object(candidate.release.sha256, &bytes)?;
                Event::Staged
            }
            Action::Test(release) => {
                (self.progress)(&format!("testing {release} on its golden vectors"));
                match self.load_and_test(&release)? {
                    Ok(()) => Event::TestPassed,
                    Err(cause) => Event::TestFailed(cause),
                }
            }
            Action::Point(target) => {
                self.point(target.as_ref().map(|(slot, release)| (*slot, release)))?;
                Event::Pointed
            }
            Action::Observe(release) => match self.observe(&release)? {
                Verdict::Healthy => Event::Healthy,
                Verdict::Unhealthy(cause) => Event::Unhealthy(cause),
                Verdict::Undecided => return Ok(None),
            },
            Action::Clean(keep) => {
                self.store.clean(self.machine.record(), keep)?;
                Event::Cleaned
            }
            Action::Rest => return Ok(None),
            Action::Decline(cause) => {
                self.outcome.declined = Some(cause.to_owned());
                return Ok(None);
            }
        };
        Ok(Some(event))
    }

    fn check(&mut self) -> Event {
        match self.repository.targets() {
            Ok(targets) => {
                self.targets = targets.clone();
                Event::Targets(targets)
            }
            Err(failure) => {
                let cause = failure.to_string();
                self.blame(failure);
                Event::CheckFailed(cause)
            }
        }
    }

    fn verify(&self, candidate: &Candidate) -> Result<(), String> {
        let found = self.model.verify(&self.bytes)?;
        let promised = &candidate.release;
        let promised =
            Identity { name: promised.name.clone(), version: promised.version, digest: promised.digest };
        if found != promised {
            return Err(format!(
                "the bundle says {} {} {}, metadata says {} {} {}",
                found.name, found.version, found.digest, promised.name, promised.version, promised.digest
            ));
        }
        Ok(())
    }

    /// Verified again as it is read, because time and a power cut may lie between staging and this.
    fn load_and_test(&self, release: &Release) -> io::Result<Result<(), String>> {
        let Some(bytes) = self.store.object(release)? else {
            return Ok(Err("the bundle was lost or damaged in storage".to_owned()));
        };
        Ok(self.model.verify(&bytes).and_then(|_| self.model.self_test(&bytes)))
    }

    fn point(&mut self, target: Option<(Slot, &Release)>) -> io::Result<()> {
        self.store.point(target)
    }

    fn observe(&mut self, release: &Release) -> io::Result<Verdict> {
        // Through the pointer, as a consumer would find it.
        let pointed = self.store.pointer()?.map(|pointer| pointer.release);
        if pointed.as_ref() != Some(release) {
            return Ok(Verdict::Unhealthy("the active pointer names another bundle".to_owned()));
        }
        if let Err(cause) = self.load_and_test(release)? {
            return Ok(Verdict::Unhealthy(cause));
        }
        (self.progress)(&format!("{release} is active, on probation"));
        Ok(self.watch.watch(release))
    }

    fn blame(&mut self, failure: Failure) {
        match failure {
            Failure::Unreachable(cause) => self.outcome.unreachable = Some(cause),
            Failure::Refused(cause) => self.outcome.refused = Some(cause),
        }
    }

    /// Keeps the outcome in step with what happens, and tells the progress line.
    fn note(&mut self, event: &Event) {
        let record = self.machine.record();
        let active = record.active().map(|(_, release)| release.clone());
        match (event, active) {
            (Event::Refused(cause) | Event::TestFailed(cause), _) => {
                (self.progress)(&format!("refused: {cause}"));
                self.outcome.refused = Some(cause.clone());
            }
            (Event::Unhealthy(cause), Some(active)) => {
                (self.progress)(&format!("{active} failed its probation: {cause}"));
                self.outcome.rolled_back = Some((active, cause.clone()));
            }
            (Event::Healthy, Some(active)) => {
                (self.progress)(&format!("{active} is committed"));
                self.outcome.installed = Some(active);
            }
            (Event::Cleaned, _) => self.outcome.passed_over = self.machine.selection().refused.clone(),
            _ => {}
        }
        if let crate::update::Phase::RollingBack { reason } = &self.machine.record().phase
            && *event == Event::Pointed
            && let (None, Some(failure)) = (&self.outcome.rolled_back, self.machine.record().failed.last())
        {
            (self.progress)(&format!("{} was rolled back: {reason}", failure.release));
            self.outcome.rolled_back = Some((failure.release.clone(), reason.clone()));
        }
    }
}
