//! The instructions that the loops share.
//!
//! Registers: `r8` multiplier, `r9` shift. A sum with its bias becomes a level in place: no branch, because
//! [`super::scale::Scale::is_plain`] has admitted the constants.

/// TFLite rounding: the constants of a channel from its shift in `$shift`, with the layer's `2 * zero + 1` in `$zero`. The
/// half of the rounding shift and the zero point become one number, in `$add`; `r9` is the shift but for its last bit.
macro_rules! constants_tflite {
    ($shift:literal, $zero:literal, $add:literal) => {
        concat!("mvn r9, ", $shift, "\nlsl ", $add, ", ", $zero, ", r9\n")
    };
}

/// TFLite rounding: twice a bias.
macro_rules! bias_tflite {
    ($bias:literal) => {
        concat!("lsl ", $bias, ", ", $bias, ", #1\n")
    };
}

/// TFLite rounding: an even channel's sum and bias, doubled.
macro_rules! even_tflite {
    ($sum:literal, $bias:literal) => {
        concat!("add ", $sum, ", ", $bias, ", ", $sum, ", lsl #1\n")
    };
}

/// TFLite rounding: the same of an odd channel, from 256 times its sum.
macro_rules! odd_tflite {
    ($sum:literal, $bias:literal) => {
        concat!("add ", $sum, ", ", $bias, ", ", $sum, ", asr #7\n")
    };
}

/// TFLite rounding: the level of doubled sum `$sum` to `$level`. The sum's sign stands for the product's: where the
/// product is zero, it makes no difference.
macro_rules! level_tflite {
    ($sum:literal, $add:literal, $shift:literal, $level:literal) => {
        concat!(
            "smmlar ",
            $level,
            ", ",
            $sum,
            ", r8, ",
            $add,
            "\n",
            "add ",
            $level,
            ", ",
            $level,
            ", ",
            $sum,
            ", asr #31\n",
            "asr ",
            $level,
            ", ",
            $level,
            ", ",
            $shift,
            "\n",
            "ssat ",
            $level,
            ", #8, ",
            $level,
            ", asr #1\n",
        )
    };
}

/// Single rounding: multipliers as they are, shifts of 0, and the layer's zero point in `$zero`.
macro_rules! constants_single {
    ($shift:literal, $zero:literal, $add:literal) => {
        concat!("mov ", $add, ", ", $zero, "\n")
    };
}

/// Single rounding: a bias as it is.
macro_rules! bias_single {
    ($bias:literal) => {
        ""
    };
}

/// Single rounding: an even channel's sum and bias.
macro_rules! even_single {
    ($sum:literal, $bias:literal) => {
        concat!("add ", $sum, ", ", $bias, ", ", $sum, "\n")
    };
}

/// Single rounding: the same of an odd channel, from 256 times its sum.
macro_rules! odd_single {
    ($sum:literal, $bias:literal) => {
        concat!("add ", $sum, ", ", $bias, ", ", $sum, ", asr #8\n")
    };
}

/// Single rounding: the level of sum `$sum` to `$level`.
macro_rules! level_single {
    ($sum:literal, $add:literal, $shift:literal, $level:literal) => {
        concat!("smmlar ", $level, ", ", $sum, ", r8, ", $add, "\n", "ssat ", $level, ", #8, ", $level, "\n",)
    };
}

pub(super) use {
    bias_single, bias_tflite, constants_single, constants_tflite, even_single, even_tflite, level_single,
    level_tflite, odd_single, odd_tflite,
};
