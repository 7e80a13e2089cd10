//! Values of arguments as people write them.

use samara_runtime::bundle::Version;

use super::args::Choice;
use crate::plan::Patching;
use crate::quantize::{RangeMethod, WeightRounding};

type Parsed<T> = Result<T, String>;

/// MAJOR.MINOR.PATCH.
pub(super) fn version(text: &str) -> Parsed<Version> {
    let parts: Vec<u32> =
        text.split('.').map(|p| p.parse().map_err(|_| ())).collect::<Result<_, _>>().unwrap_or_default();
    match parts[..] {
        [major, minor, patch] => Ok(Version { major, minor, patch }),
        _ => Err("a version is MAJOR.MINOR.PATCH, three numbers".into()),
    }
}

/// NAME=1x3x96x96.
pub(in crate::cli) fn input_shape(text: &str) -> Parsed<(String, Vec<usize>)> {
    let parsed = text.rsplit_once('=').and_then(|(name, dims)| {
        let dims: Option<Vec<usize>> = dims.split('x').map(|d| d.parse().ok().filter(|&d| d > 0)).collect();
        Some((name.to_owned(), dims?))
    });
    parsed.ok_or_else(|| "an input shape is NAME=1x3x96x96".into())
}

/// Units of sizes; the longest that fits comes first.
const UNITS: &[(&str, f64)] = &[
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
    ("", 1.0),
];

/// `24KiB`, `100kB`, `1.5MiB`, or bytes.
pub(super) fn size(text: &str) -> Parsed<usize> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
    match (number.parse::<f64>(), factor) {
        (Ok(number), Some(factor)) if number * factor >= 1.0 && number * factor < 1e15 => {
            Ok((number * factor) as usize)
        }
        _ => Err("a size is a number with B, kB, KiB, MB, MiB, GB or GiB, as 24KiB".into()),
    }
}

/// `auto`, `off`, or a number of strips.
pub(super) fn patching(text: &str) -> Parsed<Patching> {
    match text {
        "auto" => Ok(Patching::Auto),
        "off" => Ok(Patching::Off),
        _ => match text.parse() {
            Ok(strips @ 2..=4096) => Ok(Patching::Strips(strips)),
            _ => Err("is auto, off, or a number of strips from 2 to 4096".into()),
        },
    }
}

/// A finite number above zero.
pub(super) fn positive(text: &str) -> Parsed<f64> {
    let number = text.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0);
    number.ok_or_else(|| "must be a number above 0".into())
}

/// A finite number, zero or more.
pub(super) fn drop(text: &str) -> Parsed<f64> {
    let number = text.parse::<f64>().ok().filter(|x| x.is_finite() && *x >= 0.0);
    number.ok_or_else(|| "must be points of the metric, 0 or more".into())
}

/// `min-max`, `percentile=99.99`, `mse`, `auto`.
pub(super) fn range(text: &str) -> Parsed<Choice<RangeMethod>> {
    let method = match text.split_once('=') {
        None if text == "auto" => return Ok(Choice::Auto),
        None if text == "min-max" => Some(RangeMethod::MinMax),
        None if text == "percentile" => Some(RangeMethod::Percentile(99.99)),
        None if text == "mse" => Some(RangeMethod::Mse),
        Some(("percentile", percent)) => {
            let percent = percent.parse::<f32>().ok().filter(|p| (50.0..=100.0).contains(p));
            percent.map(RangeMethod::Percentile)
        }
        _ => None,
    };
    let method = method.map(Choice::Is);
    method.ok_or_else(|| "is min-max, percentile=P with P from 50 to 100, mse or auto".into())
}

/// `nearest`, `optimized`, `auto`.
pub(super) fn rounding(text: &str) -> Parsed<Choice<WeightRounding>> {
    match text {
        "auto" => Ok(Choice::Auto),
        "nearest" => Ok(Choice::Is(WeightRounding::Nearest)),
        "optimized" => Ok(Choice::Is(WeightRounding::Optimized)),
        _ => Err("is nearest, optimized or auto".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_units() {
        let known = [("24KiB", 24 * 1024), ("1.5MiB", 3 << 19), ("100kB", 100_000), ("77", 77), ("8 B", 8)];
        for (text, bytes) in known {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1e9", "24kib", "0", "1.2.3", "9999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_name_their_methods() {
        assert_eq!(range("auto"), Ok(Choice::Auto));
        assert_eq!(range("percentile=99.9"), Ok(Choice::Is(RangeMethod::Percentile(99.9))));
        for text in ["percentile=20", "percentile=nan", "minmax", "mse=3", ""] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
