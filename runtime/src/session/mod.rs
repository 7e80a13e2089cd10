//! Load a bundle once, run it many times.
//!
//! [`Session::load`] makes every check; after it, [`Run::run`] cannot be surprised by the plan. A session
//! borrows the bundle's bytes and holds no activations: those live in the arena that [`Session::bind`] borrows,
//! so sessions may share one arena.
//!
//! Every run looks each step up in the plan again, which costs nothing but time. Where there is memory for it,
//! [`Session::resolve`] does so once.

mod check;
mod execute;
mod step;
#[cfg(feature = "threads")]
mod threads;

use bytemuck::Pod;

use crate::bundle::golden::Vector;
use crate::bundle::plan::{BASE_ALIGN, TensorRecord};
use crate::bundle::{Bundle, Golden, Plan};
use crate::error::{Error, Result};
use crate::ops::op::{Choice, Entry, OpDef};
use crate::tensor::{Desc, Dtype, Place};
use step::{Operands, Step};
#[cfg(feature = "threads")]
pub use threads::Threads;

/// A Rust type that a tensor's elements can be given as.
pub trait Element: Pod {
    /// The tensor's element type.
    const DTYPE: Dtype;
}

macro_rules! element {
    ($($t:ty = $d:ident),*) => { $(impl Element for $t { const DTYPE: Dtype = Dtype::$d; })* };
}
element!(f32 = F32, i8 = I8, u8 = U8, i16 = I16, i32 = I32);

/// A loaded, fully checked model.
#[derive(Clone, Copy, Debug)]
pub struct Session<'b> {
    plan: Plan<'b>,
    weights: &'b [u8],
    ops: &'static [OpDef],
    choice: Choice,
}

impl<'b> Session<'b> {
    /// Checks the whole plan against the operator list. Work is linear in the bundle's size.
    pub fn load(bundle: &Bundle<'b>, ops: &'static [OpDef]) -> Result<Self> {
        Session::load_with(bundle, ops, Choice::Auto)
    }

    /// As [`Session::load`]; only kernels that `choice` admits are chosen.
    pub fn load_with(bundle: &Bundle<'b>, ops: &'static [OpDef], choice: Choice) -> Result<Self> {
        let session = Session { plan: bundle.plan, weights: bundle.weights, ops, choice };
        session.check()?;
        Ok(session)
    }

    fn check(&self) -> Result<()> {
        let header = &self.plan.header;
        if self.weights.as_ptr().align_offset(BASE_ALIGN) != 0 {
            return Err(Error::Alignment);
        }
        for id in 0..header.tensors {
            let tensor = self.plan.tensor(id as u16);
            let tensor = tensor.as_ref().map_err(|&e| e)?;
            let room = match tensor.desc.place {
                Place::Arena => header.arena as usize,
                Place::Weights => self.weights.len(),
            };
            if tensor.range().end > room {
                return Err(Error::Tensor);
            }
        }
        for i in 0..self.plan.publics() {
            self.plan.public(i)?;
        }
        let mut macs = 0u64;
        let mut operands = Operands::NONE;
        for i in 0..header.steps as usize {
            macs = macs.checked_add(self.check_step(i, &mut operands)?).ok_or(Error::Limit)?;
        }
        if macs == header.macs { Ok(()) } else { Err(Error::Totals) }
    }

    fn check_step(&self, i: usize, operands: &mut Operands) -> Result<u64> {
        let step = self.look_up(i, operands)?;
        step.check(operands, self.plan.attributes(&step.record)?, self.weights, self.plan.header.numeric)
    }

    fn look_up(&self, i: usize, operands: &mut Operands) -> Result<Step> {
        Step::resolve(&self.plan, i, self.ops, self.choice, operands)
    }

