//! Runs a model and counts the levels that differ from float64.

use std::collections::BTreeMap;

use samara_packager::bundle;
use samara_packager::files::AlignedBytes;
use samara_packager::import::{self, Options};
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Graph, Op};
use samara_packager::{passes, plan};
use samara_runtime::bundle::Bundle;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Session, Shape, ops};

use crate::net::{FLOAT, INT8, INT16, Net, UINT8};
use crate::real::T;

/// Random inputs per model.
const FEEDS: u64 = 4;

/// What is expected of a model's operators.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Expect {
    /// Integer steps only, apart from Quantize and Dequantize at the model's boundary.
    Integer,
    /// Some float steps between Dequantize and Quantize.
    Float,
    /// Either, as long as the levels are right.
    Any,
}

#[derive(Clone, Copy, Default, Debug)]
struct Line {
    models: usize,
    levels: usize,
    differing: usize,
    worst: f64,
    float: usize,
}

/// Counts by operator.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<String, Line>);

/// The graph that would be planned.
pub(crate) fn import(net: &Net) -> Result<Graph, String> {
    let text = |e: samara_packager::Error| e.to_string();
    let mut graph = import::parse(&net.bytes(), "m", "onnx", &Options::default()).map_err(text)?;
    passes::run(&mut graph).map_err(text)?;
    passes::prepare_for_lowering(&mut graph).map_err(text)?;
    import::check::check(&graph).map_err(text)?;
    Ok(graph)
}

/// Operators that compute in floats; those that only move them do not count.
pub(crate) fn float_operators(graph: &Graph) -> Vec<&'static str> {
    let float = |n: &&samara_packager::ir::Node| {
        let moves = n.op == Op::Quantize || n.op.keeps_levels();
        graph.input(n, 0).is_some_and(|t| t.dtype == Dtype::F32) && !moves
    };
    graph.nodes.iter().filter(float).map(|n| n.op.name()).collect()
}

impl Tally {
    /// Every output level of a model is within 1 of float64; counted under `label`.
    pub(crate) fn check(&mut self, label: &str, net: &Net, expect: Expect) -> Graph {
        let graph = import(net).unwrap_or_else(|e| panic!("{label}: {e}"));
        let float = float_operators(&graph);
        match expect {
            Expect::Integer => assert!(float.is_empty(), "{label} keeps {float:?}\n{:#?}", graph.nodes),
            Expect::Float => assert!(!float.is_empty(), "{label} has no float operator left"),
            Expect::Any => {}
        }
        let interpreter = Interpreter::new(&graph).unwrap_or_else(|e| panic!("{label}: {e}"));
        let line = self.0.entry(label.to_owned()).or_default();
        line.models += 1;
        line.float += usize::from(!float.is_empty());
        for feed in 0..FEEDS {
            let feeds = net.feeds(feed);
            let inputs = feeds.iter().zip(&net.inputs).map(|(t, i)| value(t, i.kind)).collect();
            let inputs: Vec<Value> = inputs;
            let bytes: Vec<Vec<u8>> = inputs.iter().map(|v| v.bytes().to_vec()).collect();
            let got = interpreter.run(inputs, |_, _| Ok(())).unwrap_or_else(|e| panic!("{label}: {e}"));
            if feed == 0 {
                let device = on_device(&graph, &bytes).unwrap_or_else(|e| panic!("{label}: {e}"));
                assert!(got.iter().map(Value::bytes).eq(device.iter().map(Vec::as_slice)), "{label}");
            }
            let want = net.evaluate(&feeds);
            assert_eq!(got.len(), want.len());
            for ((got, want), (name, _, step)) in got.iter().zip(&want).zip(&net.outputs) {
                let dims: Vec<usize> = got.desc.shape.dims().iter().map(|&d| d as usize).collect();
                assert_eq!(dims, want.dims, "{label}: {name}");
                for (&w, g) in want.v.iter().zip(elements(got)) {
                    let off = ((g - w) / step).abs();
                    assert!(off < 1.01, "{label}: {name} holds {g}, float64 has {w}: {off} levels");
                    line.levels += 1;
                    line.differing += usize::from(off > 0.01);
                    line.worst = line.worst.max(off.round());
                }
            }
        }
        graph
    }
}

/// The outputs of a bundle.
fn on_device(graph: &Graph, inputs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, samara_packager::Error> {
    let plan = plan::plan(graph, plan::Kernels::HOST)?;
    let bytes = AlignedBytes::new(&bundle::bare("m", &plan)?);
    let parsed = Bundle::check(&bytes)?;
    let session = Session::load(&parsed, ops::ALL)?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut run = session.bind(&mut arena)?;
    for (i, bytes) in inputs.iter().enumerate() {
        run.input(i)?.copy_from_bytes(bytes)?;
    }
    run.run()?;
    (0..graph.outputs.len()).map(|o| Ok(run.output(o)?.bytes().to_vec())).collect()
}

impl Drop for Tally {
    fn drop(&mut self) {
        for (label, l) in &self.0 {
            let share = 100.0 * l.differing as f64 / l.levels.max(1) as f64;
            let Line { models, levels, worst, float, .. } = l;
            println!(
                "{label}: {models} models ({float} with float steps), {levels} levels, {share:.4} % differ, at most \
                 {worst} LSB"
            );
        }
    }
}

pub(crate) fn value(t: &T, kind: i32) -> Value {
    let dims: Vec<u32> = t.dims.iter().map(|&d| d as u32).collect();
    let desc = |dtype| Desc::new(dtype, Shape::new(&dims).unwrap());
    match kind {
        FLOAT => Value::new(desc(Dtype::F32), &t.v.iter().map(|&x| x as f32).collect::<Vec<_>>()),
        INT8 => Value::new(desc(Dtype::I8), &t.v.iter().map(|&x| x as i8).collect::<Vec<_>>()),
        UINT8 => Value::new(desc(Dtype::U8), &t.v.iter().map(|&x| x as u8).collect::<Vec<_>>()),
        INT16 => Value::new(desc(Dtype::I16), &t.v.iter().map(|&x| x as i16).collect::<Vec<_>>()),
        other => panic!("type {other} is no input here"),
    }
    .unwrap()
}

fn elements(v: &Value) -> Vec<f64> {
    match v.desc.dtype {
        Dtype::F32 => v.elements::<f32>().iter().map(|&x| x.into()).collect(),
        Dtype::I8 => v.elements::<i8>().iter().map(|&x| x.into()).collect(),
        Dtype::U8 => v.elements::<u8>().iter().map(|&x| x.into()).collect(),
        Dtype::I16 => v.elements::<i16>().iter().map(|&x| x.into()).collect(),
        Dtype::I32 => v.elements::<i32>().iter().map(|&x| x.into()).collect(),
        other => panic!("{other:?} is no output here"),
    }
}
