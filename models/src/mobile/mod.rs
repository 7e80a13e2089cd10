//! Small classifiers of depthwise-separable blocks, after MobileNet (Howard et al. 2017).

#[cfg(feature = "train")]
mod fake;
#[cfg(feature = "train")]
mod layer;
#[cfg(feature = "train")]
mod network;
mod plan;
#[cfg(feature = "train")]
mod quantized;

#[cfg(feature = "train")]
pub(crate) use layer::tensor;
#[cfg(feature = "train")]
pub use network::Mobile;
#[cfg(feature = "train")]
pub(crate) use network::linear;
pub use plan::{Activation, Block, Plan};
#[cfg(feature = "train")]
pub use quantized::Quantized;

#[cfg(feature = "train")]
/// Trains a written network on for int8: its weights, seed, epochs, training and validation data.
pub(crate) fn finetune(
    plan: &'static Plan,
    weights: &crate::onnx::Weights,
    (seed, epochs): (u64, usize),
    sets: [&crate::data::DataSet; 2],
    report: crate::train::Report<'_>,
) -> anyhow::Result<crate::onnx::proto::ModelProto> {
    use crate::train::{Schedule, Stored, fit};

    let device = burn::tensor::Device::flex();
    let float = Mobile::new(plan, &device).load(weights, &device)?;
    let schedule = Schedule { seed, epochs, rate: 4e-4, decay: 1e-4 };
    Ok(fit(|device| Quantized::new(&float, device), &schedule, sets, report).export())
}
