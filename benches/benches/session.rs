//! What surrounds kernels: verification, load, the walk over a run's steps. Of MLPerf Tiny's keyword spotter where
//! ../shared has it, else of the project's own vibration model.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use samara_benches::{time, walk};
use samara_packager::files::AlignedBytes;
use samara_packager::pipeline::{self, Options};
use samara_packager::{import, sign, target};
use samara_runtime::bundle::verify::Trust;
use samara_runtime::session::ResolvedStep;
use samara_runtime::{Bundle, Session, ops};

fn model() -> (&'static str, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let kws = root.join("../shared/models/mlperf-tiny/kws_dscnn_int8.tflite");
    match kws.is_file() {
        true => ("kws", kws),
        false => ("vibration", root.join("models/vibration/model.onnx")),
    }
}

fn session(c: &mut Criterion) {
    let (name, path) = model();
    let source = pipeline::import(&path, &import::Options::default()).expect("a model");
    let packed = pipeline::pack(&path, source, &Options::new(&target::PROFILES[0])).expect("a bundle");
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut signed = packed.bytes;
    sign::sign(&mut signed, &key).expect("a free slot");
    let bytes = AlignedBytes::new(&signed);
    let keys = [key.verifying_key().to_bytes()];
    let trust = Trust { keys: &keys, threshold: 1 };

    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("verify", |b| b.iter(|| Bundle::verify(black_box(&bytes), &trust).is_ok()));
    group.finish();

    let mut group = c.benchmark_group(name);
    group.bench_function("parse", |b| b.iter(|| Bundle::parse(black_box(&bytes)).is_ok()));
    let bundle = Bundle::check(&bytes).expect("a bundle");
    group.bench_function("load", |b| b.iter(|| black_box(Session::load(&bundle, ops::ALL)).is_ok()));
    let empty = walk::empty_operators();
    for (what, ops, is_resolved) in [
        ("run", ops::ALL, false),
        ("run, resolved", ops::ALL, true),
        ("run without kernels", empty, false),
        ("run without kernels, resolved", empty, true),
    ] {
        let session = Session::load(&bundle, ops).expect("loads");
        let mut room = vec![ResolvedStep::EMPTY; session.steps()];
        let resolved = session.resolve(&mut room).expect("room for every step");
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let run = if is_resolved { resolved.bind(&mut arena) } else { session.bind(&mut arena) };
        let mut run = run.expect("an arena of its size");
        time::fill_inputs(&mut run, &session).expect("inputs");
        group.bench_function(what, |b| b.iter(|| black_box(run.run()).is_ok()));
    }
    group.finish();
}

criterion_group!(benches, session);
criterion_main!(benches);
