//! Simulated accelerometer signal of a rotating machine, healthy or with one fault.
//!
//! The model is the textbook one of condition monitoring: shaft-synchronous harmonics for unbalance,
//! misalignment and looseness; trains of decaying resonance bursts at the ball-pass frequencies for
//! bearing defects, amplitude-modulated by the shaft when the inner race carries the defect. Shaft
//! speed, bearing geometry, resonance, mounting gain and surroundings differ from window to window and
//! are hidden from the classifier.
//!
//! All transcendental functions come from `libm`, so that a seed gives the same samples on every host.

use super::Condition;
use crate::random::Random;
use crate::spectrum::sin_turns;

/// Samples per second.
pub const SAMPLE_RATE: f32 = 4096.0;
/// Samples in one window, slightly more than a second.
pub const SAMPLES: usize = 4352;

/// Order of a line relative to the shaft, and its peak amplitude in units of the healthy 1x line.
struct Line {
    order: f32,
    amplitude: f32,
    phase: f32,
}

/// One window of acceleration, in arbitrary units, of a machine drawn from `random`.
pub fn acceleration(condition: Condition, random: &mut Random) -> Vec<f32> {
    let shaft = random.uniform(18.0, 55.0);
    let drift = random.normal() * 0.02;
    // Faults are seen from their first traces on: severity is log-uniform over a factor of eight.
    let severity = libm::expf(random.uniform(libm::logf(0.25), libm::logf(2.0)));

    let mut lines = healthy_lines(random);
    add_fault_lines(condition, severity, &mut lines, random);
    let mut signal = vec![0.0; SAMPLES];
    add_lines(&mut signal, &lines, shaft, drift);

    let ring =
        Ring { frequency: random.uniform(800.0, 1800.0), damping: 1.0 / random.uniform(0.0008, 0.003) };
    match condition {
        Condition::OuterRace => {
            let train = ImpactTrain {
                order: random.uniform(2.9, 3.9),
                modulation: random.uniform(0.0, 0.35),
                amplitude: 1.6 * severity,
            };
            train.add(&mut signal, &ring, shaft, drift, random);
        }
        Condition::InnerRace => {
            let train = ImpactTrain {
                order: random.uniform(4.6, 5.9),
                modulation: random.uniform(0.3, 0.9),
                amplitude: 1.6 * severity,
            };
            train.add(&mut signal, &ring, shaft, drift, random);
        }
        Condition::Looseness => {
            // Parts that rattle once per turn excite the structure as well, only less sharply.
            let train =
                ImpactTrain { order: 1.0, modulation: 0.0, amplitude: severity * random.uniform(0.0, 0.8) };
            train.add(&mut signal, &ring, shaft, drift, random);
        }
        Condition::Normal | Condition::Unbalance | Condition::Misalignment => {}
    }
    add_surroundings(&mut signal, &ring, random);

    let gain = libm::exp2f(random.uniform(-1.0, 1.0));
    signal.iter_mut().for_each(|x| *x *= gain);
    signal
}

/// Residual unbalance, alignment and mesh of a machine in good order.
fn healthy_lines(random: &mut Random) -> Vec<Line> {
    let mut lines = Vec::new();
    for (order, typical) in [(1.0, 0.30), (2.0, 0.14), (3.0, 0.07), (4.0, 0.05)] {
        let amplitude = typical * libm::expf(0.3 * random.normal());
        lines.push(Line { order, amplitude, phase: random.uniform(0.0, 1.0) });
    }
    let blades = (random.uniform(5.0, 12.0)) as u32;
    let amplitude = random.uniform(0.0, 0.2);
    lines.push(Line { order: blades as f32, amplitude, phase: random.uniform(0.0, 1.0) });
    lines
}

fn add_fault_lines(condition: Condition, severity: f32, lines: &mut Vec<Line>, random: &mut Random) {
    let mut add = |order: f32, amplitude: f32| {
        let spread = libm::expf(0.3 * random.normal());
        lines.push(Line { order, amplitude: amplitude * severity * spread, phase: random.uniform(0.0, 1.0) });
    };
    match condition {
        Condition::Unbalance => add(1.0, 1.6),
        Condition::Misalignment => {
            add(1.0, 0.5);
            add(2.0, 1.1);
            add(3.0, 0.4);
        }
        Condition::Looseness => {
            for (order, amplitude) in [
                (0.5, 0.30),
                (1.0, 0.60),
                (1.5, 0.25),
                (2.0, 0.45),
                (2.5, 0.20),
                (3.0, 0.35),
                (4.0, 0.30),
                (5.0, 0.25),
                (6.0, 0.20),
            ] {
                add(order, amplitude);
            }
        }
        Condition::Normal | Condition::OuterRace | Condition::InnerRace => {}
    }
}

/// Revolutions since the start of the window at `time` seconds, with `drift` the relative speed change
/// from start to end.
fn revolutions(time: f32, shaft: f32, drift: f32) -> f32 {
    let length = SAMPLES as f32 / SAMPLE_RATE;
    shaft * time * (1.0 + 0.5 * drift * time / length)
}

