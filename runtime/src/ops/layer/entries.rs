//! The kernels of a layer, from one list: an application names those of its activations, weights and rounding.

/// Defines an operator's entries and `ENTRIES`, all of them. `$kernels` is the operator's name, of the module of its
/// reference kernels and of its functions for x86-64.
macro_rules! entries {
    ($kernels:ident $is_depthwise:literal $(, $lanes:ident)? $(; $wide:ident)?) => {

        use crate::kernels::fixed::{Onnx, Single, Tflite};
        use crate::kernels::reference::$kernels as reference;
        use crate::kernels::reference::weights::{Half, Packed, Plain};
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        use crate::kernels::x86_64::fma;
        use crate::layout::Layout;
        #[cfg(feature = "std")]
        use crate::ops::layer::by_id;
        #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
        #[allow(unused_imports, reason = "depthwise convolution has none")]
        use crate::ops::layer::lanes;
        use crate::ops::layer::{faster, kernel};
        use crate::ops::op::{Entry, Isa, Kernel, Rounding};

        /// The layout that an id of this operator has.
        const fn layout_of(id: u8) -> Layout {
            match kernel::layout(id, $is_depthwise) {
                Some(layout) => layout,
                None => panic!("no such id"),
            }
        }

        $(
            /// Float, with weights in lanes.
            #[cfg(feature = "std")]
            const $lanes: Entry = Entry {
                id: kernel::LANES,
                name: concat!("reference_", stringify!($kernels), "_f32_lanes"),
                layout: Layout::Lanes,
                overlap: kernel::overlaps(kernel::LANES),
                run: reference::f32::<$crate::kernels::reference::stored::Lanes>,
                ..F32
            };
        )?

        $(
            /// Float, with NEON.
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            pub const $wide: Entry = Entry {
                name: concat!("neon_", stringify!($kernels), "_f32"),
                isa: Isa::Neon,
                run: $crate::kernels::aarch64::f32::depthwise_conv_2d,
                ..F32
            };
            /// Float, with AVX-512.
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            pub const $wide: Entry = Entry {
                name: concat!("x86_avx512_", stringify!($kernels), "_f32"),
                isa: Isa::X86Avx512,
                run: $crate::kernels::x86_64::fma::depthwise_conv_2d_avx512,
                ..F32
            };
        )?

        const fn portable(
            name: &'static str,
            dtypes: &'static [Dtype],
            weights: &'static [Dtype],
            roundings: &'static [Rounding],
            run: Kernel,
        ) -> Entry {
            Entry {
                id: kernel::DENSE,
                name,
                dtypes,
                weights,
                layout: Layout::Dense,
                roundings,
                isa: Isa::Reference,
                overlap: true,
                run,
            }
        }

        $crate::ops::layer::entries! { $kernels [$($lanes)?] [$($wide)?]
            /// int8 activations and weights, TFLite rounding.
            INT8_TFLITE = "int8_tflite", [I8] * [I8] Tflite, int8::<Tflite, Plain<i8>>;
            /// int8 activations and weights, single rounding.
            INT8_SINGLE = "int8_single", [I8] * [I8] Single, int8::<Single, Plain<i8>>;
            /// int8 activations and weights, float requantization.
            INT8_ONNX = "int8_onnx", [I8] * [I8] Onnx, int8::<Onnx, Plain<i8>>;
            /// int8 activations, packed weights, TFLite rounding.
            INT8_INT4_TFLITE = "int8_int4_tflite", [I8] * [I4 U4] Tflite, int8::<Tflite, Packed>;
            /// int8 activations, packed weights, single rounding.
            INT8_INT4_SINGLE = "int8_int4_single", [I8] * [I4 U4] Single, int8::<Single, Packed>;
            /// int8 activations, packed weights, float requantization.
            INT8_INT4_ONNX = "int8_int4_onnx", [I8] * [I4 U4] Onnx, int8::<Onnx, Packed>;
            /// int16 activations, int8 weights, TFLite rounding.
            INT16_TFLITE = "int16_int8_tflite", [I16] * [I8] Tflite, int16::<Tflite, Plain<i8>>;
            /// int16 activations, int8 weights, single rounding.
            INT16_SINGLE = "int16_int8_single", [I16] * [I8] Single, int16::<Single, Plain<i8>>;
            /// int16 activations, int8 weights, float requantization.
            INT16_ONNX = "int16_int8_onnx", [I16] * [I8] Onnx, int16::<Onnx, Plain<i8>>;
            /// int16 activations, packed weights, TFLite rounding.
            INT16_INT4_TFLITE = "int16_int4_tflite", [I16] * [I4 U4] Tflite, int16::<Tflite, Packed>;
            /// int16 activations, packed weights, single rounding.
            INT16_INT4_SINGLE = "int16_int4_single", [I16] * [I4 U4] Single, int16::<Single, Packed>;
            /// int16 activations, packed weights, float requantization.
            INT16_INT4_ONNX = "int16_int4_onnx", [I16] * [I4 U4] Onnx, int16::<Onnx, Packed>;
            /// Float.
            F32 = "f32", [F32] * [F32] None, f32::<Plain<f32>>, F32_X86_FMA: Plain<f32>;
            /// Float activations, float16 weights.
            F32_F16 = "f32_f16", [F32] * [F16] None, f32::<Half>, F32_F16_X86_FMA: Half;
            /// Float activations, int8 weights.
            F32_INT8 = "f32_int8", [F32] * [I8] None, f32::<Plain<i8>>, F32_INT8_X86_FMA: Plain<i8>;
            /// Float activations, packed weights.
            F32_INT4 = "f32_int4", [F32] * [I4 U4] None, f32::<Packed>, F32_INT4_X86_FMA: Packed;
        }
    };
    ($kernels:ident [$($lanes:ident)?] [$($wide:ident)?] $(
        $(#[$doc:meta])*
        $name:ident = $suffix:literal, [$dtype:ident] * [$($weights:ident)*] $rounding:ident,
        $run:ident::<$($parameter:ty),*> $(, $fast:ident: $format:ty)?;
    )*) => {
        $(
            $(#[$doc])*
            pub const $name: Entry = portable(
                concat!("reference_", stringify!($kernels), "_", $suffix),
                &[Dtype::$dtype],
                &[$(Dtype::$weights),*],
                &[Rounding::$rounding],
                reference::$run::<$($parameter),*>,
            );
            $(
                /// The same bits with FMA3 and AVX2, faster.
                #[cfg(all(feature = "std", target_arch = "x86_64"))]
                pub const $fast: Entry = Entry {
                    name: concat!("x86_fma_", stringify!($kernels), "_", $suffix),
                    isa: Isa::X86Fma,
                    run: fma::$kernels::<$format>,
                    ..$name
                };
            )?
        )*

        /// All entries, best first.
        pub const ENTRIES: &[Entry] = $crate::ops::op::kept!(LIST);

        const LIST: &[Entry] = &[
            // x86-64
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Tflite "tflite" X86Avx512Vnni "x86_avx512_vnni" DOT_OFFSET x86_64::int8::vnni512::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Single "single" X86Avx512Vnni "x86_avx512_vnni" DOT_OFFSET x86_64::int8::vnni512::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Onnx "onnx" X86Avx512Vnni "x86_avx512_vnni" DOT_OFFSET x86_64::int8::vnni512::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Tflite "tflite" X86AvxVnni "x86_avx_vnni" DOT_OFFSET x86_64::int8::vnni256::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Single "single" X86AvxVnni "x86_avx_vnni" DOT_OFFSET x86_64::int8::vnni256::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Onnx "onnx" X86AvxVnni "x86_avx_vnni" DOT_OFFSET x86_64::int8::vnni256::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Tflite "tflite" X86Avx2 "x86_avx2" DOT_OFFSET x86_64::int8::avx2only::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Single "single" X86Avx2 "x86_avx2" DOT_OFFSET x86_64::int8::avx2only::$kernels),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            faster!($kernels Onnx "onnx" X86Avx2 "x86_avx2" DOT_OFFSET x86_64::int8::avx2only::$kernels),
            $(
                #[cfg(all(feature = "std", target_arch = "x86_64"))]
                lanes!($kernels $lanes "x86_avx512_" X86Avx512 x86_64::f32::avx512),
                #[cfg(all(feature = "std", target_arch = "x86_64"))]
                lanes!($kernels $lanes "x86_fma_" X86Fma x86_64::f32::avx2),
            )?
            $(
                #[cfg(all(feature = "std", target_arch = "x86_64"))]
                $wide,
                // Only depthwise convolution has this; its dense weights are in lanes as they are.
                #[cfg(all(feature = "std", target_arch = "aarch64"))]
                $wide,
            )?
            // 64-bit Arm
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Tflite "tflite" NeonI8mm "neon_i8mm" DOT aarch64::i8mm::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Single "single" NeonI8mm "neon_i8mm" DOT aarch64::i8mm::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Onnx "onnx" NeonI8mm "neon_i8mm" DOT aarch64::i8mm::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Tflite "tflite" NeonDot "neon_dot" DOT aarch64::dot::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Single "single" NeonDot "neon_dot" DOT aarch64::dot::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Onnx "onnx" NeonDot "neon_dot" DOT aarch64::dot::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Tflite "tflite" Neon "neon" DOT aarch64::neon::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Single "single" Neon "neon" DOT aarch64::neon::$kernels),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            faster!($kernels Onnx "onnx" Neon "neon" DOT aarch64::neon::$kernels),
            $(
                #[cfg(all(feature = "std", target_arch = "aarch64"))]
                lanes!($kernels $lanes "neon_" Neon aarch64::f32),
            )?
            // 32-bit Arm
            #[cfg(all(feature = "dsp", target_arch = "arm"))]
            faster!($kernels Tflite "tflite" CortexMDsp "dsp" PAIRS arm_dsp::$kernels),
            #[cfg(all(feature = "dsp", target_arch = "arm"))]
            faster!($kernels Single "single" CortexMDsp "dsp" PAIRS arm_dsp::$kernels),
            #[cfg(all(feature = "dsp", target_arch = "arm"))]
            faster!($kernels Onnx "onnx" CortexMDsp "dsp" PAIRS arm_dsp::$kernels),
            #[cfg(all(feature = "mve", target_arch = "arm"))]
            faster!($kernels Tflite "tflite" CortexMMve "mve" FOLDED mve::$kernels::int8),
            #[cfg(all(feature = "mve", target_arch = "arm"))]
            faster!($kernels Single "single" CortexMMve "mve" FOLDED mve::$kernels::int8),
            #[cfg(all(feature = "mve", target_arch = "arm"))]
            faster!($kernels Onnx "onnx" CortexMMve "mve" FOLDED mve::$kernels::int8),
            // WebAssembly
            #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
            faster!($kernels Tflite "tflite" WasmSimd128 "simd128" DOT wasm32::$kernels),
            #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
            faster!($kernels Single "single" WasmSimd128 "simd128" DOT wasm32::$kernels),
            #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
            faster!($kernels Onnx "onnx" WasmSimd128 "simd128" DOT wasm32::$kernels),
            // any target
            faster!($kernels Tflite "tflite" Portable "portable" FOLDED portable::$kernels::int8),
            faster!($kernels Single "single" Portable "portable" FOLDED portable::$kernels::int8),
            faster!($kernels Onnx "onnx" Portable "portable" FOLDED portable::$kernels::int8),
            // plain loops
            $(
                $(
                    #[cfg(all(feature = "std", target_arch = "x86_64"))]
                    $fast,
                )?
                $name,
            )*
            // plain loops of other ids, for hosts: they run bundles of any target
            #[cfg(feature = "std")]
            by_id!($kernels DOT "dot" Tflite "tflite"),
            #[cfg(feature = "std")]
            by_id!($kernels DOT "dot" Single "single"),
            #[cfg(feature = "std")]
            by_id!($kernels DOT "dot" Onnx "onnx"),
            #[cfg(feature = "std")]
            by_id!($kernels DOT_OFFSET "dot_offset" Tflite "tflite"),
            #[cfg(feature = "std")]
            by_id!($kernels DOT_OFFSET "dot_offset" Single "single"),
            #[cfg(feature = "std")]
            by_id!($kernels DOT_OFFSET "dot_offset" Onnx "onnx"),
            #[cfg(feature = "std")]
            by_id!($kernels PAIRS "pairs" Tflite "tflite"),
            #[cfg(feature = "std")]
            by_id!($kernels PAIRS "pairs" Single "single"),
            #[cfg(feature = "std")]
            by_id!($kernels PAIRS "pairs" Onnx "onnx"),
            #[cfg(feature = "std")]
            by_id!($kernels FOLDED "folded" Tflite "tflite"),
            #[cfg(feature = "std")]
            by_id!($kernels FOLDED "folded" Single "single"),
            #[cfg(feature = "std")]
            by_id!($kernels FOLDED "folded" Onnx "onnx"),
            $(
                #[cfg(feature = "std")]
                $lanes,
            )?
        ];
    };
}
pub(crate) use entries;

