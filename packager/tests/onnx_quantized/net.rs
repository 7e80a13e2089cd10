//! ONNX models node by node. Every value is also evaluated in float64, so that scales can be chosen to fit.

use std::collections::BTreeMap;

use prost::Message;

use crate::proto;
use crate::real::{T, dequantize, evaluate, quantize};

pub(crate) const FLOAT: i32 = 1;
pub(crate) const UINT8: i32 = 2;
pub(crate) const INT8: i32 = 3;
pub(crate) const UINT16: i32 = 4;
pub(crate) const INT16: i32 = 5;
pub(crate) const INT32: i32 = 6;
pub(crate) const INT64: i32 = 7;
pub(crate) const UINT4: i32 = 21;
pub(crate) const INT4: i32 = 22;

/// ONNX Runtime's own domain.
pub(crate) const MS: &str = "com.microsoft";

/// Least and greatest level of an integer type.
pub(crate) fn bounds(kind: i32) -> (f64, f64) {
    match kind {
        UINT8 => (0.0, 255.0),
        INT8 => (-128.0, 127.0),
        UINT16 => (0.0, 65535.0),
        INT16 => (-32768.0, 32767.0),
        INT32 => (-2147483648.0, 2147483647.0),
        UINT4 => (0.0, 15.0),
        INT4 => (-8.0, 7.0),
        other => panic!("type {other} has no levels here"),
    }
}

/// An attribute's value.
#[derive(Clone, Debug)]
pub(crate) enum At {
    I(i64),
    F(f32),
    Is(Vec<i64>),
    S(&'static str),
}

/// A node's attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(pub(crate) Vec<(&'static str, At)>);

impl Attributes {
    fn find(&self, name: &str) -> Option<&At> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(At::I(i)) = self.find(name) { *i } else { default }
    }

    pub(crate) fn float(&self, name: &str, default: f64) -> f64 {
        if let Some(At::F(f)) = self.find(name) { f64::from(*f) } else { default }
    }

    pub(crate) fn ints(&self, name: &str, default: &[i64]) -> Vec<i64> {
        if let Some(At::Is(v)) = self.find(name) { v.clone() } else { default.to_vec() }
    }

    pub(crate) fn string(&self, name: &str, default: &str) -> String {
        if let Some(At::S(s)) = self.find(name) { (*s).to_owned() } else { default.to_owned() }
    }
}

#[derive(Clone, Debug)]
struct Step {
    op: String,
    domain: &'static str,
    inputs: Vec<String>,
    output: String,
    attributes: Attributes,
}

/// A sequence that repeats: xorshift64*.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f64 / (1u64 << 24) as f64
    }

    pub(crate) fn level(&mut self, (lo, hi): (f64, f64)) -> f64 {
        (lo + self.unit() * (hi - lo + 1.0)).floor().min(hi)
    }
}

/// A graph input; floats are levels of a scale and a zero point.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) kind: i32,
    pub(crate) dims: Vec<usize>,
    levels: (f64, f64),
    grid: Option<(f64, f64)>,
}

/// A model under construction.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub(crate) opset: i64,
    /// Domain of QuantizeLinear and DequantizeLinear.
    pub(crate) domain: &'static str,
    pub(crate) random: Random,
    pub(crate) inputs: Vec<Input>,
    /// Name, type and step of one level.
    pub(crate) outputs: Vec<(String, i32, f64)>,
    steps: Vec<Step>,
    constants: Vec<(String, i32, T)>,
    kinds: BTreeMap<String, i32>,
    values: BTreeMap<String, T>,
}

impl Net {
    pub(crate) fn new(opset: i64, seed: u64) -> Net {
        Net {
            opset,
            domain: "",
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1),
            inputs: vec![],
            outputs: vec![],
            steps: vec![],
            constants: vec![],
            kinds: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }

    /// The value that a name has for the first input.
    pub(crate) fn value(&self, name: &str) -> &T {
        &self.values[name]
    }

    fn fresh(&self, what: &str) -> String {
        format!("{what}_{}", self.values.len())
    }

    fn keep(&mut self, name: &str, kind: i32, value: T) -> String {
        self.kinds.insert(name.into(), kind);
        self.values.insert(name.into(), value);
        name.into()
    }

