//! Bounds on every count that an untrusted bundle announces. Raising one is a format decision.

/// Greatest `content_len`: 2 GiB, so that offsets fit 32-bit targets.
pub const MAX_CONTENT: u64 = 1 << 31;
/// Signature slots.
pub const MAX_SIGNATURES: usize = 8;
/// Chunk size exponents.
pub const CHUNK_LOG2: core::ops::RangeInclusive<u8> = 12..=20;
/// Sections.
pub const MAX_SECTIONS: usize = 64;
/// Tensors of a plan.
pub const MAX_TENSORS: usize = 16_384;
/// Steps of a plan.
pub const MAX_STEPS: usize = 8_192;
/// Operands of a plan, graph inputs and outputs included.
pub const MAX_OPERANDS: usize = 131_072;
/// Attribute bytes of a plan.
pub const MAX_ATTRIBUTES: usize = 1 << 20;
/// Graph inputs, and likewise outputs.
pub const MAX_IO: usize = 32;
/// Multiply-accumulates of one run: 2^42, about an hour of a slow core.
pub const MAX_MACS: u64 = 1 << 42;
/// Golden vectors.
pub const MAX_GOLDEN: usize = 256;
