//! A loaded bundle on a thread of its own.
//!
//! The session borrows the bundle's bytes, and both live on the thread's stack; when the last [`Engine`] handle goes,
//! the thread ends and everything is freed. That is what makes a hot swap safe without leaking or unsafe code.

use crate::{
    bundle::{BundleModel, identity},
    model::Identity,
};
use samara_runtime::session::{Resolved, ResolvedStep};
use samara_runtime::{AlignedBytes, Bundle, Desc, Error, Session, bundle::Tag};
use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Instant,
};

/// An input or output of the model.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name; `input_N` or `output_N` where the bundle gives none.
    pub name: String,
    /// Type, shape, quantization.
    pub desc: Desc,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Little-endian elements of each output.
    pub outputs: Vec<Vec<u8>>,
    /// Time to compute it.
    pub seconds: f64,
}

struct Job {
    inputs: Vec<Vec<u8>>,
    reply: Sender<Result<Answer, Error>>,
}

/// A handle to a loaded model; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    /// What runs.
    pub identity: Identity,
    /// Inputs, in order.
    pub inputs: Vec<Port>,
    /// Outputs, in order.
    pub outputs: Vec<Port>,
    jobs: Sender<Job>,
}

impl Engine {
    /// Verifies, loads and starts the bundle in `bytes`.
    ///
    /// # Errors
    /// Why it does not verify or load.
    pub fn start(model: &BundleModel, bytes: &[u8]) -> Result<Self, String> {
        let (model, bytes) = (model.clone(), AlignedBytes::new(bytes));
        let (ready, started) = channel();
        let (jobs, queue) = channel();
        let body = move || {
            let bundle = match model.open(&bytes) {
                Ok(bundle) => bundle,
                Err(cause) => return drop(ready.send(Err(cause))),
            };
            let loaded = model.load(&bundle).and_then(|session| {
                let ports = ports(&bundle, &session).map_err(|error| error.to_string())?;
                Ok((session, ports))
            });
            match loaded {
                Ok((session, (inputs, outputs))) => {
                    drop(ready.send(Ok((identity(&bundle), inputs, outputs))));
                    work(&session, &queue);
                }
                Err(cause) => drop(ready.send(Err(cause))),
            }
        };
        thread::Builder::new()
            .name("inference".to_owned())
            .spawn(body)
            .map_err(|error| format!("no thread for inference: {error}"))?;
        let (identity, inputs, outputs) =
            started.recv().map_err(|_| "the inference thread ended".to_owned())??;
        Ok(Self { identity, inputs, outputs, jobs })
    }

    /// Runs the model once. Inputs are little-endian elements, in the order of [`Engine::inputs`].
    ///
    /// # Errors
    /// The runtime's error.
    pub fn infer(&self, inputs: Vec<Vec<u8>>) -> Result<Answer, Error> {
        let (reply, answer) = channel();
        self.jobs.send(Job { inputs, reply }).map_err(|_| Error::Internal)?;
        answer.recv().map_err(|_| Error::Internal)?
    }
}

fn work(session: &Session<'_>, queue: &Receiver<Job>) {
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut room = vec![ResolvedStep::EMPTY; session.steps()];
    // Steps that load has passed are found again; were they not, clients would hear that nobody computes.
    let Ok(resolved) = session.resolve(&mut room) else { return };
    let outputs = usize::from(session.plan().header.outputs);
    while let Ok(job) = queue.recv() {
        let started = Instant::now();
        let answer = run(&resolved, outputs, &mut arena, &job.inputs);
        let seconds = started.elapsed().as_secs_f64();
        // A client that went away has no use for its answer.
        drop(job.reply.send(answer.map(|outputs| Answer { outputs, seconds })));
    }
}

fn run(
    resolved: &Resolved<'_, '_>,
    outputs: usize,
    arena: &mut [u8],
    inputs: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, Error> {
    let mut run = resolved.bind(arena)?;
    for (index, bytes) in inputs.iter().enumerate() {
        run.input(index)?.copy_from_bytes(bytes)?;
    }
    run.run()?;
    (0..outputs).map(|index| Ok(run.output(index)?.bytes().to_vec())).collect()
}

fn ports(bundle: &Bundle<'_>, session: &Session<'_>) -> Result<(Vec<Port>, Vec<Port>), Error> {
    let plan = session.plan();
    let list = |tag, kind: &str, count: u16, id: &dyn Fn(usize) -> Result<u16, Error>| {
        let mut names = bundle.manifest.strings(tag);
        (0..usize::from(count))
            .map(|index| {
                let name = names.next().map_or_else(|| format!("{kind}_{index}"), str::to_owned);
                Ok(Port { name, desc: plan.tensor(id(index)?)?.desc })
            })
            .collect::<Result<Vec<Port>, Error>>()
    };
    let inputs = list(Tag::Input, "input", plan.header.inputs, &|index| plan.input(index))?;
    let outputs = list(Tag::Output, "output", plan.header.outputs, &|index| plan.output(index))?;
    Ok((inputs, outputs))
}
