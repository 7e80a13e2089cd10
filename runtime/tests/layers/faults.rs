//! Operands that do not fit, each test named after what is wrong with it.

use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Clamp, Conv2d, DepthwiseConv2d, FullyConnected, Op, OpDef, Rounding, Window};
use samara_runtime::{Desc, Dtype, Error, Place, Shape};

use crate::oracle::{float, int8, int16};
use crate::requant::scales;
use crate::stored::packed;

/// A fully connected layer of 2 outputs and 6 weights each, sound but for what a test changes.
struct Dense {
    x: Value,
    weights: Value,
    bias: Option<Value>,
    constants: Option<Value>,
    table: Option<Value>,
    rounding: Rounding,
    clamp: Clamp,
    output_zero: i32,
}

const LEVELS: [i64; 12] = [-8, 7, 0, 1, -1, 2, 3, -3, 5, -5, 6, -7];

fn int4() -> Value {
    packed(Dtype::I4, &[2, 6], &LEVELS)
}

fn indices() -> Value {
    packed(Dtype::U4, &[2, 6], &LEVELS.map(|l| l + 8))
}

fn table(dims: &[u32], level: i8) -> Option<Value> {
    Some(Value::constant(Dtype::I8, dims, &vec![level; dims.iter().product::<u32>() as usize]).unwrap())
}

fn constant<T: bytemuck::Pod>(dtype: Dtype, dims: &[u32], elements: &[T]) -> Option<Value> {
    Some(Value::constant(dtype, dims, elements).unwrap())
}

impl Dense {
    fn int8() -> Self {
        Dense {
            x: int8(&[1, 6], 0.1, 3, &[1, 2, 3, 4, 5, 6]),
            weights: int4(),
            bias: constant(Dtype::I32, &[2], &[1i32, 2]),
            constants: Some(scales(Rounding::Single, &[[1 << 30, 0]; 2], &[])),
            table: None,
            rounding: Rounding::Single,
            clamp: Clamp::i32(-128, 127),
            output_zero: -4,
        }
    }

    fn int16() -> Self {
        Dense {
            x: int16(&[1, 6], 0.1, 0, &[1, 2, 3, 4, 5, 6]),
            bias: constant(Dtype::I64, &[2], &[1i64, 2]),
            constants: Some(scales(Rounding::Single, &[[1 << 30, -31]; 2], &[])),
            output_zero: 0,
            ..Dense::int8()
        }
    }

    fn float() -> Self {
        Dense {
            x: float(&[1, 6], &[1.0; 6]),
            bias: constant(Dtype::F32, &[2], &[1f32, 2.0]),
            constants: constant(Dtype::F32, &[2], &[0.5f32, 0.0]),
            rounding: Rounding::None,
            clamp: Clamp::NONE,
            output_zero: 0,
            ..Dense::int8()
        }
    }

    fn run(&self) -> Result<(), Error> {
        let attributes = FullyConnected { keep_dims: true, clamp: self.clamp }.emit();
        let inputs = [
            Some(&self.x),
            Some(&self.weights),
            self.bias.as_ref(),
            self.constants.as_ref(),
            self.table.as_ref(),
        ];
        let def = OpDef::of::<FullyConnected>();
        let scale = if self.x.desc.dtype == Dtype::F32 { 0.0 } else { 0.1 };
        eval(&def, attributes.bytes(), self.rounding, 0, &inputs, &[(scale, self.output_zero)]).map(|_| ())
    }

    #[track_caller]
    fn refused(self, with: Error) {
        assert_eq!(self.run(), Err(with));
    }
}

#[test]
fn sound_operands_run() {
    for dense in [Dense::int8(), Dense::int16(), Dense::float()] {
        dense.run().unwrap();
        Dense { table: table(&[2, 3], 127), ..dense }.run().unwrap();
    }
    for dense in [Dense::int8(), Dense::int16(), Dense::float()] {
        Dense { weights: indices(), table: table(&[2, 16], -128), ..dense }.run().unwrap();
    }
}

#[test]
fn palette_without_a_table() {
    Dense { weights: indices(), ..Dense::int8() }.refused(Error::Operand);
}

