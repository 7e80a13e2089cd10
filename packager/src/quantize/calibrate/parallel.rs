//! Samples side by side. Counts and extremes do not depend on who saw which sample, so threads change nothing.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use super::{Observations, Observe};
use crate::data::ahead;
use crate::error::{Error, Result};
use crate::interpret::Interpreter;
use crate::ir::Graph;

/// Most threads: each holds the activations of one run, and observers of its own.
const MAX_THREADS: usize = 8;

/// A sample and its number.
type Numbered = (usize, Vec<Value>);
/// Samples that wait; closed when its last owner is gone.
type Queue = Arc<Mutex<Receiver<Numbered>>>;
/// An error and the number of the sample that it came with.
type Fault = (usize, Error);

/// Runs the samples on as many threads as there are processors; the fault of the least number wins.
pub(super) fn observe(
    interpreter: &Interpreter<'_>,
    graph: &Graph,
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    what: Observe,
) -> Result<Observations> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let bytes = graph.inputs.iter().filter_map(|&t| graph.tensors[t].bytes()).sum();
    let (sender, receiver) = sync_channel(ahead(bytes));
    let work = Work { interpreter, graph, what, fault_at: AtomicUsize::new(usize::MAX) };
    let queue = Arc::new(Mutex::new(receiver));
    std::thread::scope(|scope| {
        let worker = |queue| scope.spawn(|| work.run(queue));
        let workers: Vec<_> = std::iter::repeat_n(queue, threads).map(worker).collect();
        let mut fault: Option<Fault> = None;
        for (n, sample) in samples.enumerate() {
            match sample {
                Ok(_) if work.fault_at.load(Ordering::Relaxed) < n => break,
                // Threads take all that is sent; nobody listens only when all of them have panicked.
                Ok(sample) => {
                    if sender.send((n, sample)).is_err() {
                        break;
                    }
                }
                Err(e) => {
                    fault = Some((n, e));
                    break;
                }
            }
        }
        drop(sender);
        let mut all = Observations::none(graph);
        for worker in workers {
            let (seen, own) = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.merge(seen);
            fault = [fault, own].into_iter().flatten().min_by_key(|f| f.0);
        }
        fault.map_or(Ok(all), |f| Err(f.1))
    })
}

/// What the threads share.
struct Work<'a> {
    interpreter: &'a Interpreter<'a>,
    graph: &'a Graph,
    what: Observe,
    /// The least number of a sample with a fault so far.
    fault_at: AtomicUsize,
}

impl Work<'_> {
    /// Takes samples until there are no more. Those before a fault are still run: one may have a fault too.
    fn run(&self, queue: Queue) -> (Observations, Option<Fault>) {
        let (mut seen, mut fault) = (Observations::none(self.graph), None);
        while let Some((n, sample)) = next(&queue) {
            if self.fault_at.load(Ordering::Relaxed) < n {
                continue;
            }
            match self.one(n, sample, &mut seen) {
                Ok(()) => seen.samples += 1,
                Err(e) => {
                    self.fault_at.fetch_min(n, Ordering::Relaxed);
                    // A thread gets its samples in order, and runs none behind its own fault.
                    fault = Some((n, e));
                }
            }
        }
        (seen, fault)
    }

    fn one(&self, n: usize, sample: Vec<Value>, seen: &mut Observations) -> Result<()> {
        let observed = self.interpreter.run(sample, |t, value| {
            if value.desc.dtype == Dtype::F32 && !seen.add(self.graph, t, value, self.what) {
                let name = &self.graph.tensors[t].name;
                let cause = format!("tensor '{name}' is not finite on calibration sample {n}");
                return Err(Error::invalid(cause));
            }
            Ok(())
        });
        observed.map(|_| ())
    }
}

fn next(queue: &Queue) -> Option<Numbered> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
