//! Damaged and hostile files: each is refused in one line, none panics.

use samara_packager::import::{Options, parse};
use samara_packager::ir::Graph;

use crate::build::*;

fn import(bytes: &[u8]) -> Result<Graph, String> {
    parse(bytes, "m", "tflite", &Options::default()).map_err(|e| e.to_string())
}

/// A convolution, a reshape, a fully connected layer and a softmax.
fn small() -> M {
    let tensors = vec![
        tensor("x", I8, &[1, 4, 4, 2]).quant(0.5, 3).signature(&[-1, 4, 4, 2]),
        tensor("w", I8, &[2, 3, 3, 2]).quant(0.25, 0).data((0..36).collect()),
        tensor("b", I32, &[2]).quant(0.125, 0).i32s(&[7, -7]),
        tensor("y", I8, &[1, 2, 2, 2]).quant(0.75, -1),
        ints("shape", &[-1, 8]),
        tensor("flat", I8, &[1, 8]).quant(0.75, -1),
        tensor("fc_w", I8, &[3, 8]).quant(0.25, 0).data((0..24).collect()),
        tensor("z", I8, &[1, 3]).quant(0.5, 0),
        tensor("p", I8, &[1, 3]).quant(1.0 / 256.0, -128),
    ];
    let conv = [Field::I8(0, 0), Field::I32(1, 2), Field::I32(2, 2), Field::I8(3, 1)];
    let operators = vec![
        operator(3, &[0, 1, 2], &[3]).options(1, &conv),
        operator(22, &[3, 4], &[5]),
        operator(9, &[5, 6, -1], &[7]).options(8, &[Field::I8(0, 0)]),
        operator(25, &[7], &[8]).options(9, &[Field::F32(0, 1.0)]),
    ];
    model(tensors, operators, &[0], &[8])
}

