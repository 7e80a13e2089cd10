//! Plans as bundles, run.

use samara_packager::bundle;
use samara_packager::files::AlignedBytes;
use samara_packager::plan::Plan;
use samara_runtime::{Bundle, Choice, Session, ops};

/// The bundle of a plan.
pub(crate) fn bundle(plan: &Plan) -> AlignedBytes {
    AlignedBytes::new(&bundle::bare("net", plan).unwrap_or_else(|e| panic!("{e}")))
}

/// All outputs' bytes for the bytes of the input, in an arena that held `junk` before.
pub(crate) fn run(plan: &Plan, input: &[u8], junk: u8, choice: Choice) -> Vec<Vec<u8>> {
    let bytes = bundle(plan);
    let bundle = Bundle::check(&bytes).expect("a bundle");
    let session = Session::load_with(&bundle, ops::ALL, choice).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(session.arena_bytes(), plan.arena);
    let mut arena = AlignedBytes::zeros(plan.arena);
    arena.fill(junk);
    let mut run = session.bind(&mut arena).unwrap();
    run.input(0).unwrap().copy_from_bytes(input).unwrap();
    run.run().unwrap();
    (0..plan.outputs.len()).map(|i| run.output(i).unwrap().bytes().to_vec()).collect()
}
