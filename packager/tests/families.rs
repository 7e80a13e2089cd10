//! Bundles with a plan for each of several families of processors.

use std::path::{Path, PathBuf};

use samara_packager::data::samples::Samples;
use samara_packager::files::AlignedBytes;
use samara_packager::pipeline::{self, Options, Tuning};
use samara_packager::quantize::{RangeMethod, WeightRounding};
use samara_packager::{import, target};
use samara_runtime::bundle::{Family, Kind};
use samara_runtime::{Bundle, Session, ops};

const TARGETS: [&str; 6] = ["cortex-m4", "portable", "aarch64", "cortex-m7", "cortex-m0", "host"];

fn vibration(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration").join(file)
}

/// The vibration model as int8, quantized without trials.
fn pack(targets: &[&str]) -> AlignedBytes {
    let model = vibration("model.onnx");
    let source = pipeline::import(&model, &import::Options::default()).unwrap();
    let data = Samples::read(&vibration("calibrate.npz"), &source).unwrap();
    let profiles: Vec<_> = targets.iter().map(|name| target::find(name).unwrap()).collect();
    let tuning = Tuning {
        range: Some(RangeMethod::MinMax),
        equalize: Some(false),
        correct_bias: Some(false),
        rounding: Some(WeightRounding::Nearest),
    };
    let options = Options {
        also: profiles[1..].to_vec(),
        calibration: Some(&data),
        tuning,
        ..Options::new(profiles[0])
    };
    AlignedBytes::new(&pipeline::pack(&model, source, &options).unwrap().bytes)
}

/// The golden vectors' outputs are in the bundle; every byte of them must come out.
fn self_test(bundle: &Bundle<'_>) {
    let session = Session::load(bundle, ops::ALL).unwrap();
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    session.bind(&mut arena).unwrap().self_test(&bundle.golden.unwrap()).unwrap();
}

#[test]
fn every_family_gets_the_plan_of_a_bundle_of_its_own() {
    let all = pack(&TARGETS);
    let mut families: Vec<u16> = Vec::new();
    for name in TARGETS {
        let family = target::find(name).unwrap().kernels.family();
        let alone = pack(&[name]);
        let (one, many) = (Bundle::check(&alone).unwrap(), Bundle::check_for(&all, family).unwrap());
        for kind in [Kind::Plan, Kind::Weights, Kind::Names, Kind::Golden] {
            assert!(one.sections.get(kind) == many.sections.get(kind), "{name}: {}", kind.name());
        }
        assert_eq!(one.manifest.contract(), many.manifest.contract());
        self_test(&many);
        families.push(family as u16);
    }
    families.sort_unstable();
    families.dedup();
    let bundle = Bundle::check(&all).unwrap();
    let plans = bundle.sections.iter().filter(|s| s.kind == Kind::Plan as u16);
    assert_eq!(
        plans.map(|s| s.family).collect::<Vec<_>>(),
        families,
        "one plan each, Cortex-M7's is Cortex-M4's"
    );
}

#[test]
fn what_runs_here_is_made_for_here_or_else_the_first() {
    let both = pack(&["aarch64", "host", "cortex-m4"]);
    let [here, first] = [Family::HERE, Family::Folded].map(|f| Bundle::check_for(&both, f).unwrap().plan);
    assert_eq!(Bundle::check(&both).unwrap().plan.header, here.header);
    let foreign = pack(&["aarch64"]);
    let (alone, chosen) = (Bundle::check(&foreign).unwrap(), first);
    assert_eq!(alone.plan.header, chosen.header, "none is for Cortex-M0: the first in order of families");
    self_test(&alone);
}
