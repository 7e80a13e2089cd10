//! Which kernels a plan is made for, and their constants: weights laid out ahead of time, zero points folded into biases.

use samara_runtime::Dtype;
use samara_runtime::bundle::Family;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::layer::{self, BIAS, CONSTANTS, WEIGHTS, kernel};
use samara_runtime::ops::{Conv2d, DepthwiseConv2d, FullyConnected, Op as _};

use super::settle::{Constants, settle};
use crate::error::Result;
use crate::ir::Op;
use crate::lower::{Lowered, Operand, View, parameters};

/// Processors for which plans are made differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernels {
    /// Any: every operator as it documents itself.
    Reference,
    /// x86-64: dot products of unsigned and signed bytes.
    X86_64,
    /// 64-bit Arm and WebAssembly: dot products of signed bytes.
    Signed,
    /// 32-bit Arm with the DSP extension.
    CortexMDsp,
    /// Microcontrollers without it, and Helium, which is at ease with weights as they are.
    Folded,
}

impl Kernels {
    /// Of the processor that this runs on.
    pub const HOST: Kernels = if cfg!(target_arch = "x86_64") {
        Kernels::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Kernels::Signed
    } else {
        Kernels::Reference
    };

    /// What a bundle with several plans calls the one made for these.
    pub const fn family(self) -> Family {
        match self {
            Kernels::Reference => Family::Any,
            Kernels::X86_64 => Family::DotOffset,
            Kernels::Signed => Family::Dot,
            Kernels::CortexMDsp => Family::Pairs,
            Kernels::Folded => Family::Folded,
        }
    }

    /// Bytes that tensors in the arena and weights in vectors' layouts are aligned to, beyond what their elements need:
    /// a vector that crosses a line of the cache is read twice.
    pub(super) const fn alignment(self) -> usize {
        match self {
            Kernels::X86_64 | Kernels::Signed => 64,
            Kernels::Reference | Kernels::CortexMDsp | Kernels::Folded => 1,
        }
    }

    /// Whether an operator's output may overlap its input where its kernels can. Large processors have memory enough,
    /// and compute depthwise convolutions faster when rows need no order.
    pub(super) fn overlaps(self, op: u16) -> bool {
        match self {
            Kernels::X86_64 | Kernels::Signed => op != DepthwiseConv2d::CODE,
            Kernels::Reference | Kernels::CortexMDsp | Kernels::Folded => true,
        }
    }

    /// The kernel id of a layer with activations and weights of these types.
    fn id(self, activations: Dtype, weights: Dtype, is_depthwise: bool) -> u8 {
        match (activations, weights) {
            (Dtype::I8, Dtype::I8) => self.family() as u8,
            (Dtype::F32, Dtype::F32) if !is_depthwise => match self {
                Kernels::X86_64 | Kernels::Signed => kernel::LANES,
                Kernels::Reference | Kernels::CortexMDsp | Kernels::Folded => kernel::DENSE,
            },
            _ => kernel::DENSE,
        }
    }
}

/// Gives a step the best kernel that `kernels` has for it, and that kernel's constants.
pub(super) fn choose(kernels: Kernels, view: &View<'_>, step: &mut Lowered) -> Result<()> {
    let is_depthwise = step.code == DepthwiseConv2d::CODE;
    let is_layer = is_depthwise || matches!(step.code, Conv2d::CODE | FullyConnected::CODE);
    if !is_layer || matches!(view.op, Op::Conv2d { groups, .. } if *groups != 1) {
        return Ok(());
    }
    let (x, weights) = (view.input(0)?, view.input(WEIGHTS)?);
    let id = kernels.id(x.dtype, weights.dtype, is_depthwise);
    if id == kernel::DENSE {
        return Ok(());
    }
    let dense = weights.value()?;
    let bias = view.optional(BIAS).map(|b| b.value()).transpose()?;
    let zero_point = if x.dtype == Dtype::F32 { 0 } else { parameters(x)?.1 };
    let (dense, bias) = if id == kernel::PAIRS {
        if !is_depthwise && !is_small(&dense) {
            return Ok(());
        }
        let scales = match step.operands.get(CONSTANTS) {
            Some(Operand::Constant(value)) => value.clone(),
            Some(&Operand::Input(i)) => view.input(i)?.value()?,
            Some(Operand::Absent) | None => return Ok(()),
        };
        let zeros = [zero_point, parameters(view.output)?.1];
        let constants = Constants { weights: dense, bias, scales };
        let settled = settle(constants, is_depthwise, step.rounding, zeros)?;
        step.operands[CONSTANTS] = Operand::Constant(settled.scales);
        (settled.weights, settled.bias)
    } else {
        (dense, bias)
    };
    let prepared = layer::prepare(id, is_depthwise, &dense, bias.as_ref(), zero_point)?;
    step.kernel = id;
    step.operands[WEIGHTS] = Operand::Constant(prepared.weights);
    if let Some(bias) = prepared.bias {
        step.operands[BIAS] = Operand::Constant(bias);
    }
    Ok(())
}

/// Whether [`kernel::PAIRS`] keeps every odd channel, whose multiplication it shares with an even one: 24 bits of any sum
/// of products, and weights that 16 bits hold beside the even channel's, so no -128.
fn is_small(weights: &Value) -> bool {
    const ACTIVATION: u64 = 128;
    let levels = weights.elements::<i8>();
    let each = weights.desc.shape.inner(0);
    let mut odd = levels.chunks_exact(each.max(1)).skip(1).step_by(2);
    odd.all(|row| {
        let products = row.iter().map(|w| u64::from(w.unsigned_abs())).sum::<u64>() * ACTIVATION;
        products < 1 << 23 && !row.contains(&i8::MIN)
    })
}
