//! Both kernels on the same bytes.

use core::panic::PanicInfo;

use samara_runtime::ops::layer::kernel::{DENSE, FOLDED, PAIRS};
use samara_runtime::ops::{
    Add, AveragePool2d, Context, Conv2d, DepthwiseConv2d, Entry, FullyConnected, Inputs, Io, Isa, Op, OpDef,
    Rounding,
};
use samara_runtime::{Dtype, Error, Layout};
use semihosting::{eprintln, println, process};

use crate::bytes;
use crate::cases::{CHANNELS, Case, ROOM, draw, present};
use crate::noise::Noise;

/// Shapes per kernel.
const CASES: u32 = 250;

#[repr(align(16))]
struct Aligned<T>(T);

/// Memory of one case.
struct Buffers {
    x: Aligned<[u8; ROOM]>,
    weights: Aligned<[u8; ROOM]>,
    /// The same in the layout of the kernel at hand.
    laid: Aligned<[u8; ROOM]>,
    bias: [i32; CHANNELS],
    folded: [i32; CHANNELS],
    pairs: [[i32; 2]; CHANNELS],
    reals: [f32; CHANNELS],
    expected: Aligned<[u8; ROOM]>,
    got: Aligned<[u8; ROOM]>,
    scratch: Aligned<[u8; ROOM]>,
}

impl Buffers {
    /// Bytes, and for layers biases and constants of requantization.
    fn fill(&mut self, noise: &mut Noise, case: &Case, rounding: Rounding, layout: Layout) {
        self.x.0.fill_with(|| noise.below(256) as u8);
        // With and without the one weight that quantizers leave out, which pairs have no room for.
        let least = if layout == Layout::Pairs { -127 } else { noise.between(-128, -127) };
        self.weights.0.fill_with(|| noise.between(least, 127) as u8);
        let [Some(x), Some(weights), Some(bias), Some(_)] = case.inputs else { return };
        let n = bias.shape.elements();
        let each = weights.shape.elements() / n;
        for o in 0..n {
            self.pairs[o] = match (rounding, noise.below(12)) {
                (Rounding::Single, 0) => [noise.between(0, i32::MAX - 1), noise.between(0, 30)],
                (Rounding::Single, _) => [noise.between(0, 1 << 24), noise.between(0, 3)],
                (_, 0) => [noise.between(0, i32::MAX - 1), noise.between(-31, 30)],
                _ => [noise.between(1 << 30, i32::MAX - 1), noise.between(-14, 0)],
            };
            self.reals[o] = noise.below(100_000) as f32 / 3e7;
            self.bias[o] = noise.between(-90_000, 90_000);
            let at = |k: usize| if case.is_depthwise { k * n + o } else { o * each + k };
            let sum = (0..each).map(|k| i32::from(self.weights.0[at(k)] as i8)).sum::<i32>();
            self.folded[o] = self.bias[o].wrapping_sub(x.zero_point.wrapping_mul(sum));
        }
    }

    /// Lays the weights out.
    fn lay(&mut self, case: &Case, layout: Layout) {
        self.laid.0.fill(0);
        let Some(weights) = case.inputs[1] else { return };
        let [n, each] = layout.channels(&weights.shape);
        for o in 0..n {
            for k in 0..each {
                let dense = if case.is_depthwise { k * n + o } else { o * each + k };
                let at = layout.index(&weights.shape, o, k);
                self.laid.0[at] = self.laid.0[at].wrapping_add(self.weights.0[dense]);
                if layout == Layout::Pairs && o % 2 == 0 && (self.weights.0[dense] as i8) < 0 {
                    // What the sum of both weights of a pair borrows.
                    self.laid.0[at + 1] = self.laid.0[at + 1].wrapping_sub(1);
                }
            }
        }
    }

