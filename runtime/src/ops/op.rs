//! The contract of an operator, and its type-erased form in an application's operator list.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::attr::{Attr, Reader};
use crate::ops::io::{Io, MAX_INPUTS, MAX_OUTPUTS};
use crate::tensor::{Desc, Dtype, Place, Shape};

/// How a step rounds back to integers (ARCHITECTURE, "Numerics"). The numbers are the wire's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rounding {
    /// Nothing is rescaled: floats, or data that is only moved.
    None = 0,
    /// Saturating rounding doubling high multiply, then rounding shift; as TFLite Micro's reference kernels.
    Tflite = 1,
    /// One rounding, half up, of a 64-bit product.
    Single = 2,
    /// Float multiply, then round half to even.
    Onnx = 3,
}

impl Rounding {
    /// All roundings, in the order of their numbers.
    pub const ALL: [Rounding; 4] = [Rounding::None, Rounding::Tflite, Rounding::Single, Rounding::Onnx];

    /// From the wire's number.
    pub const fn from_wire(n: u8) -> Result<Self> {
        match n {
            0 => Ok(Rounding::None),
            1 => Ok(Rounding::Tflite),
            2 => Ok(Rounding::Single),
            3 => Ok(Rounding::Onnx),
            _ => Err(Error::Attribute),
        }
    }

    /// The name that `--numeric` and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Rounding::None => "none",
            Rounding::Tflite => "tflite",
            Rounding::Single => "single",
            Rounding::Onnx => "onnx",
        }
    }
}

/// What kind of code an entry is, and what the processor must offer for it to be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// Plain loops, any target: the oracle.
    Reference,
    /// Faster code for any target.
    Portable,
    /// x86-64 with FMA3 and AVX2.
    X86Fma,
    /// x86-64 with AVX2.
    X86Avx2,
    /// x86-64 with AVX-VNNI, the 256-bit form.
    X86AvxVnni,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    X86Avx512,
    /// As [`Isa::X86Avx512`] with VNNI.
    X86Avx512Vnni,
    /// 64-bit Arm; every such processor has NEON.
    Neon,
    /// 64-bit Arm with dot products (Armv8.2 DotProd).
    NeonDot,
    /// 64-bit Arm with dot products and int8 matrix products (Armv8.6 I8MM).
    NeonI8mm,
    /// 32-bit Arm with the DSP extension: Cortex-M4, M7, M33, and Armv7-A.
    CortexMDsp,
    /// Cortex-M with Helium (MVE, integer).
    CortexMMve,
    /// WebAssembly with simd128.
    WasmSimd128,
}

/// Whether an x86-64 processor has all of these features; asked for once and remembered, as kernels want to know at every
/// call.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
macro_rules! x86 {
    ($($feature:tt)*) => {{
        use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
        /// 0 before it was asked, then 1 for no and 2 for yes.
        static ANSWER: AtomicU8 = AtomicU8::new(0);
        match ANSWER.load(Relaxed) {
            0 => {
                let has_all = true $(&& std::is_x86_feature_detected!($feature))*;
                ANSWER.store(1 + u8::from(has_all), Relaxed);
                has_all
            }
            answer => answer == 2,
        }
    }};
}
#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
macro_rules! x86 {
    ($($feature:tt)*) => {
        false
    };
}
#[cfg(all(feature = "std", target_arch = "aarch64"))]
macro_rules! aarch64 {
    ($($feature:tt)*) => { true $(&& std::arch::is_aarch64_feature_detected!($feature))* };
}
#[cfg(not(all(feature = "std", target_arch = "aarch64")))]
macro_rules! aarch64 {
    ($($feature:tt)*) => {
        false
    };
}

impl Isa {
    /// All of them.
    pub const ALL: [Isa; 13] = [
        Isa::Reference,
        Isa::Portable,
        Isa::X86Fma,
        Isa::X86Avx2,
        Isa::X86AvxVnni,
        Isa::X86Avx512,
        Isa::X86Avx512Vnni,
        Isa::Neon,
        Isa::NeonDot,
        Isa::NeonI8mm,
        Isa::CortexMDsp,
        Isa::CortexMMve,
        Isa::WasmSimd128,
    ];

