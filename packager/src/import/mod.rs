//! Model files become graphs.

pub mod check;
pub mod onnx;
pub mod tflite;

use std::path::Path;

use crate::error::{About, Error, Result};
use crate::ir::Graph;

/// What a user may say about a model that its file leaves open.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Shapes of inputs by name.
    pub input_shapes: Vec<(String, Vec<usize>)>,
}

/// A format that models are read from.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The name that messages use.
    pub name: &'static str,
    /// The file extension, without the dot.
    pub extension: &'static str,
    /// Whether bytes look like it, for formats that say so.
    pub recognize: fn(&[u8]) -> bool,
    /// Content and model name to a graph.
    pub load: fn(&[u8], &str, &Options) -> Result<Graph>,
}

/// All formats; content decides before the extension does.
pub const FORMATS: &[Format] = &[
    Format {
        name: "TensorFlow Lite",
        extension: "tflite",
        recognize: |bytes| bytes.get(4..8) == Some(tflite::IDENTIFIER),
        load: tflite::load,
    },
    // Protocol buffers carry no magic number.
    Format { name: "ONNX", extension: "onnx", recognize: |_| false, load: onnx::load },
];

/// Reads a model file in any of [`FORMATS`]. The graph passed [`check::check`] and is named after the file.
pub fn load(path: &Path, options: &Options) -> Result<Graph> {
    let bytes = crate::files::read(path)?;
    let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    parse(&bytes, &name, &extension, options).about(path.display())
}

/// As [`load`] for a file's content, the model's name and the file's extension.
pub fn parse(bytes: &[u8], name: &str, extension: &str, options: &Options) -> Result<Graph> {
    let by_content = FORMATS.iter().find(|f| (f.recognize)(bytes));
    let format = by_content.or_else(|| FORMATS.iter().find(|f| f.extension == extension));
    let format = format.ok_or_else(|| {
        let known: Vec<String> = FORMATS.iter().map(|f| format!("{} (.{})", f.name, f.extension)).collect();
        Error::invalid("its format is not known").remedy(format!("known are {}", known.join(", ")))
    })?;
    let graph = (format.load)(bytes, name, options)?;
    check::check(&graph)?;
    Ok(graph)
}
