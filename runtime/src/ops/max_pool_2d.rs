//! MaxPool2D: the greatest element under a window of NHWC images.

use crate::error::{Error, Result};
use crate::kernels::reference::max_pool_2d as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp, Reader};
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding};
use crate::ops::pool::Pool;
use crate::ops::quantized::check_same;
use crate::tensor::{Desc, Dtype};

/// Operand: input `[N,H,W,C]`. Levels are compared as they are, so quantized input and output share scale and
/// zero point, and nothing is rounded. NaN is never the greatest.
///
/// A dilated window without a tap in the image gives the clamp's lower bound.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MaxPool2d {
    /// The window.
    pub pool: Pool,
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

/// int8.
pub const INT8: Entry = Entry {
    id: 0,
    name: "reference_max_pool_2d_int8",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::levels::<i8>,
};
/// int16.
pub const INT16: Entry = Entry {
    name: "reference_max_pool_2d_int16",
    dtypes: &[Dtype::I16],
    run: reference::levels::<i16>,
    ..INT8
};
/// Float.
pub const F32: Entry =
    Entry { name: "reference_max_pool_2d_f32", dtypes: &[Dtype::F32], run: reference::f32, ..INT8 };

impl Op for MaxPool2d {
    const CODE: u16 = 11;
    const NAME: &'static str = "max_pool_2d";
    const KERNELS: &'static [Entry] = &[
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        Entry {
            name: "x86_avx512_vnni_max_pool_2d_int8",
            isa: Isa::X86Avx512Vnni,
            run: crate::kernels::x86_64::int8::vnni512::max_pool_2d,
            ..INT8
        },
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        Entry {
            name: "x86_avx2_max_pool_2d_int8",
            isa: Isa::X86Avx2,
            run: crate::kernels::x86_64::int8::avx2only::max_pool_2d,
            ..INT8
        },
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        Entry {
            name: "neon_max_pool_2d_int8",
            isa: Isa::Neon,
            run: crate::kernels::aarch64::max_pool_2d,
            ..INT8
        },
        INT8,
        INT16,
        F32,
    ];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = Reader::of::<28>(attributes)?;
        let op = MaxPool2d { pool: Pool::parse(&mut r)?, clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(self.pool.emit(Attr::new()))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        self.pool.infer(inputs)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        self.clamp.check(y.dtype)?;
        check_same(inputs.get(0)?, y)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        self.pool.overlap(inputs, outputs, i, o)
    }

    fn overlap_descending(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        self.pool.overlap_descending(inputs, outputs, i, o)
    }

    fn macs(&self, _inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        self.pool.macs(outputs)
    }
}
