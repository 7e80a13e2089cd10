//! int16 operators that may share memory give the same levels in place as apart.

use std::vec::Vec;

use crate::ops::eval::{Value, eval};
use crate::ops::io::{Io, Sink, Source};
use crate::ops::op::{Choice, Context, Inputs, Op, OpDef, Rounding};
use crate::ops::{Add, Clamp, Lut, Mul, PRelu, Requantize, Softmax, clamp, lut, softmax};
use crate::tensor::{Desc, Dtype, Shape};

const N: usize = 60;

fn levels() -> Vec<i16> {
    (0..N as i32).map(|k| (k * 7919 % 65536 - 32768) as i16).collect()
}

/// Input 0 at byte `input` of a span, the output at byte `output`, against both apart.
fn same<O: Op>(op: &O, rounding: Rounding, others: &[&Value], y: (f32, i32), [input, output]: [usize; 2]) {
    let shape = Shape::new(&[5, 12]).unwrap();
    let x = Value::new(Desc { scale: 0.001, ..Desc::new(Dtype::I16, shape) }, &levels()).unwrap();
    let operands: Vec<Option<&Value>> = [&x].into_iter().chain(others.iter().copied()).map(Some).collect();
    let attributes = op.emit();
    let def = OpDef::of::<O>();
    let apart = eval(&def, attributes.bytes(), rounding, 0, &operands, &[y]).unwrap().remove(0);

    let descs: Vec<Option<Desc>> = operands.iter().map(|v| v.map(|v| v.desc)).collect();
    let out = apart.desc;
    let ahead = op.overlap(&Inputs(&descs), &[out], 0, 0).unwrap();
    assert!(input >= output + ahead, "{op:?} does not allow it");
    let len = (input + x.bytes().len()).max(output + out.bytes());
    let mut words = std::vec![0u64; len.div_ceil(8)];
    let span = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..len];
    span[input..][..x.bytes().len()].copy_from_slice(x.bytes());
    let outs = [out];
    let mut io = Io::apart(&[], &[], &[], [], &mut []).unwrap();
    (io.inputs, io.outputs) = (&descs, &outs);
    io.sources[0] = Source::Inside { output: 0, start: input, end: input + x.bytes().len() };
    for (source, value) in io.sources.iter_mut().skip(1).zip(others) {
        *source = Source::Shared(value.bytes());
    }
    io.sinks[0] = Sink { start: output, end: output + out.bytes(), span: Some(&mut *span) };
    let entry = def.select(0, Dtype::I16, None, rounding, Choice::Reference).unwrap();
    (entry.run)(attributes.bytes(), &mut io, &Context { rounding }).unwrap();
    assert_eq!(&span[output..][..out.bytes()], apart.bytes(), "{} at {input} over {output}", entry.name);
}

#[test]
fn elementwise_operators_and_softmax() {
    let range = Clamp::i32(-32768, 32767);
    let constant = |n: usize, f: &dyn Fn(usize) -> i16| {
        let values: Vec<i16> = (0..n).map(f).collect();
        let mut value = Value::constant(Dtype::I16, &[n as u32], &values).unwrap();
        value.desc.scale = 0.5;
        value
    };
    let other = constant(12, &|k| k as i16 * 2500 - 9000);
    let mut table = constant(lut::KNOTS, &|k| (k as i32 * 31 % 65536 - 32768) as i16);
    table.desc.scale = 0.0;
    let exponentials: Vec<i32> =
        (0..2 * softmax::TABLE).map(|k| (1 << softmax::FINE) >> (k % softmax::TABLE).min(31)).collect();
    let exponentials = Value::constant(Dtype::I32, &[2, softmax::TABLE as u32], &exponentials).unwrap();
    for at in [[0, 0], [2, 0], [16, 0], [40, 6]] {
        for rounding in [Rounding::Tflite, Rounding::Single] {
            let pair = if rounding == Rounding::Tflite { [1 << 30, -1] } else { [1 << 29, 0] };
            let (left, right, output) = match rounding {
                Rounding::Tflite => ([1 << 30, 0], [1 << 30, -3], [1 << 30, -14]),
                _ => ([1 << 20, 0], [1 << 19, 0], [0, 21]),
            };
            same(&Add { left, right, output, clamp: range }, rounding, &[&other], (0.001, 0), at);
            same(&Mul { multiplier: [1 << 20, 0], clamp: range }, rounding, &[&other], (0.001, 0), at);
            same(&PRelu { identity: pair, slope: [1 << 20, 0] }, rounding, &[&other], (0.001, 0), at);
            let op = Requantize { dtype: Dtype::I8, multiplier: [1 << 23, 0] };
            same(&op, rounding, &[], (0.3, 4), at);
            same(&Requantize { dtype: Dtype::I16, multiplier: pair }, rounding, &[], (0.002, 0), at);
            let op = Softmax { beta: 0.0, multiplier: [0; 2], diff_min: 0 };
            same(&op, rounding, &[&exponentials], (1.0 / 32768.0, 0), at);
        }
        same(&Add::plain(range), Rounding::Onnx, &[&other], (0.001, 0), at);
        same(&Lut, Rounding::None, &[&table], (0.1, 0), at);
        same(&clamp::Clamp { range: Clamp::i32(-9, 5000) }, Rounding::None, &[], (0.001, 0), at);
    }
}
