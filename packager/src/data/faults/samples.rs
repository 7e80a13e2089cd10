//! Damaged and hostile files of samples: refused while they are opened or read, naming file and array.

use std::path::{Path, PathBuf};

use samara_runtime::{Desc, Dtype, Shape};
use zip::CompressionMethod;

use super::super::samples::{InputSpec, Samples};
use super::super::{MAX_TURNED, npy, npz};
use super::{Array, archive, archive_with, with_header};

/// Inputs `x` and `y`, three floats each.
fn spec(name: &str) -> InputSpec {
    InputSpec { name: name.into(), desc: Desc::new(Dtype::F32, Shape::new(&[1, 3]).unwrap()) }
}

fn array(name: &str, samples: usize) -> Array {
    let values = (0..samples * 3).map(|i| i as f32);
    Array {
        name: name.into(),
        dtype: Dtype::F32,
        shape: vec![samples, 3],
        bytes: values.flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// A directory with these files.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        Place(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// How many samples came, and the error that ended them.
fn outcome(path: &Path, inputs: &[&str]) -> (usize, Option<String>) {
    let samples = match Samples::read_for(path, inputs.iter().map(|n| spec(n)).collect()) {
        Ok(samples) => samples,
        Err(e) => return (0, Some(e.to_string())),
    };
    let mut good = 0;
    for sample in samples.iter() {
        match sample {
            Ok(_) => good += 1,
            Err(e) => return (good, Some(e.to_string())),
        }
    }
    assert_eq!(good, samples.len());
    (good, None)
}

#[track_caller]
fn refused(path: &Path, inputs: &[&str], with: &str) -> usize {
    let (good, error) = outcome(path, inputs);
    let error = error.expect("it is refused");
    assert!(error.contains(with) && error.contains(&*path.to_string_lossy()), "{error}");
    assert!(!error.contains('\n'), "{error}");
    good
}

#[test]
fn truncated_file() {
    let arrays = [array("x", 5), array("y", 5)];
    for (name, whole, inputs) in [
        ("a.npy", npy::emit(&arrays[0]).unwrap(), &["x"][..]),
        ("a.npz", npz::emit(&arrays).unwrap(), &["x", "y"]),
    ] {
        let place = Place::new(&[]);
        let path = place.path(name);
        for n in 0..whole.len() {
            std::fs::write(&path, &whole[..n]).unwrap();
            assert!(outcome(&path, inputs).1.is_some(), "{name} {n}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(outcome(&path, inputs), (5, None));
    }
}

/// Where the archive's directory has field `at` of its first entry.
fn directory_field(bytes: &[u8], at: usize) -> usize {
    bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap() + at
}

#[test]
fn truncated_member() {
    // Stored bytes end with a sum that is wrong, packed ones in the middle of a code.
    for (method, with) in [
        (CompressionMethod::Stored, "array 'x' cannot be read in sample"),
        (CompressionMethod::Deflated, "array 'x' ends within sample"),
    ] {
        let mut bytes = archive_with(method, &[("x.npy", &npy::emit(&array("", 2000)).unwrap())]);
        // The directory says that half as many packed bytes are there.
        let at = directory_field(&bytes, 20);
        let packed = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(packed / 2).to_le_bytes());
        let place = Place::new(&[("a.npz", &bytes)]);
        let good = refused(&place.path("a.npz"), &["x"], with);
        assert!((500..1500).contains(&good), "{good}");
    }
}

#[test]
fn damaged_member() {
    let content = npy::emit(&array("", 50)).unwrap();
    let mut bytes = archive_with(CompressionMethod::Stored, &[("x.npy", &content)]);
    // The last value: a finite number all the same, so that only the sum can tell.
    let end = directory_field(&bytes, 0);
    bytes[end - 4] ^= 1;
    let place = Place::new(&[("a.npz", &bytes)]);
    let good = refused(&place.path("a.npz"), &["x"], "array 'x' cannot be read to its end");
    assert_eq!(good, 49);
}

#[test]
fn sample_counts_that_differ() {
    let bytes = npz::emit(&[array("x", 5), array("y", 4)]).unwrap();
    let place = Place::new(&[("a.npz", &bytes)]);
    refused(&place.path("a.npz"), &["x", "y"], "different numbers of samples");
    assert_eq!(outcome(&place.path("a.npz"), &["y"]), (4, None));
}

#[test]
fn no_sample() {
    let place = Place::new(&[("a.npy", &npy::emit(&array("", 0)).unwrap())]);
    refused(&place.path("a.npy"), &["x"], "holds no sample");
}

#[test]
fn samples_that_the_file_does_not_have() {
    for shape in ["(1125899906842624, 3)", "(18446744073709551615, 3)", "(6, 3)"] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let bytes = with_header(&header, &array("", 5).bytes);
        let packed = archive(&[("x.npy", &bytes)]);
        let place = Place::new(&[("a.npy", &bytes), ("a.npz", &packed)]);
        for name in ["a.npy", "a.npz"] {
            let (good, error) = outcome(&place.path(name), &["x"]);
            let error = error.unwrap();
            assert!(good == 0 && error.contains(name) && error.contains("its shape"), "{error}");
        }
    }
}

#[test]
fn zip_bomb() {
    let mut content = npy::emit(&array("", 4)).unwrap();
    let honest = content.len() as u32;
    content.resize(1 << 26, 0);
    let mut bytes = archive(&[("x.npy", &content)]);
    assert!(bytes.len() < 1 << 17);
    let place = Place::new(&[("a.npz", &bytes)]);
    let good = refused(&place.path("a.npz"), &["x"], "bytes of data where its shape needs 48");
    assert_eq!(good, 0);
    // The same with a directory that hides it.
    let at = directory_field(&bytes, 24);
    bytes[at..at + 4].copy_from_slice(&honest.to_le_bytes());
    std::fs::write(place.path("a.npz"), &bytes).unwrap();
    let good = refused(&place.path("a.npz"), &["x"], "array 'x' holds more bytes than its shape needs");
    assert_eq!(good, 3);
}

#[test]
fn nan_in_the_middle_of_a_large_file() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = array("x", 100_000);
        let at = (61_234 * 3 + 2) * 4;
        x.bytes[at..at + 4].copy_from_slice(&bad.to_le_bytes());
        let place = Place::new(&[("a.npz", &npz::emit(&[x]).unwrap())]);
        let with = format!("array 'x' holds {bad} in sample 61234 at index 2");
        assert_eq!(refused(&place.path("a.npz"), &["x"], &with), 61_234);
    }
}

