//! Operators that take scales and zero points as inputs (QLinearConv and its kin) become DequantizeLinear, the float
//! operator, and QuantizeLinear: the form whose pairs the passes turn into integer steps.

use super::proto::{AttributeProto, NodeProto, attribute_type};
use crate::error::{Error, Result};

/// A node, and the operator set that defines it where that is not the model's.
pub(super) type Step = (NodeProto, Option<i64>);

/// Where an operator has its inputs.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Layout {
    /// So many triples of value, scale, zero point; then the output's scale and zero point.
    Triples(usize),
    /// Weights with an axis of output channels, and an int32 bias, at this position of the node's inputs.
    Weights { bias: usize, output: usize },
    /// The output's scale and zero point, then any number of triples.
    OutputFirst,
}

/// An operator and what it is between floats.
struct Form {
    name: &'static str,
    float: &'static str,
    layout: Layout,
    /// The operator set that its attributes follow.
    opset: Option<i64>,
}

const fn form(name: &'static str, float: &'static str, layout: Layout) -> Form {
    Form { name, float, layout, opset: None }
}

/// Those of the default domain; the others are ONNX Runtime's own.
const DEFAULT: &[&str] = &["QLinearConv", "QLinearMatMul"];

/// Every operator that is taken apart.
const FORMS: &[Form] = &[
    form("QGemm", "Gemm", Layout::Weights { bias: 6, output: 7 }),
    form("QLinearAdd", "Add", Layout::Triples(2)),
    form("QLinearAveragePool", "AveragePool", Layout::Triples(1)),
    form("QLinearConcat", "Concat", Layout::OutputFirst),
    form("QLinearConv", "Conv", Layout::Weights { bias: 8, output: 6 }),
    form("QLinearGlobalAveragePool", "GlobalAveragePool", Layout::Triples(1)),
    form("QLinearLeakyRelu", "LeakyRelu", Layout::Triples(1)),
    form("QLinearMatMul", "MatMul", Layout::Triples(2)),
    form("QLinearMul", "Mul", Layout::Triples(2)),
    // Its axes are an attribute, as ReduceMean's were before operator set 18.
    Form { opset: Some(13), ..form("QLinearReduceMean", "ReduceMean", Layout::Triples(1)) },
    form("QLinearSigmoid", "Sigmoid", Layout::Triples(1)),
    form("QLinearSoftmax", "Softmax", Layout::Triples(1)),
];

/// Takes the operators of [`FORMS`] apart; all other nodes stay as they are.
pub(super) fn expand(nodes: &[NodeProto]) -> Result<Vec<Step>> {
    let mut steps = Vec::with_capacity(nodes.len());
    for node in nodes {
        match FORMS.iter().find(|f| f.name == node.op_type && domain(f, &node.domain)) {
            Some(form) => Expansion::new(node, form)
                .run(&mut steps)
                .map_err(|e| e.about(format_args!("node '{}' ({})", super::node_name(node), node.op_type)))?,
            None => steps.push((node.clone(), None)),
        }
    }
    Ok(steps)
}

fn domain(form: &Form, domain: &str) -> bool {
    domain == super::MICROSOFT || super::is_default(domain) && DEFAULT.contains(&form.name)
}

struct Expansion<'m> {
    node: &'m NodeProto,
    form: &'m Form,
    attributes: Vec<AttributeProto>,
    opset: Option<i64>,
    made: Vec<NodeProto>,
}

impl<'m> Expansion<'m> {
    fn new(node: &'m NodeProto, form: &'m Form) -> Self {
        let attributes = node.attribute.clone();
        Expansion { node, form, attributes, opset: form.opset, made: Vec::new() }
    }

