//! What can go wrong, as one small `Copy` type whose numeric codes are stable.

use core::fmt;

/// Result of every fallible call of this crate.
pub type Result<T> = core::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// The cause of a refusal. [`Error::code`] never changes meaning between versions.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum Error { $($(#[$doc])* $name = $code,)* }

        impl Error {
            /// Every error, for tables in documents and bindings.
            pub const ALL: &'static [Error] = &[$(Error::$name,)*];

            /// One clause of plain English without the file's name.
            pub const fn message(self) -> &'static str {
                match self { $(Error::$name => $text,)* }
            }
        }
    };
}

errors! {
    // 1..: the container
    /// Fewer bytes than a structure needs.
    Truncated = 1, "the data ends before a structure it announces";
    /// The first eight bytes are not a bundle's.
    Magic = 2, "this is not a Samara bundle";
    /// A format number this library does not know.
    Format = 3, "the bundle's format number is newer than this library";
    /// A count or size above a named limit.
    Limit = 4, "a count or size is above its limit";
    /// The file is longer or shorter than its header says.
    Length = 5, "the file's length differs from what its header says";
    /// Bytes that must be zero are not.
    Padding = 6, "bytes that must be zero are not";
    /// Sections overlap, are unordered, unaligned or out of range.
    Section = 7, "a section overlaps, is unaligned or lies out of range";
    /// A section that the operation needs is absent.
    Missing = 8, "a section that is needed is absent";
    /// A manifest value that cannot be decoded, or an unknown tag that must be understood.
    Manifest = 9, "a manifest entry cannot be understood";
    /// A chunk's or table's SHA-256 differs.
    Hash = 10, "a hash differs: the bundle is damaged or was altered";
    /// A signature by a known key does not verify.
    Signature = 11, "a signature by a trusted key does not verify";
    /// Fewer distinct trusted keys have signed than the threshold asks.
    Threshold = 12, "too few trusted keys have signed";
    /// Threshold zero, no keys, or a key that is no valid ed25519 point.
    Trust = 13, "the trusted keys or their threshold are unusable";

    // 32..: the plan
    /// A tensor record breaks a rule (rank, dims, size, place, alignment).
    Tensor = 32, "a tensor record is invalid";
    /// An operand refers to no tensor, or to one in the wrong place.
    Operand = 33, "a step's operand is invalid";
    /// The operator list given to load has no such operator.
    UnknownOperator = 34, "the operator list lacks an operator that the plan uses";
    /// The operator is there but no entry serves the step's kernel, dtype or rounding.
    NoKernel = 35, "no kernel in the operator list serves a step";
    /// Attributes break the operator's rules.
    Attribute = 36, "a step's attributes are invalid";
    /// Operand shapes do not fit the operator.
    Shape = 37, "a step's operand shapes do not fit its operator";
    /// Operand element types do not fit the operator.
    Dtype = 38, "a step's operand element types do not fit its operator";
    /// A multiplier, shift, zero point or scale is out of its range.
    Quantization = 39, "a quantization constant is out of range";
    /// Two tensors share memory in a way that the kernel does not tolerate.
    Overlap = 40, "tensors overlap in a way the kernel does not tolerate";
    /// The plan's totals (MACs, scratch) are not what its steps need.
    Totals = 41, "the plan's totals are not what its steps need";

    // 64..: use
    /// The caller's arena or buffer is too small.
    TooSmall = 64, "a buffer is smaller than the plan needs";
    /// The caller's arena or the bundle is not aligned as the plan needs.
    Alignment = 65, "a buffer is not aligned as the plan needs";
    /// No input or output has that index.
    Index = 66, "no input or output has that index";
    /// The element type or count given differs from the tensor's.
    Mismatch = 67, "the data's element type or count differs from the tensor's";
    /// The self-test's output is not the expected one.
    SelfTest = 68, "the self-test's output differs from the golden vector";
    /// A tensor of indices holds one outside the axis it points into.
    Value = 69, "an index lies outside the axis it points into";
    /// A broken invariant inside the library; reported instead of a panic.
    Internal = 127, "an internal invariant is broken";
}

impl Error {
    /// The stable number, as in logs, telemetry and the C API.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_fit_telemetry() {
        for (i, a) in Error::ALL.iter().enumerate() {
            assert!(a.code() > 0 && a.code() < 128);
            assert!(Error::ALL[..i].iter().all(|b| b.code() != a.code()));
        }
    }
}
