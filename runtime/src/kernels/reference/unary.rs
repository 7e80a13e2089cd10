//! Unary, by the `libm` crate: the same bits on every target.

use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::error::Result;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::unary::{Function, Unary};

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let function = Unary::parse(attributes)?.function;
    let n = io.output_desc(0)?.shape.elements();
    io.pair::<f32, f32>(0, 0)?.map(n, |x| apply(function, x))
}

/// One value.
pub fn apply(function: Function, x: f32) -> f32 {
    match function {
        Function::Abs => x.abs(),
        Function::Neg => -x,
        Function::Exp => libm::expf(x),
        Function::Log => libm::logf(x),
        Function::Sqrt => libm::sqrtf(x),
        Function::Rsqrt => 1.0 / libm::sqrtf(x),
        Function::Reciprocal => 1.0 / x,
        Function::Square => x * x,
        Function::Erf => libm::erff(x),
        Function::Sin => libm::sinf(x),
        Function::Cos => libm::cosf(x),
        Function::Floor => libm::floorf(x),
        Function::Ceil => libm::ceilf(x),
        Function::Round => libm::rintf(x),
        Function::Logistic => logistic(x),
        Function::Tanh => libm::tanhf(x),
        Function::HardSwish => x * limit(x + 3.0, 6.0) / 6.0,
        Function::HardSigmoid { alpha, beta } => limit(alpha * x + beta, 1.0),
        Function::Gelu => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
        Function::GeluTanh => {
            let inner = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + libm::tanhf(inner))
        }
        Function::Elu { alpha } => {
            if x < 0.0 {
                alpha * libm::expm1f(x)
            } else {
                x
            }
        }
        Function::LeakyRelu { alpha } => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        Function::Softplus => limit(x, f32::INFINITY) + libm::log1pf(libm::expf(-x.abs())),
        Function::Silu => x * logistic(x),
        Function::Pow { exponent } => libm::powf(x, exponent),
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// `x` limited to 0..=hi; NaN passes through.
fn limit(x: f32, hi: f32) -> f32 {
    if x < 0.0 {
        0.0
    } else if x > hi {
        hi
    } else {
        x
    }
}
