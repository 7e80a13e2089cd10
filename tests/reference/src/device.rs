//! A model as a device runs it: imported, packed as f32, loaded from the bundle's bytes into a session.

use std::path::Path;

use samara_packager::bundle::Identity;
use samara_packager::data::Array;
use samara_packager::error::Result;
use samara_packager::files::AlignedBytes;
use samara_packager::import;
use samara_packager::ir::{Graph, Numeric};
use samara_packager::pipeline::{self, Options, Scheme};
use samara_packager::target;
use samara_runtime::bundle::Bundle;
use samara_runtime::{Session, ops};

/// A model packed as f32.
#[derive(Debug)]
pub struct Device {
    /// The graph after import and passes: names and shapes of inputs and outputs.
    pub source: Graph,
    bundle: AlignedBytes,
}

impl Device {
    /// Imports and packs a model file.
    pub fn load(model: &Path) -> Result<Self> {
        let source = pipeline::import(model, &import::Options::default())?;
        let options = Options { scheme: Some(Scheme::F32), ..Options::new(&target::PROFILES[0]) };
        let packed = pipeline::pack(model, source, &options)?;
        Ok(Device { source: packed.source, bundle: AlignedBytes::new(&packed.bytes) })
    }

    /// Names and shapes of the inputs, in order.
    pub fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        self.source
            .inputs
            .iter()
            .map(|&t| &self.source.tensors[t])
            .map(|t| (t.name.clone(), t.shape.clone()))
            .collect()
    }

    /// Runs every sample (arrays in the inputs' order) in one session; outputs in the graph's order.
    pub fn run(&self, samples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let bundle = Bundle::check(&self.bundle)?;
        let session = Session::load(&bundle, ops::ALL)?;
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let mut run = session.bind(&mut arena)?;
        let mut results = Vec::new();
        for sample in samples {
            for (i, array) in sample.iter().enumerate() {
                run.input(i)?.copy_from_bytes(&array.bytes)?;
            }
            run.run()?;
            let mut outputs = Vec::new();
            for (o, &t) in self.source.outputs.iter().enumerate() {
                let output = run.output(o)?;
                let desc = output.desc();
                outputs.push(Array {
                    name: self.source.tensors[t].name.clone(),
                    dtype: desc.dtype,
                    shape: desc.shape.dims().iter().map(|&d| d as usize).collect(),
                    bytes: output.bytes().to_vec(),
                });
            }
            results.push(outputs);
        }
        Ok(results)
    }
}
