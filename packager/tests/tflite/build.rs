//! Builds small TFLite files.

use flatbuffers::{FlatBufferBuilder, TableUnfinishedWIPOffset, WIPOffset};

type Builder = FlatBufferBuilder<'static>;

/// An option field: slot and value.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    I8(u16, i8),
    I32(u16, i32),
    F32(u16, f32),
    I32s(u16, Vec<i32>),
}

/// A tensor; types are the schema's numbers.
#[derive(Clone, Debug)]
pub(crate) struct T {
    pub(crate) name: String,
    pub(crate) kind: i8,
    pub(crate) shape: Vec<i32>,
    pub(crate) signature: Vec<i32>,
    pub(crate) data: Vec<u8>,
    pub(crate) scale: Vec<f32>,
    pub(crate) zero_point: Vec<i64>,
    pub(crate) axis: i32,
    /// The buffer's index where it is not the tensor's own.
    pub(crate) buffer: Option<u32>,
    pub(crate) variable: bool,
}

pub(crate) const F32: i8 = 0;
pub(crate) const F16: i8 = 1;
pub(crate) const I32: i8 = 2;
pub(crate) const U8: i8 = 3;
pub(crate) const I64: i8 = 4;
pub(crate) const I16: i8 = 7;
pub(crate) const I8: i8 = 9;

pub(crate) fn tensor(name: &str, kind: i8, shape: &[i32]) -> T {
    T {
        name: name.into(),
        kind,
        shape: shape.into(),
        signature: Vec::new(),
        data: Vec::new(),
        scale: Vec::new(),
        zero_point: Vec::new(),
        axis: 0,
        buffer: None,
        variable: false,
    }
}

impl T {
    pub(crate) fn quant(mut self, scale: f32, zero_point: i64) -> T {
        (self.scale, self.zero_point) = (vec![scale], vec![zero_point]);
        self
    }

    pub(crate) fn data(mut self, data: Vec<u8>) -> T {
        self.data = data;
        self
    }