#[test]
fn palette_of_fifteen_levels() {
    Dense { weights: indices(), table: table(&[1, 15], 1), ..Dense::int8() }.refused(Error::Shape);
}

#[test]
fn palettes_of_other_channels() {
    Dense { weights: indices(), table: table(&[3, 16], 1), ..Dense::int8() }.refused(Error::Shape);
}

#[test]
fn table_of_another_type() {
    let wide = constant(Dtype::I32, &[2, 3], &[1i32; 6]);
    Dense { table: wide, ..Dense::int8() }.refused(Error::Dtype);
}

#[test]
fn table_that_is_no_constant() {
    let computed = int8(&[2, 3], 0.1, 0, &[1; 6]);
    Dense { table: Some(computed), ..Dense::int8() }.refused(Error::Operand);
}

#[test]
fn table_of_int8_weights() {
    let weights = Value::constant(Dtype::I8, &[2, 6], &[1i8; 12]).unwrap();
    Dense { weights, table: table(&[2, 3], 1), ..Dense::int8() }.refused(Error::Operand);
}

#[test]
fn groups_that_do_not_divide_a_channel() {
    Dense { table: table(&[2, 4], 1), ..Dense::int8() }.refused(Error::Shape);
    Dense { table: table(&[2, 12], 1), ..Dense::int8() }.refused(Error::Shape);
}

#[test]
fn groups_of_other_channels() {
    Dense { table: table(&[3, 2], 1), ..Dense::int8() }.refused(Error::Shape);
    Dense { table: table(&[1, 2], 1), ..Dense::int8() }.refused(Error::Shape);
    Dense { table: table(&[2], 1), ..Dense::int8() }.refused(Error::Shape);
}

#[test]
fn group_multiplier_of_zero_or_below() {
    for (multiplier, dense) in [(0, Dense::int8()), (-1, Dense::int16()), (-128, Dense::float())] {
        Dense { table: table(&[2, 3], multiplier), ..dense }.refused(Error::Quantization);
    }
}

#[test]
fn groups_of_a_depthwise_layer() {
    let op = DepthwiseConv2d { window: Window::UNIT, clamp: Clamp::i32(-128, 127) };
    let x = int8(&[1, 1, 1, 2], 0.1, 0, &[1, 2]);
    let weights = packed(Dtype::I4, &[1, 1, 1, 2], &[1, 2]);
    let s = scales(Rounding::Single, &[[1 << 30, 0]; 2], &[]);
    let def = OpDef::of::<DepthwiseConv2d>();
    let run = |t: Option<Value>| {
        let inputs = [Some(&x), Some(&weights), None, Some(&s), t.as_ref()];
        eval(&def, op.emit().bytes(), Rounding::Single, 0, &inputs, &[(0.1, 0)]).map(|_| ())
    };
    assert_eq!((run(None), run(table(&[2, 1], 1))), (Ok(()), Err(Error::Operand)));
}

#[test]
fn scales_that_are_no_scales() {
    for scale in [-1.0, f32::NAN, f32::INFINITY] {
        let constants = constant(Dtype::F32, &[2], &[1.0, scale]);
        Dense { constants, ..Dense::float() }.refused(Error::Quantization);
    }
}

#[test]
fn integer_weights_without_scales() {
    Dense { constants: None, ..Dense::float() }.refused(Error::Operand);
}

#[test]
fn scales_of_float_weights() {
    let weights = Value::constant(Dtype::F32, &[2, 6], &[1f32; 12]).unwrap();
    Dense { weights, ..Dense::float() }.refused(Error::Operand);
    let weights = Value::constant(Dtype::F16, &[2, 6], &[0x3c00u16; 12]).unwrap();
    Dense { weights, ..Dense::float() }.refused(Error::Operand);
}

#[test]
fn scales_of_integer_activations() {
    let constants = constant(Dtype::F32, &[2], &[1f32; 2]);
    Dense { constants, ..Dense::int8() }.refused(Error::Dtype);
}