    fn add_input(&mut self, input: Input) -> String {
        let value = feed(&input, &mut self.random);
        let name = self.keep(&input.name, input.kind, value);
        self.inputs.push(input);
        name
    }

    /// An input of any level of its type, or of small whole numbers.
    pub(crate) fn input(&mut self, kind: i32, dims: &[usize]) -> String {
        let name = format!("x{}", self.inputs.len());
        let levels = if kind == FLOAT { (-4.0, 4.0) } else { bounds(kind) };
        self.add_input(Input { name, kind, dims: dims.to_vec(), levels, grid: None })
    }

    /// A float input that is quantized to levels of a type at once.
    pub(crate) fn quantized_input(&mut self, kind: i32, dims: &[usize], (scale, zero): (f32, f64)) -> String {
        let name = format!("x{}", self.inputs.len());
        let grid = Some((f64::from(scale), zero));
        let input = Input { name, kind: FLOAT, dims: dims.to_vec(), levels: bounds(kind), grid };
        let x = self.add_input(input);
        self.quantize(&x, kind, (scale, zero))
    }

    pub(crate) fn constant(&mut self, kind: i32, dims: &[usize], v: Vec<f64>) -> String {
        let value = if kind == FLOAT { v.iter().map(|&x| f64::from(x as f32)).collect() } else { v };
        let name = self.fresh("c");
        self.constants.push((name.clone(), kind, T::new(dims, value.clone())));
        self.keep(&name, kind, T::new(dims, value))
    }

    pub(crate) fn floats(&mut self, v: &[f32]) -> String {
        let dims = if v.len() == 1 { vec![] } else { vec![v.len()] };
        self.constant(FLOAT, &dims, v.iter().map(|&x| x.into()).collect())
    }

