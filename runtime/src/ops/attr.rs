//! Attributes on the wire: at most 48 bytes at fixed offsets, little-endian.

use crate::error::{Error, Result};

/// Most bytes of attributes a step has; anything longer is a constant operand.
pub const MAX_ATTR: usize = 48;

/// Writes attributes in the order [`Reader`] reads them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    bytes: [u8; MAX_ATTR],
    len: usize,
}

impl Default for Attr {
    fn default() -> Self {
        Attr::new()
    }
}

impl Attr {
    /// No attributes yet.
    pub const fn new() -> Self {
        Attr { bytes: [0; MAX_ATTR], len: 0 }
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn put(mut self, value: &[u8]) -> Self {
        // Each operator's round-trip test shows that its attributes fit; a byte too many is dropped and
        // fails that test rather than panicking on a device.
        for &b in value {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = b;
                self.len += 1;
            }
        }
        self
    }

    /// Appends one byte.
    pub fn u8(self, v: u8) -> Self {
        self.put(&[v])
    }

    /// Appends two bytes.
    pub fn u16(self, v: u16) -> Self {
        self.put(&v.to_le_bytes())
    }

    /// Appends four bytes.
    pub fn u32(self, v: u32) -> Self {
        self.put(&v.to_le_bytes())
    }

    /// Appends four bytes.
    pub fn i32(self, v: i32) -> Self {
        self.put(&v.to_le_bytes())
    }

    /// Appends four bytes.
    pub fn f32(self, v: f32) -> Self {
        self.u32(v.to_bits())
    }
}

/// Reads attributes; [`Reader::end`] refuses bytes left over.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Starts reading exactly `N` bytes, which refuses all others at once: reads within them need no checks.
    #[inline(always)]
    pub fn of<const N: usize>(attributes: &'a [u8]) -> Result<Self> {
        let bytes: &[u8; N] = attributes.try_into().map_err(|_| Error::Attribute)?;
        Ok(Reader(bytes))
    }

    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Error::Attribute)?;
        self.0 = rest;
        Ok(*head)
    }

    /// Next byte.
    #[inline(always)]
    pub fn u8(&mut self) -> Result<u8> {
        self.take::<1>().map(|[b]| b)
    }

    /// Next byte as a flag; only 0 and 1 are admitted.
    #[inline(always)]
    pub fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Attribute),
        }
    }

    /// Next two bytes.
    #[inline(always)]
    pub fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// Next four bytes.
    #[inline(always)]
    pub fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// Next four bytes.
    #[inline(always)]
    pub fn i32(&mut self) -> Result<i32> {
        self.take().map(i32::from_le_bytes)
    }

    /// Next four bytes; any bit pattern, NaN included.
    #[inline(always)]
    pub fn f32(&mut self) -> Result<f32> {
        self.u32().map(f32::from_bits)
    }

    /// Refuses trailing bytes.
    pub fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Attribute) }
    }
}

/// The closed range that a fused activation clamps to, in the output's own numbers:
/// `i32` levels for quantized outputs, `f32` for floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clamp {
    lo: u32,
    hi: u32,
}

impl Clamp {
    /// No clamping of floats.
    pub const NONE: Clamp = Clamp { lo: f32::NEG_INFINITY.to_bits(), hi: f32::INFINITY.to_bits() };

    /// Float bounds.
    pub const fn f32(lo: f32, hi: f32) -> Self {
        Clamp { lo: lo.to_bits(), hi: hi.to_bits() }
    }

    /// Integer bounds.
    pub const fn i32(lo: i32, hi: i32) -> Self {
        Clamp { lo: lo as u32, hi: hi as u32 }
    }

    /// As float bounds `(lo, hi)`.
    pub const fn as_f32(self) -> (f32, f32) {
        (f32::from_bits(self.lo), f32::from_bits(self.hi))
    }

    /// As integer bounds `(lo, hi)`.
    pub const fn as_i32(self) -> (i32, i32) {
        (self.lo as i32, self.hi as i32)
    }

    /// Eight bytes of attributes.
    pub fn emit(self, attr: Attr) -> Attr {
        attr.u32(self.lo).u32(self.hi)
    }

    /// The counterpart of [`Clamp::emit`].
    #[inline(always)]
    pub fn parse(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Clamp { lo: r.u32()?, hi: r.u32()? })
    }

    /// Refuses bounds that do not suit the output's element type: for int8 `-128 <= lo <= hi <= 127`,
    /// for int16 its own range, for floats `lo <= hi` without NaN.
    pub fn check(self, dtype: crate::tensor::Dtype) -> Result<()> {
        use crate::tensor::Dtype;
        let (lo, hi) = self.as_i32();
        let (least, greatest) = match dtype {
            Dtype::F32 => {
                let (lo, hi) = self.as_f32();
                return if lo <= hi { Ok(()) } else { Err(Error::Attribute) };
            }
            Dtype::I8 => (-128, 127),
            Dtype::U8 => (0, 255),
            Dtype::I16 => (-32768, 32767),
            Dtype::I32 => (i32::MIN, i32::MAX),
            Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => return Err(Error::Attribute),
        };
        if least <= lo && lo <= hi && hi <= greatest { Ok(()) } else { Err(Error::Attribute) }
    }

    /// `x` limited to the float bounds; NaN passes through. One limit after the other, so that no processor has to guess.
    pub fn limit_f32(self, x: f32) -> f32 {
        let (lo, hi) = self.as_f32();
        let x = if x < lo { lo } else { x };
        if x > hi { hi } else { x }
    }

    /// `x` limited to the integer bounds.
    pub fn limit_i32(self, x: i32) -> i32 {
        let (lo, hi) = self.as_i32();
        if x < lo {
            lo
        } else if x > hi {
            hi
        } else {
            x
        }
    }
}