    /// The name that `--kernels` takes and names of entries begin with.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Reference => "reference",
            Isa::Portable => "portable",
            Isa::X86Fma => "x86_fma",
            Isa::X86Avx2 => "x86_avx2",
            Isa::X86AvxVnni => "x86_avx_vnni",
            Isa::X86Avx512 => "x86_avx512",
            Isa::X86Avx512Vnni => "x86_avx512_vnni",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon_dot",
            Isa::NeonI8mm => "neon_i8mm",
            Isa::CortexMDsp => "dsp",
            Isa::CortexMMve => "mve",
            Isa::WasmSimd128 => "simd128",
        }
    }

    /// Whether this processor has it. Hosts ask theirs; elsewhere the application's list, or the target that was
    /// compiled for, is the promise.
    #[inline]
    pub fn available(self) -> bool {
        match self {
            Isa::Reference | Isa::Portable => true,
            Isa::X86Fma => x86!("fma" "avx2"),
            Isa::X86Avx2 => x86!("avx2"),
            Isa::X86AvxVnni => x86!("avxvnni" "avx2"),
            Isa::X86Avx512 => x86!("avx512f" "avx512bw" "avx512dq" "avx512vl" "avx2" "fma"),
            Isa::X86Avx512Vnni => x86!("avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni" "avx2" "fma"),
            Isa::Neon => cfg!(target_arch = "aarch64"),
            Isa::NeonDot => aarch64!("dotprod"),
            Isa::NeonI8mm => aarch64!("i8mm" "dotprod"),
            Isa::CortexMDsp => cfg!(all(feature = "dsp", target_arch = "arm")),
            Isa::CortexMMve => cfg!(all(feature = "mve", target_arch = "arm")),
            Isa::WasmSimd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
        }
    }
}

/// Which entries a session takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// The best that the processor has.
    #[default]
    Auto,
    /// Plain loops only.
    Reference,
    /// Those of one kind; what it lacks runs in portable code.
    Only(Isa),
}

impl Choice {
    fn admits(self, isa: Isa) -> bool {
        match self {
            Choice::Auto => true,
            Choice::Reference => isa == Isa::Reference,
            Choice::Only(one) => isa == one || matches!(isa, Isa::Reference | Isa::Portable),
        }
    }
}

/// A kernel: reads its attributes, computes its outputs. Never panics, whatever the operands hold.
pub type Kernel = fn(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()>;

/// One implementation of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Algorithm, and with it the weights' layout and what is folded into the bias, as the plan names it. 0 is what
    /// the operator documents. Not an ISA: several entries may serve one id.
    pub id: u8,
    /// ISA, operator, type: `reference_conv_2d_int8`.
    pub name: &'static str,
    /// Element types of input 0 that it serves.
    pub dtypes: &'static [Dtype],
    /// Element types of input 1, the weights, that it serves; empty for operators without weights.
    pub weights: &'static [Dtype],
    /// Layout of input 1, the weights; dense for operators without weights.
    pub layout: Layout,
    /// Roundings that it serves.
    pub roundings: &'static [Rounding],
    /// What the processor must offer.
    pub isa: Isa,
    /// Whether it keeps the order that [`Op::overlap`] describes, so that input and output may overlap.
    pub overlap: bool,
    /// The kernel.
    pub run: Kernel,
}

impl Entry {
    /// Whether it computes kernel `id` of an input of type `x`, of these weights, in this rounding.
    pub const fn serves(
        &self,
        id: u8,
        x: Dtype,
        weights: Option<(Dtype, Layout)>,
        rounding: Rounding,
    ) -> bool {
        let (is_stored, layout) = match weights {
            Some((w, layout)) => (self.weights.is_empty() || contains(self.weights, w), layout),
            None => (self.weights.is_empty(), Layout::Dense),
        };
        let mut roundings = self.roundings;
        while let [first, rest @ ..] = roundings {
            if *first as u8 == rounding as u8 {
                return self.id == id
                    && is_stored
                    && layout as u8 == self.layout as u8
                    && contains(self.dtypes, x);
            }
            roundings = rest;
        }
        false
    }
}

