//! Plans cut for threads: the same bits on any number of them, and several steps at a time.

use samara_packager::ir::Numeric;
use samara_packager::plan::{Kernels, Plan, threads};
use samara_packager::quantize::Activations;
use samara_runtime::session::ResolvedStep;
use samara_runtime::{AlignedBytes, Bundle, Choice, Session, ops};

use crate::net::{Random, graph, planned};
use crate::run::{bundle, run};
use crate::{KERNELS, input};

/// Outputs on so many threads, and the most steps that ran at once.
fn run_on(plan: &Plan, input: &[u8], count: usize) -> (Vec<Vec<u8>>, usize) {
    let bytes = bundle(plan);
    let bundle = Bundle::check(&bytes).expect("a bundle");
    let session = Session::load(&bundle, ops::ALL).unwrap_or_else(|e| panic!("{e:?}"));
    let mut room = vec![ResolvedStep::EMPTY; session.steps()];
    let resolved = session.resolve(&mut room).unwrap();
    let threads = resolved.threads_for(count, 1).unwrap();
    let mut arena = AlignedBytes::zeros(plan.arena);
    let mut run = resolved.bind(&mut arena).unwrap();
    // Twice: what a run leaves behind must not matter.
    for _ in 0..2 {
        run.input(0).unwrap().copy_from_bytes(input).unwrap();
        run.run_on(&threads).unwrap();
    }
    let outputs = (0..plan.outputs.len()).map(|i| run.output(i).unwrap().bytes().to_vec()).collect();
    (outputs, threads.groups().iter().map(|g| g.len()).max().unwrap_or(0))
}

#[test]
fn threads_change_no_bit() {
    let (mut cut, mut together) = (0, 0);
    for seed in 0..120 {
        let mut random = Random(1000 + seed);
        let nodes = random.within(2, 9);
        let graph = graph(&mut random, nodes);
        let (activations, kernels) =
            (random.pick(&[Activations::Int8, Activations::Int8, Activations::F32]), random.pick(&KERNELS));
        let plan = planned(&graph, activations, Numeric::Single, kernels, &mut random);
        let x = input(&plan, &mut random);
        let expected = run(&plan, &x, 0, Choice::Auto);
        let strips = random.within(2, 5);
        let split = threads::split_for(&plan, strips, 1).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        cut += usize::from(split.steps.len() > plan.steps.len());
        assert_eq!(run(&split, &x, 0x55, Choice::Auto), expected, "seed {seed}, in turn");
        for count in [1, 2, 4] {
            let (outputs, most) = run_on(&split, &x, count);
            assert_eq!(outputs, expected, "seed {seed}, {count} threads");
            together += usize::from(most > 1);
        }
    }
    println!("{cut} plans cut, {together} runs with several steps at once");
    assert!(cut > 60 && together > 3 * 60, "{cut} {together}");
}

#[test]
fn threads_of_another_session_are_refused() {
    let mut random = Random(5);
    let graph = graph(&mut random, 4);
    let plan = planned(&graph, Activations::Int8, Numeric::Single, Kernels::HOST, &mut random);
    let bytes = bundle(&plan);
    let bundle = Bundle::check(&bytes).unwrap();
    let [one, other] = [0, 1].map(|_| Session::load(&bundle, ops::ALL).unwrap());
    let mut room = vec![ResolvedStep::EMPTY; other.steps()];
    let threads = other.resolve(&mut room).unwrap().threads(2).unwrap();
    let mut arena = AlignedBytes::zeros(one.arena_bytes());
    let refused = one.bind(&mut arena).unwrap().run_on(&threads).unwrap_err();
    assert_eq!(refused, samara_runtime::Error::Mismatch);
}

#[test]
fn what_is_too_small_for_a_thread_stays_whole() {
    let mut random = Random(9);
    let graph = graph(&mut random, 6);
    let plan = planned(&graph, Activations::Int8, Numeric::Single, Kernels::HOST, &mut random);
    assert_eq!(threads::split(&plan, 4).unwrap().steps.len(), plan.steps.len());
}
