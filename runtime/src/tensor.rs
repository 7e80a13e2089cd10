//! Element types, shapes and quantization parameters as the plan records them.

use crate::error::{Error, Result};
use crate::layout::Layout;

/// Most dimensions a tensor has. Rank 0 is a scalar of one element.
pub const MAX_RANK: usize = 6;

/// Element type. The numbers are the wire's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Dtype {
    /// IEEE 754 binary32.
    F32 = 0,
    /// Signed 8 bits, the usual quantized activation and weight.
    I8 = 1,
    /// Unsigned 8 bits; at a model's boundary only.
    U8 = 2,
    /// Signed 16 bits.
    I16 = 3,
    /// Signed 32 bits: biases, indices, requantization tables.
    I32 = 4,
    /// One byte, 0 or 1.
    Bool = 5,
    /// IEEE 754 binary16: weights only.
    F16 = 6,
    /// Signed 4 bits, two per byte, the element with the even index in the low nibble: weights only.
    I4 = 7,
    /// Unsigned 4 bits, packed as [`Dtype::I4`]: weights that are indices into a table.
    U4 = 8,
    /// Signed 64 bits: biases of layers with int16 activations only.
    I64 = 9,
}

impl Dtype {
    /// All element types, in the order of their numbers.
    pub const ALL: [Dtype; 10] = [
        Dtype::F32,
        Dtype::I8,
        Dtype::U8,
        Dtype::I16,
        Dtype::I32,
        Dtype::Bool,
        Dtype::F16,
        Dtype::I4,
        Dtype::U4,
        Dtype::I64,
    ];

    /// Those that operators compute and the arena holds; the others are [constants only](Dtype::is_constant_only).
    pub const COMPUTED: [Dtype; 6] = [Dtype::F32, Dtype::I8, Dtype::U8, Dtype::I16, Dtype::I32, Dtype::Bool];

    /// From the wire's number.
    pub const fn from_wire(n: u8) -> Result<Self> {
        match n {
            0 => Ok(Dtype::F32),
            1 => Ok(Dtype::I8),
            2 => Ok(Dtype::U8),
            3 => Ok(Dtype::I16),
            4 => Ok(Dtype::I32),
            5 => Ok(Dtype::Bool),
            6 => Ok(Dtype::F16),
            7 => Ok(Dtype::I4),
            8 => Ok(Dtype::U4),
            9 => Ok(Dtype::I64),
            _ => Err(Error::Dtype),
        }
    }

    /// Bytes of one element, or of the unit that packed elements share; also its alignment. How many bytes
    /// several elements take is [`Dtype::bytes`]' to say.
    pub const fn size(self) -> usize {
        1 << (Dtype::LOG2_SIZES >> (2 * self as u32) & 3)
    }

    /// Two bits for each type, by its number: the same table as code, wherever the size is asked for, is larger.
    const LOG2_SIZES: u32 = {
        let (mut packed, mut i) = (0, 0);
        while i < Dtype::ALL.len() {
            let log2 = match Dtype::ALL[i] {
                Dtype::I64 => 3,
                Dtype::F32 | Dtype::I32 => 2,
                Dtype::I16 | Dtype::F16 => 1,
                Dtype::I8 | Dtype::U8 | Dtype::Bool | Dtype::I4 | Dtype::U4 => 0,
            };
            packed |= log2 << (2 * i);
            i += 1;
        }
        packed
    };

    /// Bytes of `elements` elements, `None` where they overflow. The last high nibble of an odd count of packed
    /// elements is unused and counts.
    pub const fn bytes(self, elements: usize) -> Option<usize> {
        if self.is_packed() { Some(elements.div_ceil(2)) } else { elements.checked_mul(self.size()) }
    }

    /// Whether a byte holds two elements.
    pub const fn is_packed(self) -> bool {
        matches!(self, Dtype::I4 | Dtype::U4)
    }

    /// Whether only constants have it: no operator computes such elements, no input or output of a model is made
    /// of them.
    pub const fn is_constant_only(self) -> bool {
        matches!(self, Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64)
    }

