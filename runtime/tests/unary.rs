//! Unary: every function in the list against double precision.

mod support;

use samara_runtime::ops::eval::eval;
use samara_runtime::ops::unary::FUNCTIONS;
use samara_runtime::ops::{Function, Op, OpDef, Rounding, Unary};
use samara_runtime::{Dtype, Error};
use support::tensor;

/// The definition, in double precision.
fn exact(f: Function, x: f64) -> f64 {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    match f {
        Function::Abs => x.abs(),
        Function::Neg => -x,
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Sqrt => x.sqrt(),
        Function::Rsqrt => x.sqrt().recip(),
        Function::Reciprocal => x.recip(),
        Function::Square => x * x,
        Function::Erf => libm::erf(x),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Floor => x.floor(),
        Function::Ceil => x.ceil(),
        Function::Round => x.round_ties_even(),
        Function::Logistic => logistic(x),
        Function::Tanh => x.tanh(),
        Function::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Function::HardSigmoid { alpha, beta } => (alpha as f64 * x + beta as f64).clamp(0.0, 1.0),
        Function::Gelu => x * 0.5 * libm::erfc(-x / 2f64.sqrt()),
        Function::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Function::Elu { alpha } if x < 0.0 => alpha as f64 * (x.exp() - 1.0),
        Function::LeakyRelu { alpha } if x < 0.0 => alpha as f64 * x,
        Function::Elu { .. } | Function::LeakyRelu { .. } => x,
        Function::Softplus => x.exp().ln_1p(),
        Function::Silu => x * logistic(x),
        Function::Pow { exponent } => x.powf(exponent as f64),
    }
}

/// The list's functions with parameters that matter.
fn all() -> impl Iterator<Item = Function> {
    FUNCTIONS.iter().map(|&(_, f)| match f {
        Function::HardSigmoid { .. } => Function::HardSigmoid { alpha: 0.2, beta: 0.4 },
        Function::Elu { .. } => Function::Elu { alpha: 1.3 },
        Function::LeakyRelu { .. } => Function::LeakyRelu { alpha: -0.25 },
        Function::Pow { .. } => Function::Pow { exponent: 2.5 },
        plain => plain,
    })
}

#[test]
fn attributes_round_trip() {
    for (k, function) in all().enumerate() {
        let op = Unary { function };
        assert_eq!(Unary::parse(op.emit().bytes()), Ok(op));
        assert_eq!(op.emit().bytes()[0] as usize, k);
        assert_eq!(function.name(), FUNCTIONS[k].0);
    }
}

#[test]
fn every_function_follows_its_definition() {
    let mut points: Vec<f32> = (-400..=400).map(|k| k as f32 * 0.0375).collect();
    points.extend([-80.0, -20.0, 20.0, 80.0, 1e-6, -1e-6, 2.5, 3.5, -0.5]);
    for function in all() {
        let x = tensor(Dtype::F32, &[points.len() as u32], (0.0, 0), &points);
        let attributes = Unary { function }.emit();
        let def = OpDef::of::<Unary>();
        let y = eval(&def, attributes.bytes(), Rounding::None, 0, &[Some(&x)], &[]).unwrap().remove(0);
        for (&x, &y) in points.iter().zip(y.elements::<f32>()) {
            let expect = exact(function, x as f64);
            let close = (y as f64 - expect).abs() <= 2e-6 + 2e-6 * expect.abs();
            let same = (y.is_nan() && expect.is_nan()) || y as f64 == expect || y == expect as f32;
            assert!(close || same, "{function:?}({x}) = {y}, not {expect}");
        }
    }
}

#[test]
fn hostile_attributes_are_refused() {
    let bytes = |code: u8, a: f32, b: f32| {
        let mut v = vec![code];
        v.extend(a.to_le_bytes());
        v.extend(b.to_le_bytes());
        v
    };
    assert_eq!(Unary::parse(&bytes(FUNCTIONS.len() as u8, 0.0, 0.0)), Err(Error::Attribute));
    assert_eq!(Unary::parse(&bytes(255, 0.0, 0.0)), Err(Error::Attribute));
    // Parameters that abs does not have.
    assert_eq!(Unary::parse(&bytes(0, 1.0, 0.0)), Err(Error::Attribute));
    let elu = Unary { function: Function::Elu { alpha: 0.0 } }.emit().bytes()[0];
    assert_eq!(Unary::parse(&bytes(elu, f32::NAN, 0.0)), Err(Error::Attribute));
    assert_eq!(Unary::parse(&bytes(elu, f32::INFINITY, 0.0)), Err(Error::Attribute));
    assert_eq!(Unary::parse(&bytes(elu, 1.0, 0.5)), Err(Error::Attribute));
    assert_eq!(Unary::parse(&bytes(elu, 1.0, 0.0)[..8]), Err(Error::Attribute));
    let x = tensor(Dtype::I8, &[1], (1.0, 0), &[0i8]);
    let def = OpDef::of::<Unary>();
    let abs = Unary { function: Function::Abs }.emit();
    assert_eq!(eval(&def, abs.bytes(), Rounding::None, 0, &[Some(&x)], &[]).err(), Some(Error::Dtype));
}