#[test]
fn double_that_overflows_a_float() {
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3), }\n";
    let data: Vec<u8> = [0.0, 1e300, 0.0f64].iter().flat_map(|x| x.to_le_bytes()).collect();
    let place = Place::new(&[("a.npy", &with_header(header, &data))]);
    refused(&place.path("a.npy"), &["x"], "holds inf in sample 0 at index 1");
}

#[test]
fn array_of_another_type() {
    let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 3), }\n";
    let place = Place::new(&[("a.npy", &with_header(header, &[0; 12]))]);
    refused(&place.path("a.npy"), &["x"], "is int32, the input 'x' is float32");
}

#[test]
fn fortran_order_too_large_to_turn() {
    let n = MAX_TURNED / 12 + 1;
    let header = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': ({n}, 3), }}\n");
    let place = Place::new(&[("a.npy", &with_header(&header, &[]))]);
    // Sparse: the zeros need no disk.
    let file = std::fs::OpenOptions::new().write(true).open(place.path("a.npy")).unwrap();
    file.set_len(10 + header.len() as u64 + n * 12).unwrap();
    refused(&place.path("a.npy"), &["x"], "Fortran order");
}

#[test]
fn directory_with_a_stranger() {
    let good = npy::emit(&array("", 2)).unwrap();
    let place = Place::new(&[("a.npy", &good), ("notes.txt", b"hello"), (".hidden", b"hello")]);
    let error = outcome(place.0.path(), &["x"]).1.unwrap();
    assert!(error.contains("notes.txt: is neither .npy nor .npz"), "{error}");
    std::fs::remove_file(place.path("notes.txt")).unwrap();
    assert_eq!(outcome(place.0.path(), &["x"]), (2, None));
    // A stranger in disguise.
    std::fs::write(place.path("b.npy"), b"hello").unwrap();
    let error = outcome(place.0.path(), &["x"]).1.unwrap();
    assert!(error.contains("b.npy: is neither .npy nor .npz"), "{error}");
}