    /// Exact bytes of arena that [`Session::bind`] needs, 16-byte aligned: activations and scratch.
    pub fn arena_bytes(&self) -> usize {
        self.plan.header.arena as usize
    }

    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        self.plan.header.macs
    }

    /// Number of steps of one run.
    pub fn steps(&self) -> usize {
        self.plan.header.steps as usize
    }

    /// The plan, for tools.
    pub fn plan(&self) -> &Plan<'b> {
        &self.plan
    }

    /// The kernel that step `i` runs.
    pub fn kernel(&self, i: usize) -> Result<&'static Entry> {
        Ok(self.look_up(i, &mut { Operands::NONE })?.entry)
    }

    /// Multiply-accumulates of step `i`.
    pub fn step_macs(&self, i: usize) -> Result<u64> {
        self.check_step(i, &mut { Operands::NONE })
    }

    /// Looks every step up once, so that runs need not. `room` holds at least [`Session::steps`], of any content.
    pub fn resolve<'s>(&'s self, room: &'s mut [ResolvedStep]) -> Result<Resolved<'s, 'b>> {
        let room = room.get_mut(..self.steps()).ok_or(Error::TooSmall)?;
        for (i, slot) in room.iter_mut().enumerate() {
            slot.step = Some(self.look_up(i, &mut slot.operands)?);
        }
        Ok(Resolved { session: self, steps: room })
    }

    /// Borrows the arena for runs. Longer arenas are fine; their tail stays untouched.
    pub fn bind<'r>(&'r self, arena: &'r mut [u8]) -> Result<Run<'r, 'b>> {
        self.bind_with(&[], arena)
    }

    fn bind_with<'r>(&'r self, steps: &'r [ResolvedStep], arena: &'r mut [u8]) -> Result<Run<'r, 'b>> {
        if arena.as_ptr().align_offset(BASE_ALIGN) != 0 {
            return Err(Error::Alignment);
        }
        let arena = arena.get_mut(..self.arena_bytes()).ok_or(Error::TooSmall)?;
        Ok(Run { session: self, steps, arena })
    }
}

/// Where [`Session::resolve`] keeps what it found out of one step.
#[derive(Clone, Debug)]
pub struct ResolvedStep {
    step: Option<Step>,
    operands: Operands,
}

impl ResolvedStep {
    /// Room for one.
    pub const EMPTY: ResolvedStep = ResolvedStep { step: None, operands: Operands::NONE };
}

/// A session whose steps are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'s, 'b> {
    session: &'s Session<'b>,
    steps: &'s [ResolvedStep],
}

impl<'b> Resolved<'_, 'b> {
    /// As [`Session::bind`].
    pub fn bind<'r>(&'r self, arena: &'r mut [u8]) -> Result<Run<'r, 'b>> {
        self.session.bind_with(self.steps, arena)
    }
}

/// A session with its arena.
#[derive(Debug)]
pub struct Run<'r, 'b> {
    session: &'r Session<'b>,
    /// All of them, or none.
    steps: &'r [ResolvedStep],
    arena: &'r mut [u8],
}

