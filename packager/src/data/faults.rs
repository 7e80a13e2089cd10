//! Damaged and hostile arrays: each is refused, none panics or exhausts memory.

mod samples;

use std::io::{Cursor, Write};

use samara_runtime::Dtype;
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Array, npy, npz, parse};

fn array(name: &str) -> Array {
    Array { name: name.into(), dtype: Dtype::I32, shape: vec![2, 3], bytes: (0..24).collect() }
}

/// A version 1 file with this header text and data.
fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    archive_with(CompressionMethod::Deflated, entries)
}

fn archive_with(method: CompressionMethod, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = FileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[track_caller]
fn refused(bytes: &[u8], with: &str) {
    let message = parse(bytes).unwrap_err().to_string();
    assert!(message.contains(with), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn truncated() {
    let whole = npy::emit(&array("")).unwrap();
    for n in 0..whole.len() {
        assert!(parse(&whole[..n]).is_err(), "{n}");
    }
    let whole = npz::emit(&[array("a"), array("b")]).unwrap();
    for n in 0..whole.len() {
        assert!(parse(&whole[..n]).is_err(), "{n}");
    }
}

#[test]
fn shape_that_overflows() {
    for shape in ["(4294967296, 4294967296, 4294967296)", "(18446744073709551615,)", "(1, -1)", "(1e3,)"] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        assert!(parse(&with_header(&header, &[0; 16])).is_err(), "{shape}");
    }
}

#[test]
fn too_many_dimensions() {
    let header = "{'descr': '|i1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }\n";
    refused(&with_header(header, &[0]), "more than 8 dimensions");
}

#[test]
fn nested_header() {
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}")] {
        let header = format!("{{'shape': {}{}}}", open.repeat(4_000), close.repeat(4_000));
        assert!(parse(&with_header(&header, &[])).is_err());
    }
}

#[test]
fn header_longer_than_the_file() {
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend(b"{'descr': '<f4'");
    refused(&bytes, "header has 4294967295 bytes");
    refused(&with_header("{'descr': '<f4', 'fortran_order'", &[])[..20], "cut off");
}

#[test]
fn objects_and_structures() {
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n";
    refused(&with_header(header, &[0; 8]), "not supported");
    let header = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n";
    refused(&with_header(header, &[0; 4]), "structured");
}

#[test]
fn wide_integer() {
    let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }\n";
    refused(&with_header(header, &(1i64 << 31).to_le_bytes()), "2147483648 does not fit int32");
}

#[test]
fn same_name_twice() {
    let content = npy::emit(&array("")).unwrap();
    // Archives name entries as they like; `a` and `a.npy` are one array to NumPy.
    refused(&archive(&[("a.npy", &content), ("a", &content)]), "array 'a' is there twice");
}

#[test]
fn entry_that_is_no_array() {
    refused(&archive(&[("a.npy", b"text")]), "array 'a'");
}

#[test]
fn archive_that_unpacks_to_more_than_its_arrays_hold() {
    let mut content = with_header("{'descr': '|i1', 'fortran_order': False, 'shape': (4,), }\n", &[0; 4]);
    content.resize(1 << 24, 0);
    refused(&archive(&[("a.npy", &content)]), "array 'a': holds");
}

#[test]
fn random_mutations_never_panic() {
    let npy = npy::emit(&array("")).unwrap();
    let npz = npz::emit(&[array("a"), array("b")]).unwrap();
    let mut state = 0x5A3A_1234_9876_0001u64;
    let mut below = |n: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    };
    for whole in [npy, npz] {
        let mut refused = 0;
        for _ in 0..5_000 {
            let mut bytes = whole.clone();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] ^= 1 << below(8),
                    1 => bytes[at] = [0, 0xff, b'(', b'9'][below(4)],
                    _ => bytes.truncate(at.max(6)),
                }
            }
            refused += usize::from(parse(&bytes).is_err());
        }
        assert!(refused > 1000, "{refused}");
    }
}
