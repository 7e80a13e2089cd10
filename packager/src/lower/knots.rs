//! Tables of functions between int16 tensors: 513 entries with straight lines between them.
//!
//! A chord of a curve lies on one side of it; moving its ends by half of the greatest distance halves the error.
//! Entries are moved where that lessens the greatest error of the two lines that meet in them. What remains, in
//! levels, depends on how much the function bends within 128 levels of the input: next to a pole (reciprocal,
//! log and rsqrt at 0) it is large, which is why tables are judged by their own error, not trusted.

use samara_runtime::Dtype;
use samara_runtime::kernels::reference::unary;
use samara_runtime::ops::Function;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::lut::KNOTS;

use super::table::Side;
use crate::error::{Error, Result};

/// Input levels from one entry to the next.
const SPAN: usize = 128;

/// The table of a function; refuses those with steps, which lines between entries cannot follow.
pub fn of_function(input: Side, output: Side, function: Function) -> Result<Value> {
    if matches!(function, Function::Floor | Function::Ceil | Function::Round) {
        return Err(Error::invalid(format!(
            "{} has no int16 form: it jumps between levels",
            function.name()
        ))
        .remedy("leave it in float or int8"));
    }
    let table = fitted(&exact(input, output, |x| unary::apply(function, x)));
    Ok(Value::constant(Dtype::I16, &[KNOTS as u32], &table)?)
}

/// What the function gives for every level from -32768 to 32768 (one past the last), in output levels, not
/// rounded but limited to int16. What has no value becomes zero.
pub fn exact(input: Side, output: Side, f: impl Fn(f32) -> f32) -> Vec<f64> {
    let at = |level: i32| {
        let y = f((level - input.zero_point) as f32 * input.scale);
        let y = if y.is_nan() { 0.0 } else { y as f64 };
        (y / output.scale as f64 + output.zero_point as f64).clamp(-32768.0, 32767.0)
    };
    (-32768..=32768).map(at).collect()
}

/// The entries for a curve as [`exact`] gives it.
pub fn fitted(curve: &[f64]) -> Vec<i16> {
    let mut table: Vec<i16> = curve.iter().step_by(SPAN).map(|&y| libm::rint(y) as i16).collect();
    for _ in 0..2 {
        for k in 0..table.len() {
            let around = [k.checked_sub(1), Some(k).filter(|&k| k + 1 < table.len())];
            let worst = |table: &[i16]| {
                around.iter().flatten().map(|&line| error(curve, table, line).abs()).fold(0.0, f64::max)
            };
            // Half of the mean of both lines' errors, and a level either way.
            let errors: Vec<f64> = around.iter().flatten().map(|&line| error(curve, &table, line)).collect();
            let half = errors.iter().sum::<f64>() / errors.len() as f64 / 2.0;
            let (before, mut best) = (table[k], (worst(&table), table[k]));
            for step in [libm::rint(half), 1.0, -1.0] {
                table[k] = (before as f64 - step).clamp(-32768.0, 32767.0) as i16;
                let error = worst(&table);
                if error < best.0 {
                    best = (error, table[k]);
                }
            }
            table[k] = best.1;
        }
    }
    table
}

/// The greatest error, with its sign, of the line from entry `k` on.
pub fn error(curve: &[f64], table: &[i16], k: usize) -> f64 {
    let (base, next) = (table[k] as i32, table[k + 1] as i32);
    let mut worst = 0.0f64;
    for (r, &y) in curve[k * SPAN..][..SPAN].iter().enumerate() {
        let off = (base + (((next - base) * r as i32 + 64) >> 7)) as f64 - y;
        if off.abs() > worst.abs() {
            worst = off;
        }
    }
    worst
}
