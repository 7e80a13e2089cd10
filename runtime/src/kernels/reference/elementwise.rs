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
        if vectors(&a, &b, y, &f) {
            return Ok(());
        }
        for (k, slot) in y.iter().enumerate() {
            let (Some(a), Some(b)) = (a.at(k), b.at(k)) else { return Err(Error::Internal) };
            slot.set(f(a, b));
        }
        Ok(())
    })
}

/// The commonest runs as loops that compilers turn into vectors; false for others. Left out where size counts.
#[cfg(feature = "std")]
#[inline(always)]
fn vectors<T: Copy>(a: &Run<'_, T>, b: &Run<'_, T>, y: &[Cell<T>], f: &impl Fn(T, T) -> T) -> bool {
    let here = |x: &[Cell<T>]| x.as_ptr() == y.as_ptr();
    match (a, b) {
        (Run::Many(View::Shared(a)), Run::Many(View::Shared(b))) => {
            y.iter().zip(*a).zip(*b).for_each(|((y, &a), &b)| y.set(f(a, b)));
        }
        (Run::Many(View::Inside(a)), Run::Many(View::Shared(b))) if here(a) => {
            y.iter().zip(*b).for_each(|(y, &b)| y.set(f(y.get(), b)));
        }
        (Run::Many(View::Shared(a)), Run::Many(View::Inside(b))) if here(b) => {
            y.iter().zip(*a).for_each(|(y, &a)| y.set(f(a, y.get())));
        }
        (Run::Many(View::Shared(a)), Run::One(b)) => {
            y.iter().zip(*a).for_each(|(y, &a)| y.set(f(a, *b)));
        }
        (Run::One(a), Run::Many(View::Shared(b))) => {
            y.iter().zip(*b).for_each(|(y, &b)| y.set(f(*a, b)));
        }
        (Run::Many(View::Inside(a)), Run::One(b)) if here(a) => {
            y.iter().for_each(|y| y.set(f(y.get(), *b)));
        }
        _ => return false,
    }
    true
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
}

#[inline(always)]
fn run<'a, T: Copy>(view: &View<'a, T>, start: usize, count: usize, step: usize) -> Result<Run<'a, T>> {
    match step {
        0 => view.at(start).map(Run::One).ok_or(Error::Internal),
        _ => view.row(start, count).map(Run::Many),
    }
}
