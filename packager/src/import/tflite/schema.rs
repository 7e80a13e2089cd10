//! The TFLite model as the file has it: parsed once, whole, into plain values whose indices are all in range.
//!
//! The numbers here (field slots, codes) are the TFLite schema's, version 3.

use super::flat::{Flat, Table};
use crate::error::{About, Error, Result};

/// Bounds on what a file may hold.
#[derive(Debug)]
pub struct Limits {
    /// Bytes of a file; offsets are 32 bits wide.
    pub file_bytes: usize,
    /// Operator codes.
    pub codes: usize,
    /// Buffers.
    pub buffers: usize,
    /// Tensors of the subgraph.
    pub tensors: usize,
    /// Operators of the subgraph.
    pub operators: usize,
    /// Operands, or results, of one operator, and inputs or outputs of the model.
    pub operands: usize,
    /// Dimensions of one tensor as the file has it.
    pub rank: usize,
    /// Scales of one tensor.
    pub scales: usize,
}

/// The limits of this importer.
pub const LIMITS: Limits = Limits {
    file_bytes: 1 << 31,
    codes: 4096,
    buffers: 1 << 18,
    tensors: 1 << 18,
    operators: 1 << 17,
    operands: 4096,
    rank: 8,
    scales: 1 << 20,
};

/// Element types as the schema numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the schema's names
pub enum TensorType {
    Float32,
    Float16,
    Int32,
    Uint8,
    Int64,
    Bool,
    Int16,
    Int8,
    /// A type that no operator here takes, with its name.
    Other(&'static str),
}

impl TensorType {
    /// From the schema's number.
    pub fn from_code(code: i8) -> Result<Self> {
        Ok(match code {
            0 => TensorType::Float32,
            1 => TensorType::Float16,
            2 => TensorType::Int32,
            3 => TensorType::Uint8,
            4 => TensorType::Int64,
            5 => TensorType::Other("string"),
            6 => TensorType::Bool,
            7 => TensorType::Int16,
            8 => TensorType::Other("complex64"),
            9 => TensorType::Int8,
            10 => TensorType::Other("float64"),
            11 => TensorType::Other("complex128"),
            12 => TensorType::Other("uint64"),
            13 => TensorType::Other("resource"),
            14 => TensorType::Other("variant"),
            15 => TensorType::Other("uint32"),
            16 => TensorType::Other("uint16"),
            17 => TensorType::Other("int4"),
            _ => return Err(Error::invalid(format!("its element type {code} is unknown"))),
        })
    }

    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            TensorType::Float32 => "float32",
            TensorType::Float16 => "float16",
            TensorType::Int32 => "int32",
            TensorType::Uint8 => "uint8",
            TensorType::Int64 => "int64",
            TensorType::Bool => "bool",
            TensorType::Int16 => "int16",
            TensorType::Int8 => "int8",
            TensorType::Other(name) => name,
        }
    }
}

/// A tensor of the file.
#[derive(Debug)]
pub struct FileTensor<'a> {
    /// Never empty; unnamed tensors are called by their index.
    pub name: String,
    /// As in the file; -1 stands for an unknown dimension.
    pub shape: Vec<i32>,
    /// With -1 for dimensions that are known only at run time; empty where the file says nothing.
    pub signature: Vec<i32>,
    /// Element type.
    pub kind: TensorType,
    /// A constant's bytes.
    pub data: Option<&'a [u8]>,
    /// Empty where not quantized.
    pub scale: Vec<f32>,
    /// As many as scales, or empty.
    pub zero_point: Vec<i64>,
    /// The axis that several scales run along.
    pub axis: i32,
    /// What makes this tensor unusable, if anything: said only when an operator reads it.
    pub refused: Option<&'static str>,
}

/// Which operation an operator asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    /// A builtin by number.
    Builtin(i32),
    /// A custom operator by name.
    Custom(String),
}

/// An operator code with the version of its contract.
#[derive(Clone, Debug)]
pub struct OperatorCode {
    /// Which operation.
    pub code: Code,
    /// From 1.
    pub version: i32,
}

