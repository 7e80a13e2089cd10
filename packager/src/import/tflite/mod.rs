//! TensorFlow Lite models (`.tflite`): float, and int8 per tensor or per channel.
//!
//! [`flat`] reads bytes nobody vouches for, [`schema`] parses the whole file once, [`registry`] lists the
//! operators, [`ops`] has one import function each, and [`context`] is what those work with. int64 becomes
//! range-checked int32, float16 constants become float32, an unknown batch becomes 1.

pub mod codes;
pub mod context;
pub mod flat;
pub mod fold;
pub mod ops;
pub mod registry;
pub mod schema;

use std::collections::BTreeMap;

use context::{Context, Importer};
use flat::Flat;
use registry::Entry;
use schema::{Code, Model, Operator, OperatorCode};

use super::Options;
use crate::error::{About, Error, Result};
use crate::ir::Graph;

/// Bytes 4 to 7 of every TFLite file.
pub const IDENTIFIER: &[u8; 4] = b"TFL3";

/// The graph of a file's first subgraph; `name` is the model's.
pub fn load(bytes: &[u8], name: &str, options: &Options) -> Result<Graph> {
    let flat = Flat::new(bytes, IDENTIFIER)?;
    let model = Model::parse(&flat)?;
    supported(&model)?;
    if model.subgraphs != 1 {
        let cause = format!("it has {} subgraphs; only models with one are supported", model.subgraphs);
        return Err(Error::invalid(cause));
    }
    inputs(&model, options)?;
    let mut importer = Importer::new(&model, name, bytes.len());
    for (index, operator) in model.operators.iter().enumerate() {
        let (entry, place) = (entry(&model, operator)?, place(&model, index));
        import(&mut importer, operator, entry).about(format_args!("{} ({place})", entry.name))?;
    }
    importer.finish()
}

fn import<'m, 'f, 'a>(
    importer: &mut Importer<'m, 'f, 'a>,
    operator: &Operator<'f, 'a>,
    entry: &Entry,
) -> Result<()> {
    for (what, count, range) in [
        ("operands", operator.inputs.len(), &entry.inputs),
        ("results", operator.outputs.len(), &entry.outputs),
    ] {
        if !range.contains(&count) {
            return Err(Error::invalid(format!("it has {count} {what}")));
        }
    }
    if operator.extras {
        return Err(Error::invalid(
            "it has mutable operands or options of a newer kind, which are not supported",
        ));
    }
    if let Some(options) = &operator.options {
        // Writers may attach an empty table of any kind.
        let known = if operator.options_kind == entry.options { entry.fields } else { 0 };
        if options.has_beyond(known)? {
            let kind = operator.options_kind;
            let cause =
                format!("it has options (kind {kind}) that are newer than this importer or not its own");
            return Err(Error::invalid(cause));
        }
    }
    (entry.import)(&mut Context::new(importer, operator))
}

fn entry(model: &Model<'_, '_>, operator: &Operator<'_, '_>) -> Result<&'static Entry> {
    match &model.codes[operator.code].code {
        Code::Builtin(code) => registry::find(*code),
        Code::Custom(_) => None,
    }
    .ok_or_else(|| Error::invalid("not supported"))
}

/// Where an operator is: its index and what it makes.
fn place(model: &Model<'_, '_>, index: usize) -> String {
    match model.operators[index].outputs.first() {
        Some(&t) => format!("operator {index}, makes '{}'", model.tensors[t].name),
        None => format!("operator {index}"),
    }
}

/// Lists every operator that has no import function, so that a user sees the whole distance at once.
fn supported(model: &Model<'_, '_>) -> Result<()> {
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, operator) in model.operators.iter().enumerate() {
        if entry(model, operator).is_err() {
            let code = &model.codes[operator.code];
            missing.entry(describe(code)).or_default().push(place(model, index));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> =
        missing.iter().map(|(what, places)| format!("{what} ({})", places.join("; "))).collect();
    Err(Error::invalid(format!("unsupported operators: {}", list.join(", "))))
}

fn describe(code: &OperatorCode) -> String {
    match &code.code {
        Code::Builtin(n) => format!("{} version {}", codes::name(*n), code.version),
        Code::Custom(name) => format!("custom '{name}' version {}", code.version),
    }
}

/// Refuses inputs whose shape is open beyond the batch, and wishes for other shapes than the file's.
fn inputs(model: &Model<'_, '_>, options: &Options) -> Result<()> {
    for (name, _) in &options.input_shapes {
        if !model.inputs.iter().any(|&t| model.tensors[t].name == *name) {
            let names: Vec<&str> = model.inputs.iter().map(|&t| &model.tensors[t].name[..]).collect();
            let cause = format!("no input is called '{name}'");
            return Err(Error::invalid(cause).remedy(format!("its inputs are '{}'", names.join("', '"))));
        }
    }
    for &t in &model.inputs {
        let tensor = &model.tensors[t];
        let wish = options.input_shapes.iter().find(|(name, _)| *name == tensor.name);
        if let Some((name, shape)) = wish {
            let fixed = |(axis, &d): (usize, &i32)| if axis == 0 && d == -1 { 1 } else { i64::from(d) };
            let same = tensor.shape.iter().enumerate().map(fixed).eq(shape.iter().map(|&d| d as i64));
            if !same {
                let cause = format!("a TFLite model's shapes are fixed: {:?}, not {shape:?}", tensor.shape);
                return Err(Error::invalid(cause).about(format_args!("input '{name}'")));
            }
        } else if let Some(axis) = tensor.signature.iter().skip(1).position(|&d| d == -1) {
            let axis = axis + 1;
            return Err(Error::invalid(format!("dimension {axis} is open"))
                .about(format_args!("input '{}'", tensor.name))
                .remedy("convert the model with a fixed shape, or accept the file's with --input-shape"));
        }
    }
    Ok(())
}