    /// NumPy's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::I8 => "int8",
            Dtype::U8 => "uint8",
            Dtype::I16 => "int16",
            Dtype::I32 => "int32",
            Dtype::Bool => "bool",
            Dtype::F16 => "float16",
            Dtype::I4 => "int4",
            Dtype::U4 => "uint4",
            Dtype::I64 => "int64",
        }
    }
}

/// Dimensions, row-major, outermost first. Unused places are 1 so that equality is plain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    dims: [u32; MAX_RANK],
    rank: Rank,
}

/// Never 0, so that tables of absent descriptions are zeros: firmware clears them instead of keeping a copy in flash.
/// A whole word, so that shapes are copied as words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Rank {
    Scalar = 1,
    One,
    Two,
    Three,
    Four,
    Five,
    Six,
}

impl Rank {
    const fn new(rank: usize) -> Option<Self> {
        match rank {
            0 => Some(Rank::Scalar),
            1 => Some(Rank::One),
            2 => Some(Rank::Two),
            3 => Some(Rank::Three),
            4 => Some(Rank::Four),
            5 => Some(Rank::Five),
            6 => Some(Rank::Six),
            _ => None,
        }
    }
}

impl Shape {
    /// One element.
    pub const SCALAR: Shape = Shape { dims: [1; MAX_RANK], rank: Rank::Scalar };

    /// At most [`MAX_RANK`] dimensions, each at least 1, with at most 2^28 elements in all.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn new(dims: &[u32]) -> Result<Self> {
        Shape::of(dims.len(), |axis| dims.get(axis).copied().unwrap_or(1))
    }

    /// As [`Shape::new`], of dimensions that are 1 from `rank` on.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn of(rank: usize, dim: impl Fn(usize) -> u32) -> Result<Self> {
        Shape::padded(rank, core::array::from_fn(dim))
    }

    /// As [`Shape::new`], of dimensions that are 1 from `rank` on.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn padded(rank: usize, dims: [u32; MAX_RANK]) -> Result<Self> {
        /// Keeps every byte count below 2^32, and those of what the arena holds below 2^30.
        const MOST: u64 = 1 << 28;
        let (mut count, mut unused) = (1u64, 0u32);
        for (axis, &d) in dims.iter().enumerate() {
            // Never above 2^60, and once above the limit never below it but by a dimension of 0.
            count = if count > MOST { MOST + 1 } else { count } * u64::from(d);
            unused |= if axis < rank { 0 } else { d ^ 1 };
        }
        match Rank::new(rank) {
            Some(_) if count > MOST => Err(Error::Limit),
            Some(rank) if unused == 0 && count != 0 => Ok(Shape { dims, rank }),
            _ => Err(Error::Tensor),
        }
    }

    /// The same with another last dimension; a scalar has none.
    pub(crate) fn with_last(&self, last: u32) -> Result<Self> {
        let mut dims = self.dims;
        *dims.get_mut(self.rank().wrapping_sub(1)).ok_or(Error::Shape)? = last;
        Shape::padded(self.rank(), dims)
    }

    /// Number of dimensions.
    pub const fn rank(&self) -> usize {
        self.rank as usize - 1
    }

    /// The dimensions in use.
    pub fn dims(&self) -> &[u32] {
        self.dims.get(..self.rank()).unwrap_or(&[])
    }

    /// Dimension `axis`, or 1 outside the rank.
    pub fn dim(&self, axis: usize) -> usize {
        match self.dims.get(axis) {
            Some(&d) => d as usize,
            None => 1,
        }
    }

    /// The four dimensions of a rank-4 tensor, for NHWC and OHWI operators.
    pub fn dims4(&self) -> Result<[usize; 4]> {
        let [a, b, c, d, _, _] = self.dims;
        if self.rank() == 4 {
            Ok([a as usize, b as usize, c as usize, d as usize])
        } else {
            Err(Error::Shape)
        }
    }

    /// Dimensions right-aligned in [`MAX_RANK`] places, padded with 1 in front, as broadcasting reads them.
    pub fn aligned(&self) -> [usize; MAX_RANK] {
        let mut out = [1usize; MAX_RANK];
        for (slot, &d) in out.iter_mut().rev().zip(self.dims().iter().rev()) {
            *slot = d as usize;
        }
        out
    }

    /// Number of elements, at least 1.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn elements(&self) -> usize {
        // Bounded by the constructor.
        self.dims.iter().fold(1usize, |n, &d| n.wrapping_mul(d as usize))
    }

    /// Product of the dimensions before `axis`.
    pub fn outer(&self, axis: usize) -> usize {
        self.dims.iter().take(axis).fold(1usize, |n, &d| n.wrapping_mul(d as usize))
    }

    /// Product of the dimensions after `axis`.
    pub fn inner(&self, axis: usize) -> usize {
        self.dims.iter().skip(axis.saturating_add(1)).fold(1usize, |n, &d| n.wrapping_mul(d as usize))
    }
}

