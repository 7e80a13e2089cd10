//! The contract of an operator, and its type-erased form in an application's operator list.

use bytemuck::Pod;

use crate::error::{Error, Result};
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

/// What a processor must offer for an entry to be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// Any target.
    Portable,
    /// x86-64 with FMA3 and AVX2, detected at run time (needs `std`).
    X86Fma,
    /// x86-64 with AVX2, detected at run time (needs `std`).
    X86Avx2,
    /// x86-64 with AVX-512F, detected at run time (needs `std`).
    X86Avx512,
}

impl Isa {
    /// Whether this processor has it. Without `std` only what the list itself promises is assumed.
    pub fn available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::X86Fma => std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2"),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::X86Avx2 => std::is_x86_feature_detected!("avx2"),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::X86Avx512 => std::is_x86_feature_detected!("avx512f"),
            #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
            Isa::X86Fma | Isa::X86Avx2 | Isa::X86Avx512 => false,
        }
    }
}

/// A kernel: reads its attributes, computes its outputs. Never panics, whatever the operands hold.
pub type Kernel = fn(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()>;

/// One implementation of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Algorithm and weight layout, as the plan names it. 0 is the reference layout. Not an ISA: several
    /// entries may serve one id.
    pub id: u8,
    /// ISA, operator, type: `reference_conv_2d_int8`.
    pub name: &'static str,
    /// Element types of input 0 that it serves.
    pub dtypes: &'static [Dtype],
    /// Element types of input 1, the weights, that it serves; empty for operators without weights.
    pub weights: &'static [Dtype],
    /// Roundings that it serves.
    pub roundings: &'static [Rounding],
    /// What the processor must offer.
    pub isa: Isa,
    /// Whether it keeps the order that [`Op::overlap`] describes, so that input and output may overlap.
    pub overlap: bool,
    /// The kernel.
    pub run: Kernel,
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

    /// Elements of constant input `i`; an error where it is absent or not constant.
    pub fn get<T: Pod>(&self, i: usize) -> Result<&'a [T]> {
        let bytes = self.bytes.get(i).copied().flatten().ok_or(Error::Operand)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| Error::Alignment)
    }
}

/// Shape and type inference's result: the outputs' element types and shapes.
#[derive(Clone, Copy, Debug)]
pub struct Inferred {
    outputs: [Desc; MAX_OUTPUTS],
    len: usize,
}

impl Inferred {
    /// One output.
    pub const fn one(dtype: Dtype, shape: Shape) -> Self {
        Inferred { outputs: [Desc::new(dtype, shape); MAX_OUTPUTS], len: 1 }
    }

    /// The outputs, without quantization parameters.
    pub fn outputs(&self) -> &[Desc] {
        self.outputs.get(..self.len).unwrap_or(&[])
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

type OverlapShim = fn(&[u8], &Inputs<'_>, &[Desc], usize, usize) -> Result<Option<usize>>;

#[derive(Clone, Copy, Debug)]
struct Shims {
    infer: fn(&[u8], &Inputs<'_>) -> Result<Inferred>,
    check: fn(&[u8], &Inputs<'_>, &[Desc], &Constants<'_>) -> Result<()>,
    scratch: fn(&[u8], &Inputs<'_>, &[Desc], u8) -> Result<usize>,
    overlap: OverlapShim,
    overlap_descending: OverlapShim,
    macs: fn(&[u8], &Inputs<'_>, &[Desc]) -> Result<u64>,
}

impl OpDef {
    /// The operator with all of its kernels.
    pub const fn of<O: Op>() -> OpDef {
        OpDef::with::<O>(O::KERNELS)
    }

    /// The operator with the kernels in `entries` only; what is not listed is not linked.
    pub const fn with<O: Op>(entries: &'static [Entry]) -> OpDef {
        OpDef {
            code: O::CODE,
            name: O::NAME,
            entries,
            shims: Shims {
                infer: |a, i| O::parse(a)?.infer(i),
                check: |a, i, o, c| O::parse(a)?.check(i, o, c),
                scratch: |a, i, o, id| O::parse(a)?.scratch(i, o, id),
                overlap: |a, i, o, x, y| Ok(O::parse(a)?.overlap(i, o, x, y)),
                overlap_descending: |a, i, o, x, y| Ok(O::parse(a)?.overlap_descending(i, o, x, y)),
                macs: |a, i, o| Ok(O::parse(a)?.macs(i, o)),
            },
        }
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
        (self.shims.check)(attributes, inputs, outputs, constants)
    }

    /// [`Op::scratch`] after [`Op::parse`].
    pub fn scratch(&self, attributes: &[u8], inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
        (self.shims.scratch)(attributes, inputs, outputs, id)
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
        (self.shims.overlap)(attributes, inputs, outputs, i, o)
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
        (self.shims.overlap_descending)(attributes, inputs, outputs, i, o)
    }

    /// [`Op::macs`] after [`Op::parse`].
    pub fn macs(&self, attributes: &[u8], inputs: &Inputs<'_>, outputs: &[Desc]) -> Result<u64> {
        (self.shims.macs)(attributes, inputs, outputs)
    }

    /// The first entry that serves kernel `id` for the element types of the first two inputs and `rounding` on this
    /// processor; with `reference_only` only portable ones count.
    pub fn select(
        &self,
        id: u8,
        dtype: Dtype,
        weights: Option<Dtype>,
        rounding: Rounding,
        reference_only: bool,
    ) -> Result<&'static Entry> {
        self.entries
            .iter()
            .find(|e| {
                e.id == id
                    && e.dtypes.contains(&dtype)
                    && (e.weights.is_empty() || weights.is_some_and(|w| e.weights.contains(&w)))
                    && e.roundings.contains(&rounding)
                    && (!reference_only || e.isa == Isa::Portable)
                    && e.isa.available()
            })
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
