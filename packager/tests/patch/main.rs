//! Patched plans against the same plans without patches.

mod net;
mod run;
mod threads;

use std::collections::BTreeMap;
use std::path::PathBuf;

use net::{Random, graph, planned};
use run::{bundle, run};
use samara_packager::ir::Numeric;
use samara_packager::plan::patch::{Chain, Patching, apply, patch, unroll};
use samara_packager::plan::{Kernels, Plan};
use samara_packager::quantize::Activations;
use samara_packager::{compare, import, passes};
use samara_runtime::Choice;
use samara_runtime::bundle::limits;

const KERNELS: [Kernels; 5] =
    [Kernels::Reference, Kernels::X86_64, Kernels::Signed, Kernels::CortexMDsp, Kernels::Folded];

/// Random bytes that fill the plan's input; floats are kept small.
fn input(plan: &Plan, random: &mut Random) -> Vec<u8> {
    let desc = plan.tensors[plan.inputs[0]].desc;
    if desc.dtype == samara_runtime::Dtype::F32 {
        let one = |_| (random.next() >> 40) as f32 / (1 << 22) as f32 - 2.0;
        return (0..desc.shape.elements()).map(one).flat_map(f32::to_le_bytes).collect();
    }
    (0..desc.bytes()).map(|_| random.next() as u8).collect()
}

/// Every way to cut a plan that there is room for, thinned out at random to `most`.
fn cuts(plan: &Plan, random: &mut Random, most: usize) -> Vec<(Chain, Plan)> {
    let mut found = Vec::new();
    for _ in 0..most * 40 {
        let first = random.within(0, plan.steps.len() - 1);
        let last = random.within(first, plan.steps.len() - 1);
        let rows = plan.tensors[plan.steps[last].outputs[0]].desc.shape.dim(1);
        let sizes: Vec<usize> =
            (first..=last).map(|s| plan.tensors[plan.steps[s].outputs[0]].desc.bytes()).collect();
        let below = random.pick(&sizes) - 1;
        let whole = random.pick(&[0, usize::MAX, below]);
        let chain = Chain { first, last, strips: random.within(1, rows), whole };
        if unroll(plan, std::slice::from_ref(&chain)).unwrap().is_some() {
            let patched = apply(plan, vec![chain.clone()]).unwrap_or_else(|e| panic!("{chain:?}: {e}"));
            found.push((chain, patched));
        }
        if found.len() == most {
            break;
        }
    }
    found
}

fn same_bits(activations: Activations, seeds: std::ops::Range<u64>) {
    let (mut compared, mut strips, mut recomputed) = (0, 0, 0);
    for seed in seeds {
        let mut random = Random(seed);
        let nodes = random.within(2, 9);
        let graph = graph(&mut random, nodes);
        if graph.nodes.is_empty() {
            continue;
        }
        let kernels = random.pick(&KERNELS);
        let numeric = random.pick(&[Numeric::Single, Numeric::Tflite]);
        let plan = planned(&graph, activations, numeric, kernels, &mut random);
        let x = input(&plan, &mut random);
        let want = run(&plan, &x, 0, Choice::Auto);
        for (chain, patched) in cuts(&plan, &mut random, 6) {
            for (junk, choice) in [(0x55, Choice::Auto), (0xff, Choice::Reference)] {
                let got = run(&patched, &x, junk, choice);
                assert_eq!(got, want, "seed {seed}, {kernels:?}, {chain:?}, {} steps", plan.steps.len());
            }
            compared += 1;
            strips += usize::from(chain.strips > 1);
            recomputed += usize::from(patched.macs() > plan.macs());
        }
    }
    println!("{compared} plans compared, {strips} in several strips, {recomputed} compute rows again");
    assert!(compared > 60 && strips * 2 > compared && recomputed > 0);
}

#[test]
fn int8_outputs_are_the_same_bits() {
    same_bits(Activations::Int8, 0..60);
}

#[test]
fn int16_outputs_are_the_same_bits() {
    same_bits(Activations::Int16, 1000..1040);
}

#[test]
fn float_outputs_are_the_same_bits() {
    same_bits(Activations::F32, 2000..2040);
}