/// Where a tensor's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Place {
    /// In the caller's arena.
    Arena = 0,
    /// In the bundle's weights, read-only.
    Weights = 1,
}

/// All that an operator may know of a tensor without its bytes.
///
/// `real = scale * (stored - zero_point)` for integers with a scale; a scale of 0 says "not quantized".
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Desc {
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions.
    pub shape: Shape,
    /// Per-tensor zero point, 0 for floats and indices.
    pub zero_point: i32,
    /// Per-tensor scale, 0 where none applies.
    pub scale: f32,
    /// In the arena or in the weights.
    pub place: Place,
    /// Order of the stored elements; of tensors in the arena always dense.
    pub layout: Layout,
}

impl Desc {
    /// An arena tensor without quantization parameters, as shape inference makes it.
    pub const fn new(dtype: Dtype, shape: Shape) -> Self {
        Desc { dtype, shape, zero_point: 0, scale: 0.0, place: Place::Arena, layout: Layout::Dense }
    }

    /// Stored bytes, packed elements two by two, those that a layout pads with included.
    pub fn bytes(&self) -> usize {
        // Where this overflows, no memory is large enough.
        self.layout.elements(&self.shape).and_then(|n| self.dtype.bytes(n)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_reject_zero_overflow_and_rank() {
        assert!(Shape::new(&[1, 0]).is_err());
        assert!(Shape::new(&[1; 7]).is_err());
        assert!(Shape::new(&[65536, 65536]).is_err());
        assert!(Shape::new(&[(1 << 28) + 1]).is_err());
        let s = Shape::new(&[2, 3, 4]).unwrap();
        assert_eq!((s.elements(), s.outer(1), s.inner(1), s.inner(2)), (24, 2, 4, 1));
        assert_eq!(s.aligned(), [1, 1, 1, 2, 3, 4]);
    }

    #[test]
    fn absent_descriptions_are_zeros() {
        assert_eq!(size_of::<Option<Shape>>(), size_of::<Shape>());
        assert_eq!(size_of::<Option<Desc>>(), size_of::<Desc>());
    }

    #[test]
    fn types_know_their_numbers_and_sizes() {
        for (n, &dtype) in Dtype::ALL.iter().enumerate() {
            assert_eq!((dtype as usize, Dtype::from_wire(n as u8)), (n, Ok(dtype)));
            assert_eq!(dtype.is_constant_only(), !Dtype::COMPUTED.contains(&dtype));
            assert_eq!(dtype.bytes(2), Some(if dtype.is_packed() { 1 } else { 2 * dtype.size() }));
        }
        assert_eq!(Dtype::from_wire(Dtype::ALL.len() as u8), Err(Error::Dtype));
        assert_eq!(
            (Dtype::I4.bytes(0), Dtype::U4.bytes(7), Dtype::I64.bytes(3)),
            (Some(0), Some(4), Some(24))
        );
        assert_eq!(Dtype::F32.bytes(usize::MAX / 2), None);
        let d = Desc::new(Dtype::I4, Shape::new(&[3, 5]).unwrap());
        assert_eq!(d.bytes(), 8);
    }
}
