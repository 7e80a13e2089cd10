//! The one list of operators that are imported; messages, documentation and tests loop over it.

use std::ops::RangeInclusive;

use super::context::Context;
use super::ops::{dense, elementwise, layout, reduce, resize, slice, window};
use crate::error::Result;

/// One builtin operator.
#[derive(Debug)]
pub struct Entry {
    /// The schema's name.
    pub name: &'static str,
    /// The schema's builtin code.
    pub code: i32,
    /// The discriminant of its options in the schema's union; 0 where it has none.
    pub options: u8,
    /// Option fields that the import function knows; a file that sets others is refused.
    pub fields: usize,
    /// How many operands.
    pub inputs: RangeInclusive<usize>,
    /// How many results.
    pub outputs: RangeInclusive<usize>,
    /// Adds the operator to the graph.
    pub import: fn(&mut Context<'_, '_, '_, '_>) -> Result<()>,
}

const MANY: usize = super::schema::LIMITS.operands;

macro_rules! entries {
    ($($name:ident $code:literal, options $options:literal of $fields:literal, $inputs:expr => $outputs:expr, $import:path;)*) => {
        &[$(Entry {
            name: stringify!($name),
            code: $code,
            options: $options,
            fields: $fields,
            inputs: $inputs,
            outputs: $outputs,
            import: $import,
        }),*]
    };
}