fn add_lines(signal: &mut [f32], lines: &[Line], shaft: f32, drift: f32) {
    for (i, sample) in signal.iter_mut().enumerate() {
        let turns = revolutions(i as f32 / SAMPLE_RATE, shaft, drift);
        for line in lines {
            *sample += line.amplitude * sin_turns(line.order * turns + line.phase);
        }
    }
}

/// Impulse response of the structure: a decaying sine. `frequency` in Hz, `damping` in 1/s.
struct Ring {
    frequency: f32,
    damping: f32,
}

impl Ring {
    fn strike(&self, signal: &mut [f32], time: f32, amplitude: f32) {
        let first = libm::ceilf(time * SAMPLE_RATE) as usize;
        // Six time constants: what follows is 52 dB down.
        let last = (first + (6.0 * SAMPLE_RATE / self.damping) as usize).min(signal.len());
        for (i, sample) in signal.iter_mut().enumerate().take(last).skip(first) {
            let t = i as f32 / SAMPLE_RATE - time;
            *sample += amplitude * libm::expf(-self.damping * t) * sin_turns(self.frequency * t);
        }
    }
}

/// Impacts `order` times per revolution, their force swinging by `modulation` (0..=1) with the shaft.
struct ImpactTrain {
    order: f32,
    modulation: f32,
    amplitude: f32,
}

impl ImpactTrain {
    fn add(&self, signal: &mut [f32], ring: &Ring, shaft: f32, drift: f32, random: &mut Random) {
        let length = SAMPLES as f32 / SAMPLE_RATE;
        let phase = random.uniform(0.0, 1.0);
        let mut time = random.uniform(0.0, 1.0) / (shaft * self.order);
        while time < length {
            let turns = revolutions(time, shaft, drift);
            let load = 1.0 - self.modulation * 0.5 * (1.0 + sin_turns(turns + phase));
            let force = self.amplitude * load * (1.0 + 0.2 * random.normal());
            ring.strike(signal, time, force);
            // Rolling elements slip: the spacing is never quite regular.
            let slip = 1.0 + 0.02 * random.normal();
            time += slip.max(0.5) / (shaft * self.order);
        }
    }
}

/// Sensor noise, another machine nearby, and knocks that have nothing to do with either.
fn add_surroundings(signal: &mut [f32], ring: &Ring, random: &mut Random) {
    let sigma = random.uniform(0.10, 0.35);
    signal.iter_mut().for_each(|x| *x += sigma * random.normal());

    let neighbour = random.uniform(12.0, 70.0);
    let level = 0.25 * random.uniform(0.0, 1.0) * random.uniform(0.0, 1.0);
    let lines = [1.0, 2.0, 3.0].map(|order| Line {
        order,
        amplitude: level / order,
        phase: random.uniform(0.0, 1.0),
    });
    add_lines(signal, &lines, neighbour, 0.0);

    let knocks = (random.uniform(0.0, 1.0) * random.uniform(0.0, 12.0)) as u32;
    for _ in 0..knocks {
        let time = random.uniform(0.0, SAMPLES as f32 / SAMPLE_RATE);
        ring.strike(signal, time, random.uniform(0.2, 1.5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Energy of `signal` at `frequency` Hz by direct correlation.
    fn energy(signal: &[f32], frequency: f32) -> f32 {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, x) in signal.iter().enumerate() {
            let turns = frequency * i as f32 / SAMPLE_RATE;
            re += x * sin_turns(turns);
            im += x * sin_turns(turns + 0.25);
        }
        (re * re + im * im) / signal.len() as f32
    }

    #[test]
    fn lines_stand_at_their_order() {
        let mut signal = vec![0.0; SAMPLES];
        add_lines(&mut signal, &[Line { order: 2.0, amplitude: 1.0, phase: 0.1 }], 32.0, 0.0);
        assert!(energy(&signal, 64.0) > 1000.0 * energy(&signal, 32.0));
    }

    #[test]
    fn impacts_come_at_the_order_of_the_train() {
        let mut signal = vec![0.0; SAMPLES];
        let ring = Ring { frequency: 1200.0, damping: 1000.0 };
        let train = ImpactTrain { order: 4.0, modulation: 0.0, amplitude: 1.0 };
        train.add(&mut signal, &ring, 25.0, 0.0, &mut Random::new(1, 2, 3));
        let rectified: Vec<f32> = signal.iter().map(|x| x.abs()).collect();
        assert!(energy(&rectified, 100.0) > 20.0 * energy(&rectified, 70.0));
    }

    #[test]
    fn strike_near_the_end_stays_inside() {
        let mut signal = vec![0.0; SAMPLES];
        let ring = Ring { frequency: 1200.0, damping: 300.0 };
        ring.strike(&mut signal, (SAMPLES as f32 - 1.5) / SAMPLE_RATE, 1.0);
        assert_eq!(signal.iter().filter(|x| **x != 0.0).count(), 1);
    }
}
