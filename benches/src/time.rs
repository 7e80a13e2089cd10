//! Time of single runs. The least of many is what repeats: everything that disturbs a run lengthens it.

use std::time::Instant;

use samara_runtime::{Run, Session};

/// Fills every input with a pattern that is not all zeros, and keeps floats small and normal.
pub fn fill_inputs(run: &mut Run<'_, '_>, session: &Session<'_>) -> samara_runtime::Result<()> {
    for i in 0..usize::from(session.plan().header.inputs) {
        let mut input = run.input(i)?;
        let desc = *input.desc();
        let count = desc.shape.elements();
        match desc.dtype {
            samara_runtime::Dtype::F32 => {
                input.copy_from(&(0..count).map(|k| (k % 17) as f32 * 0.1 - 0.8).collect::<Vec<f32>>())?;
            }
            _ => input.copy_from_bytes(&(0..desc.bytes()).map(|k| (k % 251) as u8).collect::<Vec<u8>>())?,
        }
    }
    Ok(())
}

/// The least nanoseconds of one `call` among `samples`, each of so many calls that the clock's own time does not
/// count.
pub fn least(samples: usize, mut call: impl FnMut()) -> f64 {
    const SAMPLE_NANOSECONDS: u128 = 20_000;
    let mut batch = 1usize;
    loop {
        let start = Instant::now();
        (0..batch).for_each(|_| call());
        if start.elapsed().as_nanos() >= SAMPLE_NANOSECONDS || batch >= 1 << 16 {
            break;
        }
        batch *= 2;
    }
    let mut least = f64::INFINITY;
    for _ in 0..samples {
        let start = Instant::now();
        (0..batch).for_each(|_| call());
        least = least.min(start.elapsed().as_nanos() as f64 / batch as f64);
    }
    least
}
