//! Samples read ahead by a thread of their own, a few at a time.
//!
//! An archive's reader borrows the archive, so both live on the stack of that thread; unpacking also overlaps
//! with whatever is done with the samples. The order is that of the files.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use samara_runtime::ops::eval::Value;

use super::part::Part;
use super::samples::InputSpec;
use crate::error::{Error, Result};

/// Bytes of samples that wait to be taken, beyond [`LEAST_AHEAD`].
const AHEAD_BYTES: usize = 1 << 20;
/// Fewest samples that may wait.
const LEAST_AHEAD: usize = 2;
/// Most: waking a thread for every sample takes longer than computing a small one.
const MOST_AHEAD: usize = 32;

/// How many samples of so many bytes may wait between threads.
pub(crate) fn ahead(bytes: usize) -> usize {
    (AHEAD_BYTES / bytes.max(1)).clamp(LEAST_AHEAD, MOST_AHEAD)
}

/// What is read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) specs: Vec<InputSpec>,
    /// Not empty.
    pub(super) parts: Vec<Part>,
}

/// Every `step`th of the samples from `start` on, `len` of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Selection {
    pub(super) start: usize,
    /// At least 1.
    pub(super) step: usize,
    pub(super) len: usize,
}

/// Samples in order; ends after the first error.
#[derive(Debug)]
pub struct Stream {
    receiver: Receiver<Result<Vec<Value>>>,
    left: usize,
}

impl Stream {
    /// Starts to read.
    pub(super) fn new(source: Arc<Source>, selection: Selection) -> Self {
        let (sender, receiver) =
            sync_channel(ahead(source.specs.iter().fold(0, |n, s| s.desc.bytes().saturating_add(n))));
        let for_thread = sender.clone();
        let run = move || {
            if let Err(e) = produce(&source, selection, &for_thread) {
                // Nobody waits for the error of a stream that was dropped.
                let _ = for_thread.send(Err(e));
            }
        };
        if let Err(e) = std::thread::Builder::new().name("samples".into()).spawn(run) {
            // The channel is empty and has room.
            let _ = sender.send(Err(Error::invalid(format!("no thread to read data ({e})"))));
        }
        Stream { receiver, left: selection.len }
    }
}

fn produce(source: &Source, selection: Selection, to: &SyncSender<Result<Vec<Value>>>) -> Result<()> {
    let Selection { start, step, len } = selection;
    let mut first = 0;
    let mut next = start;
    let mut left = len;
    for part in &source.parts {
        let behind = first + part.count;
        let wanted = std::iter::from_fn(|| {
            (left > 0 && next < behind).then(|| {
                let n = next - first;
                left -= 1;
                next = next.saturating_add(step);
                n
            })
        });
        let mut wanted = wanted.peekable();
        // Files without a wanted sample are not opened.
        if wanted.peek().is_some() && !part.read(&source.specs, wanted, |v| to.send(Ok(v)).is_ok())? {
            return Ok(());
        }
        first = behind;
    }
    Ok(())
}

impl Iterator for Stream {
    type Item = Result<Vec<Value>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = self.receiver.recv().unwrap_or_else(|_| Err(Error::invalid("reading the data broke off")));
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}
