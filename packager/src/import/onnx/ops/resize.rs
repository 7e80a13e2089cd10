//! Resize and Upsample of images.

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axes};
use crate::ir::{NearestMode, Op, Sampling};

/// What an image becomes.
struct Request {
    scales: Option<Vec<f32>>,
    sizes: Option<Vec<i64>>,
    axes: Vec<usize>,
    linear: bool,
    sampling: Sampling,
    nearest: NearestMode,
}

/// Upsample (until operator set 9): scales are an attribute in 7 and 8, an input in 9.
pub(crate) fn upsample(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let scales = if call.opset < 9 {
        call.floats("scales")?
    } else {
        call.optional_constant(1)?.map(|c| c.to_floats())
    };
    let x = call.tensor(b, 0)?;
    let axes = (0..b.shape(x).len()).collect();
    let linear = linear(&call.string("mode", "nearest")?)?;
    let (sampling, nearest) = (Sampling::Asymmetric, NearestMode::Floor);
    build(b, call, Request { scales, sizes: None, axes, linear, sampling, nearest })
}

/// Resize (since operator set 10).
pub(crate) fn resize(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let linear = linear(&call.string("mode", "nearest")?)?;
    let x = call.tensor(b, 0)?;
    let rank = b.shape(x).len();
    if call.opset < 11 {
        let scales = call.optional_constant(1)?.map(|c| c.to_floats());
        let (sampling, nearest) = (Sampling::Asymmetric, NearestMode::Floor);
        return build(
            b,
            call,
            Request { scales, sizes: None, axes: (0..rank).collect(), linear, sampling, nearest },
        );
    }
    call.ignore("cubic_coeff_a");
    call.ignore("extrapolation_value");
    if call.flag("antialias", false)? {
        return Err(Error::invalid("antialiasing is not supported"));
    }
    if call.flag("exclude_outside", false)? {
        return Err(Error::invalid("exclude_outside is not supported"));
    }
    let policy = call.string("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        return Err(Error::invalid(format!("keep_aspect_ratio_policy '{policy}' is not supported")));
    }
    let axes = match call.ints("axes")? {
        Some(list) => axes(&list, rank)?,
        None => (0..rank).collect(),
    };
    let mode = call.string("coordinate_transformation_mode", "half_pixel")?;
    let sampling = match mode.as_str() {
        // The symmetric form differs only where the output size was rounded, which is refused below.
        "half_pixel" | "half_pixel_symmetric" => Sampling::HalfPixel,
        "pytorch_half_pixel" => Sampling::PytorchHalfPixel,
        "asymmetric" => Sampling::Asymmetric,
        "align_corners" => Sampling::AlignCorners,
        other => {
            return Err(Error::invalid(format!("coordinate_transformation_mode '{other}' is not supported")));
        }
    };
    let nearest = match call.string("nearest_mode", "round_prefer_floor")?.as_str() {
        "round_prefer_floor" => NearestMode::RoundPreferFloor,
        "round_prefer_ceil" => NearestMode::RoundPreferCeil,
        "floor" => NearestMode::Floor,
        "ceil" => NearestMode::Ceil,
        other => return Err(Error::invalid(format!("nearest_mode '{other}' is not supported"))),
    };
    // The region of interest (input 1) only matters to tf_crop_and_resize.
    let scales = call.optional_constant(2)?.map(|c| c.to_floats()).filter(|s| !s.is_empty());
    let sizes = call.input_ints(3)?.filter(|s| !s.is_empty());
    build(b, call, Request { scales, sizes, axes, linear, sampling, nearest })
}

fn linear(mode: &str) -> Result<bool> {
    match mode {
        "nearest" => Ok(false),
        "linear" | "bilinear" => Ok(true),
        other => Err(Error::invalid(format!("mode '{other}' is not supported, 'nearest' and 'linear' are"))),
    }
}

fn build(b: &mut Builder, call: &Call<'_>, r: Request) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let from = b.shape(x).to_vec();
    let mut to = from.clone();
    let wrong = || Error::invalid("its scales or sizes do not fit its input");
    match (&r.scales, &r.sizes) {
        (_, Some(sizes)) if sizes.len() == r.axes.len() => {
            for (&axis, &size) in r.axes.iter().zip(sizes) {
                to[axis] = usize::try_from(size).ok().filter(|&s| s > 0).ok_or_else(wrong)?;
            }
        }
        (Some(scales), None) if scales.len() == r.axes.len() => {
            for (&axis, &scale) in r.axes.iter().zip(scales) {
                let exact = from[axis] as f64 * scale as f64;
                let size = libm::round(exact);
                // The scale takes part in the coordinates; only where it is the ratio of the sizes do both agree.
                if size < 1.0 || (exact - size).abs() > 1e-4 * size {
                    return Err(Error::invalid(format!(
                        "scale {scale} of {} rows or columns is not a whole number",
                        from[axis]
                    )));
                }
                to[axis] = size as usize;
            }
        }
        _ => return Err(wrong()),
    }
    if to == from {
        return one(x);
    }
    let outside_image = from.len() != 4 && from.len() != 3;
    if outside_image || to[..2] != from[..2] {
        return Err(Error::invalid(format!("resizing {from:?} to {to:?} is not supported, only images are")));
    }
    let image = b.nhwc(&call.name, x)?;
    let size = if from.len() == 4 { [to[2], to[3]] } else { [1, to[2]] };
    let op = if r.linear {
        Op::ResizeBilinear { size, sampling: r.sampling }
    } else {
        Op::ResizeNearest { size, sampling: r.sampling, mode: r.nearest }
    };
    let y = b.push(&format!("{}/image", call.name), op, &[image])?;
    one(b.nchw(&call.name, y, from.len())?)
}