    pub(crate) fn i32s(self, values: &[i32]) -> T {
        self.data(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub(crate) fn f32s(self, values: &[f32]) -> T {
        self.data(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub(crate) fn signature(mut self, signature: &[i32]) -> T {
        self.signature = signature.into();
        self
    }
}

/// An int32 constant of one dimension.
pub(crate) fn ints(name: &str, values: &[i32]) -> T {
    tensor(name, I32, &[values.len() as i32]).i32s(values)
}

/// An operator with its code; `custom` operators have code 32.
#[derive(Clone, Debug)]
pub(crate) struct O {
    pub(crate) code: i32,
    pub(crate) custom: &'static str,
    pub(crate) version: i32,
    pub(crate) inputs: Vec<i32>,
    pub(crate) outputs: Vec<i32>,
    pub(crate) options: u8,
    pub(crate) fields: Vec<Field>,
}

pub(crate) fn operator(code: i32, inputs: &[i32], outputs: &[i32]) -> O {
    O {
        code,
        custom: "",
        version: 1,
        inputs: inputs.into(),
        outputs: outputs.into(),
        options: 0,
        fields: Vec::new(),
    }
}

impl O {
    pub(crate) fn options(mut self, kind: u8, fields: &[Field]) -> O {
        (self.options, self.fields) = (kind, fields.to_vec());
        self
    }
}

/// A model of one subgraph.
#[derive(Clone, Debug)]
pub(crate) struct M {
    pub(crate) tensors: Vec<T>,
    pub(crate) operators: Vec<O>,
    pub(crate) inputs: Vec<i32>,
    pub(crate) outputs: Vec<i32>,
    pub(crate) version: u32,
    pub(crate) subgraphs: usize,
    /// How often the last operator is listed, as one table in the file.
    pub(crate) repeat: usize,
}

pub(crate) fn model(tensors: Vec<T>, operators: Vec<O>, inputs: &[i32], outputs: &[i32]) -> M {
    M {
        tensors,
        operators,
        inputs: inputs.into(),
        outputs: outputs.into(),
        version: 3,
        subgraphs: 1,
        repeat: 1,
    }
}

fn slot(n: u16) -> u16 {
    4 + 2 * n
}

fn table(b: &mut Builder, fill: impl FnOnce(&mut Builder)) -> WIPOffset<flatbuffers::TableFinishedWIPOffset> {
    let start: WIPOffset<TableUnfinishedWIPOffset> = b.start_table();
    fill(b);
    b.end_table(start)
}

fn options(b: &mut Builder, fields: &[Field]) -> WIPOffset<flatbuffers::TableFinishedWIPOffset> {
    let mut vectors = Vec::new();
    for f in fields {
        if let Field::I32s(s, values) = f {
            vectors.push((*s, b.create_vector(values)));
        }
    }
    table(b, |b| {
        for f in fields {
            match f {
                Field::I8(s, v) => b.push_slot_always(slot(*s), *v),
                Field::I32(s, v) => b.push_slot_always(slot(*s), *v),
                Field::F32(s, v) => b.push_slot_always(slot(*s), *v),
                Field::I32s(..) => {}
            }
        }
        for (s, v) in vectors {
            b.push_slot_always(slot(s), v);
        }
    })
}

impl M {
    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let b = &mut FlatBufferBuilder::new();
        // Buffer 0 is empty by convention; tensor i has buffer i + 1.
        let mut buffers = vec![table(b, |_| {})];
        for t in &self.tensors {
            let data = b.create_vector(&t.data);
            buffers.push(table(b, |b| b.push_slot_always(slot(0), data)));
        }
        let tensors: Vec<_> = (self.tensors.iter().enumerate())
            .map(|(i, t)| {
                let (shape, signature) = (b.create_vector(&t.shape), b.create_vector(&t.signature));
                let name = b.create_string(&t.name);
                let (scale, zero) = (b.create_vector(&t.scale), b.create_vector(&t.zero_point));
                let quant = table(b, |b| {
                    b.push_slot_always(slot(2), scale);
                    b.push_slot_always(slot(3), zero);
                    b.push_slot(slot(6), t.axis, 0);
                });
                table(b, |b| {
                    b.push_slot_always(slot(0), shape);
                    b.push_slot(slot(1), t.kind, 0);
                    let own = if t.data.is_empty() { 0 } else { i as u32 + 1 };
                    b.push_slot(slot(2), t.buffer.unwrap_or(own), 0);
                    b.push_slot_always(slot(3), name);
                    b.push_slot_always(slot(4), quant);
                    b.push_slot(slot(5), t.variable, false);
                    if !t.signature.is_empty() {
                        b.push_slot_always(slot(7), signature);
                    }
                })
            })
            .collect();
        let mut codes = Vec::new();
        let mut operators = Vec::new();
        for (i, o) in self.operators.iter().enumerate() {
            let custom = b.create_string(o.custom);
            codes.push(table(b, |b| {
                b.push_slot(slot(0), o.code.min(127) as i8, 0);
                b.push_slot_always(slot(1), custom);
                b.push_slot(slot(2), o.version, 1);
                b.push_slot(slot(3), o.code, 0);
            }));
            let (inputs, outputs) = (b.create_vector(&o.inputs), b.create_vector(&o.outputs));
            let fields = options(b, &o.fields);
            operators.push(table(b, |b| {
                b.push_slot(slot(0), i as u32, 0);
                b.push_slot_always(slot(1), inputs);
                b.push_slot_always(slot(2), outputs);
                if o.options != 0 {
                    b.push_slot_always(slot(3), o.options);
                    b.push_slot_always(slot(4), fields);
                }
            }));
        }
        if let Some(&last) = operators.last() {
            operators.extend(std::iter::repeat_n(last, self.repeat - 1));
        }
        let tensors = b.create_vector(&tensors);
        let operators = b.create_vector(&operators);
        let (inputs, outputs) = (b.create_vector(&self.inputs), b.create_vector(&self.outputs));
        let subgraph = table(b, |b| {
            b.push_slot_always(slot(0), tensors);
            b.push_slot_always(slot(1), inputs);
            b.push_slot_always(slot(2), outputs);
            b.push_slot_always(slot(3), operators);
        });
        let codes = b.create_vector(&codes);
        let subgraphs = b.create_vector(&vec![subgraph; self.subgraphs]);
        let buffers = b.create_vector(&buffers);
        let root = table(b, |b| {
            b.push_slot(slot(0), self.version, 0);
            b.push_slot_always(slot(1), codes);
            b.push_slot_always(slot(2), subgraphs);
            b.push_slot_always(slot(4), buffers);
        });
        b.finish(root, Some("TFL3"));
        b.finished_data().to_vec()
    }
}
