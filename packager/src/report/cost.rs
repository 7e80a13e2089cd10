//! Estimated time of one run on each target.
//!
//! The model is linear: every step costs so many instructions per multiply-accumulate, per run of input channels
//! that its inner loop walks, and per output element of its operator's family, with the kernels that the target has; an
//! instruction costs so many cycles on a profile's usual part at its usual clock. The constants of the Cortex-M sets are
//! fitted to counted instructions (`tests/budgets.toml`); the others scale them. It orders bundles and tells a tenth
//! of a second from a second; it is no measurement.

use samara_runtime::Dtype;
use samara_runtime::ops::{BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, Op as _};

use crate::error::Result;
use crate::plan::{Plan, PlannedStep};
use crate::target::Profile;

/// Operators whose kernels cost alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Convolution.
    Conv,
    /// Depthwise convolution.
    Depthwise,
    /// Fully connected layers, products of matrices.
    Matrix,
    /// All others.
    Rest,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 4] = [Family::Conv, Family::Depthwise, Family::Matrix, Family::Rest];

    /// Of an operator.
    pub fn of(op: u16) -> Self {
        match op {
            Conv2d::CODE => Family::Conv,
            DepthwiseConv2d::CODE => Family::Depthwise,
            FullyConnected::CODE | BatchMatmul::CODE => Family::Matrix,
            _ => Family::Rest,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Family::Conv => "convolution",
            Family::Depthwise => "depthwise convolution",
            Family::Matrix => "matrix product",
            Family::Rest => "everything else",
        }
    }
}

/// Instructions per multiply-accumulate, per run and per output element. A run is the taps of one output that lie beside
/// each other in memory; a depthwise tap is a run of its own.
type Cost = [f64; 3];

/// A set of kernels: what int8 layers and other operators cost. Layers of other types cost as in [`REFERENCE`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Set {
    conv: Cost,
    depthwise: Cost,
    matrix: Cost,
    rest: Cost,
}

impl Set {
    fn cost(&self, family: Family) -> Cost {
        match family {
            Family::Conv => self.conv,
            Family::Depthwise => self.depthwise,
            Family::Matrix => self.matrix,
            Family::Rest => self.rest,
        }
    }
}

/// Plain loops, which serve every type.
pub const REFERENCE: Set = Set {
    conv: [7.0, 65.0, 60.0],
    depthwise: [9.0, 65.0, 60.0],
    matrix: [6.5, 10.0, 50.0],
    rest: [0.0, 0.0, 40.0],
};
/// For the DSP extension.
pub const DSP: Set = Set {
    conv: [0.92, 0.01, 17.5],
    depthwise: [1.5, 0.0, 15.4],
    matrix: [1.1, 0.0, 25.0],
    rest: [0.0, 0.0, 14.2],
};
/// For Helium.
pub const HELIUM: Set = Set {
    conv: [0.16, 0.01, 15.4],
    depthwise: [0.57, 0.0, 7.9],
    matrix: [0.26, 0.0, 15.0],
    rest: [0.0, 0.0, 4.4],
};
/// Zero points folded, in portable code.
pub const FOLDED: Set = Set {
    conv: [4.6, 0.28, 237.0],
    depthwise: [8.2, 0.0, 112.0],
    matrix: [5.2, 0.0, 81.0],
    rest: [0.0, 0.0, 36.0],
};
/// For vectors of 128 bits with dot products.
pub const NEON: Set = Set {
    conv: [0.09, 0.0, 1.5],
    depthwise: [0.37, 0.0, 1.5],
    matrix: [0.13, 0.0, 3.2],
    rest: [0.0, 0.0, 0.9],
};
/// For vectors of 512 bits with dot products: cycles, not instructions.
pub const WIDE: Set = Set {
    conv: [0.006, 0.0, 0.46],
    depthwise: [0.02, 0.0, 0.28],
    matrix: [0.024, 0.0, 1.1],
    rest: [0.0, 0.0, 0.3],
};

/// A profile's usual part.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Name of the profile.
    pub profile: &'static str,
    /// Clock in MHz that parts of this family are commonly run at.
    pub megahertz: f64,
    /// The kernels that it has.
    pub kernels: &'static Set,
    /// Cycles for one instruction of an integer kernel.
    pub integer: f64,
    /// The same for what would be one of a plain float loop on Cortex-M4; `None` where floats are emulated.
    pub float: Option<f64>,
}