#[track_caller]
fn refused(bytes: &[u8], with: &str) {
    let message = import(bytes).expect_err("must be refused");
    assert!(message.contains(with), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn the_small_model_is_sound() {
    let graph = import(&small().bytes()).unwrap();
    assert_eq!(graph.nodes.len(), 4);
    assert_eq!(graph.tensors[graph.outputs[0]].name, "p");
}

#[test]
fn truncated() {
    let whole = small().bytes();
    let mut sound = 0;
    for n in 0..whole.len() {
        sound += usize::from(import(&whole[..n]).is_ok());
    }
    assert_eq!(sound, 0, "builders write the root first and everything it needs behind it");
    refused(&[], "file identifier");
}

#[test]
fn not_tflite() {
    let mut bytes = small().bytes();
    bytes[4..8].copy_from_slice(b"ABCD");
    refused(&bytes, "file identifier");
}

#[test]
fn bad_root_offset() {
    let mut bytes = small().bytes();
    bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&bytes, "outside the file");
}

/// Where the root table's field `slot` is.
fn field(bytes: &[u8], slot: usize) -> usize {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let root = u32_at(0) as usize;
    let vtable = (root as i64 - i64::from(u32_at(root) as i32)) as usize;
    root + u16::from_le_bytes(bytes[vtable + 4 + 2 * slot..][..2].try_into().unwrap()) as usize
}

#[test]
fn vtable_outside_the_file() {
    let mut bytes = small().bytes();
    let root = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[root..root + 4].copy_from_slice(&i32::MIN.to_le_bytes());
    refused(&bytes, "outside the file");
}

#[test]
fn huge_vector() {
    let mut bytes = small().bytes();
    let at = field(&bytes, 4);
    let vector = at + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    bytes[vector..vector + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&bytes, "outside the file");
}

#[test]
fn table_that_contains_itself() {
    let mut bytes = small().bytes();
    // The list of buffers becomes the list of subgraphs: tables read as other tables.
    let (buffers, subgraphs) = (field(&bytes, 4), field(&bytes, 2));
    let target = subgraphs + u32::from_le_bytes(bytes[subgraphs..subgraphs + 4].try_into().unwrap()) as usize;
    let offset = (target as i64 - buffers as i64) as u32;
    bytes[buffers..buffers + 4].copy_from_slice(&offset.to_le_bytes());
    assert!(import(&bytes).is_err());
}

#[test]
fn overlapping_vectors_that_multiply_work() {
    let mut m = small();
    m.operators = vec![operator(2, &vec![0; 4096], &[3]).options(10, &[])];
    m.repeat = 100_000;
    refused(&m.bytes(), "overlap far too often");
}

#[test]
fn wrong_operand_index() {
    let mut m = small();
    m.operators[0].inputs[1] = 99;
    refused(&m.bytes(), "operator 0: tensor index 99");
    m.operators[0].inputs[1] = -2;
    refused(&m.bytes(), "tensor index -2");
}

#[test]
fn missing_buffer() {
    let mut m = small();
    m.tensors[1].buffer = Some(77);
    refused(&m.bytes(), "buffer 77, which is missing");
}

#[test]
fn empty_buffer_of_weights() {
    let mut m = small();
    m.tensors[1].data.clear();
    refused(&m.bytes(), "tensor 'w': nothing makes it");
}

#[test]
fn short_buffer() {
    let mut m = small();
    m.tensors[1].data.pop();
    refused(&m.bytes(), "tensor 'w': its data has 35 bytes where its shape has 36 elements");
}

#[test]
fn operators_in_a_cycle() {
    let mut m = small();
    // The convolution keeps the shape and reads what the reshape makes of its result.
    m.operators[0].inputs[0] = 5;
    m.operators[0].fields[1] = Field::I32(1, 1);
    m.operators[0].fields[2] = Field::I32(2, 1);
    m.operators[1] = operator(22, &[3], &[5]).options(17, &[Field::I32s(0, vec![1, 2, 2, 2])]);
    m.operators.truncate(2);
    m.tensors[5].shape = vec![1, 2, 2, 2];
    m.outputs = vec![5];
    refused(&m.bytes(), "tensor 'flat': it is read before it is made");
}

#[test]
fn tensor_made_twice() {
    let mut m = small();
    m.operators.insert(2, m.operators[1].clone());
    refused(&m.bytes(), "made twice");
}

#[test]
fn constant_that_is_computed() {
    let mut m = small();
    m.tensors[8].data = vec![0; 3];
    refused(&m.bytes(), "tensor 'p': it is a constant and a result");
}

#[test]
fn bad_quantization() {
    for (scale, zero, with) in [
        (f32::NAN, 0, "its scale is NaN"),
        (0.0, 0, "its scale is 0"),
        (-1.0, 0, "its scale is -1"),
        (f32::INFINITY, 0, "its scale is inf"),
        (1.0, 128, "its zero point 128 is outside int8"),
        (1.0, i64::MAX, "a zero point is outside int32"),
    ] {
        let mut m = small();
        m.tensors[7] = tensor("z", I8, &[1, 3]).quant(scale, zero);
        refused(&m.bytes(), with);
    }
    let mut m = small();
    m.tensors[1].scale = vec![0.5, 0.5, 0.5];
    m.tensors[1].zero_point = vec![0; 3];
    refused(&m.bytes(), "3 scales along dimension 0");
    m.tensors[1].scale = vec![0.5, 0.5];
    refused(&m.bytes(), "2 scales and 3 zero points");
}

#[test]
fn shapes_that_overflow() {
    for shape in
        [[i32::MAX, i32::MAX, i32::MAX, i32::MAX], [1, -5, 4, 2], [1, 1 << 20, 1 << 20, 2], [0, 4, 4, 2]]
    {
        let mut m = small();
        m.tensors[0].shape = shape.into();
        assert!(import(&m.bytes()).is_err(), "{shape:?}");
    }
    let mut m = small();
    m.tensors[0].shape = vec![1; 9];
    refused(&m.bytes(), "9 dimensions; at most 8");
}

#[test]
fn older_schema_and_extra_subgraphs() {
    let mut m = small();
    m.version = 2;
    refused(&m.bytes(), "schema version is 2");
    let mut m = small();
    m.subgraphs = 2;
    refused(&m.bytes(), "2 subgraphs");
    m.subgraphs = 0;
    refused(&m.bytes(), "no subgraph");
}

#[test]
fn variables() {
    let mut m = small();
    m.tensors[0].variable = true;
    refused(&m.bytes(), "tensor 'x': it is a variable");
}

/// A generator with the same sequence everywhere (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }
}

#[test]
fn random_mutations_never_panic() {
    let whole = small().bytes();
    let mut random = Random(0x5A3A_1234_9876_0001);
    let (mut sound, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                2 => bytes.truncate(at.max(8)),
                3 if at + 4 <= bytes.len() => {
                    let value = [0, 1, u32::MAX, 0x7fff_ffff, 0x8000_0000, 4][random.below(6)];
                    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
                _ => {
                    let from = random.below(bytes.len());
                    let n = (1 + random.below(16)).min(bytes.len() - at).min(bytes.len() - from);
                    bytes.copy_within(from..from + n, at);
                }
            }
        }
        match import(&bytes) {
            Ok(_) => sound += 1,
            Err(_) => refused += 1,
        }
    }
    // Both must happen, or the mutations miss the point.
    assert!(sound > 1000 && refused > 5000, "{sound} accepted, {refused} refused");
}