    /// A node with one output.
    pub(crate) fn node(
        &mut self,
        domain: &'static str,
        op: &str,
        inputs: &[&str],
        a: &[(&'static str, At)],
    ) -> String {
        let output = self.fresh(&op.to_lowercase());
        let step = Step {
            op: op.into(),
            domain,
            inputs: inputs.iter().map(|&i| i.into()).collect(),
            output: output.clone(),
            attributes: Attributes(a.to_vec()),
        };
        let (value, kind) = run(&step, &self.values, &self.kinds);
        self.steps.push(step);
        self.keep(&output, kind, value)
    }

    /// Constants of a scale and a zero point.
    pub(crate) fn parameters(&mut self, scale: &[f32], zero: &[f64], kind: i32) -> [String; 2] {
        let s = self.floats(scale);
        let dims = if zero.len() == 1 { vec![] } else { vec![zero.len()] };
        [s, self.constant(kind, &dims, zero.to_vec())]
    }

    pub(crate) fn quantize(&mut self, x: &str, kind: i32, (scale, zero): (f32, f64)) -> String {
        let [s, z] = self.parameters(&[scale], &[zero], kind);
        self.node(self.domain, "QuantizeLinear", &[x, &s, &z], &[])
    }

    pub(crate) fn dequantize(&mut self, x: &str, (scale, zero): (f32, f64)) -> String {
        let kind = self.kinds[x];
        let [s, z] = self.parameters(&[scale], &[zero], kind);
        self.node(self.domain, "DequantizeLinear", &[x, &s, &z], &[])
    }

    /// Scale and zero point with which most of a tensor fits a type; some of it saturates.
    pub(crate) fn fitting(real: &T, kind: i32) -> (f32, f64) {
        let (lo, hi) = bounds(kind);
        let most = real.v.iter().fold(0f64, |m, x| m.max(*x)) * 0.9;
        let least = real.v.iter().fold(0f64, |m, x| m.min(*x)) * 0.9;
        if kind == INT16 {
            return ((most.max(-least).max(1e-6) / hi) as f32, 0.0);
        }
        if kind == UINT16 {
            return ((most.max(-least).max(1e-6) / 32767.0) as f32, 32768.0);
        }
        let scale = ((most - least).max(1e-6) / (hi - lo)) as f32;
        (scale, (lo - least / f64::from(scale)).round().clamp(lo, hi))
    }

    pub(crate) fn output(&mut self, name: &str, step: f64) {
        let kind = self.kinds[name];
        self.outputs.push((name.into(), kind, if kind == FLOAT { step } else { 1.0 }));
    }

    /// Random inputs.
    pub(crate) fn feeds(&self, seed: u64) -> Vec<T> {
        let mut random = Random(self.random.0 ^ seed.wrapping_mul(0xd134_2543_de82_ef95) | 1);
        self.inputs.iter().map(|i| feed(i, &mut random)).collect()
    }

    /// The outputs in float64.
    pub(crate) fn evaluate(&self, feeds: &[T]) -> Vec<T> {
        let mut values: BTreeMap<String, T> =
            self.constants.iter().map(|(name, _, value)| (name.clone(), value.clone())).collect();
        for (input, value) in self.inputs.iter().zip(feeds) {
            values.insert(input.name.clone(), value.clone());
        }
        for step in &self.steps {
            let (value, _) = run(step, &values, &self.kinds);
            values.insert(step.output.clone(), value);
        }
        self.outputs.iter().map(|(name, ..)| values[name].clone()).collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.model().encode_to_vec()
    }

    pub(crate) fn model(&self) -> proto::Model {
        let info = |name: &str, kind: i32, dims: &[usize]| {
            let dim = dims.iter().map(|&d| proto::Dimension { dim_value: d as i64 }).collect();
            let tensor = proto::TensorType { elem_type: kind, shape: Some(proto::Shape { dim }) };
            proto::ValueInfo { name: name.into(), r#type: Some(proto::Type { tensor_type: Some(tensor) }) }
        };
        let graph = proto::Graph {
            node: self.steps.iter().map(encode_node).collect(),
            initializer: self.constants.iter().map(|(n, k, t)| encode_tensor(n, *k, t)).collect(),
            input: self.inputs.iter().map(|i| info(&i.name, i.kind, &i.dims)).collect(),
            output: self.outputs.iter().map(|(n, k, _)| info(n, *k, &self.values[n].dims)).collect(),
        };
        let set = |domain: &str, version| proto::OperatorSet { domain: domain.into(), version };
        let opset_import = vec![set("", self.opset), set(MS, 1)];
        proto::Model { ir_version: 10, graph: Some(graph), opset_import }
    }
}

fn feed(input: &Input, random: &mut Random) -> T {
    let count = input.dims.iter().product();
    let level = |_| {
        let level = random.level(input.levels);
        input.grid.map_or(level, |(scale, zero)| f64::from(((level - zero) * scale) as f32))
    };
    T::new(&input.dims, (0..count).map(level).collect())
}

/// One node in float64; the second value is the result's type.
fn run(step: &Step, values: &BTreeMap<String, T>, kinds: &BTreeMap<String, i32>) -> (T, i32) {
    let get = |i: usize| step.inputs.get(i).filter(|n| !n.is_empty()).map(|n| &values[n]);
    let need = |i: usize| get(i).unwrap_or_else(|| panic!("{} needs input {i}", step.op));
    let kind = |i: usize| step.inputs.get(i).and_then(|n| kinds.get(n)).copied();
    let a = &step.attributes;
    let triple = |i: usize, axis: i64| dequantize(need(i), need(i + 1), get(i + 2), axis, 0);
    let leveled = |y: T, i: usize| {
        let kind = kind(i + 1).expect("the output has a zero point");
        (quantize(&y, need(i), get(i + 1), kind, 0), kind)
    };
    match &step.op[..] {
        "DequantizeLinear" => {
            let block = a.int("block_size", 0) as usize;
            (dequantize(need(0), need(1), get(2), a.int("axis", 1), block), FLOAT)
        }
        "QuantizeLinear" => {
            let kind = kind(2).unwrap_or(a.int("output_dtype", i64::from(UINT8)) as i32);
            (quantize(need(0), need(1), get(2), kind, a.int("axis", 1)), kind)
        }
        "QLinearConv" => {
            let (x, w) = (triple(0, 0), triple(3, 0));
            let b = get(8).map(|b| dequantize(b, &product(need(1), need(4)), None, 0, 0));
            leveled(evaluate("Conv", a, &[Some(&x), Some(&w), b.as_ref()]), 6)
        }
        "QGemm" => {
            let axis = if a.int("transB", 0) != 0 { 0 } else { 1 };
            let (x, w) = (triple(0, 0), triple(3, axis));
            let alpha = T::new(&[], vec![a.float("alpha", 1.0)]);
            let scale = product(&product(need(1), need(4)), &alpha);
            let b = get(6).map(|b| dequantize(b, &scale, None, -1, 0));
            leveled(evaluate("Gemm", a, &[Some(&x), Some(&w), b.as_ref()]), 7)
        }
        "QLinearConcat" => {
            let parts: Vec<T> = (0..step.inputs.len() / 3).map(|i| triple(3 * i + 2, 0)).collect();
            leveled(evaluate("Concat", a, &parts.iter().map(Some).collect::<Vec<_>>()), 0)
        }
        "QLinearMatMul" => {
            let (x, y) = (triple(0, 0), triple(3, -1));
            leveled(evaluate("MatMul", a, &[Some(&x), Some(&y)]), 6)
        }
        "QLinearAdd" | "QLinearMul" => {
            let (x, y) = (triple(0, 0), triple(3, 0));
            leveled(evaluate(&step.op[7..], a, &[Some(&x), Some(&y)]), 6)
        }
        // Before operator set 13 the dimensions from the axis on count as one.
        "QLinearSoftmax" if a.int("opset", 0) < 13 => {
            let x = triple(0, 0);
            let rows = x.dims[..a.int("axis", 1) as usize].iter().product::<usize>();
            let flat = T::new(&[rows, x.v.len() / rows], x.v.clone());
            let y = evaluate("Softmax", &Attributes::default(), &[Some(&flat)]);
            leveled(T::new(&x.dims, y.v), 3)
        }
        op if op.starts_with("QLinear") => leveled(evaluate(&op[7..], a, &[Some(&triple(0, 0))]), 3),
        op => {
            let inputs: Vec<Option<&T>> = (0..step.inputs.len()).map(get).collect();
            (evaluate(op, a, &inputs), kind(0).unwrap_or(FLOAT))
        }
    }
}

fn product(a: &T, b: &T) -> T {
    evaluate("Mul", &Attributes::default(), &[Some(a), Some(b)])
}

fn encode_node(step: &Step) -> proto::Node {
    let attribute = |(name, at): &(&'static str, At)| {
        let mut a = proto::Attribute { name: (*name).into(), ..proto::Attribute::default() };
        match at {
            At::I(i) => (a.kind, a.i) = (2, *i),
            At::F(f) => (a.kind, a.f) = (1, *f),
            At::Is(v) => (a.kind, a.ints) = (7, v.clone()),
            At::S(s) => (a.kind, a.s) = (3, s.as_bytes().to_vec()),
        }
        a
    };
    proto::Node {
        input: step.inputs.clone(),
        output: vec![step.output.clone()],
        name: format!("{}_of_{}", step.op, step.output),
        op_type: step.op.clone(),
        attribute: step.attributes.0.iter().map(attribute).collect(),
        domain: step.domain.into(),
    }
}

fn encode_tensor(name: &str, kind: i32, t: &T) -> proto::Tensor {
    let raw_data = match kind {
        FLOAT => t.v.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
        UINT8 => t.v.iter().map(|&x| x as u8).collect(),
        INT8 => t.v.iter().map(|&x| x as i8 as u8).collect(),
        UINT16 => t.v.iter().flat_map(|&x| (x as u16).to_le_bytes()).collect(),
        INT16 => t.v.iter().flat_map(|&x| (x as i16).to_le_bytes()).collect(),
        INT32 => t.v.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect(),
        INT64 => t.v.iter().flat_map(|&x| (x as i64).to_le_bytes()).collect(),
        UINT4 | INT4 => {
            let nibble = |x: f64| x as i8 as u8 & 15;
            t.v.chunks(2).map(|p| nibble(p[0]) | p.get(1).map_or(0, |&x| nibble(x) << 4)).collect()
        }
        other => panic!("type {other} is not written here"),
    };
    let dims = t.dims.iter().map(|&d| d as i64).collect();
    proto::Tensor { dims, data_type: kind, int32_data: vec![], name: name.into(), raw_data }
}
