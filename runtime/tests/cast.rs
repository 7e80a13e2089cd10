//! Cast between every pair of element types.

use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Cast, Inputs, Op, OpDef, Rounding};
use samara_runtime::{Desc, Dtype, Error, Place, Shape};

fn tensor<T: bytemuck::Pod>(dtype: Dtype, elements: &[T]) -> Value {
    Value::new(Desc::new(dtype, Shape::new(&[elements.len() as u32]).unwrap()), elements).unwrap()
}

fn cast(x: &Value, to: Dtype) -> Value {
    eval(&OpDef::of::<Cast>(), Cast { to }.emit().bytes(), Rounding::None, 0, &[Some(x)], &[])
        .unwrap()
        .remove(0)
}

#[test]
fn attributes_round_trip() {
    for to in Dtype::ALL {
        assert_eq!(Cast::parse(Cast { to }.emit().bytes()).unwrap(), Cast { to });
    }
    assert_eq!(Cast::parse(&[10]), Err(Error::Attribute));
    assert_eq!(Cast::parse(&[]), Err(Error::Attribute));
    assert_eq!(Cast::parse(&[0, 0]), Err(Error::Attribute));
}

#[test]
fn floats_are_cut_and_saturate() {
    let x = tensor(Dtype::F32, &[1.9f32, -1.9, 300.0, -300.0, f32::NAN, -0.0, 1e20]);
    assert_eq!(cast(&x, Dtype::I8).elements::<i8>(), [1, -1, 127, -128, 0, 0, 127]);
    assert_eq!(cast(&x, Dtype::U8).elements::<u8>(), [1, 0, 255, 0, 0, 0, 255]);
    assert_eq!(cast(&x, Dtype::I16).elements::<i16>(), [1, -1, 300, -300, 0, 0, 32767]);
    assert_eq!(cast(&x, Dtype::I32).elements::<i32>(), [1, -1, 300, -300, 0, 0, i32::MAX]);
    assert_eq!(cast(&x, Dtype::Bool).elements::<u8>(), [1, 1, 1, 1, 1, 0, 1]);
    let bits = |v: &Value| v.elements::<u32>().to_vec();
    assert_eq!(bits(&cast(&x, Dtype::F32)), bits(&x));
}

#[test]
fn integers_wrap_and_floats_hold_the_nearest() {
    let x = tensor(Dtype::I32, &[300i32, -1, 0, i32::MIN, 16_777_217, 256]);
    assert_eq!(cast(&x, Dtype::I8).elements::<i8>(), [44, -1, 0, 0, 1, 0]);
    assert_eq!(cast(&x, Dtype::U8).elements::<u8>(), [44, 255, 0, 0, 1, 0]);
    assert_eq!(cast(&x, Dtype::I16).elements::<i16>(), [300, -1, 0, 0, 1, 256]);
    assert_eq!(cast(&x, Dtype::Bool).elements::<u8>(), [1, 1, 0, 1, 1, 1]);
    let floats = [300.0, -1.0, 0.0, -2_147_483_648.0, 16_777_216.0, 256.0];
    assert_eq!(cast(&x, Dtype::F32).elements::<f32>(), floats);
}

#[test]
fn narrow_types_keep_their_sign() {
    let x = tensor(Dtype::I8, &[-128i8, 127]);
    assert_eq!(cast(&x, Dtype::I32).elements::<i32>(), [-128, 127]);
    assert_eq!(cast(&x, Dtype::F32).elements::<f32>(), [-128.0, 127.0]);
    assert_eq!(cast(&x, Dtype::U8).elements::<u8>(), [128, 127]);
    let x = tensor(Dtype::U8, &[255u8, 1]);
    assert_eq!(cast(&x, Dtype::F32).elements::<f32>(), [255.0, 1.0]);
    assert_eq!(cast(&x, Dtype::I8).elements::<i8>(), [-1, 1]);
    let x = tensor(Dtype::I16, &[-300i16, 300]);
    assert_eq!(cast(&x, Dtype::I32).elements::<i32>(), [-300, 300]);
    let x = tensor(Dtype::Bool, &[0u8, 1]);
    assert_eq!(cast(&x, Dtype::F32).elements::<f32>(), [0.0, 1.0]);
    assert_eq!(cast(&x, Dtype::I32).elements::<i32>(), [0, 1]);
}

#[test]
fn a_narrower_output_may_take_the_input_s_place() {
    let x = [Some(Desc::new(Dtype::I16, Shape::new(&[5]).unwrap()))];
    let at = |to| Cast { to }.overlap(&Inputs(&x), &[], 0, 0);
    assert_eq!((at(Dtype::I8), at(Dtype::I16), at(Dtype::F32)), (Some(0), Some(0), Some(8)));
}

#[test]
fn types_of_constants_are_refused() {
    let refused = |x: &Value, to| {
        let attributes = Cast { to }.emit();
        eval(&OpDef::of::<Cast>(), attributes.bytes(), Rounding::None, 0, &[Some(x)], &[]).unwrap_err()
    };
    for dtype in Dtype::ALL.into_iter().filter(|d| d.is_constant_only()) {
        let x = Value::zeros(Desc { place: Place::Weights, ..Desc::new(dtype, Shape::new(&[4]).unwrap()) });
        assert_eq!(refused(&x, Dtype::F32), Error::Dtype);
        assert_eq!(refused(&tensor(Dtype::F32, &[1f32]), dtype), Error::Dtype);
    }
}

#[test]
fn quantized_levels_are_no_numbers() {
    let mut x = tensor(Dtype::I8, &[1i8]);
    x.desc.scale = 0.5;
    let attributes = Cast { to: Dtype::F32 }.emit();
    let refused = eval(&OpDef::of::<Cast>(), attributes.bytes(), Rounding::None, 0, &[Some(&x)], &[]);
    assert_eq!(refused.unwrap_err(), Error::Quantization);
}
