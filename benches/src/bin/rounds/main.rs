//! Runs models when told to, so that another program can time several runtimes in turns: lines on stdin, one answer
//! line each on stdout, `ok …` or `error …`.
//!
//! ```text
//! load NAME samara FILE.samara     ok
//! load NAME tract FILE.onnx 1x3    ok, where built with `--features tract`; one float input of this shape
//! time NAME CALLS                  ok NANOSECONDS…, one per call; inputs are written again before each, untimed
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use samara_packager::files::{self, AlignedBytes};
use samara_runtime::session::ResolvedStep;
use samara_runtime::{Bundle, Run, Session, ops};

/// A loaded model. The process ends with its last question, so models live as long as it.
trait Model {
    /// Writes the inputs.
    fn prepare(&mut self) -> Result<(), String>;
    /// One inference.
    fn call(&mut self) -> Result<(), String>;
}

struct Samara {
    run: Run<'static, 'static>,
    inputs: Vec<Vec<u8>>,
}

impl Samara {
    fn load(path: &Path) -> Result<Self, String> {
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

#[cfg(feature = "tract")]
mod tract {
    use std::path::Path;
    use std::sync::Arc;

    use tract_onnx::prelude::*;

    /// A float model, optimized.
    pub(crate) struct Tract {
        model: Arc<TypedRunnableModel>,
        inputs: TVec<TValue>,
    }

    impl Tract {
        pub(crate) fn load(path: &Path, shape: &[usize]) -> TractResult<Self> {
            let onnx = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
            let mut model = onnx.model_for_path(path)?;
            model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?;
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|k| (k % 17) as f32 * 0.1 - 0.8).collect();
            let inputs = tvec!(Tensor::from_shape(shape, &values)?.into_tvalue());
            Ok(Tract { model: model.into_optimized()?.into_runnable()?, inputs })
        }
    }

    impl super::Model for Tract {
        fn prepare(&mut self) -> Result<(), String> {
            Ok(())
        }

        fn call(&mut self) -> Result<(), String> {
            self.model.run(self.inputs.clone()).map(|_| ()).map_err(|e| e.to_string())
        }
    }
}

fn load(kind: &str, path: &Path, shape: Option<&str>) -> Result<Box<dyn Model>, String> {
    match (kind, shape) {
        ("samara", None) => Ok(Box::new(Samara::load(path)?)),
        #[cfg(feature = "tract")]
        ("tract", Some(shape)) => {
            let shape: Result<Vec<usize>, _> = shape.split('x').map(str::parse).collect();
            let shape = shape.map_err(|e| format!("shape: {e}"))?;
            Ok(Box::new(tract::Tract::load(path, &shape).map_err(|e| format!("{e:#}"))?))
        }
        #[cfg(not(feature = "tract"))]
        ("tract", Some(_)) => Err("built without --features tract".to_owned()),
        (other, _) => Err(format!("'{other}' with these arguments is no runtime")),
    }
}

fn time(model: &mut dyn Model, calls: usize) -> Result<String, String> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        model.prepare()?;
        let start = Instant::now();
        model.call()?;
        times.push(start.elapsed().as_nanos());
    }
    Ok(times.iter().map(u128::to_string).collect::<Vec<_>>().join(" "))
}

fn answer(line: &str, models: &mut BTreeMap<String, Box<dyn Model>>) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["load", name, kind, path, ref shape @ ..] if shape.len() < 2 => {
            models.insert(name.to_owned(), load(kind, Path::new(path), shape.first().copied())?);
            Ok(String::new())
        }
        ["time", name, calls] => {
            let model = models.get_mut(name).ok_or_else(|| format!("no model '{name}'"))?;
            time(&mut **model, calls.parse().map_err(|_| format!("'{calls}' is no count"))?)
        }
        _ => Err(format!("'{line}' is no question")),
    }
}

fn main() -> std::io::Result<()> {
    let mut models = BTreeMap::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        match answer(&line?, &mut models) {
            Ok(text) => writeln!(out, "ok {text}")?,
            Err(why) => writeln!(out, "error {}", why.replace('\n', " "))?,
        }
        out.flush()?;
    }
    Ok(())
}
