//! Hostile bundles: every flipped bit of a signed one is refused; mutated unsigned ones are rejected or run,
//! and never panic, read or write out of bounds, or work without bound.

mod small;

use ed25519_dalek::SigningKey;
use samara_packager::files::AlignedBytes;
use samara_packager::sign;
use samara_runtime::bundle::{Bundle, Prefix, Trust};
use samara_runtime::{Session, ops};

const MUTATIONS: usize = 100_000;
/// Runs of more work than this are not tried: a mutation may ask for a large model, which is its right.
const MAX_MACS: u64 = 1 << 22;
const MAX_ARENA: usize = 1 << 20;
const CANARY: u8 = 0xa5;

#[test]
fn every_flipped_bit_of_a_signed_bundle_is_refused() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut signed = small::bundle();
    sign::sign(&mut signed, &key).unwrap();
    let mut bytes = AlignedBytes::new(&signed);
    let keys = [key.verifying_key().to_bytes()];
    let trust = Trust { keys: &keys, threshold: 1 };
    Bundle::verify(&bytes, &trust).unwrap();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Bundle::verify(&bytes, &trust).is_err(), "bit {bit} of {}", bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    println!("{} flipped bits, each refused", bytes.len() * 8);
}

#[test]
fn every_shortened_or_lengthened_bundle_is_refused() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut signed = small::bundle();
    sign::sign(&mut signed, &key).unwrap();
    let keys = [key.verifying_key().to_bytes()];
    let trust = Trust { keys: &keys, threshold: 1 };
    for len in 0..signed.len() {
        assert!(Bundle::verify(&AlignedBytes::new(&signed[..len]), &trust).is_err(), "{len}");
    }
    signed.push(0);
    assert!(Bundle::verify(&AlignedBytes::new(&signed), &trust).is_err());
}

#[test]
fn mutated_bundles_are_rejected_or_run() {
    let good = small::bundle();
    let content = Prefix::parse(&good).unwrap().content_start();
    let mut bytes = AlignedBytes::new(&good);
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut rejected, mut ran) = (0, 0);
    for round in 0..MUTATIONS {
        bytes.copy_from_slice(&good);
        for _ in 0..1 + random.below(6) {
            // Mostly the content, which decides what runs; sometimes the head.
            let from = if random.below(8) == 0 { 0 } else { content };
            let at = from + random.below(good.len() - from);
            bytes[at] = match random.below(4) {
                0 => random.below(256) as u8,
                1 => bytes[at] ^ (1 << random.below(8)),
                2 => bytes[at].wrapping_add(1),
                _ => [0, 0x7f, 0x80, 0xff][random.below(4)],
            };
        }
        match attempt(&bytes) {
            true => ran += 1,
            false => rejected += 1,
        }
        assert_eq!(rejected + ran, round + 1);
    }
    println!("{MUTATIONS} mutations: {rejected} rejected, {ran} ran");
    // Both happen, or the test looks at nothing.
    assert!(rejected > MUTATIONS / 100 && ran > MUTATIONS / 100, "{rejected} rejected, {ran} ran");
}

/// Whether the bytes loaded; then they also ran, inside the arena that the plan states.
fn attempt(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::parse(bytes) else { return false };
    let Ok(session) = Session::load(&bundle, ops::ALL) else { return false };
    if session.macs() > MAX_MACS || session.arena_bytes() > MAX_ARENA {
        return true;
    }
    let size = session.arena_bytes();
    let mut arena = AlignedBytes::zeros(size + 64);
    arena[size..].fill(CANARY);
    {
        let mut run = session.bind(&mut arena).unwrap();
        // An error is fine; it must come as a value.
        run.run().ok();
        if let Some(golden) = &bundle.golden {
            run.self_test(golden).ok();
        }
    }
    assert!(arena[size..].iter().all(|&b| b == CANARY), "wrote behind the arena");
    true
}

/// xorshift64*: a fixed sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n
    }
}