#[test]
fn several_chains_go_together() {
    let mut compared = 0;
    for seed in 3000..3030 {
        let mut random = Random(seed);
        let graph = graph(&mut random, 10);
        let plan = planned(&graph, Activations::Int8, Numeric::Single, Kernels::Reference, &mut random);
        let mut chains = Vec::new();
        for (chain, _) in cuts(&plan, &mut random, 8) {
            let apart = |c: &Chain| c.last < chain.first || chain.last < c.first;
            if chains.iter().all(apart) {
                chains.push(chain);
            }
        }
        if chains.len() < 2 {
            continue;
        }
        let x = input(&plan, &mut random);
        let patched = apply(&plan, chains.clone()).unwrap_or_else(|e| panic!("{chains:?}: {e}"));
        let want = run(&plan, &x, 0, Choice::Auto);
        assert_eq!(run(&patched, &x, 0xaa, Choice::Auto), want, "seed {seed}, {chains:?}");
        compared += 1;
    }
    assert!(compared > 5, "{compared}");
}

#[test]
fn a_patch_is_accepted_only_where_it_helps() {
    let mut helped = 0;
    for seed in 4000..4016 {
        let mut random = Random(seed);
        let graph = graph(&mut random, 6);
        if graph.nodes.is_empty() {
            continue;
        }
        let plan = planned(&graph, Activations::Int8, Numeric::Single, Kernels::Reference, &mut random);
        let x = input(&plan, &mut random);
        let want = run(&plan, &x, 0, Choice::Auto);
        for patching in [Patching::Auto, Patching::Strips(3)] {
            let patched = patch(plan.clone(), patching, None).unwrap_or_else(|e| panic!("{e}"));
            assert!(patched.arena <= plan.arena, "seed {seed}: {} instead of {}", patched.arena, plan.arena);
            assert!(patched.macs() * 100 <= plan.macs() * 110);
            assert_eq!(run(&patched, &x, 0x33, Choice::Auto), want, "seed {seed}");
            helped += usize::from(patched.patched.is_some());
        }
        let off = patch(plan.clone(), Patching::Off, Some(16)).unwrap();
        let needless = patch(plan.clone(), Patching::AsNeeded, Some(plan.arena)).unwrap();
        for same in [off, needless] {
            assert_eq!(same.emit().unwrap(), plan.emit().unwrap());
            assert!(same.patched.is_none());
        }
    }
    println!("{helped} plans were patched");
    assert!(helped > 0);
}

/// A tall image through windows that all but pass it on: as many strips as it has rows.
#[test]
fn more_strips_than_a_plan_may_have_steps_are_refused() {
    use samara_packager::ir::{Graph, Op, Tensor};
    use samara_runtime::Dtype;
    use samara_runtime::ops::Function;
    let mut graph = Graph::new("tall", Numeric::Single);
    let x = graph.add(Tensor::new("x", Dtype::F32, vec![1, 3000, 1, 1]));
    graph.inputs.push(x);
    let mut t = x;
    for (n, function) in [Function::Exp, Function::Abs, Function::Tanh].into_iter().enumerate() {
        t = graph.push(&format!("n{n}"), Op::Unary { function }, &[Some(t)]).unwrap();
    }
    graph.outputs.push(t);
    passes::prepare_for_lowering(&mut graph).unwrap();
    let plan = samara_packager::plan::plan(&graph, Kernels::Reference).unwrap();
    let chain = |strips| [Chain { first: 0, last: 2, strips, whole: 0 }];
    assert!(plan.steps.len() == 3 && 3 * 3000 > limits::MAX_STEPS);
    assert!(unroll(&plan, &chain(3000)).unwrap().is_none());
    let (most, _) = unroll(&plan, &chain(2000)).unwrap().expect("6000 steps are allowed");
    assert_eq!(most.steps.len(), 6000);
    let error = apply(&plan, chain(3000).to_vec()).unwrap_err().to_string();
    assert!(error.contains("cannot be computed in strips"), "{error}");
}

