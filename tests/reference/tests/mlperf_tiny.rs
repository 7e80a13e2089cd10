//! The float MLPerf Tiny models, from both formats, against tract on the ONNX file.

#[path = "../../../packager/tests/mixed/mod.rs"]
mod mixed;

use samara_packager::data::Array;
use samara_reference::device::Device;
use samara_reference::tract::Reference;
use samara_reference::{excess, floats};

fn compare(stem: &str) {
    let directory = mixed::shared().join("models/mlperf-tiny");
    if !directory.exists() {
        println!("SKIPPED: {stem}, {} is not here", directory.display());
        return;
    }
    let natural = mixed::natural(stem);
    let file = |extension: &str| directory.join(format!("{stem}_float.{extension}"));
    let mut reference = None;
    let mut failures = Vec::new();
    for extension in ["onnx", "tflite"] {
        let device = Device::load(&file(extension)).unwrap_or_else(|e| panic!("{e}"));
        let shape = device.inputs()[0].1.clone();
        let inputs = mixed::inputs(&shape, &natural);
        let samples: Vec<Vec<Array>> =
            inputs.iter().map(|i| vec![floats(i.kind, &shape, &i.elements)]).collect();
        // The ONNX file comes first: its input names are those that tract knows.
        let reference = reference.get_or_insert_with(|| {
            println!("{stem}: {}", mixed::summary(&inputs));
            Reference::load(&file("onnx"), &device.inputs()).unwrap_or_else(|e| panic!("tract: {e:#}"))
        });
        let results = device.run(&samples).unwrap_or_else(|e| panic!("{e}"));
        let (mut worst, mut kind, mut differing) = (0.0, "", 0);
        for (sample, got) in samples.iter().zip(&results) {
            let want = reference.run(sample).unwrap_or_else(|e| panic!("tract: {e:#}"));
            assert_eq!((got.len(), want.len()), (1, 1));
            assert!(want[0].bytes.iter().any(|&b| b != 0), "tract computed nothing but zeros");
            let excess = excess(&got[0], &want[0]);
            differing += usize::from(excess > 1.0);
            if excess > worst {
                (worst, kind) = (excess, &sample[0].name);
            }
        }
        let verdict = if worst <= 1.0 { "pass" } else { "FAIL" };
        let file = format!("{stem}_float.{extension}");
        println!(
            "{file:30} {:3} inputs, worst {worst:.4} of the tolerance ({kind}): {verdict}",
            samples.len()
        );
        if worst > 1.0 {
            failures.push(format!("{file}: {differing} of {} inputs differ", samples.len()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("; "));
}

#[test]
fn anomaly_detection_equals_tract() {
    compare("ad_autoencoder");
}

#[test]
fn image_classification_equals_tract() {
    compare("ic_resnet8");
}

#[test]
fn keyword_spotting_equals_tract() {
    compare("kws_dscnn");
}

#[test]
fn visual_wake_words_equals_tract() {
    compare("vww_mobilenet");
}
