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
mod spread;

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
pub(crate) use quantized::finetune;
#[cfg(feature = "train")]
pub use spread::spread_channels;
