//! Runs models when told to, so that another program can time several runtimes in turns: lines on stdin, one answer
//! line each on stdout, `ok …` or `error …`.
//!
//! ```text
//! load NAME samara FILE.samara       ok
//! load NAME RUNTIME FILE.onnx 1x3    ok, where built with `--features RUNTIME`; one float input of this shape
//! time NAME CALLS                    ok NANOSECONDS…, one per call; inputs are written again before each, untimed
//! ```

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(any(feature = "burn", feature = "candle"))]
mod floats;
mod samara;
#[cfg(feature = "tract")]
mod tract;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// A loaded model.
trait Model {
    /// Writes the inputs, where a call spoils them.
    fn prepare(&mut self) -> Result<(), String> {
        Ok(())
    }
    /// One inference.
    fn call(&mut self) -> Result<(), String>;
}

/// Loads a model with the first word's runtime.
type Load = fn(&Path, &[usize]) -> Result<Box<dyn Model>, String>;

/// Runtimes by name; those that take minutes to compile only where they are asked for.
const RUNTIMES: &[(&str, Option<Load>)] = &[
    ("samara", Some(|path, _| Ok(Box::new(samara::Samara::load(path)?)))),
    #[cfg(feature = "tract")]
    (
        "tract",
        Some(|path, shape| Ok(Box::new(tract::Tract::load(path, shape).map_err(|e| format!("{e:#}"))?))),
    ),
    #[cfg(not(feature = "tract"))]
    ("tract", None),
    #[cfg(feature = "candle")]
    (
        "candle",
        Some(|path, shape| Ok(Box::new(candle::Candle::load(path, shape).map_err(|e| e.to_string())?))),
    ),
    #[cfg(not(feature = "candle"))]
    ("candle", None),
    #[cfg(feature = "burn")]
    ("burn", Some(|path, shape| Ok(Box::new(burn::Burn::load(path, shape)?)))),
    #[cfg(not(feature = "burn"))]
    ("burn", None),
];

fn load(name: &str, path: &Path, shape: Option<&str>) -> Result<Box<dyn Model>, String> {
    let (_, load) = RUNTIMES.iter().find(|r| r.0 == name).ok_or_else(|| format!("'{name}' is no runtime"))?;
    let load = load.ok_or_else(|| format!("built without --features {name}"))?;
    let shape: Result<Vec<usize>, _> =
        shape.map_or(Ok(Vec::new()), |s| s.split('x').map(str::parse).collect());
    load(path, &shape.map_err(|e| format!("shape: {e}"))?)
}

/// What a float input of this shape holds.
#[cfg(any(feature = "burn", feature = "candle", feature = "tract"))]
fn levels(shape: &[usize]) -> Vec<f32> {
    (0..shape.iter().product()).map(|k: usize| (k % 17) as f32 * 0.1 - 0.8).collect()
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
