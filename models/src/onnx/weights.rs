//! The float initializers of a model file, by name.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use prost::Message;

use super::Array;
use super::proto::{FLOAT, ModelProto};

/// Named float arrays of a model.
pub struct Weights {
    arrays: BTreeMap<String, Array>,
}

impl Weights {
    /// Reads the initializers of an ONNX file that the exporter wrote (floats as raw bytes).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let model = ModelProto::decode(bytes).context("not an ONNX model")?;
        let graph = model.graph.context("the model has no graph")?;
        let mut arrays = BTreeMap::new();
        for tensor in graph.initializer {
            let name = tensor.name;
            ensure!(tensor.data_type == FLOAT, "{name}: element type {} is not float", tensor.data_type);
            let mut count = 1_usize;
            let mut shape = Vec::new();
            for dim in tensor.dims {
                let dim = usize::try_from(dim).ok().with_context(|| format!("{name}: dimension {dim}"))?;
                count = count.checked_mul(dim).with_context(|| format!("{name}: too large"))?;
                shape.push(dim);
            }
            let (chunks, rest) = tensor.raw_data.as_chunks::<4>();
            ensure!(
                chunks.len() == count && rest.is_empty(),
                "{name}: {} bytes of data for {count} values",
                tensor.raw_data.len()
            );
            let values = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            ensure!(arrays.insert(name.clone(), Array { shape, values }).is_none(), "{name}: given twice");
        }
        Ok(Self { arrays })
    }

    /// The array `name`, which must have `shape`.
    pub fn array(&self, name: &str, shape: &[usize]) -> Result<&Array> {
        let array = self.arrays.get(name).with_context(|| format!("no initializer {name}"))?;
        ensure!(array.shape == shape, "{name}: shape {:?}, expected {shape:?}", array.shape);
        Ok(array)
    }

    /// Names and arrays in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.arrays.iter().map(|(name, array)| (name.as_str(), array))
    }
}

#[cfg(test)]
mod tests {
    use super::super::GraphBuilder;
    use super::*;

    fn model() -> ModelProto {
        let mut graph = GraphBuilder::new("test");
        let x = graph.input("x", &[3]);
        let weight = Array { shape: vec![2, 3], values: vec![1.0, -2.0, 3.5, 0.0, 1e-9, 7.0] };
        let bias = Array { shape: vec![2], values: vec![0.25, -0.5] };
        let y = graph.linear("head", &x, &weight, &bias);
        graph.softmax("softmax", &y, "y");
        graph.output("y", &[2]);
        graph.finish("", &[])
    }

    fn refused(change: impl FnOnce(&mut ModelProto)) -> String {
        let mut model = model();
        change(&mut model);
        format!("{:#}", Weights::parse(&model.encode_to_vec()).err().expect("refused"))
    }

    #[test]
    fn written_weights_are_read_back() {
        let weights = Weights::parse(&model().encode_to_vec()).unwrap();
        assert_eq!(weights.array("head.weight", &[2, 3]).unwrap().values, [1.0, -2.0, 3.5, 0.0, 1e-9, 7.0]);
        assert_eq!(weights.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["head.bias", "head.weight"]);
        assert!(weights.array("head.weight", &[3, 2]).is_err());
        assert!(weights.array("tail.weight", &[2, 3]).is_err());
    }

    #[test]
    fn damaged_files_are_refused() {
        let bytes = model().encode_to_vec();
        assert!(Weights::parse(&bytes[..bytes.len() / 2]).is_err());
        assert!(refused(|model| model.graph = None).contains("no graph"));
        let weight = |change: fn(&mut crate::onnx::proto::TensorProto)| {
            refused(|model| change(&mut model.graph.as_mut().unwrap().initializer[0]))
        };
        assert!(weight(|tensor| tensor.data_type = 7).contains("element type 7"));
        assert!(weight(|tensor| tensor.dims[0] = -1).contains("dimension -1"));
        assert!(weight(|tensor| tensor.dims = vec![i64::MAX, 4]).contains("too large"));
        assert!(weight(|tensor| tensor.raw_data.truncate(23)).contains("23 bytes"));
        assert!(weight(|tensor| tensor.name = "head.bias".into()).contains("given twice"));
    }
}