#[cfg_attr(target_os = "none", inline(never))]
const fn contains(mut list: &[Dtype], dtype: Dtype) -> bool {
    while let [first, rest @ ..] = list {
        if *first as u8 == dtype as u8 {
            return true;
        }
        list = rest;
    }
    false
}

/// The best of `entries` for what [`Entry::serves`] asks; for the lists of applications, where a missing one is an
/// error of compilation.
pub const fn pick(
    entries: &[Entry],
    id: u8,
    x: Dtype,
    weights: Option<(Dtype, Layout)>,
    rounding: Rounding,
) -> Entry {
    let mut rest = entries;
    while let [first, tail @ ..] = rest {
        if first.serves(id, x, weights, rounding) {
            return *first;
        }
        rest = tail;
    }
    panic!("no such kernel is compiled for this target")
}

/// A list of entries that hosts keep in this library, and not in everything that names it: there are many kernels, and each
/// would be compiled again. Microcontrollers' own lists are made of constants.
#[cfg(feature = "std")]
macro_rules! kept {
    ($list:ident) => {{
        static KEPT: [Entry; $list.len()] = $crate::ops::op::copied($list);
        &KEPT
    }};
}
#[cfg(not(feature = "std"))]
macro_rules! kept {
    ($list:ident) => {
        $list
    };
}
pub(crate) use kept;

/// The `N` entries of a list.
#[cfg(feature = "std")]
pub(crate) const fn copied<const N: usize>(list: &[Entry]) -> [Entry; N] {
    match list.first_chunk() {
        Some(all) => *all,
        None => panic!("a list is as long as it is"),
    }
}

/// What a step is executed with, besides its operands.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The step's rounding.
    pub rounding: Rounding,
}

/// Constant operands and the step's rounding, for checks at load.
#[derive(Clone, Copy, Debug)]
pub struct Constants<'a> {
    bytes: [Option<&'a [u8]>; MAX_INPUTS],
    /// The step's rounding, which decides the range of requantization constants.
    pub rounding: Rounding,
}

impl<'a> Constants<'a> {
    /// The bytes of each input that is constant, `None` for the others.
    pub fn new(bytes: [Option<&'a [u8]>; MAX_INPUTS], rounding: Rounding) -> Self {
        Constants { bytes, rounding }
    }

    /// Bytes of constant input `i`; an error where it is absent or not constant.
    pub fn bytes(&self, i: usize) -> Result<&'a [u8]> {
        self.bytes.get(i).copied().flatten().ok_or(Error::Operand)
    }

    /// Elements of constant input `i`; an error where it is absent or not constant.
    pub fn get<T: Pod>(&self, i: usize) -> Result<&'a [T]> {
        bytemuck::try_cast_slice(self.bytes(i)?).map_err(|_| Error::Alignment)
    }
}

/// Shape and type inference's result: the outputs' element types and shapes.
#[derive(Clone, Copy, Debug)]
pub struct Inferred {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Shape,
}

impl Inferred {
    /// One output.
    pub const fn one(dtype: Dtype, shape: Shape) -> Self {
        Inferred { dtype, shape }
    }

    /// The outputs, without quantization parameters.
    pub const fn outputs(&self) -> [Desc; MAX_OUTPUTS] {
        [Desc::new(self.dtype, self.shape)]
    }
}

/// Input operands' descriptions; absent optional operands are `None`.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a>(pub &'a [Option<Desc>]);

impl<'a> Inputs<'a> {
    /// Operand `i`, which must be present.
    pub fn get(&self, i: usize) -> Result<&'a Desc> {
        self.optional(i).ok_or(Error::Operand)
    }

    /// Operand `i`, or `None` where absent.
    pub fn optional(&self, i: usize) -> Option<&'a Desc> {
        self.0.get(i).and_then(Option::as_ref)
    }

    /// How many operands there are, absent ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses more or fewer operands than the operator has.
    pub fn count(&self, min: usize, max: usize) -> Result<()> {
        if (min..=max).contains(&self.0.len()) { Ok(()) } else { Err(Error::Operand) }
    }
}