#[test]
fn directory_in_a_directory() {
    let place = Place::new(&[("a.npy", &npy::emit(&array("", 2)).unwrap())]);
    std::fs::create_dir(place.path("b.npy")).unwrap();
    assert!(outcome(place.0.path(), &["x"]).1.unwrap().contains("b.npy"));
}

#[test]
fn directory_of_files_that_differ() {
    let mut other = array("", 2);
    other.shape = vec![3, 2];
    let place =
        Place::new(&[("a.npy", &npy::emit(&array("", 2)).unwrap()), ("b.npy", &npy::emit(&other).unwrap())]);
    let error = outcome(place.0.path(), &["x"]).1.unwrap();
    assert!(error.contains("b.npy") && error.contains("[3, 2]"), "{error}");
    std::fs::write(place.path("b.npy"), npz::emit(&[array("z", 2)]).unwrap()).unwrap();
    let error = outcome(place.0.path(), &["x"]).1.unwrap();
    assert!(error.contains("b.npy: no array is named 'x'") && error.contains("it holds z"), "{error}");
}

#[test]
fn empty_directory() {
    let place = Place::new(&[]);
    refused(place.0.path(), &["x"], "holds no .npy or .npz");
}

#[test]
fn missing_file() {
    let place = Place::new(&[]);
    refused(&place.path("a.npz"), &["x"], "No such file");
}

#[test]
fn file_that_changes_between_opening_and_reading() {
    let place = Place::new(&[("a.npy", &npy::emit(&array("", 3)).unwrap())]);
    let samples = Samples::read_for(&place.path("a.npy"), vec![spec("x")]).unwrap();
    std::fs::write(place.path("a.npy"), npy::emit(&array("", 2)).unwrap()).unwrap();
    let error = samples.iter().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("changed while it was read"), "{error}");
    std::fs::remove_file(place.path("a.npy")).unwrap();
    assert!(samples.iter().next().unwrap().is_err());
}

#[test]
fn labels_that_do_not_fit() {
    let x = npy::emit(&array("", 3)).unwrap();
    let labels = |descr: &str, shape: &str, bytes: usize| {
        with_header(
            &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"),
            &vec![1; bytes],
        )
    };
    let error_of = |content: &[u8]| {
        let place = Place::new(&[("a.npz", &archive(&[("x.npy", &x), ("labels.npy", content)]))]);
        let samples = Samples::read_for(&place.path("a.npz"), vec![spec("x")]).unwrap();
        samples.labels("labels").unwrap_err().to_string()
    };
    for (content, with) in [
        (labels("<i4", "(4,)", 16), "has shape [4]; 3 samples need [3]"),
        (labels("<i4", "(3, 2)", 24), "has shape [3, 2]"),
        (labels("<f4", "(3,)", 12), "'<f4', not integers"),
        (labels("|O", "(3,)", 24), "'|O', not integers"),
        (labels("<i4", "(3,)", 13), "holds 13 bytes of data where its shape needs 12"),
        (b"text".to_vec(), "header is cut off"),
    ] {
        let error = error_of(&content);
        assert!(error.contains(with) && error.contains("a.npz") && error.contains("'labels'"), "{error}");
    }
    let place = Place::new(&[("a.npz", &archive(&[("x.npy", &x)]))]);
    let samples = Samples::read_for(&place.path("a.npz"), vec![spec("x")]).unwrap();
    let error = samples.labels("labels").unwrap_err().to_string();
    assert!(error.contains("no array is named 'labels'; it holds x"), "{error}");
}

#[test]
fn random_mutations_never_panic() {
    let arrays = [array("x", 40), array("y", 40)];
    let whole = npz::emit(&arrays).unwrap();
    let place = Place::new(&[]);
    let path = place.path("a.npz");
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % n
    };
    let mut refused = 0;
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            bytes[at] ^= 1 << below(8);
        }
        std::fs::write(&path, &bytes).unwrap();
        let error = outcome(&path, &["x", "y"]).1;
        // What a reader that panicked would leave.
        assert!(!error.as_ref().is_some_and(|e| e.contains("broke off")), "{error:?}");
        refused += usize::from(error.is_some());
    }
    // The rest hit dates and flags that nobody reads.
    assert!(refused > 1_000, "{refused}");
}
