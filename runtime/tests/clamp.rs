//! Clamp and Lut.

mod support;

use samara_runtime::ops::clamp::Clamp;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{self, Lut, Op, OpDef, Rounding};
use samara_runtime::{Dtype, Error};
use support::tensor;

fn clamp(range: ops::Clamp, x: &Value, parameters: (f32, i32)) -> Result<Value, Error> {
    let op = Clamp { range };
    assert_eq!(Clamp::parse(op.emit().bytes()).unwrap(), op);
    eval(&OpDef::of::<Clamp>(), op.emit().bytes(), Rounding::None, 0, &[Some(x)], &[parameters])
        .map(|mut v| v.remove(0))
}

#[test]
fn every_type_is_limited() {
    let p = (0.5, 3);
    let x = tensor(Dtype::I8, &[4], p, &[-128i8, -1, 7, 127]);
    assert_eq!(clamp(ops::Clamp::i32(-2, 9), &x, p).unwrap().elements::<i8>(), [-2, -1, 7, 9]);
    let x = tensor(Dtype::U8, &[3], p, &[0u8, 100, 255]);
    assert_eq!(clamp(ops::Clamp::i32(50, 200), &x, p).unwrap().elements::<u8>(), [50, 100, 200]);
    let x = tensor(Dtype::I16, &[3], p, &[-30000i16, 0, 30000]);
    assert_eq!(clamp(ops::Clamp::i32(-300, 300), &x, p).unwrap().elements::<i16>(), [-300, 0, 300]);
    let x = tensor(Dtype::I32, &[2], (0.0, 0), &[i32::MIN, i32::MAX]);
    assert_eq!(clamp(ops::Clamp::i32(-9, 8), &x, (0.0, 0)).unwrap().elements::<i32>(), [-9, 8]);
    let x = tensor(Dtype::F32, &[4], (0.0, 0), &[-1f32, 0.5, 7.0, f32::NAN]);
    let y = clamp(ops::Clamp::f32(0.0, 6.0), &x, (0.0, 0)).unwrap();
    assert_eq!(y.elements::<f32>()[..3], [0.0, 0.5, 6.0]);
    assert!(y.elements::<f32>()[3].is_nan());
}

#[test]
fn clamp_refuses_other_parameters_and_ranges() {
    let x = tensor(Dtype::I8, &[1], (0.5, 3), &[0i8]);
    assert_eq!(clamp(ops::Clamp::i32(0, 9), &x, (0.5, 4)).err(), Some(Error::Quantization));
    assert_eq!(clamp(ops::Clamp::i32(0, 9), &x, (0.25, 3)).err(), Some(Error::Quantization));
    assert_eq!(clamp(ops::Clamp::i32(0, 128), &x, (0.5, 3)).err(), Some(Error::Attribute));
    let x = tensor(Dtype::F32, &[1], (0.0, 0), &[0f32]);
    assert_eq!(clamp(ops::Clamp::f32(f32::NAN, 1.0), &x, (0.0, 0)).err(), Some(Error::Attribute));
    let x = tensor(Dtype::Bool, &[1], (0.0, 0), &[0u8]);
    assert_eq!(clamp(ops::Clamp::i32(0, 1), &x, (0.0, 0)).err(), Some(Error::Dtype));
}

fn lut(x: &Value, table: &Value) -> Result<Value, Error> {
    eval(&OpDef::of::<Lut>(), &[], Rounding::None, 0, &[Some(x), Some(table)], &[(1.0, 0)])
        .map(|mut v| v.remove(0))
}

