//! Which input meets which weight in which output, by counting.

use proptest::prelude::*;
use samara_runtime::ops::{Clamp, Conv2d, DepthwiseConv2d, Entry, FullyConnected, Isa, Op, OpDef, Window};

/// One of the layers with weights.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    Conv { groups: usize },
    Depthwise,
    Dense,
}

/// A layer of random geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    pub(crate) kind: Kind,
    /// N, H, W, C; for a dense layer rows and depth are N*H*W and C.
    pub(crate) input: [usize; 4],
    pub(crate) taps: [usize; 2],
    pub(crate) outputs: usize,
    pub(crate) window: Window,
    pub(crate) seed: u64,
}

/// The products of one output, in canonical order: indices of input and weight.
pub(crate) type Terms = Vec<(usize, usize)>;

impl Layer {
    fn output(&self) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let w = &self.window;
            let padded = self.input[1 + axis] + (w.pad[axis] + w.pad[2 + axis]) as usize;
            let reach = (self.taps[axis] - 1) * w.dilation[axis] as usize + 1;
            Some(padded.checked_sub(reach)? / w.stride[axis] as usize + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Whether the window fits into the padded input.
    #[allow(dead_code)] // one suite asks it elsewhere
    pub(crate) fn fits(&self) -> bool {
        self.output().is_some()
    }

    /// The terms of every output, in NHWC order.
    pub(crate) fn terms(&self) -> Vec<Terms> {
        let [n, h, w, c] = self.input;
        let o = self.outputs;
        if self.kind == Kind::Dense {
            let terms = |i: usize| (0..c).map(|k| (i / o * c + k, i % o * c + k)).collect();
            return (0..n * h * w * o).map(terms).collect();
        }
        let [oh, ow] = self.output().unwrap();
        let [kh, kw] = self.taps;
        let mut all = Vec::new();
        for index in 0..n * oh * ow * o {
            let (b, y, x, k) = (index / (oh * ow * o), index / (ow * o) % oh, index / o % ow, index % o);
            let mut terms = Vec::new();
            for tap in 0..kh * kw {
                let at = |axis: usize, at: usize, tap: usize| {
                    let window = &self.window;
                    (at * window.stride[axis] as usize + tap * window.dilation[axis] as usize) as i64
                        - window.pad[axis] as i64
                };
                let (iy, ix) = (at(0, y, tap / kw), at(1, x, tap % kw));
                if !(0..h as i64).contains(&iy) || !(0..w as i64).contains(&ix) {
                    continue;
                }
                let pixel = ((b * h + iy as usize) * w + ix as usize) * c;
                match self.kind {
                    Kind::Conv { groups } => {
                        let depth = c / groups;
                        let group = k / (o / groups);
                        for d in 0..depth {
                            terms.push((pixel + group * depth + d, (k * kh * kw + tap) * depth + d));
                        }
                    }
                    _ => terms.push((pixel + k / (o / c), tap * o + k)),
                }
            }
            all.push(terms);
        }
        all
    }

    pub(crate) fn input_dims(&self) -> Vec<u32> {
        self.input.map(|d| d as u32).to_vec()
    }

    pub(crate) fn weight_dims(&self) -> Vec<u32> {
        let [kh, kw] = self.taps;
        let dims = match self.kind {
            Kind::Conv { groups } => vec![self.outputs, kh, kw, self.input[3] / groups],
            Kind::Depthwise => vec![1, kh, kw, self.outputs],
            Kind::Dense => vec![self.outputs, self.input[3]],
        };
        dims.into_iter().map(|d| d as u32).collect()
    }

    /// Output channel of a weight.
    pub(crate) fn channel(&self, weight: usize) -> usize {
        match self.kind {
            Kind::Depthwise => weight % self.outputs,
            _ => weight / (self.weight_dims()[1..].iter().product::<u32>() as usize),
        }
    }

    /// The operator with its reference kernels only.
    pub(crate) fn reference(&self) -> OpDef {
        match self.kind {
            Kind::Conv { .. } => portable::<Conv2d>(),
            Kind::Depthwise => portable::<DepthwiseConv2d>(),
            Kind::Dense => portable::<FullyConnected>(),
        }
    }

    /// The operator with all of its kernels, and its attributes.
    pub(crate) fn operator(&self, clamp: Clamp) -> (OpDef, Vec<u8>) {
        let window = self.window;
        match self.kind {
            Kind::Conv { groups } => of(Conv2d { window, groups: groups as u16, clamp }),
            Kind::Depthwise => of(DepthwiseConv2d { window, clamp }),
            Kind::Dense => of(FullyConnected { keep_dims: true, clamp }),
        }
    }
}

/// An operator without the kernels of special processors.
fn portable<O: Op>() -> OpDef {
    let entries: Vec<Entry> = O::KERNELS.iter().copied().filter(|e| e.isa == Isa::Reference).collect();
    OpDef::with::<O>(entries.leak())
}

fn of<O: Op>(op: O) -> (OpDef, Vec<u8>) {
    (OpDef::of::<O>(), op.emit().bytes().to_vec())
}

/// Layers that fit, with odd and even numbers of weights, some longer than what fast kernels take at once.
pub(crate) fn layers() -> impl Strategy<Value = Layer> {
    let kind = prop_oneof![
        (1usize..4).prop_map(|groups| Kind::Conv { groups }),
        Just(Kind::Depthwise),
        Just(Kind::Dense)
    ];
    let depth = prop_oneof![8 => 1usize..8, 1 => 60usize..70];
    let geometry = ([1usize..3, 1usize..6, 1usize..20], depth, 1usize..12, [1usize..4, 1usize..4]);
    let window = ([1u16..3, 1u16..3], [1u16..3, 1u16..3], [0u16..3, 0u16..3, 0u16..3, 0u16..3]);
    (kind, geometry, window, any::<u64>())
        .prop_map(|(kind, ([n, h, w], depth, outputs, taps), (stride, dilation, pad), seed)| {
            let (channels, outputs) = match kind {
                Kind::Conv { groups } => (depth * groups, outputs.div_ceil(3) * groups),
                Kind::Depthwise => (depth, depth * outputs.div_ceil(4)),
                Kind::Dense => (depth, outputs),
            };
            let window = Window { stride, dilation, pad };
            let w = if depth > 8 { w.min(5) } else { w };
            Layer { kind, input: [n, h, w, channels], taps, outputs, window, seed }
        })
        .prop_filter("the window fits", |l| l.kind == Kind::Dense || l.output().is_some())
}
