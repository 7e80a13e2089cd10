//! Conv2D on shapes small enough to check by hand, in every rounding.

use samara_runtime::ops::conv_2d::Conv2d;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Clamp, Op, OpDef, Rounding, Window};
use samara_runtime::{Desc, Dtype, Shape};

fn int8(dims: &[u32], zero_point: i32, data: &[i8]) -> Value {
    let desc = Desc { scale: 0.5, zero_point, ..Desc::new(Dtype::I8, Shape::new(dims).unwrap()) };
    Value::new(desc, data).unwrap()
}

#[test]
fn attributes_round_trip() {
    let op = Conv2d {
        window: Window { stride: [1, 2], dilation: [3, 4], pad: [5, 6, 7, 8] },
        groups: 9,
        clamp: Clamp::i32(-5, 6),
    };
    assert_eq!(Conv2d::parse(op.emit().bytes()).unwrap(), op);
}

#[test]
fn strides_dilation_padding_and_groups_by_hand() {
    // 3x3 image of two channels, one group each; 2x2 window dilated by 2, padded by 1 on top and left.
    let x = int8(&[1, 3, 3, 2], 1, &[2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1, 8, 2, 9, 3, 10, 4]);
    let w = Value::constant(Dtype::I8, &[2, 2, 2, 1], &[1i8, 2, 3, 4, -1, -2, -3, -4]).unwrap();
    let b = Value::constant(Dtype::I32, &[2], &[10i32, 0]).unwrap();
    let op = Conv2d {
        window: Window { stride: [1, 1], dilation: [2, 2], pad: [1, 1, 0, 0] },
        groups: 2,
        clamp: Clamp::i32(-128, 127),
    };
    // Real values of channel 0: 1..9 in reading order; taps at (y-1, x-1), (y-1, x+1), (y+1, x-1), (y+1, x+1).
    let expect0 = [10 + 4 * 5, 10 + 3 * 4 + 4 * 6, 10 + 2 * 2 + 4 * 8, 10 + 1 + 2 * 3 + 3 * 7 + 4 * 9];
    for (rounding, scale) in [
        (Rounding::Tflite, Value::constant(Dtype::I32, &[2, 2], &[1i32 << 30, 1, 1 << 30, 1]).unwrap()),
        (Rounding::Single, Value::constant(Dtype::I32, &[2, 2], &[1i32 << 30, 2, 1 << 30, 2]).unwrap()),
        (Rounding::Onnx, Value::constant(Dtype::F32, &[2], &[1f32, 1.0]).unwrap()),
    ] {
        let y = eval(
            &OpDef::of::<Conv2d>(),
            op.emit().bytes(),
            rounding,
            0,
            &[Some(&x), Some(&w), Some(&b), Some(&scale)],
            &[(1.0, 3)],
        )
        .unwrap();
        assert_eq!(y[0].desc.shape.dims(), [1, 2, 2, 2]);
        let got: Vec<i32> = y[0].elements::<i8>().iter().step_by(2).map(|&v| v as i32 - 3).collect();
        assert_eq!(got, expect0, "{rounding:?}");
    }
}