/// Whether every row of every tensor is computed: windows may leave some out.
fn is_complete(plan: &Plan) -> bool {
    let mut ends: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for t in plan.steps.iter().map(|s| &plan.tensors[s.outputs[0]]) {
        if let Some(rows) = t.rows {
            let end = ends.entry(&t.name).or_insert((0, rows.of));
            end.0 = end.0.max(rows.first + t.desc.shape.dim(1));
        }
    }
    ends.values().all(|(end, of)| end == of)
}

#[test]
fn comparisons_put_strips_together() {
    let mut compared = 0;
    for seed in 5000..5016 {
        let mut random = Random(seed);
        let graph = graph(&mut random, 6);
        if graph.nodes.is_empty() {
            continue;
        }
        let plan = planned(&graph, Activations::Int8, Numeric::Single, Kernels::Reference, &mut random);
        let samples: Vec<_> = (0..2).map(|_| net::sample(&graph, &mut random)).collect();
        let layers = |plan: &Plan| {
            let samples = samples.iter().map(|s| Ok(vec![s.clone()]));
            compare::compare_alone(&graph, &bundle(plan), samples).unwrap_or_else(|e| panic!("{seed}: {e}"))
        };
        let want = layers(&plan);
        for (chain, patched) in cuts(&plan, &mut random, 4) {
            if is_complete(&patched) {
                assert_eq!(layers(&patched), want, "seed {seed}, {chain:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}

/// The plan of an MLPerf Tiny model, where the shared models are here.
fn shared(stem: &str, kernels: Kernels) -> Option<Plan> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/mlperf-tiny");
    let path = root.join(format!("{stem}_int8.tflite"));
    if !path.exists() {
        println!("SKIPPED {stem}: the shared models are not here");
        return None;
    }
    let mut graph = import::load(&path, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    passes::run(&mut graph).unwrap();
    passes::prepare_for_lowering(&mut graph).unwrap();
    Some(samara_packager::plan::plan(&graph, kernels).unwrap())
}

#[test]
fn the_shared_models_fit_less_memory() {
    // The arena that is asked for, kernel scratch included, and most percent of multiply-accumulates more.
    let models = [("vww_mobilenet", 36_000, 1.0), ("ic_resnet8", 24_000, 0.0), ("kws_dscnn", 10_000, 0.0)];
    for (stem, limit, extra) in models {
        for kernels in [Kernels::Reference, Kernels::CortexMDsp] {
            let Some(plan) = shared(stem, kernels) else { continue };
            let patched = patch(plan.clone(), Patching::AsNeeded, Some(limit)).unwrap();
            let least = patch(plan.clone(), Patching::Auto, None).unwrap();
            for (what, p) in [("as needed", &patched), ("least", &least)] {
                println!(
                    "{stem}, {kernels:?}, {what}: arena {} instead of {}, {:+.2} % MACs, {} steps instead of {}",
                    p.arena,
                    plan.arena,
                    p.patched.as_ref().map_or(0.0, |p| p.extra()),
                    p.steps.len(),
                    plan.steps.len()
                );
                assert!(p.arena <= limit);
                assert!(p.patched.as_ref().is_none_or(|p| p.extra() <= extra));
                let x = input(&plan, &mut Random(7));
                assert_eq!(run(p, &x, 0x5a, Choice::Auto), run(&plan, &x, 0, Choice::Auto));
            }
        }
    }
}

#[test]
fn a_large_mobile_network_takes_a_fraction() {
    let graph = net::mobile(160);
    let plan = planned(&graph, Activations::F32, Numeric::Single, Kernels::Reference, &mut Random(6));
    let start = std::time::Instant::now();
    let patched = patch(plan.clone(), Patching::Auto, None).unwrap_or_else(|e| panic!("{e}"));
    let p = patched.patched.as_ref().expect("strips help");
    println!("{:?}: {p:?}, {:+.2} % MACs", start.elapsed(), p.extra());
    assert!(p.arena[1] * 2 < p.arena[0] && p.extra() <= 10.0);
    let x = input(&plan, &mut Random(8));
    assert_eq!(run(&patched, &x, 0x11, Choice::Auto), run(&plan, &x, 0, Choice::Auto));
}
