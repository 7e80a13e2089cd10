//! The float kernels with FMA3 and AVX2 enabled.
//!
//! Unsafe here only calls functions that the compiler was told to build for those features, each after asking
//! the processor for them.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernels::blocked::{Geometry, Layer, conv_2d_row, depthwise_conv_2d_row, fully_connected_row};
use crate::kernels::float::Hard;
use crate::kernels::lanes;
use crate::kernels::reference::batch_matmul::f32_with;
use crate::kernels::reference::fully_connected::by_matrix_rows;
use crate::kernels::reference::rows::by_rows;
use crate::kernels::reference::weights::{Format, Plain};
use crate::kernels::x86_64::f32::{avx2, avx512};
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::op::{Context, Isa, Op};
use crate::tensor::Dtype;

/// Conv2D with weights stored as `S`; refuses where the processor lacks the features.
pub fn conv_2d<S: Format>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    if !Isa::X86Fma.available() {
        return Err(Error::NoKernel);
    }
    // SAFETY: the processor has FMA3 and AVX2, as just asked.
    unsafe { conv_2d_fma::<S>(attributes, io) }
}

/// DepthwiseConv2D with weights stored as `S`; refuses where the processor lacks the features.
pub fn depthwise_conv_2d<S: Format>(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    if !Isa::X86Fma.available() {
        return Err(Error::NoKernel);
    }
    if io.input_desc(1)?.dtype == Dtype::F32 && lanes::depthwise_conv_2d::serves(io)? {
        return avx2::depthwise_conv_2d(attributes, io, cx);
    }
    // SAFETY: the processor has FMA3 and AVX2, as just asked.
    unsafe { depthwise_conv_2d_fma::<S>(attributes, io) }
}

/// DepthwiseConv2D of floats with AVX-512, where a channel has one output; otherwise as [`depthwise_conv_2d`].
pub fn depthwise_conv_2d_avx512(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    match lanes::depthwise_conv_2d::serves(io)? {
        true => avx512::depthwise_conv_2d(attributes, io, cx),
        false => depthwise_conv_2d::<Plain<f32>>(attributes, io, cx),
    }
}

/// FullyConnected with weights stored as `S`; refuses where the processor lacks the features.
pub fn fully_connected<S: Format>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    if !Isa::X86Fma.available() {
        return Err(Error::NoKernel);
    }
    // SAFETY: the processor has FMA3 and AVX2, as just asked.
    unsafe { fully_connected_fma::<S>(attributes, io) }
}

/// BatchMatMul of floats; a transposed left operand is read by strides.
pub fn batch_matmul(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    if !Isa::X86Fma.available() {
        return Err(Error::NoKernel);
    }
    if lanes::batch_matmul::serves(attributes)? {
        return avx2::batch_matmul(attributes, io, cx);
    }
    // SAFETY: the processor has FMA3 and AVX2, as just asked.
    unsafe { batch_matmul_fma(attributes, io) }
}

/// As [`batch_matmul`], with AVX-512.
pub fn batch_matmul_avx512(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    match lanes::batch_matmul::serves(attributes)? {
        true => avx512::batch_matmul(attributes, io, cx),
        false => batch_matmul(attributes, io, cx),
    }
}

#[target_feature(enable = "fma,avx2")]
fn batch_matmul_fma(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    f32_with::<Hard>(attributes, io)
}

#[target_feature(enable = "fma,avx2")]
fn conv_2d_fma<S: Format>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [outputs, kh, kw, _] = io.input_desc(1)?.shape.dims4()?;
    let geometry = Geometry {
        window: op.window,
        input: [height, width, channels],
        taps: [kh, kw],
        outputs,
        groups: op.groups as usize,
    };
    let layer = Layer::<S>::new(io, op.clamp)?;
    by_rows::<f32>(io, &op.window, kh, |row| conv_2d_row::<Hard, S>(&geometry, &layer, row))
}

#[target_feature(enable = "fma,avx2")]
fn depthwise_conv_2d_fma<S: Format>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(1)?.shape.dims4()?;
    let geometry = Geometry {
        window: op.window,
        input: [height, width, channels],
        taps: [kh, kw],
        outputs,
        groups: channels,
    };
    let layer = Layer::<S>::new(io, op.clamp)?;
    by_rows::<f32>(io, &op.window, kh, |row| depthwise_conv_2d_row::<Hard, S>(&geometry, &layer, row))
}

#[target_feature(enable = "fma,avx2")]
fn fully_connected_fma<S: Format>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let layer = Layer::<S>::new(io, FullyConnected::parse(attributes)?.clamp)?;
    by_matrix_rows::<f32>(io, |xs, ys| fully_connected_row::<Hard, S>(&layer, xs, ys))
}
