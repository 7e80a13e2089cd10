//! A bundle, as an application runs it that calls often: resolved once.

use std::path::Path;

use samara_packager::files::{self, AlignedBytes};
use samara_runtime::session::ResolvedStep;
use samara_runtime::{Bundle, Run, Session, ops};

use crate::Model;

/// A bound session. The process ends with its last question, so what it borrows lives as long as it.
pub(crate) struct Samara {
    run: Run<'static, 'static>,
    inputs: Vec<Vec<u8>>,
}

impl Samara {
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let bytes: &'static AlignedBytes =
            Box::leak(Box::new(files::read_aligned(path).map_err(|e| e.to_string())?));
        let bundle = Bundle::check(bytes).map_err(|e| e.to_string())?;
        let session = Session::load(&bundle, ops::ALL).map_err(|e| e.to_string())?;
        let session: &'static Session<'static> = Box::leak(Box::new(session));
        let arena = Box::leak(Box::new(AlignedBytes::zeros(session.arena_bytes())));
        let room: &'static mut [ResolvedStep] = vec![ResolvedStep::EMPTY; session.steps()].leak();
        let resolved: &'static _ = Box::leak(Box::new(session.resolve(room).map_err(|e| e.to_string())?));
        let mut run = resolved.bind(arena).map_err(|e| e.to_string())?;
        samara_benches::time::fill_inputs(&mut run, session).map_err(|e| e.to_string())?;
        let mut inputs = Vec::new();
        for i in 0..usize::from(session.plan().header.inputs) {
            let id = session.plan().input(i).map_err(|e| e.to_string())?;
            inputs.push(run.tensor(id).map_err(|e| e.to_string())?.bytes().to_vec());
        }
        Ok(Samara { run, inputs })
    }
}

impl Model for Samara {
    fn prepare(&mut self) -> Result<(), String> {
        for (i, bytes) in self.inputs.iter().enumerate() {
            self.run.input(i).and_then(|mut x| x.copy_from_bytes(bytes)).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        self.run.run().map_err(|e| e.to_string())
    }
}
