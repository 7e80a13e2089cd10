//! Trains Samara's own models and exports them to ONNX.
