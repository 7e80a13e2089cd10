//! Every kernel that this processor has for int8 layers against the reference kernel, on random shapes, bit for bit.
//! Exit status 1 where one differs.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod kernels {
    use core::panic::PanicInfo;

    use samara_runtime::ops::layer::kernel::{DENSE, FOLDED};
    use samara_runtime::ops::{
        Attr, Clamp, Context, Conv2d, DepthwiseConv2d, Entry, FullyConnected, Inputs, Io, Isa, Op, OpDef,
        Rounding, Window,
    };
    use samara_runtime::{Desc, Dtype, Error, Layout, Place, Shape};
    use semihosting::{eprintln, println, process};

    /// Shapes per kernel.
    const CASES: u32 = 250;
    /// Bytes of the largest tensor.
    const ROOM: usize = 8192;
    /// Most products of one case: the reference kernel takes its time.
    const MOST_MACS: u64 = 30_000;
    /// Most output channels.
    const CHANNELS: usize = 128;

    #[repr(align(16))]
    struct Aligned<T>(T);

    /// Memory of one case.
    struct Buffers {
        x: Aligned<[u8; ROOM]>,
        weights: Aligned<[u8; ROOM]>,
        bias: [i32; CHANNELS],
        folded: [i32; CHANNELS],
        pairs: [[i32; 2]; CHANNELS],
        reals: [f32; CHANNELS],
        expected: Aligned<[u8; ROOM]>,
        got: Aligned<[u8; ROOM]>,
        scratch: Aligned<[u8; ROOM]>,
    }

    /// A linear congruential generator.
    struct Noise(u32);

    impl Noise {
        fn below(&mut self, n: u32) -> u32 {
            self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
            ((u64::from(self.0) * u64::from(n)) >> 32) as u32
        }

        fn between(&mut self, lo: i32, hi: i32) -> i32 {
            lo + self.below((hi - lo) as u32 + 1) as i32
        }

        fn of(&mut self, all: &[u32]) -> u32 {
            all[self.below(all.len() as u32) as usize]
        }
    }

    /// A layer whose tensors fit.
    struct Case {
        attributes: Attr,
        x: [u32; 4],
        weights: [u32; 4],
        rank: usize,
        outputs: usize,
        is_depthwise: bool,
    }

    impl Case {
        fn draw(noise: &mut Noise, code: u16) -> Case {
            let clamp = if noise.below(2) == 0 { Clamp::i32(-128, 127) } else { Clamp::i32(-90, 100) };
            let c = noise.of(&[1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 32, 33, 40, 64]);
            let o = noise.of(&[1, 2, 3, 4, 5, 6, 8, 12, 16, 31, 32, 33, 36, 64, 97, 101]);
            let small = |noise: &mut Noise| noise.of(&[1, 1, 2, 3, 3, 3, 4, 5]);
            let taps = [small(noise), small(noise)];
            let window = Window {
                stride: [0; 2].map(|_: u16| noise.of(&[1, 1, 2, 3]) as u16),
                dilation: [0; 2].map(|_: u16| noise.of(&[1, 1, 1, 2]) as u16),
                pad: [0; 4].map(|_: u16| noise.below(4) as u16),
            };
            let window = if noise.below(4) == 0 { Window::UNIT } else { window };
            let x = [1 + noise.below(2), 1 + noise.below(7), 1 + noise.below(14), c];
            let [kh, kw] = taps;
            let (attributes, weights, rank) = match code {
                Conv2d::CODE => (Conv2d { window, groups: 1, clamp }.emit(), [o, kh, kw, c], 4),
                DepthwiseConv2d::CODE => {
                    let multiplier = noise.of(&[1, 1, 1, 2, 3]);
                    (DepthwiseConv2d { window, clamp }.emit(), [1, kh, kw, c * multiplier], 4)
                }
                _ => (FullyConnected { keep_dims: true, clamp }.emit(), [o, c, 1, 1], 2),
            };
            let is_depthwise = code == DepthwiseConv2d::CODE;
            let outputs = if is_depthwise { weights[3] } else { weights[0] } as usize;
            Case { attributes, x, weights, rank, outputs, is_depthwise }
        }
    }

    fn desc(dtype: Dtype, dims: &[u32], place: Place) -> Result<Desc, Error> {
        Ok(Desc { place, ..Desc::new(dtype, Shape::new(dims)?) })
    }

    /// Draws a case and runs it on both entries; `None` where it does not fit.
    fn compare<O: Op>(
        noise: &mut Noise,
        b: &mut Buffers,
        fast: &'static Entry,
        plain: &'static Entry,
    ) -> Result<Option<bool>, Error> {
        let case = Case::draw(noise, O::CODE);
        let rounding = fast.roundings[0];
        let mut x = desc(Dtype::I8, &case.x, Place::Arena)?;
        x.zero_point = noise.between(-128, 127);
        let weights = desc(Dtype::I8, &case.weights[..case.rank], Place::Weights)?;
        let n = case.outputs;
        let shared = O::CODE == FullyConnected::CODE && noise.below(3) == 0;
        let scales = if shared { 1 } else { n };
        if n > CHANNELS || x.bytes() > ROOM || weights.bytes() > ROOM {
            return Ok(None);
        }
        let constants = match rounding {
            Rounding::Onnx => desc(Dtype::F32, &[scales as u32], Place::Weights)?,
            _ => desc(Dtype::I32, &[scales as u32, 2], Place::Weights)?,
        };
        let bias = desc(Dtype::I32, &[n as u32], Place::Weights)?;
        let inputs = [Some(x), Some(weights), Some(bias), Some(constants)];
        let def = const { OpDef::of::<O>() };
        let attributes = case.attributes.bytes();
        let Ok(inferred) = def.infer(attributes, &Inputs(&inputs)) else { return Ok(None) };
        let mut y = inferred.outputs()[0];
        y.zero_point = noise.between(-128, 127);
        let scratch = def.scratch(attributes, &Inputs(&inputs), &[y], fast.id)?;
        let macs = def.macs(attributes, &Inputs(&inputs), &[y])?;
        if y.bytes() > ROOM || scratch > ROOM || macs > MOST_MACS {
            return Ok(None);
        }
        b.x.0[..x.bytes()].fill_with(|| noise.below(256) as u8);
        // With and without the one byte that quantizers leave out.
        let least = noise.between(-128, -127);
        b.weights.0[..weights.bytes()].fill_with(|| noise.between(least, 127) as u8);
        for o in 0..n {
            let pair = match (rounding, noise.below(12)) {
                (Rounding::Single, 0) => [noise.between(0, i32::MAX - 1), noise.between(0, 30)],
                (Rounding::Single, _) => [noise.between(0, 1 << 24), noise.between(0, 3)],
                (_, 0) => [noise.between(0, i32::MAX - 1), noise.between(-31, 30)],
                _ => [noise.between(1 << 30, i32::MAX - 1), noise.between(-14, 0)],
            };
            (b.pairs[o], b.reals[o]) = (pair, noise.below(100_000) as f32 / 3e7);
            b.bias[o] = noise.between(-90_000, 90_000);
            let each = weights.bytes() / n;
            let at = |k: usize| if case.is_depthwise { k * n + o } else { o * each + k };
            let sum = (0..each).map(|k| i32::from(b.weights.0[at(k)] as i8)).sum::<i32>();
            b.folded[o] = b.bias[o].wrapping_sub(x.zero_point.wrapping_mul(sum));
        }
        let constants: &[u8] = match rounding {
            Rounding::Onnx => bytes_of(&b.reals[..scales]),
            _ => bytes_of(&b.pairs[..scales]),
        };
        for (entry, bias, out) in [
            (plain, &b.bias, &mut b.expected),
            (fast, if fast.id == DENSE { &b.bias } else { &b.folded }, &mut b.got),
        ] {
            let sources = [
                Some(&b.x.0[..x.bytes()]),
                Some(&b.weights.0[..weights.bytes()]),
                Some(bytes_of(&bias[..n])),
                Some(constants),
            ];
            let outputs = [y];
            out.0.fill(0x55);
            let sink = &mut out.0[..y.bytes()];
            let mut io = Io::apart(&inputs, &sources, &outputs, [sink], &mut b.scratch.0[..scratch])?;
            (entry.run)(attributes, &mut io, &Context { rounding })?;
        }
        // What lies behind the output must not change either.
        let same = b.expected.0 == b.got.0;
        if !same {
            let at = b.expected.0.iter().zip(&b.got.0).position(|(a, b)| a != b);
            eprintln!("{}: byte {at:?} of input {:?}, weights {:?}", fast.name, case.x, case.weights);
            eprintln!("attributes {attributes:?}, zero point {}, rounding {}", x.zero_point, rounding.name());
        }
        Ok(Some(same))
    }

    fn bytes_of<T: bytemuck::NoUninit>(elements: &[T]) -> &[u8] {
        bytemuck::cast_slice(elements)
    }

    /// Whether all kernels of the operator agree.
    fn operator<O: Op>(b: &mut Buffers) -> Result<bool, Error> {
        let mut agree = true;
        for fast in O::KERNELS {
            let serves = fast.dtypes == [Dtype::I8] && fast.weights == [Dtype::I8];
            if fast.isa == Isa::Reference || !serves || !fast.isa.available() {
                continue;
            }
            if fast.layout != Layout::Dense || (fast.id != DENSE && fast.id != FOLDED) {
                println!("SKIPPED {}: its weights are laid out elsewhere", fast.name);
                continue;
            }
            let reference = |e: &&Entry| e.isa == Isa::Reference && e.id == DENSE;
            let plain = O::KERNELS.iter().filter(reference).find(|e| {
                e.dtypes == fast.dtypes && e.weights == fast.weights && e.roundings == fast.roundings
            });
            let plain = plain.ok_or(Error::NoKernel)?;
            let mut noise = Noise(u32::from(O::CODE));
            let (mut done, mut differing) = (0, 0);
            while done < CASES && differing < 3 {
                if let Some(same) = compare::<O>(&mut noise, b, fast, plain)? {
                    done += 1;
                    differing += u32::from(!same);
                }
            }
            println!("{}: {differing} of {done} shapes differ", fast.name);
            agree &= differing == 0;
        }
        Ok(agree)
    }

    #[cortex_m_rt::entry]
    fn main() -> ! {
        static mut BUFFERS: Buffers = Buffers {
            x: Aligned([0; ROOM]),
            weights: Aligned([0; ROOM]),
            bias: [0; CHANNELS],
            folded: [0; CHANNELS],
            pairs: [[0; 2]; CHANNELS],
            reals: [0.0; CHANNELS],
            expected: Aligned([0; ROOM]),
            got: Aligned([0; ROOM]),
            scratch: Aligned([0; ROOM]),
        };
        let all = operator::<Conv2d>(BUFFERS).and_then(|conv| {
            Ok(conv & operator::<DepthwiseConv2d>(BUFFERS)? & operator::<FullyConnected>(BUFFERS)?)
        });
        match all {
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
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("kernels: this is firmware; build it with --target thumbv7em-none-eabihf");
    std::process::exit(2);
}