    fn run(mut self, steps: &mut Vec<Step>) -> Result<()> {
        if self.take("channels_last").is_some_and(|a| a.i != 0) {
            return Err(Error::invalid("channels_last is not supported")
                .remedy("give the model as the quantizer wrote it, before a runtime optimized it"));
        }
        if self.form.name == "QLinearSoftmax" {
            let opset = self.take("opset").ok_or_else(|| Error::invalid("its opset is missing"))?;
            self.opset = Some(opset.i);
        }
        let count = self.node.input.len();
        let (operands, output) = match self.form.layout {
            Layout::Triples(n) => ((0..n).map(|i| self.dequantized(3 * i, None)).collect(), 3 * n),
            Layout::OutputFirst if count < 5 || count % 3 != 2 => {
                return Err(Error::invalid(format!("it has {count} inputs, not two and triples")));
            }
            Layout::OutputFirst => ((0..count / 3).map(|i| self.dequantized(3 * i + 2, None)).collect(), 0),
            Layout::Weights { bias, output } => (self.weighted(bias), output),
        };
        let [y] = &self.node.output[..] else { return Err(Error::invalid("it has not one output")) };
        let optional = self.form.name == "QGemm";
        let result = match (self.input(output), self.input(output + 1)) {
            // QGemm without an output scale makes floats.
            ("", _) if optional => y.clone(),
            ("", _) => return Err(Error::invalid(format!("input {output}, its output's scale, is missing"))),
            (_, "") => {
                let cause = format!("input {}, its output's zero point, is missing", output + 1);
                return Err(Error::invalid(cause).remedy("a zero point says which type the output has"));
            }
            (scale, zero_point) => {
                let real = format!("{y}/real");
                let inputs = [&real[..], scale, zero_point].map(String::from);
                self.push(NodeProto { output: vec![y.clone()], ..node("QuantizeLinear", "levels", inputs) });
                real
            }
        };
        let float = NodeProto {
            name: self.node.name.clone(),
            op_type: self.form.float.into(),
            input: operands,
            output: vec![result],
            attribute: std::mem::take(&mut self.attributes),
            domain: String::new(),
        };
        // The QuantizeLinear, where there is one, was made last and reads the operator.
        let last = self.made.pop_if(|n| n.op_type == "QuantizeLinear");
        steps.extend(self.made.into_iter().map(|n| (n, None)));
        steps.push((float, self.opset));
        steps.extend(last.map(|n| (n, None)));
        Ok(())
    }

    /// Input `i` of the node; empty where it is absent.
    fn input(&self, i: usize) -> &'m str {
        self.node.input.get(i).map_or("", String::as_str)
    }

    fn take(&mut self, name: &str) -> Option<AttributeProto> {
        let at = self.attributes.iter().position(|a| a.name == name)?;
        Some(self.attributes.remove(at))
    }

    /// Adds a node, named after this one, and returns its output.
    fn push(&mut self, made: NodeProto) -> String {
        let suffix = made.name;
        let output = match &made.output[..] {
            [one] => one.clone(),
            _ => format!("{}/{suffix}", super::node_name(self.node)),
        };
        let name = format!("{}/{suffix}", super::node_name(self.node));
        self.made.push(NodeProto { name, output: vec![output.clone()], ..made });
        output
    }

    /// DequantizeLinear of the triple from input `i` on.
    fn dequantized(&mut self, i: usize, axis: Option<i64>) -> String {
        let inputs = [self.input(i), self.input(i + 1), self.input(i + 2)].map(String::from);
        let attribute = axis.map(|i| int("axis", i)).into_iter().collect();
        self.push(NodeProto { attribute, ..node("DequantizeLinear", &format!("operand{}", i / 3), inputs) })
    }

    /// Input, weights and bias as floats. The bias's scale is the product of the other two.
    fn weighted(&mut self, bias: usize) -> Vec<String> {
        let gemm = self.form.name == "QGemm";
        let mut scale = self.input(4).to_owned();
        let mut weights_axis = 0;
        if gemm {
            let transposed = self.attributes.iter().any(|a| a.name == "transB" && a.i != 0);
            weights_axis = if transposed { 0 } else { 1 };
            // A factor of the product is one of the weights' scale.
            if let Some(alpha) = self.take("alpha").filter(|a| a.f != 1.0) {
                let value = AttributeProto { name: "value_float".into(), ..alpha };
                let alpha = NodeProto { attribute: vec![value], ..node("Constant", "alpha", []) };
                let alpha = self.push(alpha);
                scale = self.push(node("Mul", "scale", [scale, alpha]));
            }
        }
        let x = self.dequantized(0, None);
        let inputs = [self.input(3).to_owned(), scale.clone(), self.input(5).to_owned()];
        let attribute = vec![int("axis", weights_axis)];
        let w = self.push(NodeProto { attribute, ..node("DequantizeLinear", "weights", inputs) });
        let mut operands = vec![x, w];
        if !self.input(bias).is_empty() {
            let product = node("Mul", "bias_scale", [self.input(1).to_owned(), scale]);
            let product = self.push(product);
            let attribute = vec![int("axis", -1)];
            let inputs = [self.input(bias).to_owned(), product];
            operands.push(self.push(NodeProto { attribute, ..node("DequantizeLinear", "bias", inputs) }));
        }
        operands
    }
}

/// A node of the default domain whose name is still a suffix.
fn node<const N: usize>(op: &str, suffix: &str, inputs: [String; N]) -> NodeProto {
    NodeProto { op_type: op.into(), name: suffix.into(), input: inputs.to_vec(), ..NodeProto::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, kind: attribute_type::INT, ..AttributeProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(FORMS.is_sorted_by(|a, b| a.name < b.name));
        assert!(DEFAULT.iter().all(|d| FORMS.iter().any(|f| f.name == *d)));
    }
}