#[test]
fn tables_are_indexed_by_the_byte() {
    let all: Vec<i8> = (-128..=127).collect();
    let x = tensor(Dtype::I8, &[16, 16], (1.0, 0), &all);
    // -x, saturated, at the place of x's byte.
    let table: Vec<i8> = (0..=255u8).map(|k| (k as i8).checked_neg().unwrap_or(127)).collect();
    let y = lut(&x, &Value::constant(Dtype::I8, &[256], &table).unwrap()).unwrap();
    let expect: Vec<i8> = all.iter().map(|&v| v.checked_neg().unwrap_or(127)).collect();
    assert_eq!((y.desc.shape.dims(), y.elements::<i8>()), (&[16u32, 16][..], &expect[..]));
    // uint8 in, int8 out: minus 128.
    let table: Vec<i8> = (0..256).map(|k| (k - 128) as i8).collect();
    let x = tensor(Dtype::U8, &[3], (1.0, 0), &[0u8, 128, 255]);
    let y = lut(&x, &Value::constant(Dtype::I8, &[256], &table).unwrap()).unwrap();
    assert_eq!((y.desc.dtype, y.elements::<i8>()), (Dtype::I8, &[-128i8, 0, 127][..]));
}

#[test]
fn int16_is_interpolated_between_entries() {
    let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let x = tensor(Dtype::I16, &[256, 256], (1.0, 0), &all);
    // Entries at both ends of the range next to each other, and everything between.
    let table: Vec<i16> = (0..513)
        .map(|k| match k % 4 {
            0 => i16::MAX,
            1 => i16::MIN,
            _ => (k * 5077 % 65536 - 32768) as i16,
        })
        .collect();
    let y = lut(&x, &Value::constant(Dtype::I16, &[513], &table).unwrap()).unwrap();
    for (&level, &got) in all.iter().zip(y.elements::<i16>()) {
        let from_least = level as i64 + 32768;
        let (k, r) = ((from_least / 128) as usize, from_least % 128);
        let line = table[k] as i64 * (128 - r) + table[k + 1] as i64 * r;
        // Half up.
        assert_eq!(got as i64, (2 * line + 128).div_euclid(256), "{level}");
    }
    // An identity, except for the last entry, which 32768 would be.
    let same: Vec<i16> = (0..513).map(|k| (k * 128 - 32768).min(32767) as i16).collect();
    let y = lut(&x, &Value::constant(Dtype::I16, &[513], &same).unwrap()).unwrap();
    let off = all.iter().zip(y.elements::<i16>()).filter(|(x, y)| x != y).count();
    assert_eq!((off, y.elements::<i16>()[65535]), (63, 32766));
}

#[test]
fn lut_refuses_tables_of_another_width() {
    let wide = tensor(Dtype::I16, &[1], (1.0, 0), &[0i16]);
    let byte = tensor(Dtype::I8, &[1], (1.0, 0), &[0i8]);
    let constant =
        |dtype, n: usize| Value::zeros(Value::constant(dtype, &[n as u32], &vec![0i16; n]).unwrap().desc);
    assert_eq!(lut(&wide, &constant(Dtype::I16, 512)).err(), Some(Error::Shape));
    assert_eq!(lut(&wide, &constant(Dtype::I16, 256)).err(), Some(Error::Shape));
    assert_eq!(lut(&byte, &constant(Dtype::I16, 513)).err(), Some(Error::Dtype));
    let bytes = Value::constant(Dtype::I8, &[256], &[0i8; 256]).unwrap();
    assert_eq!(lut(&wide, &bytes).err(), Some(Error::Dtype));
    let variable = tensor(Dtype::I16, &[513], (1.0, 0), &[0i16; 513]);
    assert_eq!(lut(&wide, &variable).err(), Some(Error::Operand));
}

#[test]
fn lut_refuses_other_tables() {
    let x = tensor(Dtype::I8, &[1], (1.0, 0), &[0i8]);
    let short = Value::constant(Dtype::I8, &[255], &[0i8; 255]).unwrap();
    assert_eq!(lut(&x, &short).err(), Some(Error::Shape));
    let wide = Value::constant(Dtype::I16, &[256], &[0i16; 256]).unwrap();
    assert_eq!(lut(&x, &wide).err(), Some(Error::Dtype));
    let variable = tensor(Dtype::I8, &[256], (1.0, 0), &[0i8; 256]);
    assert_eq!(lut(&x, &variable).err(), Some(Error::Operand));
    assert_eq!(Lut::parse(&[0]), Err(Error::Attribute));
}
