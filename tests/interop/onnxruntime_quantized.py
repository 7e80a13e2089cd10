#!/usr/bin/env python3
"""Pack what ONNX Runtime's quantize_static writes, and compare what Samara and ONNX Runtime compute.

Needs the PyPI packages `onnx`, `onnxruntime` and `numpy`. Every model is quantized in both of ONNX Runtime's forms
(QDQ and QOperator), with each pair of element types, per tensor and per channel, and with 16-bit activations. A line
says which operators stay float, how many of the model's weight tensors stand in the bundle as the file has them, how
often both agree on the greatest output, and how far outputs are apart in steps of the last quantization.

ONNX Runtime is no oracle: without VNNI its uint8 x int8 products saturate in 16 bits. So the figures are printed, not
judged. Exit 0: every model was packed and run; exit 1 otherwise.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

S8, U8, S16, U16 = QuantType.QInt8, QuantType.QUInt8, QuantType.QInt16, QuantType.QUInt16
# Name, activations, weights, form.
WAYS = [
    (f"{pair} {form.name}", *types, form)
    for form in (QuantFormat.QDQ, QuantFormat.QOperator)
    for pair, types in {"S8S8": (S8, S8), "U8S8": (U8, S8), "U8U8": (U8, U8)}.items()
] + [("S16S8 QDQ", S16, S8, QuantFormat.QDQ), ("U16S8 QDQ", U16, S8, QuantFormat.QDQ)]


class Reader(CalibrationDataReader):
    def __init__(self, name, samples):
        self.feeds = iter([{name: s[None]} for s in samples])

    def get_next(self):
        return next(self.feeds, None)


def samples(path, model, count):
    """Arrays of the data file, or noise where there is none."""
    info = model.graph.input[0]
    shape = [d.dim_value or 1 for d in info.type.tensor_type.shape.dim]
    if path is None:
        return np.random.default_rng(1).normal(size=[count, *shape[1:]]).astype(np.float32)
    return np.load(path)[info.name][:count].astype(np.float32)


def quantize(prepared, out, data, activations, weights, form, per_channel):
    options = {"ActivationSymmetric": activations in (S16,)}
    quantize_static(
        prepared,
        out,
        Reader(onnx.load(prepared).graph.input[0].name, data),
        quant_format=form,
        activation_type=activations,
        weight_type=weights,
        per_channel=per_channel,
        extra_options=options,
    )


def constants(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def weights(model):
    """The integers of every layer's weights, zero point subtracted, output channels first as bundles have them."""
    values = constants(model)
    scaled = {n.output[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            source = scaled.get(node.input[1])
            names = (source.input[0], source.input[2]) if source else (None, None)
        elif node.op_type in ("QLinearConv", "QLinearMatMul", "QGemm"):
            names = (node.input[3], node.input[5])
        else:
            continue
        if names[0] not in values:
            continue
        w, z = values[names[0]].astype(np.int32), values[names[1]].astype(np.int32)
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        if "Conv" not in node.op_type and not transposed:
            w = w.T
        w = w - z.reshape([-1] + [1] * (w.ndim - 1)) if z.size > 1 else w - z
        yield np.moveaxis(w, 1, -1) if "Conv" in node.op_type else w


def kept(model, bundle):
    """How many weight tensors stand in the bundle, and of how many."""
    found = total = 0
    for w in weights(model):
        total += 1
        depthwise = np.moveaxis(w, 0, -1)
        in_int8 = w.min() >= -128 and w.max() <= 127
        found += in_int8 and any(v.astype(np.int8).tobytes() in bundle for v in (w, depthwise))
    return found, total


def step(model):
    """The scale of the last DequantizeLinear."""
    values = constants(model)
    last = [n for n in model.graph.node if n.output[0] == model.graph.output[0].name]
    return float(values[last[0].input[1]]) if last and last[0].op_type == "DequantizeLinear" else None


def samara(binary, *arguments):
    run = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return run.stdout


def compare(binary, scratch, quantized, x):
    """One line of the table."""
    model = onnx.load(quantized)
    bundle, data, result = (scratch / n for n in ("m.samara", "x.npy", "y.npy"))
    report = json.loads(samara(binary, "pack", quantized, "-o", bundle, "--json"))
    np.save(data, x)
    samara(binary, "run", bundle, "--input", data, "-o", result)
    got = np.load(result).reshape(len(x), -1).astype(np.float64)
    session = ort.InferenceSession(quantized, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    want = np.concatenate([session.run(None, {name: s[None]})[0].reshape(1, -1) for s in x]).astype(np.float64)
    same = np.mean(got.argmax(1) == want.argmax(1)) if got.shape[1] > 1 else float("nan")
    off = np.abs(got - want)
    unit = step(model) or 1.0
    found, total = kept(model, bundle.read_bytes())
    floats = [f.split("(")[-1].rstrip(")") for f in report["float_operators"]]
    floats = [f for f in floats if f != "Dequantize"]
    return (
        f"{found}/{total} weights kept, top-1 agrees on {100 * same:.2f} %, {100 * np.mean(off > unit / 2):.2f} % of the "
        f"outputs differ, at most {off.max() / unit:.0f} LSB, float: {', '.join(sorted(set(floats))) or 'none'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="MODEL.onnx or MODEL.onnx=DATA.npz (arrays named as its input)")
    parser.add_argument("--samara", default="samara", help="the packager's command")
    parser.add_argument("--calibration", type=int, default=64, help="samples to calibrate on")
    parser.add_argument("--samples", type=int, default=200, help="samples to compare on")
    arguments = parser.parse_args()
    failures = 0
    print(f"onnx {onnx.__version__}, onnxruntime {ort.__version__}")
    for item in arguments.models:
        path, _, data = item.partition("=")
        with tempfile.TemporaryDirectory() as directory:
            scratch = pathlib.Path(directory)
            prepared = scratch / "prepared.onnx"
            quant_pre_process(path, str(prepared), skip_symbolic_shape=True)
            count = arguments.calibration + arguments.samples
            x = samples(data or None, onnx.load(prepared), count)
            for name, activations, kind, form in WAYS:
                for per_channel in (False, True):
                    label = f"{pathlib.Path(path).stem}, {name}, per {'channel' if per_channel else 'tensor'}"
                    out = scratch / "quantized.onnx"
                    calibration = x[: arguments.calibration]
                    quantize(str(prepared), str(out), calibration, activations, kind, form, per_channel)
                    try:
                        line = compare(arguments.samara, scratch, str(out), x[arguments.calibration :])
                    except (RuntimeError, OSError) as error:
                        failures += 1
                        line = f"FAILED: {error}"
                    print(f"{label}: {line}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
