//! Every byte of every layer against TensorFlow Lite Micro's reference kernels, where its outputs are present.

use std::path::PathBuf;

use samara_packager::data;
use samara_packager::import::{Options, load};
use samara_packager::interpret::Interpreter;
use samara_runtime::ops::eval::Value;

#[test]
fn int8_models_give_the_reference_bytes() {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    for name in ["ad_autoencoder_int8", "ic_resnet8_int8", "kws_dscnn_int8", "vww_mobilenet_int8"] {
        let (model, golden) = (
            shared.join("models/mlperf-tiny").join(format!("{name}.tflite")),
            shared.join("golden").join(format!("{name}.npz")),
        );
        if !model.exists() || !golden.exists() {
            println!("SKIPPED {name}: the shared models or outputs are not here");
            continue;
        }
        let graph = load(&model, &Options::default()).unwrap();
        let arrays = data::read(&golden).unwrap();
        let array = |name: &str| arrays.iter().find(|a| a.name == name).unwrap();
        let (inputs, outputs) = (array("input"), array("output"));
        let mut layers: Vec<_> = arrays.iter().filter(|a| a.name.starts_with("layer")).collect();
        layers.sort_by_key(|a| &a.name);
        assert_eq!(layers.len(), graph.nodes.len(), "{name}");

        let interpreter = Interpreter::new(&graph).unwrap();
        let samples = inputs.shape[0];
        let (wide, deep) = (inputs.bytes.len() / samples, outputs.bytes.len() / samples);
        for s in 0..samples {
            let mut x = Value::zeros(graph.tensors[graph.inputs[0]].desc().unwrap());
            x.bytes_mut().copy_from_slice(&inputs.bytes[s * wide..(s + 1) * wide]);
            let mut made = 0;
            let y = interpreter
                .run(vec![x], |t, value| {
                    // The golden layers are those of the first sample; the input comes before them.
                    if s == 0 && t != graph.inputs[0] {
                        let layer = layers[made];
                        assert_eq!(
                            value.bytes(),
                            &layer.bytes[..value.bytes().len()],
                            "{name}: {}",
                            layer.name
                        );
                        made += 1;
                    }
                    Ok(())
                })
                .unwrap();
            assert_eq!(y[0].bytes(), &outputs.bytes[s * deep..(s + 1) * deep], "{name}: sample {s}");
            assert!(s > 0 || made == layers.len(), "{name}: {made} layers compared");
        }
        println!("{name}: {samples} samples and {} layers agree", layers.len());
    }
}