/// An operator of the file.
#[derive(Debug)]
pub struct Operator<'f, 'a> {
    /// Index into [`Model::codes`].
    pub code: usize,
    /// Tensor indices, `None` for absent operands.
    pub inputs: Vec<Option<usize>>,
    /// Tensor indices.
    pub outputs: Vec<usize>,
    /// The discriminant of the options union; 0 for none.
    pub options_kind: u8,
    /// The options.
    pub options: Option<Table<'f, 'a>>,
    /// Whether it has options of the second union (StableHLO), large custom options or mutated inputs.
    pub extras: bool,
}

/// The first subgraph of a file.
#[derive(Debug)]
pub struct Model<'f, 'a> {
    /// Distinct operations.
    pub codes: Vec<OperatorCode>,
    /// All tensors.
    pub tensors: Vec<FileTensor<'a>>,
    /// In execution order.
    pub operators: Vec<Operator<'f, 'a>>,
    /// Tensor indices.
    pub inputs: Vec<usize>,
    /// Tensor indices.
    pub outputs: Vec<usize>,
    /// Subgraphs of the file; only the first is read.
    pub subgraphs: usize,
}

impl<'f, 'a> Model<'f, 'a> {
    /// Reads everything; after this only options can still be wrong.
    pub fn parse(flat: &'f Flat<'a>) -> Result<Self> {
        if flat.bytes().len() > LIMITS.file_bytes {
            return Err(Error::invalid(format!("it is larger than {} bytes", LIMITS.file_bytes)));
        }
        let root = flat.root()?;
        let version = root.scalar::<u32>(0, 0)?;
        if version != 3 {
            return Err(Error::invalid(format!("its schema version is {version}, not 3")));
        }
        let codes: Result<Vec<_>> =
            root.tables(1, LIMITS.codes, "operator codes")?.iter().map(operator_code).collect();
        let codes = codes?;
        let subgraphs = root.tables(2, LIMITS.codes, "subgraphs")?;
        let main = subgraphs.first().ok_or_else(|| Error::invalid("it has no subgraph"))?;
        let buffers: Result<Vec<_>> =
            root.tables(4, LIMITS.buffers, "buffers")?.iter().map(|b| buffer(flat, b)).collect();
        let buffers = buffers?;

        let mut tensors = Vec::new();
        for (i, table) in main.tables(0, LIMITS.tensors, "tensors")?.iter().enumerate() {
            tensors.push(tensor(table, i, &buffers).about(format_args!("tensor {i}"))?);
        }
        let mut operators = Vec::new();
        for (i, table) in main.tables(3, LIMITS.operators, "operators")?.iter().enumerate() {
            operators.push(operator(table, codes.len(), tensors.len()).about(format_args!("operator {i}"))?);
        }
        let inputs = present(indices(main, 1, tensors.len(), "inputs")?, "an input")?;
        let outputs = present(indices(main, 2, tensors.len(), "outputs")?, "an output")?;
        Ok(Model { codes, tensors, operators, inputs, outputs, subgraphs: subgraphs.len() })
    }
}

fn operator_code(table: &Table<'_, '_>) -> Result<OperatorCode> {
    // Codes outgrew the byte that they first had: readers take the larger of the two fields.
    let code = i32::from(table.scalar::<i8>(0, 0)?).max(table.scalar::<i32>(3, 0)?);
    let custom = table.string(1)?;
    let version = table.scalar::<i32>(2, 1)?;
    const CUSTOM: i32 = 32;
    let code = if code == CUSTOM { Code::Custom(custom) } else { Code::Builtin(code) };
    Ok(OperatorCode { code, version })
}

