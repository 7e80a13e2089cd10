//! The instructions that the two loops over pairs of channels share.
//!
//! Registers: `r8` multiplier, `r9` shift, `r10` what is added before the last shift, `r11` for the moment. A sum
//! becomes a level in place: no branch, because [`super::scale::Scale::is_plain`] has admitted the constants.

/// TFLite rounding: the constants of a channel from `[r8, r9]`, with the layer's `2 * zero + 1` in `r10`. The half of
/// the rounding shift and the zero point become one number.
macro_rules! constants_tflite {
    () => {
        "rsb r9, r9, #0
         lsl r10, r10, r9
         asr r10, r10, #1"
    };
}

/// TFLite rounding: the level of sum `$sum`, stored at `$at`. The sum's sign stands for the product's: where the
/// product is zero, it makes no difference.
macro_rules! level_tflite {
    ($sum:literal, $at:literal) => {
        concat!(
            "lsl ",
            $sum,
            ", ",
            $sum,
            ", #1\n",
            "smmlar r11, ",
            $sum,
            ", r8, r10\n",
            "add r11, r11, ",
            $sum,
            ", asr #31\n",
            "asr r11, r11, r9\n",
            "ssat r11, #8, r11\n",
            "strb r11, [",
            $at,
            "]\n",
        )
    };
}

/// Single rounding: multipliers as they are, shifts of 0, and the layer's zero point in `r10`.
macro_rules! constants_single {
    () => {
        ""
    };
}

/// Single rounding: the level of sum `$sum`, stored at `$at`.
macro_rules! level_single {
    ($sum:literal, $at:literal) => {
        concat!("smmlar r11, ", $sum, ", r8, r10\n", "ssat r11, #8, r11\n", "strb r11, [", $at, "]\n",)
    };
}

pub(super) use {constants_single, constants_tflite, level_single, level_tflite};