/// An operator, defined once: the packager's graph wraps the same types and calls the same inference.
pub trait Op: Copy + PartialEq + core::fmt::Debug {
    /// Number on the wire; stable, never reused.
    const CODE: u16;
    /// Name in lists and messages, snake case.
    const NAME: &'static str;
    /// All entries, best first. An application's list may carry fewer.
    const KERNELS: &'static [Entry];

    /// Reads and validates attributes.
    fn parse(attributes: &[u8]) -> Result<Self>;

    /// The counterpart of [`Op::parse`].
    fn emit(&self) -> Attr;

    /// Element types and shapes of the outputs, or why these inputs do not fit.
    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred>;

    /// Validates what inference does not see: quantization parameters of the outputs, ranges of constants.
    fn check(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        Ok(())
    }

    /// Scratch bytes (16-byte aligned) that kernel `id` uses during the step.
    fn scratch(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], _id: u8) -> Result<usize> {
        Ok(0)
    }

    /// The least `input start - output start`, in bytes, at which input `i` may share memory with output `o`
    /// while outputs are produced in ascending order; `None` where they must be apart.
    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], _i: usize, _o: usize) -> Option<usize> {
        None
    }

    /// The least `output start - input start`, in bytes, at which they may share memory while outputs are produced
    /// in descending order, as kernels do where [`super::Pair::descending`] says so; `None` where they never do.
    fn overlap_descending(
        &self,
        _inputs: &Inputs<'_>,
        _outputs: &[Desc],
        _i: usize,
        _o: usize,
    ) -> Option<usize> {
        None
    }

    /// Multiply-accumulates of one run; for operators without, the number of output elements.
    fn macs(&self, _inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        outputs.iter().fold(0u64, |n, d| n.wrapping_add(d.shape.elements() as u64))
    }
}

/// An operator with the kernels an application wants, without its type.
///
/// Holds only functions of its own operator, so that the linker drops every other kernel.
#[derive(Clone, Copy, Debug)]
pub struct OpDef {
    /// [`Op::CODE`].
    pub code: u16,
    /// [`Op::NAME`].
    pub name: &'static str,
    /// The kernels to choose from, best first.
    pub entries: &'static [Entry],
    shims: Shims,
}

/// What is asked of an operator in [`OpDef`]. One function per operator answers them all: six would each hold a copy
/// of the attributes' parser.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'a> {
    Check(&'a Constants<'a>),
    Scratch(u8),
    Overlap { i: usize, o: usize, descending: bool },
    Macs,
}

/// No distance.
const NEVER: u64 = u64::MAX;

/// A step's attributes and operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) attributes: &'a [u8],
    pub(crate) inputs: Inputs<'a>,
    pub(crate) outputs: &'a [Desc],
}

#[derive(Clone, Copy, Debug)]
struct Shims {
    infer: fn(&[u8], &Inputs<'_>) -> Result<Inferred>,
    answer: fn(&About<'_>, Ask<'_>, &mut u64) -> Result<()>,
}

fn infer<O: Op>(attributes: &[u8], inputs: &Inputs<'_>) -> Result<Inferred> {
    // By reference, as everywhere here: `?` would move what is read in place anyway.
    O::parse(attributes).as_ref().map_err(|&e| e)?.infer(inputs)
}

/// Answers nothing, bytes, [`NEVER`] or multiply-accumulates, as asked.
fn answer<O: Op>(about: &About<'_>, ask: Ask<'_>, answer: &mut u64) -> Result<()> {
    let op = O::parse(about.attributes);
    let op = op.as_ref().map_err(|&e| e)?;
    let (inputs, outputs) = (&about.inputs, about.outputs);
    *answer = match ask {
        Ask::Check(constants) => return op.check(inputs, outputs, constants),
        Ask::Scratch(id) => op.scratch(inputs, outputs, id)? as u64,
        Ask::Overlap { i, o, descending } => {
            let distance = if descending {
                op.overlap_descending(inputs, outputs, i, o)
            } else {
                op.overlap(inputs, outputs, i, o)
            };
            distance.map_or(NEVER, |d| d as u64)
        }
        Ask::Macs => op.macs(inputs, outputs),
    };
    Ok(())
}

impl OpDef {
    /// The operator with all of its kernels.
    pub const fn of<O: Op>() -> OpDef {
        OpDef::with::<O>(O::KERNELS)
    }

