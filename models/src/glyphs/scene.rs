//! Simulated camera images of painted signs: one glyph among clutter.

use super::{LEVELS, SIDE};
use crate::random::Random;
use crate::spectrum::sin_turns;

/// Ends of a stroke, x to the right and y down; a glyph fills -1..1.
type Stroke = [[f32; 2]; 2];

/// The strokes of glyph `class`, in the order of [`super::LABELS`].
fn strokes(class: usize) -> Vec<Stroke> {
    let line = |points: &[[f32; 2]]| points.windows(2).map(|pair| [pair[0], pair[1]]).collect::<Vec<_>>();
    match class {
        0 => arc(0.0, 1.0),
        1 => line(&[[0.0, -1.0], [0.9, 0.8], [-0.9, 0.8], [0.0, -1.0]]),
        2 => line(&[[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8], [-0.8, -0.8]]),
        3 => vec![[[-0.8, -0.8], [0.8, 0.8]], [[0.8, -0.8], [-0.8, 0.8]]],
        4 => vec![[[0.0, -1.0], [0.0, 1.0]], [[-1.0, 0.0], [1.0, 0.0]]],
        5 => line(&[[-0.8, -0.9], [0.8, -0.9], [-0.8, 0.9], [0.8, 0.9]]),
        6 => [line(&[[0.0, 1.0], [0.0, -1.0]]), line(&[[-0.7, -0.3], [0.0, -1.0], [0.7, -0.3]])].concat(),
        7 => line(&[[-0.6, -1.0], [-0.6, 0.9], [0.8, 0.9]]),
        8 => arc(0.125, 0.875),
        _ => [line(&[[-0.9, -0.9], [0.9, -0.9]]), line(&[[0.0, -0.9], [0.0, 1.0]])].concat(),
    }
}

/// A circle's part between two turns, counted from the right, as sixteen chords.
fn arc(from: f32, to: f32) -> Vec<Stroke> {
    let point = |i: usize| {
        let turn = from + (to - from) * i as f32 / 16.0;
        [0.95 * sin_turns(turn + 0.25), 0.95 * sin_turns(turn)]
    };
    (0..16).map(|i| [point(i), point(i + 1)]).collect()
}

/// An image of glyph `class`, row by row, in multiples of 1 / [`LEVELS`] from -1 to 1.
pub fn image(class: usize, random: &mut Random) -> Vec<f32> {
    let placed = place(&strokes(class), random);
    let clutter: Vec<Stroke> = (0..random.uniform(1.0, 5.0) as usize).map(|_| scratch(random)).collect();
    let (width, thin) = (random.uniform(0.6, 1.5), random.uniform(0.4, 0.8));
    let polarity = if random.uniform(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
    // Signs fade: contrast is log-uniform over a factor of four.
    let contrast = polarity * libm::expf(random.uniform(libm::logf(0.3), libm::logf(1.2)));
    let scratches = contrast * random.uniform(0.3, 0.9);
    let (base, slope) = (random.uniform(-0.4, 0.4), [random.uniform(-0.3, 0.3), random.uniform(-0.3, 0.3)]);
    let noise = random.uniform(0.08, 0.3);
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let at = [column as f32 + 0.5, row as f32 + 0.5];
            let middle = SIDE as f32 / 2.0;
            let shade = base + (slope[0] * (at[0] - middle) + slope[1] * (at[1] - middle)) / middle;
            let paint = contrast * cover(&placed, at, width);
            let scratched = scratches * cover(&clutter, at, thin);
            let value = shade + if paint.abs() > scratched.abs() { paint } else { scratched };
            let value = (value + noise * random.normal()).clamp(-1.0, 1.0);
            // Adding zero turns -0 into 0.
            pixels.push(libm::rintf(value * LEVELS) / LEVELS + 0.0);
        }
    }
    pixels
}

/// A glyph turned, sheared, stretched and put somewhere in the image, in pixels.
fn place(strokes: &[Stroke], random: &mut Random) -> Vec<Stroke> {
    let turn = random.uniform(-0.06, 0.06);
    let size = random.uniform(5.0, 11.0);
    let (stretch, shear) = (random.uniform(0.75, 1.33), random.uniform(-0.2, 0.2));
    let (sine, cosine) = (sin_turns(turn), sin_turns(turn + 0.25));
    let room = SIDE as f32 / 2.0 - size;
    let middle = [0, 1].map(|_| SIDE as f32 / 2.0 + random.uniform(-0.8, 0.8) * room);
    let moved = |[x, y]: [f32; 2]| {
        let (x, y) = (stretch * x + shear * y, y);
        [middle[0] + size * (cosine * x - sine * y), middle[1] + size * (sine * x + cosine * y)]
    };
    strokes.iter().map(|&[from, to]| [moved(from), moved(to)]).collect()
}

/// A stroke of clutter, anywhere.
fn scratch(random: &mut Random) -> Stroke {
    let from = [0, 1].map(|_| random.uniform(0.0, SIDE as f32));
    [from, [0, 1].map(|i: usize| from[i] + random.uniform(-12.0, 12.0))]
}

/// How much of the pixel around `at` the strokes cover, 0..=1, their edges one pixel soft.
fn cover(strokes: &[Stroke], at: [f32; 2], width: f32) -> f32 {
    let nearest = strokes.iter().map(|stroke| distance(stroke, at)).fold(f32::INFINITY, f32::min);
    (width + 0.5 - nearest).clamp(0.0, 1.0)
}

fn distance(&[from, to]: &Stroke, at: [f32; 2]) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let offset = [at[0] - from[0], at[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let share = ((along[0] * offset[0] + along[1] * offset[1]) / length.max(1e-6)).clamp(0.0, 1.0);
    let gap = [offset[0] - share * along[0], offset[1] - share * along[1]];
    libm::sqrtf(gap[0] * gap[0] + gap[1] * gap[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_to_the_nearest_point_of_the_stroke() {
        let stroke = [[1.0, 1.0], [5.0, 1.0]];
        assert_eq!(distance(&stroke, [3.0, 4.0]), 3.0);
        assert_eq!(distance(&stroke, [8.0, 5.0]), 5.0);
        assert_eq!(distance(&[[1.0, 1.0], [1.0, 1.0]], [1.0, 3.0]), 2.0);
    }

    #[test]
    fn glyphs_differ_and_stay_in_their_square() {
        let drawn: Vec<Vec<Stroke>> = (0..super::super::LABELS.len()).map(strokes).collect();
        for (i, glyph) in drawn.iter().enumerate() {
            assert!(glyph.iter().flatten().flatten().all(|v| v.abs() <= 1.0), "{i}");
            assert!(drawn[..i].iter().all(|other| other != glyph), "{i}");
        }
    }

    #[test]
    fn pixels_are_bounded_multiples_of_the_step() {
        for class in 0..10 {
            let pixels = image(class, &mut Random::new(1, 0, class as u64));
            assert_eq!(pixels.len(), SIDE * SIDE);
            assert!(pixels.iter().all(|v| v.abs() <= 1.0 && (v * LEVELS).fract() == 0.0));
        }
    }
}