/// One line per profile. `integer` of Cortex-M4 is cycles per instruction from flash behind a cache; the others are
/// that, times what their instruction set and width change.
pub const SPEEDS: &[Speed] = &[
    Speed { profile: "host", megahertz: 3000.0, kernels: &WIDE, integer: 1.0, float: Some(0.003) },
    Speed { profile: "portable", megahertz: 1000.0, kernels: &REFERENCE, integer: 1.0, float: Some(1.0) },
    Speed { profile: "cortex-m0", megahertz: 48.0, kernels: &FOLDED, integer: 2.6, float: None },
    Speed { profile: "cortex-m3", megahertz: 72.0, kernels: &FOLDED, integer: 1.5, float: None },
    Speed { profile: "cortex-m4", megahertz: 80.0, kernels: &DSP, integer: 1.3, float: Some(1.6) },
    Speed { profile: "cortex-m7", megahertz: 400.0, kernels: &DSP, integer: 0.8, float: Some(0.9) },
    Speed { profile: "cortex-m33", megahertz: 120.0, kernels: &DSP, integer: 1.2, float: Some(1.5) },
    Speed { profile: "cortex-m55", megahertz: 160.0, kernels: &HELIUM, integer: 1.0, float: Some(1.2) },
    Speed { profile: "aarch64", megahertz: 1500.0, kernels: &NEON, integer: 0.6, float: Some(0.1) },
    Speed { profile: "armv7", megahertz: 900.0, kernels: &DSP, integer: 0.8, float: Some(1.0) },
    Speed { profile: "riscv32", megahertz: 160.0, kernels: &FOLDED, integer: 1.6, float: None },
    Speed { profile: "wasm32", megahertz: 2000.0, kernels: &NEON, integer: 2.0, float: Some(0.6) },
];

/// What one run should take on a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Estimate {
    /// The profile's name.
    pub target: &'static str,
    /// The clock that is assumed, in MHz.
    pub megahertz: f64,
    /// Cycles of one run; `None` where the target refuses the bundle, because it computes in floats.
    pub cycles: Option<f64>,
}

impl Estimate {
    /// Milliseconds of one run.
    pub fn milliseconds(&self) -> Option<f64> {
        self.cycles.map(|c| c / self.megahertz / 1e3)
    }
}

/// The line of a profile.
pub fn speed(profile: &Profile) -> &'static Speed {
    SPEEDS.iter().find(|s| s.profile == profile.name).unwrap_or(&SPEEDS[0])
}

/// Estimates one run of a plan on a profile, whichever it was made for.
pub fn estimate(plan: &Plan, profile: &Profile) -> Result<Estimate> {
    let speed = speed(profile);
    let float = if profile.integer_only { None } else { speed.float };
    let cycles = plan.steps.iter().try_fold(0.0, |sum, step| {
        let factor = if is_float(plan, step) { float } else { Some(speed.integer) };
        Some(sum + instructions(plan, step, speed.kernels) * factor?)
    });
    Ok(Estimate { target: profile.name, megahertz: speed.megahertz, cycles })
}

/// Instructions of one step with these kernels.
pub fn instructions(plan: &Plan, step: &PlannedStep, kernels: &Set) -> f64 {
    let family = Family::of(step.op);
    let kernels = if is_int8(plan, step) { kernels } else { &REFERENCE };
    let [per_mac, per_run, per_output] = kernels.cost(family);
    let outputs: usize = step.outputs.iter().map(|&t| plan.tensors[t].desc.shape.elements()).sum();
    let macs = step.macs as f64;
    per_mac * macs + per_run * macs / run_length(plan, step) + per_output * outputs as f64
}

/// Multiply-accumulates between two jumps of the inner loop.
fn run_length(plan: &Plan, step: &PlannedStep) -> f64 {
    let weights = step.inputs.get(1).copied().flatten().filter(|_| step.op != DepthwiseConv2d::CODE);
    let last = weights.and_then(|t| plan.tensors[t].desc.shape.dims().last().copied());
    f64::from(last.unwrap_or(1))
}

/// Whether the step has kernels of its own on some processors.
fn is_int8(plan: &Plan, step: &PlannedStep) -> bool {
    let is = |i: usize| {
        let tensor = step.inputs.get(i).copied().flatten();
        tensor.is_none_or(|t| plan.tensors[t].desc.dtype == Dtype::I8)
    };
    is(0) && (Family::of(step.op) == Family::Rest || is(1))
}

fn is_float(plan: &Plan, step: &PlannedStep) -> bool {
    let first = step.inputs.iter().flatten().next();
    first.is_some_and(|&t| plan.tensors[t].desc.dtype == Dtype::F32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::PROFILES;

    #[test]
    fn every_profile_has_a_speed() {
        let profiles: Vec<_> = PROFILES.iter().map(|p| p.name).collect();
        assert_eq!(SPEEDS.iter().map(|s| s.profile).collect::<Vec<_>>(), profiles);
        for (profile, speed) in PROFILES.iter().zip(SPEEDS) {
            assert_eq!(profile.integer_only, speed.float.is_none(), "{}", profile.name);
        }
    }
}