    /// Whether both kernels write the same bytes, and none behind the output.
    fn agree(
        &mut self,
        case: &Case,
        [fast, plain]: [&Entry; 2],
        rounding: Rounding,
        scratch: usize,
    ) -> Result<bool, Error> {
        for (entry, out) in [(plain, &mut self.expected), (fast, &mut self.got)] {
            let bias = if entry.id == DENSE { &self.bias } else { &self.folded };
            let constants = match rounding {
                Rounding::Onnx => bytemuck::cast_slice(&self.reals),
                _ => bytemuck::cast_slice(&self.pairs),
            };
            let weights = if entry.layout == Layout::Dense { &self.weights } else { &self.laid };
            let all: [&[u8]; 4] = [&self.x.0, &weights.0, bytemuck::cast_slice(bias), constants];
            let mut descs = case.inputs;
            if let Some(weights) = &mut descs[1] {
                weights.layout = entry.layout;
            }
            let mut sources = [None; 4];
            for ((source, bytes), desc) in sources.iter_mut().zip(all).zip(&descs) {
                *source = desc.map(|d| &bytes[..d.bytes()]);
            }
            let (inputs, outputs) = (present(&descs), [case.output]);
            out.0.fill(0x55);
            let sink = &mut out.0[..case.output.bytes()];
            let sources = &sources[..inputs.len()];
            let mut io = Io::apart(inputs, sources, &outputs, [sink], &mut self.scratch.0[..scratch])?;
            (entry.run)(case.attributes.bytes(), &mut io, &Context { rounding })?;
        }
        let at = self.expected.0.iter().zip(&self.got.0).position(|(a, b)| a != b);
        if let Some(at) = at {
            let dims = case.inputs.map(|d| d.map(|d| d.shape.aligned()));
            eprintln!("{}: byte {at}, operands {dims:?}", fast.name);
            eprintln!("attributes {:?}, {}", case.attributes.bytes(), rounding.name());
        }
        Ok(at.is_none())
    }
}

/// Whether all kernels of the operator agree with the reference kernels.
fn operator<O: Op>(buffers: &mut Buffers) -> Result<bool, Error> {
    let mut agree = true;
    for fast in O::KERNELS {
        let serves = fast.dtypes == [Dtype::I8] && (fast.weights.is_empty() || fast.weights == [Dtype::I8]);
        if fast.isa == Isa::Reference || !serves || !fast.isa.available() {
            continue;
        }
        if !matches!(fast.id, DENSE | FOLDED | PAIRS) {
            println!("SKIPPED {}: its weights are laid out elsewhere", fast.name);
            continue;
        }
        let plain = O::KERNELS.iter().find(|e| {
            let same = e.dtypes == fast.dtypes && e.weights == fast.weights && e.roundings == fast.roundings;
            same && e.isa == Isa::Reference && e.id == DENSE
        });
        let plain = plain.ok_or(Error::NoKernel)?;
        let mut noise = Noise(u32::from(O::CODE));
        let (mut done, mut differing) = (0, 0);
        while done < CASES && differing < 3 {
            let rounding = fast.roundings[0];
            let Some(case) = draw::<O>(&mut noise, rounding)? else { continue };
            let def = const { OpDef::of::<O>() };
            let inputs = Inputs(present(&case.inputs));
            let scratch = def.scratch(case.attributes.bytes(), &inputs, &[case.output], fast.id)?;
            let stored = case.inputs[1].and_then(|w| fast.layout.elements(&w.shape)).unwrap_or(0);
            if scratch > ROOM || stored > ROOM {
                continue;
            }
            buffers.fill(&mut noise, &case, rounding, fast.layout);
            if fast.layout != Layout::Dense {
                buffers.lay(&case, fast.layout);
            }
            done += 1;
            differing += u32::from(!buffers.agree(&case, [fast, plain], rounding, scratch)?);
        }
        println!("{}: {differing} of {done} shapes differ", fast.name);
        agree &= differing == 0;
    }
    Ok(agree)
}

fn all(buffers: &mut Buffers) -> Result<bool, Error> {
    let mut agree = bytes::agree();
    for operator in [
        operator::<Conv2d>,
        operator::<DepthwiseConv2d>,
        operator::<FullyConnected>,
        operator::<Add>,
        operator::<AveragePool2d>,
    ] {
        agree &= operator(buffers)?;
    }
    Ok(agree)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut BUFFERS: Buffers = Buffers {
        x: Aligned([0; ROOM]),
        weights: Aligned([0; ROOM]),
        laid: Aligned([0; ROOM]),
        bias: [0; CHANNELS],
        folded: [0; CHANNELS],
        pairs: [[0; 2]; CHANNELS],
        reals: [0.0; CHANNELS],
        expected: Aligned([0; ROOM]),
        got: Aligned([0; ROOM]),
        scratch: Aligned([0; ROOM]),
    };
    match all(BUFFERS) {
        Ok(agree) => process::exit(i32::from(!agree)),
        Err(e) => {
            eprintln!("samara-cortex-m: {e}");
            process::exit(2)
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("samara-cortex-m: {info}");
    process::exit(101)
}