/// Every operator that is imported, by name.
#[rustfmt::skip]
pub const ALL: &[Entry] = entries! {
    ABS 101, options 78 of 0, 1..=1 => 1..=1, elementwise::abs;
    ADD 0, options 11 of 2, 2..=2 => 1..=1, elementwise::add;
    ARG_MAX 56, options 40 of 1, 2..=2 => 1..=1, reduce::arg_max;
    AVERAGE_POOL_2D 1, options 5 of 6, 1..=1 => 1..=1, window::average_pool_2d;
    BATCH_MATMUL 126, options 101 of 3, 2..=2 => 1..=1, dense::batch_matmul;
    CAST 53, options 37 of 2, 1..=1 => 1..=1, elementwise::cast;
    CEIL 104, options 0 of 0, 1..=1 => 1..=1, elementwise::ceil;
    CONCATENATION 2, options 10 of 2, 1..=MANY => 1..=1, layout::concatenation;
    CONV_2D 3, options 1 of 7, 2..=3 => 1..=1, window::conv_2d;
    COS 108, options 84 of 0, 1..=1 => 1..=1, elementwise::cos;
    DEPTHWISE_CONV_2D 4, options 2 of 7, 2..=3 => 1..=1, window::depthwise_conv_2d;
    DEQUANTIZE 6, options 38 of 0, 1..=1 => 1..=1, elementwise::dequantize;
    DIV 42, options 29 of 1, 2..=2 => 1..=1, elementwise::div;
    ELU 111, options 0 of 0, 1..=1 => 1..=1, elementwise::elu;
    EXP 47, options 33 of 0, 1..=1 => 1..=1, elementwise::exp;
    EXPAND_DIMS 70, options 52 of 0, 2..=2 => 1..=1, layout::expand_dims;
    FLOOR 8, options 0 of 0, 1..=1 => 1..=1, elementwise::floor;
    FULLY_CONNECTED 9, options 8 of 5, 2..=3 => 1..=1, dense::fully_connected;
    GATHER 36, options 23 of 2, 2..=2 => 1..=1, layout::gather;
    GELU 150, options 116 of 1, 1..=1 => 1..=1, elementwise::gelu;
    HARD_SWISH 117, options 91 of 0, 1..=1 => 1..=1, elementwise::hard_swish;
    LEAKY_RELU 98, options 75 of 1, 1..=1 => 1..=1, elementwise::leaky_relu;
    LOG 73, options 0 of 0, 1..=1 => 1..=1, elementwise::log;
    LOGISTIC 14, options 0 of 0, 1..=1 => 1..=1, elementwise::logistic;
    MAXIMUM 55, options 39 of 0, 2..=2 => 1..=1, elementwise::maximum;
    MAX_POOL_2D 17, options 5 of 6, 1..=1 => 1..=1, window::max_pool_2d;
    MEAN 40, options 27 of 1, 2..=2 => 1..=1, reduce::mean;
    MINIMUM 57, options 39 of 0, 2..=2 => 1..=1, elementwise::minimum;
    MUL 18, options 21 of 1, 2..=2 => 1..=1, elementwise::mul;
    NEG 59, options 42 of 0, 1..=1 => 1..=1, elementwise::neg;
    PACK 83, options 59 of 2, 1..=MANY => 1..=1, layout::pack;
    PAD 34, options 22 of 0, 2..=2 => 1..=1, layout::pad;
    PADV2 60, options 43 of 0, 3..=3 => 1..=1, layout::pad;
    PRELU 54, options 0 of 0, 2..=2 => 1..=1, elementwise::prelu;
    QUANTIZE 114, options 89 of 0, 1..=1 => 1..=1, elementwise::quantize;
    REDUCE_MAX 82, options 27 of 1, 2..=2 => 1..=1, reduce::reduce_max;
    RELU 19, options 0 of 0, 1..=1 => 1..=1, elementwise::relu;
    RELU6 21, options 0 of 0, 1..=1 => 1..=1, elementwise::relu6;
    RELU_N1_TO_1 20, options 0 of 0, 1..=1 => 1..=1, elementwise::relu_n1_to_1;
    RESHAPE 22, options 17 of 1, 1..=2 => 1..=1, layout::reshape;
    RESIZE_BILINEAR 23, options 15 of 4, 2..=2 => 1..=1, resize::bilinear;
    RESIZE_NEAREST_NEIGHBOR 97, options 74 of 2, 2..=2 => 1..=1, resize::nearest;
    ROUND 116, options 0 of 0, 1..=1 => 1..=1, elementwise::round;
    RSQRT 76, options 0 of 0, 1..=1 => 1..=1, elementwise::rsqrt;
    SHAPE 77, options 55 of 1, 1..=1 => 1..=1, layout::shape;
    SIN 66, options 0 of 0, 1..=1 => 1..=1, elementwise::sin;
    SLICE 65, options 48 of 0, 3..=3 => 1..=1, slice::slice;
    SOFTMAX 25, options 9 of 1, 1..=1 => 1..=1, reduce::softmax;
    SPLIT 49, options 35 of 1, 2..=2 => 1..=MANY, slice::split;
    SPLIT_V 102, options 79 of 1, 3..=3 => 1..=MANY, slice::split_v;
    SQRT 75, options 0 of 0, 1..=1 => 1..=1, elementwise::sqrt;
    SQUARE 92, options 66 of 0, 1..=1 => 1..=1, elementwise::square;
    SQUEEZE 43, options 30 of 1, 1..=1 => 1..=1, layout::squeeze;
    STRIDED_SLICE 45, options 32 of 6, 4..=4 => 1..=1, slice::strided_slice;
    SUB 41, options 28 of 2, 2..=2 => 1..=1, elementwise::sub;
    SUM 74, options 27 of 1, 2..=2 => 1..=1, reduce::sum;
    TANH 28, options 0 of 0, 1..=1 => 1..=1, elementwise::tanh;
    TRANSPOSE 39, options 26 of 0, 2..=2 => 1..=1, layout::transpose;
    UNPACK 88, options 64 of 2, 1..=1 => 1..=MANY, layout::unpack;
};

/// The entry of a builtin code.
pub fn find(code: i32) -> Option<&'static Entry> {
    ALL.iter().find(|e| e.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_the_schemas_and_unique() {
        for e in ALL {
            assert_eq!(super::super::codes::name(e.code), e.name);
            assert_eq!(ALL.iter().filter(|o| o.code == e.code).count(), 1, "{}", e.name);
        }
        assert!(ALL.is_sorted_by_key(|e| e.name.replace("PADV2", "PAD_V2")));
    }
}
