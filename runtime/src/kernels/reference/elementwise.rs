//! The loop behind every binary elementwise kernel.

#[cfg(feature = "std")]
use core::cell::Cell;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::ops::broadcast::Walk;
use crate::ops::io::Io;
use crate::ops::view::View;

/// `output = f(a, b)` with broadcasting, in the output's order; either operand may lie in the output's span.
#[inline(always)]
pub fn binary<T: Pod>(io: &mut Io<'_>, f: impl Fn(T, T) -> T) -> Result<()> {
    let (a, b, y) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape, io.output_desc(0)?.shape);
    let walk = Walk::new(&a, &b, &y);
    let (count, step_a, step_b) = walk.run();
    let ([a, b], y) = io.views::<T, 2>([0, 1], 0)?;
    walk.each(|at_a, at_b, at_y| {
        let a = run(&a, at_a, count, step_a)?;
        let b = run(&b, at_b, count, step_b)?;
        let y = y.get(at_y..at_y.wrapping_add(count)).ok_or(Error::Internal)?;
        #[cfg(feature = "std")]
        let done = blocks(&a, &b, y, &f);
        #[cfg(not(feature = "std"))]
        let done = 0;
        for (k, slot) in y.iter().enumerate().skip(done) {
            let (Some(a), Some(b)) = (a.at(k), b.at(k)) else { return Err(Error::Internal) };
            slot.set(f(a, b));
        }
        Ok(())
    })
}

/// Elements that are read before any of them is written.
#[cfg(feature = "std")]
const BLOCK: usize = 16;

/// Whole blocks, which compilers turn into vectors: an operand in the output's span never starts below the output, so that
/// what a block writes has been read. Returns how many elements are done. Left out where size counts.
#[cfg(feature = "std")]
#[inline(always)]
fn blocks<T: Copy>(a: &Run<'_, T>, b: &Run<'_, T>, y: &[Cell<T>], f: &impl Fn(T, T) -> T) -> usize {
    let mut done = 0;
    for slots in y.chunks_exact(BLOCK) {
        let (Some(a), Some(b)) = (a.block(done), b.block(done)) else { break };
        for ((slot, a), b) in slots.iter().zip(a).zip(b) {
            slot.set(f(a, b));
        }
        done += BLOCK;
    }
    done
}

/// One run of an operand: all of its elements, or one for all.
enum Run<'a, T> {
    Many(View<'a, T>),
    One(T),
}

impl<T: Copy> Run<'_, T> {
    #[inline(always)]
    fn at(&self, k: usize) -> Option<T> {
        match self {
            Run::Many(view) => view.at(k),
            Run::One(value) => Some(*value),
        }
    }

    #[cfg(feature = "std")]
    #[inline(always)]
    fn block(&self, start: usize) -> Option<[T; BLOCK]> {
        match self {
            Run::Many(View::Shared(x)) => x.get(start..)?.first_chunk().copied(),
            Run::Many(View::Inside(x)) => {
                let cells: &[Cell<T>; BLOCK] = x.get(start..)?.first_chunk()?;
                Some(core::array::from_fn(|i| cells[i].get()))
            }
            Run::One(value) => Some([*value; BLOCK]),
        }
    }
}

#[inline(always)]
fn run<'a, T: Copy>(view: &View<'a, T>, start: usize, count: usize, step: usize) -> Result<Run<'a, T>> {
    match step {
        0 => view.at(start).map(Run::One).ok_or(Error::Internal),
        _ => view.row(start, count).map(Run::Many),
    }
}
