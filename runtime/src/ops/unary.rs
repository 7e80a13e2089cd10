//! Unary: functions of one float. Their int8 forms are tables ([`crate::ops::Lut`]).

use core::mem::discriminant;

use crate::error::{Error, Result};
use crate::kernels::reference::unary as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype};

/// A function of one value, with its parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs)] // the names are the mathematical ones
pub enum Function {
    Abs,
    Neg,
    Exp,
    /// Natural.
    Log,
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Reciprocal,
    Square,
    Erf,
    Sin,
    Cos,
    Floor,
    Ceil,
    /// Ties to even.
    Round,
    /// `1 / (1 + exp(-x))`
    Logistic,
    Tanh,
    /// `x * min(6, max(0, x + 3)) / 6`
    HardSwish,
    /// `max(0, min(1, alpha * x + beta))`
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    /// With the error function.
    Gelu,
    /// With the tanh approximation.
    GeluTanh,
    /// `alpha * (exp(x) - 1)` for negative x, else x.
    Elu {
        alpha: f32,
    },
    /// `alpha * x` for negative x, else x.
    LeakyRelu {
        alpha: f32,
    },
    /// `log(1 + exp(x))`
    Softplus,
    /// `x / (1 + exp(-x))`
    Silu,
    /// `x` to the power of a constant.
    Pow {
        exponent: f32,
    },
}

/// Every function with its name; its place is its number on the wire, so the list only grows at the end.
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("abs", Function::Abs),
    ("neg", Function::Neg),
    ("exp", Function::Exp),
    ("log", Function::Log),
    ("sqrt", Function::Sqrt),
    ("rsqrt", Function::Rsqrt),
    ("reciprocal", Function::Reciprocal),
    ("square", Function::Square),
    ("erf", Function::Erf),
    ("sin", Function::Sin),
    ("cos", Function::Cos),
    ("floor", Function::Floor),
    ("ceil", Function::Ceil),
    ("round", Function::Round),
    ("logistic", Function::Logistic),
    ("tanh", Function::Tanh),
    ("hard_swish", Function::HardSwish),
    ("hard_sigmoid", Function::HardSigmoid { alpha: 0.0, beta: 0.0 }),
    ("gelu", Function::Gelu),
    ("gelu_tanh", Function::GeluTanh),
    ("elu", Function::Elu { alpha: 0.0 }),
    ("leaky_relu", Function::LeakyRelu { alpha: 0.0 }),
    ("softplus", Function::Softplus),
    ("silu", Function::Silu),
    ("pow", Function::Pow { exponent: 0.0 }),
];

impl Function {
    /// Name in lists and messages, snake case.
    pub fn name(self) -> &'static str {
        self.place().and_then(|i| FUNCTIONS.get(i)).map_or("", |&(name, _)| name)
    }

    fn place(self) -> Option<usize> {
        FUNCTIONS.iter().position(|(_, f)| discriminant(f) == discriminant(&self))
    }

    /// Its parameters, 0 for those it does not have.
    fn parameters(self) -> [f32; 2] {
        match self {
            Function::HardSigmoid { alpha, beta } => [alpha, beta],
            Function::Elu { alpha } | Function::LeakyRelu { alpha } => [alpha, 0.0],
            Function::Pow { exponent } => [exponent, 0.0],
            _ => [0.0, 0.0],
        }
    }

    /// The same function with other parameters.
    fn with([a, b]: [f32; 2], like: Function) -> Function {
        match like {
            Function::HardSigmoid { .. } => Function::HardSigmoid { alpha: a, beta: b },
            Function::Elu { .. } => Function::Elu { alpha: a },
            Function::LeakyRelu { .. } => Function::LeakyRelu { alpha: a },
            Function::Pow { .. } => Function::Pow { exponent: a },
            plain => plain,
        }
    }
}

/// Operand: x (float, any shape).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Unary {
    /// What is applied to every element; its parameters are finite.
    pub function: Function,
}

/// Float.
pub const F32: Entry = Entry {
    id: 0,
    name: "reference_unary_f32",
    dtypes: &[Dtype::F32],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::f32,
};

impl Op for Unary {
    const CODE: u16 = 21;
    const NAME: &'static str = "unary";
    const KERNELS: &'static [Entry] = &[F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let &(_, like) = FUNCTIONS.get(usize::from(r.u8()?)).ok_or(Error::Attribute)?;
        let parameters = [r.f32()?, r.f32()?];
        r.end()?;
        let function = Function::with(parameters, like);
        // A parameter that the function lacks must be zero, one that it has finite.
        let canonical = function.parameters() == parameters && parameters.iter().all(|p| p.is_finite());
        if canonical { Ok(Unary { function }) } else { Err(Error::Attribute) }
    }

    fn emit(&self) -> Attr {
        let [a, b] = self.function.parameters();
        Attr::new().u8(self.function.place().unwrap_or(usize::MAX) as u8).f32(a).f32(b)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if x.dtype == Dtype::F32 { Ok(Inferred::one(x.dtype, x.shape)) } else { Err(Error::Dtype) }
    }

    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0).then_some(0)
    }
}