/// A buffer's bytes, inside the FlatBuffer or (files above 2 GB) behind it.
fn buffer<'a>(flat: &Flat<'a>, table: &Table<'_, 'a>) -> Result<&'a [u8]> {
    let (offset, size) = (table.scalar::<u64>(1, 0)?, table.scalar::<u64>(2, 0)?);
    if offset > 1 {
        let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
        let (offset, size) = range.ok_or_else(|| Error::invalid("a buffer lies outside the file"))?;
        return flat.range(offset, size).about("a buffer");
    }
    Ok(table.bytes(0)?.unwrap_or(&[]))
}

fn tensor<'a>(table: &Table<'_, 'a>, index: usize, buffers: &[&'a [u8]]) -> Result<FileTensor<'a>> {
    let name = table.string(3)?;
    let name = if name.is_empty() { format!("tensor_{index}") } else { name };
    let which = table.scalar::<u32>(2, 0)? as usize;
    // Old writers leave the list of buffers empty and mean "none" by 0.
    let bytes = match buffers.get(which) {
        Some(&bytes) => bytes,
        None if which == 0 => &[],
        None => return Err(Error::invalid(format!("'{name}' names buffer {which}, which is missing"))),
    };
    let quantization = table.table(4)?;
    let (mut scale, mut zero_point, mut axis, mut custom) = (Vec::new(), Vec::new(), 0, false);
    if let Some(q) = quantization {
        scale = q.scalars::<f32>(2, LIMITS.scales, "scales")?;
        zero_point = q.scalars::<i64>(3, LIMITS.scales, "zero points")?;
        custom = q.scalar::<u8>(4, 0)? != 0;
        axis = q.scalar::<i32>(6, 0)?;
    }
    let refused = if table.table(6)?.is_some() {
        Some("it is sparse, which is not supported")
    } else if table.flag(5)? {
        Some("it is a variable that keeps its value between runs, which is not supported")
    } else if custom {
        Some("it has a custom quantization, which is not supported")
    } else {
        None
    };
    Ok(FileTensor {
        shape: table.scalars::<i32>(0, LIMITS.rank, "dimensions")?,
        signature: table.scalars::<i32>(7, LIMITS.rank, "dimensions")?,
        kind: TensorType::from_code(table.scalar::<i8>(1, 0)?)?,
        data: if bytes.is_empty() { None } else { Some(bytes) },
        name,
        scale,
        zero_point,
        axis,
        refused,
    })
}

fn operator<'f, 'a>(table: &Table<'f, 'a>, codes: usize, tensors: usize) -> Result<Operator<'f, 'a>> {
    let code = table.scalar::<u32>(0, 0)? as usize;
    if code >= codes {
        return Err(Error::invalid(format!("it names operator code {code} of {codes}")));
    }
    let outputs = present(indices(table, 2, tensors, "results")?, "a result")?;
    let options_kind = table.scalar::<u8>(3, 0)?;
    let options = if options_kind == 0 { None } else { table.table(4)? };
    let mutated = table.scalars::<u8>(7, LIMITS.operands, "flags")?.iter().any(|&f| f != 0);
    let large = table.scalar::<u64>(9, 0)? > 1;
    let extras = mutated || large || table.scalar::<u8>(11, 0)? != 0;
    let inputs = indices(table, 1, tensors, "operands")?;
    Ok(Operator { code, inputs, outputs, options_kind, options, extras })
}

/// A vector of tensor indices, where -1 is "none".
fn indices(table: &Table<'_, '_>, slot: usize, tensors: usize, what: &str) -> Result<Vec<Option<usize>>> {
    let all = table.scalars::<i32>(slot, LIMITS.operands, what)?;
    let index = |i: i32| match usize::try_from(i) {
        Ok(i) if i < tensors => Ok(Some(i)),
        _ if i == -1 => Ok(None),
        _ => Err(Error::invalid(format!("tensor index {i} among its {what} is not below {tensors}"))),
    };
    all.into_iter().map(index).collect()
}

fn present(all: Vec<Option<usize>>, what: &str) -> Result<Vec<usize>> {
    let all: Option<Vec<usize>> = all.into_iter().collect();
    all.ok_or_else(|| Error::invalid(format!("{what} is marked as absent")))
}