    /// The operator with the kernels in `entries` only; what is not listed is not linked.
    pub const fn with<O: Op>(entries: &'static [Entry]) -> OpDef {
        let shims = Shims { infer: infer::<O>, answer: answer::<O> };
        OpDef { code: O::CODE, name: O::NAME, entries, shims }
    }

    /// [`Op::infer`] after [`Op::parse`].
    pub fn infer(&self, attributes: &[u8], inputs: &Inputs<'_>) -> Result<Inferred> {
        (self.shims.infer)(attributes, inputs)
    }

    /// [`Op::check`] after [`Op::parse`].
    pub fn check(
        &self,
        attributes: &[u8],
        inputs: &Inputs<'_>,
        outputs: &[Desc],
        constants: &Constants<'_>,
    ) -> Result<()> {
        self.answer(&About { attributes, inputs: *inputs, outputs }, Ask::Check(constants)).map(|_| ())
    }

    /// [`Op::scratch`] after [`Op::parse`].
    pub fn scratch(&self, attributes: &[u8], inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
        let bytes = self.answer(&About { attributes, inputs: *inputs, outputs }, Ask::Scratch(id))?;
        Ok(bytes as usize)
    }

    /// [`Op::overlap`] after [`Op::parse`].
    pub fn overlap(
        &self,
        attributes: &[u8],
        inputs: &Inputs<'_>,
        outputs: &[Desc],
        i: usize,
        o: usize,
    ) -> Result<Option<usize>> {
        self.distance(attributes, inputs, outputs, Ask::Overlap { i, o, descending: false })
    }

    /// [`Op::overlap_descending`] after [`Op::parse`].
    pub fn overlap_descending(
        &self,
        attributes: &[u8],
        inputs: &Inputs<'_>,
        outputs: &[Desc],
        i: usize,
        o: usize,
    ) -> Result<Option<usize>> {
        self.distance(attributes, inputs, outputs, Ask::Overlap { i, o, descending: true })
    }

    fn distance(
        &self,
        attributes: &[u8],
        inputs: &Inputs<'_>,
        outputs: &[Desc],
        ask: Ask<'_>,
    ) -> Result<Option<usize>> {
        let distance = self.answer(&About { attributes, inputs: *inputs, outputs }, ask)?;
        Ok(if distance == NEVER { None } else { Some(distance as usize) })
    }

    /// What is asked after [`Op::parse`]; 0 for checks.
    pub(crate) fn answer(&self, about: &About<'_>, ask: Ask<'_>) -> Result<u64> {
        let mut answer = 0;
        (self.shims.answer)(about, ask, &mut answer).map(|()| answer)
    }

    /// [`Op::macs`] after [`Op::parse`].
    pub fn macs(&self, attributes: &[u8], inputs: &Inputs<'_>, outputs: &[Desc]) -> Result<u64> {
        self.answer(&About { attributes, inputs: *inputs, outputs }, Ask::Macs)
    }

    /// The first entry that serves kernel `id` (see [`Entry::serves`]) on this processor and that `choice` admits.
    pub fn select(
        &self,
        id: u8,
        x: Dtype,
        weights: Option<(Dtype, Layout)>,
        rounding: Rounding,
        choice: Choice,
    ) -> Result<&'static Entry> {
        self.entries
            .iter()
            .find(|e| e.serves(id, x, weights, rounding) && choice.admits(e.isa) && e.isa.available())
            .ok_or(Error::NoKernel)
    }
}

/// The operator's constant operand `i`: a shape check used by several operators.
pub fn constant<'a>(inputs: &Inputs<'a>, i: usize, dtype: Dtype, dims: &[usize]) -> Result<&'a Desc> {
    let d = inputs.get(i)?;
    if d.dtype != dtype {
        return Err(Error::Dtype);
    }
    if d.place != Place::Weights {
        return Err(Error::Operand);
    }
    let same =
        d.shape.rank() == dims.len() && d.shape.dims().iter().zip(dims).all(|(&a, &b)| a as usize == b);
    if same { Ok(d) } else { Err(Error::Shape) }
}

/// Starts reading attributes.
pub fn reader(attributes: &[u8]) -> Reader<'_> {
    Reader(attributes)
}
