//! MaxPool2D against a naive oracle over random geometry, and its refusals.

mod oracle;
#[path = "oracle/pool.rs"]
mod pool;

use oracle::{Noise, close, float, int8, int16};
use pool::cases;
use proptest::prelude::*;
use samara_runtime::Error;
use samara_runtime::ops::eval::eval;
use samara_runtime::ops::max_pool_2d::MaxPool2d;
use samara_runtime::ops::{Clamp, Op, OpDef, Pool, Rounding, Window};

const OP: OpDef = OpDef::of::<MaxPool2d>();

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_greatest_of_each_window(case in cases()) {
        let dims = case.input.map(|d| d as u32);
        let x = Noise(case.seed).int8(case.input.iter().product());
        let op = MaxPool2d { pool: case.pool, clamp: Clamp::i32(-100, 90) };
        let input = int8(&dims, 0.25, 3, &x);
        let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &[Some(&input)], &[(0.25, 3)]).unwrap();
        let expect: Vec<i8> = case
            .windows()
            .iter()
            .map(|(inside, _)| inside.iter().map(|&i| x[i]).max().unwrap_or(-128).clamp(-100, 90))
            .collect();
        prop_assert_eq!(y[0].elements::<i8>(), expect);
    }

    #[test]
    fn the_greatest_of_each_window_of_int16(case in cases()) {
        let dims = case.input.map(|d| d as u32);
        let x = Noise(case.seed).int16(case.input.iter().product());
        let op = MaxPool2d { pool: case.pool, clamp: Clamp::i32(-32760, 30000) };
        let input = int16(&dims, 0.25, 0, &x);
        let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &[Some(&input)], &[(0.25, 0)]).unwrap();
        let greatest = |inside: &[usize]| inside.iter().map(|&i| x[i]).max().unwrap_or(i16::MIN);
        let expect: Vec<i16> =
            case.windows().iter().map(|(inside, _)| greatest(inside).clamp(-32760, 30000)).collect();
        prop_assert_eq!(y[0].elements::<i16>(), expect);
    }

    #[test]
    fn the_greatest_float_of_each_window(case in cases()) {
        let dims = case.input.map(|d| d as u32);
        let x = Noise(case.seed).floats(case.input.iter().product());
        let op = MaxPool2d { pool: case.pool, clamp: Clamp::f32(-1.5, 1.25) };
        let input = float(&dims, &x);
        let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &[Some(&input)], &[]).unwrap();
        for (&got, (inside, _)) in y[0].elements::<f32>().iter().zip(&case.windows()) {
            let greatest = inside.iter().map(|&i| x[i] as f64).fold(f64::MIN, f64::max);
            prop_assert!(close(got, greatest.clamp(-1.5, 1.25)));
        }
    }
}

fn two_by_two() -> MaxPool2d {
    MaxPool2d { pool: Pool { window: Window::UNIT, size: [2, 2] }, clamp: Clamp::i32(-128, 127) }
}

#[test]
fn attributes_round_trip() {
    let window = Window { stride: [1, 2], dilation: [3, 4], pad: [5, 6, 7, 8] };
    let op = MaxPool2d { pool: Pool { window, size: [9, 10] }, clamp: Clamp::i32(-5, 6) };
    assert_eq!(MaxPool2d::parse(op.emit().bytes()).unwrap(), op);
}

#[test]
fn what_does_not_fit_is_refused() {
    let run = |op: MaxPool2d, dims: &[u32], parameters| {
        let x = int8(dims, 0.5, 7, &vec![0; dims.iter().product::<u32>() as usize]);
        eval(&OP, op.emit().bytes(), Rounding::None, 0, &[Some(&x)], &[parameters]).map(|_| ())
    };
    let op = two_by_two();
    assert_eq!(run(op, &[1, 2, 2, 1], (0.5, 7)), Ok(()));
    assert_eq!(run(op, &[1, 2, 2, 1], (0.5, 8)), Err(Error::Quantization));
    assert_eq!(run(op, &[1, 2, 1, 1], (0.5, 7)), Err(Error::Shape));
    assert_eq!(run(op, &[2, 2, 1], (0.5, 7)), Err(Error::Shape));
    let wide = MaxPool2d { clamp: Clamp::i32(-129, 127), ..op };
    assert_eq!(run(wide, &[1, 2, 2, 1], (0.5, 7)), Err(Error::Attribute));
    let window = Window { pad: [0, 0, 0, 2], ..Window::UNIT };
    let outside = MaxPool2d { pool: Pool { window, size: [2, 2] }, ..op };
    assert_eq!(run(outside, &[1, 2, 2, 1], (0.5, 7)), Err(Error::Attribute));
}