impl Run<'_, '_> {
    /// Graph input `i`. Inputs must be written before every run: a run may reuse their memory.
    pub fn input(&mut self, i: usize) -> Result<Input<'_>> {
        let plan = &self.session.plan;
        if i >= plan.header.inputs as usize {
            return Err(Error::Index);
        }
        let tensor = plan.public(i);
        let tensor = tensor.as_ref().map_err(|&e| e)?;
        let bytes = self.arena.get_mut(tensor.range()).ok_or(Error::Internal)?;
        Ok(Input { desc: tensor.desc, bytes })
    }

    /// Writes every input from a golden vector, whose expected outputs are then left.
    pub fn set_inputs(&mut self, vector: &mut Vector<'_>) -> Result<()> {
        for i in 0..self.session.plan.header.inputs as usize {
            let mut input = self.input(i)?;
            input.copy_from_bytes(vector.next(input.bytes.len())?)?;
        }
        Ok(())
    }

    /// Runs every step.
    pub fn run(&mut self) -> Result<()> {
        for i in 0..self.session.steps() {
            self.step(i)?;
        }
        Ok(())
    }

    /// Runs step `i` alone; for profilers and layer comparison, which call every step in order.
    pub fn step(&mut self, i: usize) -> Result<()> {
        let s = self.session;
        // Cleared only where it is filled.
        let mut fresh;
        let (step, operands) = match self.steps.get(i) {
            Some(ResolvedStep { step: Some(step), operands }) => (*step, operands),
            _ => {
                fresh = Operands::NONE;
                (s.look_up(i, &mut fresh)?, &fresh)
            }
        };
        step.run(operands, s.plan.attributes(&step.record)?, self.arena, s.weights)
    }

    /// Graph output `i`, valid after [`Run::run`] until an input is written.
    pub fn output(&self, i: usize) -> Result<Output<'_>> {
        let header = &self.session.plan.header;
        if i >= header.outputs as usize {
            return Err(Error::Index);
        }
        self.view(&self.session.plan.public(header.inputs as usize + i))
    }

    /// Any arena tensor, as long as no later step has reused its memory.
    pub fn tensor(&self, id: u16) -> Result<Output<'_>> {
        self.view(&self.session.plan.computed(id))
    }

    fn view(&self, tensor: &Result<TensorRecord>) -> Result<Output<'_>> {
        // By reference: `?` would move what is going to be copied anyway.
        let tensor = tensor.as_ref().map_err(|&e| e)?;
        let bytes = self.arena.get(tensor.range()).ok_or(Error::Internal)?;
        Ok(Output { desc: tensor.desc, bytes })
    }

    /// Runs every golden vector and compares every output within its tolerance.
    pub fn self_test(&mut self, golden: &Golden<'_>) -> Result<()> {
        for v in 0..golden.vectors() {
            let mut parts = golden.vector(v)?;
            self.set_inputs(&mut parts)?;
            self.run()?;
            for o in 0..self.session.plan.header.outputs as usize {
                let output = self.output(o)?;
                output.expect(parts.next(output.bytes.len())?, golden.tolerance(o)?)?;
            }
        }
        Ok(())
    }
}

/// Where an input goes.
#[derive(Debug)]
pub struct Input<'a> {
    desc: Desc,
    bytes: &'a mut [u8],
}

impl Input<'_> {
    /// Type, shape and quantization parameters.
    pub fn desc(&self) -> &Desc {
        &self.desc
    }

    /// Copies elements of exactly the input's type and count.
    pub fn copy_from<T: Element>(&mut self, elements: &[T]) -> Result<()> {
        if T::DTYPE != self.desc.dtype {
            return Err(Error::Mismatch);
        }
        self.copy_from_bytes(bytemuck::cast_slice(elements))
    }

    /// Copies little-endian elements of exactly the input's size.
    pub fn copy_from_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != self.bytes.len() {
            return Err(Error::Mismatch);
        }
        self.bytes.copy_from_slice(bytes);
        Ok(())
    }
}

/// A computed tensor.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    desc: Desc,
    bytes: &'a [u8],
}

impl<'a> Output<'a> {
    /// Type, shape and quantization parameters.
    pub fn desc(&self) -> &Desc {
        &self.desc
    }

    /// Elements, where `T` is the tensor's type.
    pub fn elements<T: Element>(&self) -> Result<&'a [T]> {
        if T::DTYPE != self.desc.dtype {
            return Err(Error::Mismatch);
        }
        bytemuck::try_cast_slice(self.bytes).map_err(|_| Error::Alignment)
    }

    /// Little-endian bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn expect(&self, expected: &[u8], tolerance: crate::bundle::golden::Tolerance) -> Result<()> {
        let same = if self.desc.dtype == Dtype::F32 {
            let (got, want) = (self.bytes.as_chunks::<4>().0, expected.as_chunks::<4>().0);
            self.bytes.len() == expected.len()
                && got.iter().zip(want).all(|(&got, &want)| {
                    let (got, want) = (f32::from_le_bytes(got), f32::from_le_bytes(want));
                    libm::fabsf(got - want) <= tolerance.absolute + tolerance.relative * libm::fabsf(want)
                })
        } else {
            self.bytes == expected
        };
        if same { Ok(()) } else { Err(Error::SelfTest) }
    }
}
