use samara_runtime::{Dtype, Shape};
use sha2::{Digest, Sha256};

use super::*;
use crate::data;

fn spec(name: &str, dims: &[u32]) -> InputSpec {
    InputSpec { name: name.into(), desc: Desc::new(Dtype::F32, Shape::new(dims).unwrap()) }
}

/// `samples` of two floats each, counted from `first` on.
fn array(name: &str, first: usize, samples: usize) -> Array {
    let values = (0..samples * 2).map(|i| (first * 2 + i) as f32);
    Array {
        name: name.into(),
        dtype: Dtype::F32,
        shape: vec![samples, 2],
        bytes: values.flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn labels(first: usize, samples: usize) -> Array {
    let bytes = (first..first + samples).flat_map(|i| (i as i32).to_le_bytes()).collect();
    Array { name: "labels".into(), dtype: Dtype::I32, shape: vec![samples], bytes }
}

/// The first elements of input `i`, halved: the samples' numbers.
fn numbers(samples: &Samples, i: usize) -> Vec<usize> {
    samples.iter().map(|s| s.unwrap()[i].elements::<f32>()[0] as usize / 2).collect()
}

#[test]
fn a_directory_is_its_files_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for (name, first, n) in [("b.npz", 3, 4), ("a.npz", 0, 3), ("c.npz", 7, 1)] {
        let arrays = [labels(first, n), array("y", first, n), array("x", first, n)];
        data::write(&dir.path().join(name), &arrays).unwrap();
    }
    let samples = Samples::read_for(dir.path(), vec![spec("x", &[1, 2]), spec("y", &[2])]).unwrap();
    assert_eq!((samples.len(), samples.has_axis), (8, true));
    for _ in 0..2 {
        assert_eq!(numbers(&samples, 0), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(numbers(&samples, 1), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
    assert_eq!(samples.labels("labels").unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(samples.others().unwrap(), ["labels"]);
    let list: String = ["a.npz", "b.npz", "c.npz"]
        .map(|name| {
            let bytes = std::fs::read(dir.path().join(name)).unwrap();
            format!("{}  {name}\n", crate::pipeline::digest(&bytes))
        })
        .concat();
    assert_eq!(samples.digest().unwrap(), crate::pipeline::digest(list.as_bytes()));
}

#[test]
fn selections_are_taken_of_selections() {
    let dir = tempfile::tempdir().unwrap();
    for (name, first, n) in [("a.npz", 0, 4), ("b.npz", 4, 1), ("c.npz", 5, 15)] {
        data::write(&dir.path().join(name), &[array("x", first, n), labels(first, n)]).unwrap();
    }
    let all = Samples::read_for(dir.path(), vec![spec("x", &[1, 2])]).unwrap();
    let every: Vec<usize> = (0..20).collect();
    let check = |samples: Samples, want: &[usize]| {
        assert_eq!(numbers(&samples, 0), want);
        assert_eq!(samples.len(), want.len());
        let labels: Vec<usize> = samples.labels("labels").unwrap().into_iter().map(|l| l as usize).collect();
        assert_eq!(labels, want);
    };
    check(all.first(3), &every[..3]);
    check(all.first(99), &every);
    check(all.skip(4), &every[4..]);
    check(all.skip(20), &[]);
    check(all.skip(99), &[]);
    check(all.every(6), &[0, 6, 12, 18]);
    check(all.every(0), &every);
    check(all.skip(1).every(3).skip(1).first(3), &[4, 7, 10]);
    check(all.every(2).every(3), &[0, 6, 12, 18]);
    check(all.every(usize::MAX).every(usize::MAX), &[0]);
    check(all.at_most(7), &[0, 3, 6, 9, 12, 15, 18]);
    check(all.at_most(20), &every);
    check(all.at_most(0), &[0]);
}

#[test]
fn an_npy_serves_one_input_with_or_without_axes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    for (shape, count, has_axis) in
        [(vec![6], 1, false), (vec![3, 2], 3, true), (vec![3, 1, 2], 3, true), (vec![1, 2], 1, true)]
    {
        let bytes = array("", 0, 3).bytes[..shape.iter().product::<usize>() * 4].to_vec();
        let dims: &[u32] = if shape == [6] { &[6] } else { &[1, 2] };
        data::write(&path, &[Array { name: String::new(), dtype: Dtype::F32, shape, bytes }]).unwrap();
        let samples = Samples::read_for(&path, vec![spec("any", dims)]).unwrap();
        assert_eq!((samples.len(), samples.has_axis), (count, has_axis));
        assert_eq!(samples.iter().count(), count);
    }
    let digest: String =
        Sha256::digest(std::fs::read(&path).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
    let samples = Samples::read_for(&path, vec![spec("any", &[1, 2])]).unwrap();
    assert_eq!(samples.digest().unwrap(), digest);
}

#[test]
fn fortran_order_and_wide_types_arrive_as_floats() {
    let dir = tempfile::tempdir().unwrap();
    // numpy: asfortranarray([[0, 1], [2, 3], [4, 5]], 'float64') stores columns.
    let stored: Vec<u8> = [0.0, 2.0, 4.0, 1.0, 3.0, 5.0f64].iter().flat_map(|x| x.to_le_bytes()).collect();
    let halves: Vec<u8> = (0..6).flat_map(|i| half::f16::from_f32(i as f32).to_le_bytes()).collect();
    for (name, descr, fortran, bytes) in
        [("d.npy", "<f8", "True", &stored), ("h.npy", "<f2", "False", &halves)]
    {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (3, 2), }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(bytes);
        std::fs::write(dir.path().join(name), file).unwrap();
    }
    let samples = Samples::read_for(dir.path(), vec![spec("x", &[1, 2])]).unwrap();
    let got: Vec<Vec<f32>> = samples.iter().map(|s| s.unwrap()[0].elements::<f32>().to_vec()).collect();
    let half = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
    assert_eq!(got, [half, half].concat());
}

#[test]
fn floats_become_levels_of_an_integer_input() {
    let dir = tempfile::tempdir().unwrap();
    data::write(&dir.path().join("x.npy"), &[array("", 0, 2)]).unwrap();
    let mut input = spec("x", &[1, 2]);
    input.desc = Desc { dtype: Dtype::I8, scale: 2.0, zero_point: -1, ..input.desc };
    let samples = Samples::read_for(dir.path(), vec![input]).unwrap();
    let got: Vec<Vec<i8>> = samples.iter().map(|s| s.unwrap()[0].elements::<i8>().to_vec()).collect();
    // 0, 1, 2, 3 over 2: halves go away from zero.
    assert_eq!(got, [[-1, 0], [0, 1]]);
}

#[test]
fn a_stream_can_be_dropped_early() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    data::write(&path, &[array("x", 0, 10_000)]).unwrap();
    let samples = Samples::read_for(&path, vec![spec("x", &[1, 2])]).unwrap();
    for n in 0..50 {
        let mut stream = samples.iter();
        assert_eq!(stream.by_ref().take(n).filter(|s| s.is_ok()).count(), n);
    }
}
