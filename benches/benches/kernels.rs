//! The layers that networks are made of, at sizes that they have.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use samara_benches::layers::{Kind, Layers};
use samara_benches::time;
use samara_packager::files::AlignedBytes;
use samara_packager::plan::Kernels;
use samara_runtime::{Bundle, Dtype, Session, ops};

/// Kind, side of the image, channels.
const SHAPES: [(Kind, usize, usize); 8] = [
    (Kind::Conv(3), 32, 16),
    (Kind::Conv(3), 8, 64),
    (Kind::Conv(1), 24, 64),
    (Kind::Conv(1), 7, 256),
    (Kind::Depthwise(3), 48, 16),
    (Kind::Depthwise(3), 12, 128),
    (Kind::FullyConnected, 1, 640),
    (Kind::FullyConnected, 11, 384),
];

fn kernels(c: &mut Criterion) {
    for dtype in [Dtype::I8, Dtype::F32] {
        let mut group = c.benchmark_group(dtype.name());
        for (kind, side, channels) in SHAPES {
            let layers = Layers { kind, dtype, side, channels, depth: 1 };
            let bytes = layers.bundle(Kernels::HOST).expect("a bundle of one layer");
            let session = Session::load(&Bundle::check(&bytes).expect("a bundle"), ops::ALL).expect("loads");
            let mut arena = AlignedBytes::zeros(session.arena_bytes());
            let mut run = session.bind(&mut arena).expect("an arena of its size");
            time::fill_inputs(&mut run, &session).expect("inputs");
            group.throughput(Throughput::Elements(layers.macs()));
            let id = BenchmarkId::new(kind.name(), format!("{side}x{side}x{channels}"));
            group.bench_function(id, |b| b.iter(|| black_box(run.run())));
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