/// The reference entry of an id other than 0: `by_id!(conv_2d DOT "dot" Single "single")`.
#[cfg(feature = "std")]
macro_rules! by_id {
    ($kernels:ident $id:ident $name:literal $rounding:ident $suffix:literal) => {
        Entry {
            id: kernel::$id,
            name: concat!("reference_", stringify!($kernels), "_int8_", $suffix, "_", $name),
            layout: layout_of(kernel::$id),
            overlap: kernel::overlaps(kernel::$id),
            roundings: &[Rounding::$rounding],
            run: reference::folded::<$rounding, { kernel::$id }>,
            ..INT8_SINGLE
        }
    };
}
#[cfg(feature = "std")]
pub(crate) use by_id;

/// An entry of int8 layers in a rounding, by the function at this path of [`crate::kernels`]:
/// `faster!(conv_2d Single "single" CortexMDsp "dsp" PAIRS arm_dsp::conv_2d)`.
macro_rules! faster {
    ($kernels:ident $rounding:ident $suffix:literal $isa:ident $name:literal $id:ident $($path:ident)::+) => {
        Entry {
            id: kernel::$id,
            name: concat!($name, "_", stringify!($kernels), "_int8_", $suffix),
            layout: layout_of(kernel::$id),
            overlap: kernel::overlaps(kernel::$id),
            roundings: &[Rounding::$rounding],
            isa: Isa::$isa,
            run: $crate::kernels::$($path)::+::<$rounding>,
            ..INT8_SINGLE
        }
    };
}
pub(crate) use faster;

/// An entry for floats with weights in lanes, by the module at this path of [`crate::kernels`]:
/// `lanes!(conv_2d LANES "x86_avx512_" X86Avx512 x86_64::f32::avx512)`.
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
macro_rules! lanes {
    ($kernels:ident $lanes:ident $prefix:literal $isa:ident $($path:ident)::+) => {
        Entry {
            name: concat!($prefix, stringify!($kernels), "_f32_lanes"),
            isa: Isa::$isa,
            run: $crate::kernels::$($path)::+::$kernels,
            ..$lanes
        }
    };
}
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use lanes;
