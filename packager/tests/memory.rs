//! Peak memory of `samara pack --calibrate` follows the model, neither the number of samples nor the file's size.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use samara_packager::data::{self, Array};
use samara_runtime::Dtype;
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

/// How far peaks may be apart.
const SLACK: f64 = 0.2;

/// Peak resident KiB of packing a model calibrated with this data.
///
/// The process is kept from ending, so that its high water mark can be read when all is done: what it prints last
/// goes to a pipe that is full.
fn peak(model: &Path, data: &Path) -> u64 {
    let out = data.with_extension("samara");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let filled = Arc::new(AtomicUsize::new(0));
    let (filler, counter) = (writer.try_clone().unwrap(), filled.clone());
    let filler = std::thread::spawn(move || fill(filler, &counter));
    // Full is when nothing more goes in.
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = filled.load(Ordering::Relaxed);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_samara"))
        .args(["pack".as_ref(), model.as_os_str(), "-o".as_ref(), out.as_os_str(), "--calibrate".as_ref()])
        .arg(data)
        .arg("--json")
        .stdout(writer)
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    while !out.exists() {
        assert!(child.try_wait().unwrap().is_none(), "pack of {} failed", data.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("it still runs");
    let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
    reader.read_to_end(&mut Vec::new()).unwrap();
    filler.join().unwrap();
    assert!(child.wait().unwrap().success());
    std::fs::remove_file(out).unwrap();
    peak
}

/// Twice what a pipe holds.
fn fill(mut pipe: impl Write, counter: &AtomicUsize) {
    for _ in 0..1 << 17 >> 12 {
        pipe.write_all(&[b' '; 1 << 12]).unwrap();
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[track_caller]
fn flat(peaks: &[(String, u64)]) {
    for (what, kib) in peaks {
        println!("{what}: peak {kib} KiB");
    }
    let least = peaks.iter().map(|p| p.1).min().unwrap() as f64;
    let most = peaks.iter().map(|p| p.1).max().unwrap() as f64;
    assert!(most <= (1.0 + SLACK) * least, "{most} KiB is more than {SLACK} above {least} KiB");
}

/// The vibration model with 10 to 1000 windows: its 256 calibration windows again and again, each time a little
/// louder.
#[test]
fn memory_does_not_follow_the_number_of_samples() {
    let vibration = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration");
    let arrays = data::read(&vibration.join("calibrate.npz")).unwrap();
    let windows = arrays.iter().find(|a| a.name == "spectrograms").expect("the model's input");
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(&windows.bytes);
    let (have, each) = (windows.shape[0], values.len() / windows.shape[0]);
    let dir = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for count in [10, 100, 1000] {
        let window = |n: usize| &values[n % have * each..(n % have + 1) * each];
        let gain = |n: usize| 1.0 + (n / have) as f32 / 64.0;
        let perturbed = (0..count).flat_map(|n| window(n).iter().map(move |x| x * gain(n)));
        let array = Array {
            name: windows.name.clone(),
            dtype: Dtype::F32,
            shape: [&[count], &windows.shape[1..]].concat(),
            bytes: perturbed.flat_map(|x| x.to_le_bytes()).collect(),
        };
        let path = dir.path().join(format!("{count}.npz"));
        data::write(&path, &[array]).unwrap();
        peaks.push((format!("{count} samples"), peak(&vibration.join("model.onnx"), &path)));
    }
    flat(&peaks);
}

/// Elements of a sample of the large files.
const WIDE: usize = 1 << 16;

/// 128 MiB in one stored, one deflated and one plain file, against ten samples.
#[test]
fn memory_does_not_follow_the_size_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.onnx");
    std::fs::write(&model, relu(WIDE as u64)).unwrap();
    let large = 512;
    let mut peaks = Vec::new();
    for (name, method, count) in [
        ("few.npz", Some(CompressionMethod::Stored), 10),
        ("stored.npz", Some(CompressionMethod::Stored), large),
        ("deflated.npz", Some(CompressionMethod::Deflated), large),
        ("plain.npy", None, large),
    ] {
        let path = dir.path().join(name);
        let file = File::create(&path).unwrap();
        match method {
            Some(method) => {
                let mut zip = ZipWriter::new(file);
                zip.start_file("x.npy", FileOptions::default().compression_method(method)).unwrap();
                write_samples(&mut zip, count);
                zip.finish().unwrap();
            }
            None => write_samples(file, count),
        }
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!(count < large || method == Some(CompressionMethod::Deflated) || bytes > 100 << 20);
        let unpacked = (count * WIDE * 4) >> 10;
        let what = format!("{name} of {} KiB, {unpacked} KiB unpacked", bytes >> 10);
        peaks.push((what, peak(&model, &path)));
        std::fs::remove_file(path).unwrap();
    }
    // As a directory: its files are read one after another.
    let parts = dir.path().join("parts");
    std::fs::create_dir(&parts).unwrap();
    for part in 0..4 {
        write_samples(File::create(parts.join(format!("{part}.npy"))).unwrap(), large / 4);
    }
    peaks.push(("a directory of 128 MiB".into(), peak(&model, &parts)));
    flat(&peaks);
}

/// An `.npy` of `count` samples, written one by one.
fn write_samples(mut to: impl Write, count: usize) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {WIDE}), }}\n");
    to.write_all(b"\x93NUMPY\x01\x00").unwrap();
    to.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    to.write_all(header.as_bytes()).unwrap();
    for n in 0..count {
        let value = |i: usize| ((n * 31 + i * 7) % 251) as f32 / 16.0 - 8.0;
        let bytes: Vec<u8> = (0..WIDE).flat_map(|i| value(i).to_le_bytes()).collect();
        to.write_all(&bytes).unwrap();
    }
}

/// An ONNX model `y = relu(x)` over `[1, width]`.
fn relu(width: u64) -> Vec<u8> {
    let dim = |n: u64| bytes(1, &number(1, n));
    let value = |name: &str| {
        let shape = [dim(1), dim(width)].concat();
        let tensor = [number(1, 1), bytes(2, &shape)].concat();
        [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
    };
    let node = [bytes(1, b"x"), bytes(2, b"y"), bytes(3, b"relu"), bytes(4, b"Relu")].concat();
    let graph = [bytes(1, &node), bytes(2, b"relu"), bytes(11, &value("x")), bytes(12, &value("y"))].concat();
    [number(1, 8), bytes(7, &graph), bytes(8, &number(2, 13))].concat()
}

/// A protobuf field of a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A protobuf field of bytes.
fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}
