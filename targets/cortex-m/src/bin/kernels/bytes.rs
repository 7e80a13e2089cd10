//! Copying, filling and comparing bytes, whichever functions the linker took for it, at every alignment and length.

use core::hint::black_box;

use semihosting::{eprintln, println};

/// Longest run.
const LENGTH: usize = 40;
/// Alignments tried.
const SHIFTS: usize = 8;
const ROOM: usize = LENGTH + 2 * SHIFTS;

/// Whether all do what they should and touch nothing else.
pub(crate) fn agree() -> bool {
    let from: [u8; ROOM] = core::array::from_fn(|i| i as u8 ^ 0xa5);
    let mut differing = 0;
    for length in 0..=LENGTH {
        for (a, b) in (0..SHIFTS).flat_map(|a| (0..SHIFTS).map(move |b| (a, b))) {
            let (read, written) = (a..a + black_box(length), b..b + black_box(length));
            let mut to = [0x11u8; ROOM];
            to[written.clone()].copy_from_slice(&from[read.clone()]);
            let is_copied = holds(&to, &written, |i| from[a + i]);
            let is_equal = black_box(&to[written.clone()]) == black_box(&from[read.clone()]);
            // One bit of one byte.
            let is_noticed = (0..length).all(|i| {
                to[b + i] ^= 0x80;
                let differs = black_box(&to[written.clone()]) != black_box(&from[read.clone()]);
                to[b + i] ^= 0x80;
                differs
            });
            to = [0x11; ROOM];
            to[written.clone()].fill(black_box(0xc3));
            let is_filled = holds(&to, &written, |_| 0xc3);
            to[written.clone()].fill(0);
            let is_cleared = holds(&to, &written, |_| 0);
            if !(is_copied && is_equal && is_noticed && is_filled && is_cleared) {
                eprintln!(
                    "{length} bytes from {a} to {b}: {is_copied} {is_equal} {is_noticed} {is_filled} {is_cleared}"
                );
                differing += 1;
            }
        }
    }
    println!("runs of bytes: {differing} differ");
    differing == 0
}

/// Whether `to` holds these in `written` and what was there before around it.
fn holds(to: &[u8; ROOM], written: &core::ops::Range<usize>, byte: impl Fn(usize) -> u8) -> bool {
    to.iter()
        .enumerate()
        .all(|(i, &got)| got == if written.contains(&i) { byte(i - written.start) } else { 0x11 })
}
