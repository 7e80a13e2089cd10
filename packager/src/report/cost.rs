//! Estimated time of one run on each target.
//!
//! The model is linear: every step costs so many instructions per multiply-accumulate, per run of input channels
//! that its inner loop walks, and per output element of its kernel's family; an instruction costs so many cycles on a
//! profile's usual part at its usual clock. The constants of Cortex-M4 are fitted to counted instructions (`cargo
//! xtask bench-mcu`) of the portable kernels; the others scale them. It orders bundles and tells a tenth of a second
//! from a second; it is no measurement.

use samara_runtime::Dtype;
use samara_runtime::ops::{BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, Op as _};

use crate::error::Result;
use crate::plan::{Plan, PlannedStep};
use crate::target::Profile;

/// Instructions of a family of kernels.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What it is called.
    pub name: &'static str,
    /// Operator codes; the family without any takes all others.
    codes: &'static [u16],
    /// Instructions per multiply-accumulate of integers.
    pub per_mac: f64,
    /// Instructions per run: the taps of one output that lie beside each other in memory.
    pub per_run: f64,
    /// Instructions per output element.
    pub per_output: f64,
}

const fn of(name: &'static str, codes: &'static [u16], [per_mac, per_run, per_output]: [f64; 3]) -> Family {
    Family { name, codes, per_mac, per_run, per_output }
}

/// Kernel families with their instructions on Cortex-M4. A depthwise tap is a run of its own.
pub const FAMILIES: &[Family] = &[
    of("convolution", &[Conv2d::CODE], [7.0, 65.0, 60.0]),
    of("depthwise convolution", &[DepthwiseConv2d::CODE], [9.0, 65.0, 60.0]),
    of("matrix product", &[FullyConnected::CODE, BatchMatmul::CODE], [6.5, 10.0, 50.0]),
    of("everything else", &[], [0.0, 0.0, 40.0]),
];

/// A profile's usual part.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Name of the profile.
    pub profile: &'static str,
    /// Clock in MHz that parts of this family are commonly run at.
    pub megahertz: f64,
    /// Cycles for what is one instruction of an integer kernel on Cortex-M4.
    pub integer: f64,
    /// The same for float kernels; `None` where floats are emulated.
    pub float: Option<f64>,
}

/// One line per profile. `integer` of Cortex-M4 is cycles per instruction from flash behind a cache; the others are
/// that, times what their instruction set and width change.
pub const SPEEDS: &[Speed] = &[
    Speed { profile: "host", megahertz: 3000.0, integer: 0.25, float: Some(0.03) },
    Speed { profile: "portable", megahertz: 1000.0, integer: 1.0, float: Some(1.0) },
    Speed { profile: "cortex-m0", megahertz: 48.0, integer: 2.6, float: None },
    Speed { profile: "cortex-m3", megahertz: 72.0, integer: 1.5, float: None },
    Speed { profile: "cortex-m4", megahertz: 80.0, integer: 1.3, float: Some(1.6) },
    Speed { profile: "cortex-m7", megahertz: 400.0, integer: 0.8, float: Some(0.9) },
    Speed { profile: "cortex-m33", megahertz: 120.0, integer: 1.2, float: Some(1.5) },
    Speed { profile: "cortex-m55", megahertz: 160.0, integer: 1.0, float: Some(1.2) },
    Speed { profile: "aarch64", megahertz: 1500.0, integer: 0.5, float: Some(0.5) },
    Speed { profile: "armv7", megahertz: 900.0, integer: 0.8, float: Some(1.0) },
    Speed { profile: "riscv32", megahertz: 160.0, integer: 1.6, float: None },
    Speed { profile: "wasm32", megahertz: 2000.0, integer: 0.6, float: Some(0.6) },
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

/// Estimates one run of a plan on a profile.
pub fn estimate(plan: &Plan, profile: &Profile) -> Result<Estimate> {
    let speed = SPEEDS.iter().find(|s| s.profile == profile.name).unwrap_or(&SPEEDS[0]);
    let float = if profile.integer_only { None } else { speed.float };
    let cycles = plan.steps.iter().try_fold(0.0, |sum, step| {
        let factor = if is_float(plan, step) { float } else { Some(speed.integer) };
        Some(sum + instructions(plan, step) * factor?)
    });
    Ok(Estimate { target: profile.name, megahertz: speed.megahertz, cycles })
}

/// Instructions of one step on Cortex-M4.
pub fn instructions(plan: &Plan, step: &PlannedStep) -> f64 {
    let family = family(step.op);
    let outputs: usize = step.outputs.iter().map(|&t| plan.tensors[t].desc.shape.elements()).sum();
    let macs = step.macs as f64;
    family.per_mac * macs
        + family.per_run * macs / run_length(plan, step)
        + family.per_output * outputs as f64
}

/// Multiply-accumulates between two jumps of the inner loop.
fn run_length(plan: &Plan, step: &PlannedStep) -> f64 {
    let weights = step.inputs.get(1).copied().flatten().filter(|_| step.op != DepthwiseConv2d::CODE);
    let last = weights.and_then(|t| plan.tensors[t].desc.shape.dims().last().copied());
    f64::from(last.unwrap_or(1))
}

/// The family of an operator.
pub fn family(op: u16) -> &'static Family {
    FAMILIES.iter().find(|f| f.codes.contains(&op)).unwrap_or(&FAMILIES[FAMILIES.len() - 1])
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
