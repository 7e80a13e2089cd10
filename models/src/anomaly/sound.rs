//! Simulated sound of a ventilation fan, in order or with one fault.
//!
//! One fan in one duct, so that what is normal spans few degrees of freedom: shaft speed, load, the level of
//! the mains hum and of the room. Flow noise grows with speed and load, blade-pass lines with load. A fault
//! adds what the textbooks of machine acoustics say it does. All transcendental functions come from `libm`.

use crate::random::Random;
use crate::spectrum::sin_turns;

/// Samples per second.
pub const SAMPLE_RATE: f32 = 8000.0;
/// Samples in one window, slightly more than a quarter of a second.
pub const SAMPLES: usize = 2304;

const BLADES: f32 = 7.0;
/// Slots of the motor, which whistle.
const SLOTS: f32 = 34.0;
const MAINS: f32 = 100.0;

/// What is wrong with the fan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A worn bearing: bursts that ring between 2.2 and 3.2 kHz, some per turn.
    Bearing,
    /// A chipped blade: lines at multiples of the shaft frequency around the blade-pass line.
    Blade,
    /// The wheel touches its housing: noise once per turn.
    Rub,
    /// A loose belt or lamination: a tone between 1.2 and 3.6 kHz and its octave.
    Whine,
    /// A blocked filter: more flow noise that surges, weaker blade-pass lines.
    Blockage,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Bearing, Self::Blade, Self::Rub, Self::Whine, Self::Blockage];
}

/// One window of sound pressure, in arbitrary units, of the fan under conditions drawn from `random`.
pub fn pressure(fault: Option<Fault>, random: &mut Random) -> Vec<f32> {
    let shaft = random.uniform(22.0, 30.0);
    let load = random.uniform(0.0, 1.0);
    // Faults are heard from their first traces on: severity is log-uniform over a factor of ten.
    let severity = libm::expf(random.uniform(libm::logf(0.2), libm::logf(2.0)));

    let mut sound = vec![0.0; SAMPLES];
    let blockage = if fault == Some(Fault::Blockage) { severity } else { 0.0 };
    flow(&mut sound, shaft, load, blockage, random);
    let blades = (0.3 + 0.7 * load) / (1.0 + 0.5 * blockage);
    for (order, level) in [(1.0, 0.40), (2.0, 0.20), (3.0, 0.10), (4.0, 0.05)] {
        tone(&mut sound, order * BLADES * shaft, level * blades * spread(0.15, random), random);
    }
    let hum = spread(0.3, random);
    for (order, level) in [(1.0, 0.15), (2.0, 0.06), (3.0, 0.03)] {
        tone(&mut sound, order * MAINS, level * hum, random);
    }
    tone(&mut sound, SLOTS * shaft, 0.05 * spread(0.3, random), random);
    if let Some(fault) = fault {
        add(fault, &mut sound, shaft, severity, random);
    }
    let room = random.uniform(0.01, 0.03);
    let gain = libm::exp2f(random.uniform(-0.2, 0.2));
    sound.iter_mut().for_each(|x| *x = gain * (*x + room * random.normal()));
    sound
}

/// Low-passed noise whose level and corner follow the speed; a blockage lets it surge some times per second.
fn flow(sound: &mut [f32], shaft: f32, load: f32, blockage: f32, random: &mut Random) {
    let relative = shaft / 26.0;
    let level = 0.5 * relative * relative * (0.5 + 0.5 * load) * (1.0 + blockage);
    let corner = 350.0 * relative;
    let step = 1.0 - libm::expf(-core::f32::consts::TAU * corner / SAMPLE_RATE);
    let (surge, phase) = (random.uniform(8.0, 15.0), random.uniform(0.0, 1.0));
    let depth = blockage.min(1.0) * 0.6;
    let mut state = 0.0;
    for (i, x) in sound.iter_mut().enumerate() {
        state += step * (random.normal() - state);
        *x += level * state * (1.0 + depth * sin_turns(surge * seconds(i) + phase));
    }
}

fn add(fault: Fault, sound: &mut [f32], shaft: f32, severity: f32, random: &mut Random) {
    match fault {
        Fault::Bearing => {
            let (rate, ring) = (shaft * random.uniform(3.1, 5.4), random.uniform(2200.0, 3200.0));
            let mut time = random.uniform(0.0, 1.0) / rate;
            while time < seconds(SAMPLES) {
                let force = 0.3 * severity * (1.0 + 0.2 * random.normal());
                let first = libm::ceilf(time * SAMPLE_RATE) as usize;
                for (i, x) in sound.iter_mut().enumerate().skip(first).take(160) {
                    let t = seconds(i) - time;
                    *x += force * libm::expf(-400.0 * t) * sin_turns(ring * t);
                }
                time += (1.0 + 0.02 * random.normal()).max(0.5) / rate;
            }
        }
        Fault::Blade => {
            for order in [5.0, 6.0, 8.0, 9.0] {
                tone(sound, order * shaft, 0.2 * severity * spread(0.3, random), random);
            }
        }
        Fault::Rub => {
            let phase = random.uniform(0.0, 1.0);
            for (i, x) in sound.iter_mut().enumerate() {
                let closeness = 0.5 + 0.5 * sin_turns(shaft * seconds(i) + phase);
                let contact = closeness * closeness * closeness * closeness;
                *x += 0.2 * severity * contact * contact * random.normal();
            }
        }
        Fault::Whine => {
            let pitch = random.uniform(1200.0, 3600.0);
            tone(sound, pitch, 0.05 * severity, random);
            if 2.0 * pitch < 0.5 * SAMPLE_RATE {
                tone(sound, 2.0 * pitch, 0.02 * severity, random);
            }
        }
        // Part of the flow and of the blades.
        Fault::Blockage => {}
    }
}

/// Adds a sine of random phase; `frequency` in Hz.
fn tone(sound: &mut [f32], frequency: f32, amplitude: f32, random: &mut Random) {
    let phase = random.uniform(0.0, 1.0);
    for (i, x) in sound.iter_mut().enumerate() {
        *x += amplitude * sin_turns(frequency * seconds(i) + phase);
    }
}

/// A factor around 1, log-normal.
fn spread(deviation: f32, random: &mut Random) -> f32 {
    libm::expf(deviation * random.normal())
}

fn seconds(sample: usize) -> f32 {
    sample as f32 / SAMPLE_RATE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Power above 1.1 kHz, where a fan in order has little: mean squared second difference.
    fn treble(sound: &[f32]) -> f32 {
        sound.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).powi(2)).sum::<f32>() / sound.len() as f32
    }

    fn mean(fault: Option<Fault>, measure: fn(&[f32]) -> f32) -> f32 {
        (0..40).map(|i| measure(&pressure(fault, &mut Random::new(1, 0, i)))).sum::<f32>() / 40.0
    }

    #[test]
    fn bearing_rub_and_whine_add_treble() {
        let normal = mean(None, treble);
        for fault in [Fault::Bearing, Fault::Rub, Fault::Whine] {
            assert!(mean(Some(fault), treble) > 1.2 * normal, "{fault:?}");
        }
    }

    #[test]
    fn blade_and_blockage_add_power() {
        let power = |sound: &[f32]| sound.iter().map(|x| x * x).sum::<f32>();
        let normal = mean(None, power);
        for fault in [Fault::Blade, Fault::Blockage] {
            assert!(mean(Some(fault), power) > 1.1 * normal, "{fault:?}");
        }
    }
}