#[test]
fn float_weights_of_integer_activations() {
    for (dtype, bytes) in [(Dtype::F16, 24), (Dtype::F32, 48), (Dtype::I16, 24), (Dtype::I64, 96)] {
        let desc = Desc { place: Place::Weights, ..Desc::new(dtype, Shape::new(&[2, 6]).unwrap()) };
        assert_eq!(desc.bytes(), bytes);
        Dense { weights: Value::zeros(desc), ..Dense::int8() }.refused(Error::Dtype);
        Dense { weights: Value::zeros(desc), ..Dense::int16() }.refused(Error::Dtype);
    }
}

#[test]
fn bias_of_another_width() {
    Dense { bias: constant(Dtype::I32, &[2], &[1i32; 2]), ..Dense::int16() }.refused(Error::Dtype);
    Dense { bias: constant(Dtype::I64, &[2], &[1i64; 2]), ..Dense::int8() }.refused(Error::Dtype);
    Dense { bias: constant(Dtype::I32, &[2], &[1i32; 2]), ..Dense::float() }.refused(Error::Dtype);
}

#[test]
fn int16_with_a_zero_point() {
    Dense { x: int16(&[1, 6], 0.1, 1, &[0; 6]), ..Dense::int16() }.refused(Error::Quantization);
    Dense { output_zero: -1, ..Dense::int16() }.refused(Error::Quantization);
}

#[test]
fn shifts_out_of_range() {
    let single = |shift| Some(scales(Rounding::Single, &[[1 << 30, 0], [1 << 30, shift]], &[]));
    for shift in [-32, 31] {
        Dense { constants: single(shift), ..Dense::int16() }.refused(Error::Quantization);
    }
    // Sums of 32 bits are not shifted down.
    Dense { constants: single(-1), ..Dense::int8() }.refused(Error::Quantization);
    let tflite = |m, shift| Dense {
        constants: Some(scales(Rounding::Tflite, &[[m, shift]; 2], &[])),
        rounding: Rounding::Tflite,
        ..Dense::int16()
    };
    tflite(1 << 30, 30).run().unwrap();
    tflite(1 << 30, -32).refused(Error::Quantization);
    tflite(-1, 0).refused(Error::Quantization);
}

#[test]
fn weights_with_a_zero_point() {
    let mut weights = int4();
    weights.desc.zero_point = 1;
    Dense { weights: weights.clone(), ..Dense::int8() }.refused(Error::Quantization);
    Dense { weights, ..Dense::float() }.refused(Error::Quantization);
}

#[test]
fn weights_that_are_computed() {
    let mut weights = int4();
    weights.desc.place = Place::Arena;
    Dense { weights, ..Dense::int8() }.refused(Error::Operand);
}

#[test]
fn six_operands() {
    let op = Conv2d { window: Window::UNIT, groups: 1, clamp: Clamp::i32(-128, 127) };
    let x = int8(&[1, 1, 1, 1], 0.1, 0, &[1]);
    let w = Value::constant(Dtype::I8, &[1, 1, 1, 1], &[1i8]).unwrap();
    let s = scales(Rounding::Single, &[[1 << 30, 0]], &[]);
    let def = OpDef::of::<Conv2d>();
    let run = |n: usize| {
        let all = [Some(&x), Some(&w), None, Some(&s), None, None];
        eval(&def, op.emit().bytes(), Rounding::Single, 0, &all[..n], &[(0.1, 0)]).map(|_| ())
    };
    assert_eq!((run(4), run(5), run(6)), (Ok(()), Ok(()), Err(Error::Operand)));
}

#[test]
fn hostile_integers_give_some_level() {
    // Sums that overflow every accumulator, and the greatest multipliers.
    let bias = constant(Dtype::I64, &[2], &[i64::MAX, i64::MIN]);
    for shift in [-31, 0, 30] {
        let constants = Some(scales(Rounding::Single, &[[i32::MAX, shift]; 2], &[]));
        let x = int16(&[1, 6], 0.1, 0, &[-32768; 6]);
        Dense { x, bias: bias.clone(), constants, table: table(&[2, 3], 127), ..Dense::int16() }
            .run()
            .unwrap();
    }
    let bias = constant(Dtype::I32, &[2], &[i32::MAX, i32::MIN]);
    Dense { bias, table: table(&[2, 3], 127), ..Dense::int8() }.run().unwrap();
}
