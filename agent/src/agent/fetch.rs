//! The download: resumed where it stopped, hashed in memory, and what was hashed is what is committed.

use super::Agent;
use crate::{
    repository::Failure,
    store::Disk,
    types::Digest,
    update::{Candidate, Event},
};
use std::io;

impl<D: Disk> Agent<'_, D> {
    /// Leaves the complete, hashed file in `self.bytes`, or says why not.
    pub(super) fn fetch(&mut self, candidate: &Candidate) -> io::Result<Event> {
        let release = &candidate.release;
        let resumed = self.store.partial(release.sha256, release.bytes)?;
        // The object is written anew beside the partial file; both exist for a moment.
        let need = release.bytes.saturating_mul(2).saturating_sub(resumed.len() as u64);
        if self.store.room()? < need {
            return Ok(Event::NoRoom);
        }
        let from_the_start = resumed.is_empty();
        let event = self.attempt(candidate, resumed)?;
        // What was on disk may be what is wrong: begin again, once.
        let again =
            !from_the_start && matches!(event, Event::FetchFailed(_)) && self.outcome.unreachable.is_none();
        if !again {
            return Ok(event);
        }
        self.outcome.refused = None;
        self.attempt(candidate, Vec::new())
    }

    fn attempt(&mut self, candidate: &Candidate, resumed: Vec<u8>) -> io::Result<Event> {
        let release = &candidate.release;
        let Some(target) = self.targets.iter().find(|target| target.name == candidate.target) else {
            return Ok(Event::FetchFailed(format!("{} is no longer listed", candidate.target)));
        };
        let (store, checkpoint) = (&self.store, self.checkpoint);
        let mut saved = resumed.len();
        let mut bytes = resumed;
        // An error of our own disk is not the server's fault, and ends the run.
        let mut broken = None;
        let result = if bytes.len() as u64 == release.bytes {
            Ok(())
        } else {
            let from = bytes.len() as u64;
            self.repository.fetch(target, from, &mut |offset, chunk| {
                if offset == 0 && !bytes.is_empty() {
                    (bytes, saved) = (Vec::new(), 0);
                }
                if offset != bytes.len() as u64 || offset + chunk.len() as u64 > release.bytes {
                    return Err(io::Error::other("the server sent bytes out of place"));
                }
                bytes.extend_from_slice(chunk);
                if bytes.len() - saved >= checkpoint {
                    let outcome = store.extend_partial(release.sha256, saved as u64, &bytes[saved..]);
                    saved = bytes.len();
                    if let Err(error) = outcome {
                        let echo = io::Error::new(error.kind(), error.to_string());
                        broken = Some(error);
                        return Err(echo);
                    }
                }
                Ok(())
            })
        };
        if let Some(error) = broken {
            return Err(error);
        }
        if let Err(failure) = result {
            if saved < bytes.len() {
                self.store.extend_partial(release.sha256, saved as u64, &bytes[saved..])?;
            }
            let cause = failure.to_string();
            self.blame(failure);
            return Ok(Event::FetchFailed(cause));
        }
        if bytes.len() as u64 != release.bytes || Digest::of(&bytes) != release.sha256 {
            self.store.drop_partial(release.sha256)?;
            let cause =
                format!("{}: the bytes received are not the ones that metadata promises", candidate.target);
            self.blame(Failure::Refused(cause.clone()));
            return Ok(Event::FetchFailed(cause));
        }
        self.bytes = bytes;
        Ok(Event::Fetched)
    }
}
