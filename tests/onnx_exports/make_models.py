#!/usr/bin/env python3
"""Builds ONNX models as torch.onnx shapes them, with expected outputs from ONNX's reference evaluator.

usage: make_models.py DIRECTORY

For every model and operator set, DIRECTORY/NAME_opsetN.onnx, and DIRECTORY/NAME_opsetN.npz with the inputs as
`in/NAME` and the expected outputs as `out/NAME`. Expected outputs are evaluated in float64 where the reference
evaluator can (all weights and inputs widened), else in float32.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

OPSETS = [7, 11, 13, 17, onnx.defs.onnx_opset_version()]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class BatchNormalization(OpRun):
    """The inference form; the reference evaluator's own fails below operator set 9, and up to 13 it takes a
    momentum for a sign of training."""

    def _run(self, x, scale, bias, mean, variance, epsilon=1e-5, **_):
        shape = [-1] + [1] * (x.ndim - 2)
        scale, bias, mean, variance = (v.reshape(shape) for v in (scale, bias, mean, variance))
        return ((x - mean) / np.sqrt(variance + epsilon) * scale + bias,)


class Softmax(OpRun):
    """Operator sets below 13 join all dimensions from the axis on; the reference evaluator has only the later
    form."""

    def _run(self, x, axis=1):
        rows = x.reshape(int(np.prod(x.shape[: axis % x.ndim])), -1)
        e = np.exp(rows - rows.max(axis=1, keepdims=True))
        return ((e / e.sum(axis=1, keepdims=True)).reshape(x.shape),)


class Upsample(OpRun):
    """Nearest-neighbour with whole scales; the reference evaluator has none for operator sets below 9."""

    def _run(self, x, mode=None, scales=None):
        assert mode == "nearest"
        for axis, scale in enumerate(scales):
            x = np.repeat(x, int(scale), axis=axis)
        return (x,)


def along(v, x, axis):
    """A scale or zero point as it broadcasts over `x`."""
    return v.reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)]) if v.ndim else v


class QuantizeLinear(OpRun):
    """Operator sets 10 to 18, which the reference evaluator has none for."""

    def _run(self, x, scale, zero_point, axis=1, **_):
        limits = np.iinfo(zero_point.dtype)
        levels = np.rint(x / along(scale, x, axis)) + along(zero_point, x, axis)
        return (np.clip(levels, limits.min, limits.max).astype(zero_point.dtype),)


class DequantizeLinear(OpRun):
    """As above."""

    def _run(self, x, scale, zero_point, axis=1, **_):
        return ((x.astype(np.float64) - along(zero_point, x, axis)) * along(scale, x, axis),)


class Builder:
    """One model under construction; `b.Relu(x)` appends a node and returns its output's name."""

    def __init__(self, name, opset, seed=0):
        self.name, self.opset = name, opset
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []
        self.feeds = {}
        self.random = np.random.default_rng([ord(c) for c in name] + [seed])
        self.count = 0
        self.step = None  # the outputs' quantization step, where they have one

    def fresh(self, kind):
        self.count += 1
        return f"/{kind.lower()}_{self.count}"

    def __getattr__(self, op):
        def call(*inputs, outputs=1, **attributes):
            label = self.fresh(op)
            names = [f"{label}/{op}_output_{k}" for k in range(outputs)]
            self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{label}/{op}", **attributes))
            return names[0] if outputs == 1 else names

        return call

    def input(self, name, shape, symbolic_batch=True, kind=FLOAT, data=None):
        """A graph input; the symbolic batch is fed as 1."""
        declared = ["batch", *shape[1:]] if symbolic_batch else shape
        self.inputs.append(helper.make_tensor_value_info(name, kind, declared))
        self.feeds[name] = self.random.normal(size=shape).astype(np.float32) if data is None else data
        return name

    def const(self, value, label="const"):
        name = self.fresh(label)
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values):
        return self.const(np.array(values, dtype=np.int64), "ints")

    def node_const(self, value):
        """A Constant node, as torch writes small constants."""
        return self.Constant(value=numpy_helper.from_array(np.asarray(value)))

    def weights(self, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        return self.const(self.random.normal(size=shape) / np.sqrt(fan), "weight")

    def output(self, value, name, kind=FLOAT):
        """A graph output: the value is renamed, as exporters do, rather than an Identity added."""
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))
        for node in self.nodes:
            if value in node.output:
                node.output[list(node.output).index(value)] = name
            for k, i in enumerate(node.input):
                if i == value:
                    node.input[k] = name

    # Operators whose form depends on the operator set.

    def squeeze(self, x, axes):
        return self.Squeeze(x, axes=axes) if self.opset < 13 else self.Squeeze(x, self.ints(*axes))

    def unsqueeze(self, x, axes):
        return self.Unsqueeze(x, axes=axes) if self.opset < 13 else self.Unsqueeze(x, self.ints(*axes))

    def clip(self, x, lo, hi):
        if self.opset < 11:
            return self.Clip(x, min=lo, max=hi)
        return self.Clip(x, self.const(np.float32(lo)), self.const(np.float32(hi)))

    def reduce(self, op, x, axes, keepdims=1):
        since = 13 if op == "ReduceSum" else 18
        call = getattr(self, op)
        if self.opset < since:
            return call(x, axes=axes, keepdims=keepdims)
        return call(x, self.ints(*axes), keepdims=keepdims)

    def slice(self, x, starts, ends, axes, steps=None):
        if self.opset < 10:
            return self.Slice(x, starts=starts, ends=ends, axes=axes)
        inputs = [x, self.ints(*starts), self.ints(*ends), self.ints(*axes)]
        return self.Slice(*inputs, *([self.ints(*steps)] if steps else []))

    def split(self, x, sizes, axis):
        if self.opset < 13:
            return self.Split(x, axis=axis, split=sizes, outputs=len(sizes))
        return self.Split(x, self.ints(*sizes), axis=axis, outputs=len(sizes))

    def pad(self, x, pads, value=0.0):
        if self.opset < 11:
            return self.Pad(x, mode="constant", pads=pads, value=value)
        return self.Pad(x, self.ints(*pads), self.const(np.float32(value)), mode="constant")

    def batch_norm(self, x, channels):
        gamma = self.const(self.random.uniform(0.5, 1.5, channels))
        beta = self.const(self.random.normal(size=channels))
        mean = self.const(self.random.normal(size=channels))
        variance = self.const(self.random.uniform(0.5, 2.0, channels))
        return self.BatchNormalization(x, gamma, beta, mean, variance, epsilon=1e-5, momentum=0.9)

    def conv(self, x, inputs, outputs, kernel=3, bias=True, dims=2, **attributes):
        groups = attributes.get("group", 1)
        w = self.weights(outputs, inputs // groups, *([kernel] * dims))
        extra = [self.const(self.random.normal(size=outputs))] if bias else []
        attributes.setdefault("pads", [kernel // 2] * (2 * dims))
        attributes.setdefault("strides", [1] * dims)
        attributes.setdefault("dilations", [1] * dims)
        attributes.setdefault("group", 1)
        return self.Conv(x, w, *extra, kernel_shape=[kernel] * dims, **attributes)

    def gemm(self, x, inputs, outputs):
        w, bias = self.weights(outputs, inputs), self.const(self.random.normal(size=outputs))
        return self.Gemm(x, w, bias, alpha=1.0, beta=1.0, transB=1)

    def linear(self, x, inputs, outputs):
        """nn.Linear on more than two dimensions: MatMul and Add."""
        y = self.MatMul(x, self.weights(inputs, outputs))
        return self.Add(self.const(self.random.normal(size=outputs)), y)

    def layer_norm(self, x, width):
        scale, bias = self.const(self.random.uniform(0.5, 1.5, width)), self.const(self.random.normal(size=width))
        if self.opset >= 17:
            return self.LayerNormalization(x, scale, bias, axis=-1, epsilon=1e-5)
        mean = self.reduce("ReduceMean", x, [-1])
        centred = self.Sub(x, mean)
        square = self.Pow(centred, self.node_const(np.float32(2.0)))
        variance = self.reduce("ReduceMean", square, [-1])
        root = self.Sqrt(self.Add(variance, self.node_const(np.float32(1e-5))))
        return self.Add(self.Mul(self.Div(centred, root), scale), bias)

    def dynamic_batch_reshape(self, x, *rest):
        """x.view(x.size(0), ...) as torch.onnx writes it: Shape, Gather, Unsqueeze, Concat, Reshape."""
        batch = self.Gather(self.Shape(x), self.node_const(np.int64(0)), axis=0)
        parts = [self.unsqueeze(batch, [0])]
        parts += [self.unsqueeze(self.node_const(np.int64(d)), [0]) for d in rest]
        return self.Reshape(x, self.Concat(*parts, axis=0))

    def save(self, directory):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=min(10, 8 if self.opset < 20 else 10))
        own = [Upsample] if self.opset < 9 else []
        own += [Softmax] if self.opset < 13 else []
        own += [BatchNormalization] if self.opset < 14 else []
        own += [QuantizeLinear, DequantizeLinear] if self.opset < 19 else []
        evaluator = ReferenceEvaluator(widen(model), new_ops=own)
        expected = evaluator.run(None, {k: wide(v) for k, v in self.feeds.items()})
        arrays = {f"in/{k}": v for k, v in self.feeds.items()}
        for info, value in zip(model.graph.output, expected):
            shape = ["batch", *value.shape[1:]] if value.ndim else []
            info.CopyFrom(helper.make_tensor_value_info(info.name, info.type.tensor_type.elem_type, shape))
            if self.step is not None:
                arrays[f"step/{info.name}"] = np.float32(self.step)
            arrays[f"out/{info.name}"] = value.astype(np.float32) if value.dtype == np.float64 else value
        onnx.checker.check_model(model)
        stem = Path(directory) / f"{self.name}_opset{self.opset}"
        onnx.save(model, f"{stem}.onnx")
        np.savez(f"{stem}.npz", **arrays)


def wide(array):
    return array.astype(np.float64) if array.dtype == np.float32 else array


def widen(model):
    """The same model in float64, so that the expected outputs carry no rounding of their own."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    graph = double.graph

    def tensor(t):
        if t.data_type == TensorProto.FLOAT:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))

    for t in graph.initializer:
        tensor(t)
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                tensor(a.t)
            if node.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
    for info in [*graph.input, *graph.output, *graph.value_info]:
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    return double


# The models. Each takes a builder and declares its inputs and outputs.


def mobile(b):
    """Inverted residuals: BatchNorm into ReLU6, depthwise convolution, global pooling, Dropout, Gemm."""
    x = b.input("input", [1, 3, 16, 16])
    x = b.clip(b.batch_norm(b.conv(x, 3, 8, bias=False, strides=[2, 2]), 8), 0.0, 6.0)
    y = b.clip(b.batch_norm(b.conv(x, 8, 8, bias=False, group=8), 8), 0.0, 6.0)
    y = b.batch_norm(b.conv(y, 8, 8, kernel=1, bias=False), 8)
    x = b.Add(x, y)
    x = b.clip(b.batch_norm(b.conv(x, 8, 16, bias=False, group=8, strides=[2, 2]), 16), 0.0, 6.0)
    x = b.Flatten(b.GlobalAveragePool(x), axis=1)
    b.output(b.gemm(b.Dropout(x), 16, 5), "logits")


def flatten_gemm(b):
    """LeNet: pooling, Flatten of an image into Gemm, Softmax; Relu and BatchNorm1d between."""
    x = b.input("image", [1, 2, 12, 10])
    x = b.MaxPool(b.Relu(b.conv(x, 2, 4)), kernel_shape=[2, 2], strides=[2, 2])
    x = b.AveragePool(b.Relu(b.conv(x, 4, 6)), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = b.batch_norm(b.Flatten(x, axis=1), 6 * 3 * 3)
    x = b.Relu(b.gemm(x, 6 * 3 * 3, 10))
    b.output(b.Softmax(b.gemm(x, 10, 4), axis=1), "probabilities")


def view_gemm(b):
    """x.view(x.size(0), -1) with its shape arithmetic, LeakyRelu, Sigmoid."""
    x = b.input("x", [1, 3, 8, 8])
    x = b.LeakyRelu(b.conv(x, 3, 5, strides=[2, 2]), alpha=0.1)
    x = b.dynamic_batch_reshape(x, 5 * 4 * 4)
    b.output(b.Sigmoid(b.gemm(x, 80, 3)), "y")


def concat(b):
    """A dense block: channel concatenation of three branches, one padded explicitly, ceil_mode pooling."""
    x = b.input("x", [1, 3, 11, 9])
    p = b.Relu(b.conv(x, 3, 4))
    q = b.Relu(b.batch_norm(b.conv(p, 4, 4, kernel=1), 4))
    r = b.pad(b.Relu(q), [0, 0, 1, 1, 0, 0, 1, 1])
    r = b.conv(r, 4, 2, pads=[0, 0, 0, 0])
    y = b.Concat(p, q, r, axis=1)
    if b.opset >= 10:
        y = b.AveragePool(y, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0], ceil_mode=1)
        y = b.MaxPool(y, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    b.output(b.conv(y, 10, 3, kernel=1), "y")


def prelu(b):
    """PRelu per channel and shared, Elu, Tanh, auto_pad."""
    x = b.input("x", [1, 2, 9, 7])
    x = b.PRelu(b.conv(x, 2, 4), b.const(b.random.uniform(0.1, 0.4, (4, 1, 1))))
    x = b.PRelu(x, b.const(np.float32([[[0.25]]])))
    w = b.weights(3, 4, 3, 3)
    x = b.Conv(x, w, auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3])
    w = b.weights(3, 3, 2, 2)
    x = b.Conv(b.Elu(x, alpha=0.7), w, auto_pad="SAME_LOWER", strides=[1, 1], kernel_shape=[2, 2])
    b.output(b.Tanh(x), "y")


def shuffle(b):
    """ShuffleNet: grouped convolution, channel shuffle (Reshape, Transpose, Reshape), channel split."""
    x = b.input("x", [1, 4, 8, 8])
    x = b.Relu(b.conv(x, 4, 8, kernel=1, group=2))
    y = b.Reshape(x, b.ints(1, 2, 4, 8, 8))
    y = b.Reshape(b.Transpose(y, perm=[0, 2, 1, 3, 4]), b.ints(-1, 8, 8, 8))
    left, right = b.split(y, [4, 4], 1)
    right = b.Relu(b.batch_norm(b.conv(right, 4, 4, group=4, bias=False), 4))
    y = b.Concat(left, b.conv(right, 4, 4, kernel=1), axis=1)
    y = b.dynamic_batch_reshape(y, 2, 4, 8, 8)
    y = b.dynamic_batch_reshape(b.Transpose(y, perm=[0, 2, 1, 3, 4]), 8, 8, 8)
    y = b.Relu(b.conv(y, 8, 3))
    b.output(b.reduce("ReduceMean", y, [2, 3], keepdims=0), "y")


def attention(b):
    """A transformer block: LayerNorm, multi-head attention, erf GELU, residuals."""
    t, d, h = 6, 8, 2
    x = b.input("tokens", [1, t, d])
    y = b.layer_norm(x, d)

    def heads(v, perm):
        return b.Transpose(b.dynamic_batch_reshape(v, t, h, d // h), perm=perm)

    q = heads(b.linear(y, d, d), [0, 2, 1, 3])
    k = heads(b.linear(y, d, d), [0, 2, 3, 1])
    v = heads(b.linear(y, d, d), [0, 2, 1, 3])
    scores = b.Div(b.MatMul(q, k), b.node_const(np.float32(np.sqrt(d // h))))
    # Before operator set 13 torch transposes where Softmax is not over the last axis; here it is.
    scores = b.Softmax(scores, axis=3 if b.opset < 13 else -1)
    y = b.Transpose(b.MatMul(scores, v), perm=[0, 2, 1, 3])
    y = b.dynamic_batch_reshape(y, t, d)
    x = b.Add(b.linear(y, d, d), x)
    y = b.linear(b.layer_norm(x, d), d, 12)
    if b.opset >= 20:
        y = b.Gelu(y)
    elif b.opset >= 9:
        erf = b.Erf(b.Div(y, b.node_const(np.float32(np.sqrt(2.0)))))
        y = b.Mul(b.Mul(y, b.Add(erf, b.node_const(np.float32(1.0)))), b.node_const(np.float32(0.5)))
    else:
        y = b.Mul(y, b.Sigmoid(y))
    x = b.Add(x, b.linear(y, 12, d))
    x = b.squeeze(b.slice(x, [0], [1], [1]), [1])
    b.output(b.gemm(x, d, 3), "y")


def two_in_two_out(b):
    """Two images and a vector in; an image and a vector out, in NCHW."""
    a = b.input("left", [1, 3, 8, 8])
    c = b.input("right", [1, 3, 8, 8])
    v = b.input("features", [1, 7])
    p, q = b.Relu(b.conv(a, 3, 4)), b.Relu(b.conv(c, 3, 4))
    image = b.Relu(b.Add(b.Mul(p, q), b.conv(b.Concat(p, q, axis=1), 8, 4)))
    pooled = b.Flatten(b.MaxPool(image, kernel_shape=[4, 4], strides=[4, 4]), axis=1)
    vector = b.gemm(b.Concat(pooled, b.Relu(b.gemm(v, 7, 5)), axis=1), 21, 3)
    b.output(image, "image")
    b.output(vector, "vector")


def squeeze_excite(b):
    """Squeeze and excitation with h-swish, as MobileNetV3 has them."""
    x = b.input("x", [1, 3, 8, 8])
    x = b.conv(x, 3, 8, bias=False)

    def hard_sigmoid(v):
        if b.opset >= 14:
            return b.HardSigmoid(v, alpha=1 / 6, beta=0.5)
        v = b.clip(b.Add(v, b.node_const(np.float32(3.0))), 0.0, 6.0)
        return b.Div(v, b.node_const(np.float32(6.0)))

    x = b.batch_norm(x, 8)
    x = b.HardSwish(x) if b.opset >= 14 else b.Mul(x, hard_sigmoid(x))
    s = b.Relu(b.conv(b.GlobalAveragePool(x), 8, 4, kernel=1))
    s = hard_sigmoid(b.conv(s, 4, 8, kernel=1))
    x = b.Mul(s, x)
    x = b.Mul(x, b.Sigmoid(x))
    y = b.conv(x, 8, 4)
    b.output(b.squeeze(b.reduce("ReduceMax", y, [2, 3]), [2, 3]), "y")


def upsample(b):
    """A U-shaped network: strided down, nearest and bilinear up, skip connections, NCHW image out."""
    x = b.input("x", [1, 2, 8, 8])
    d1 = b.Relu(b.conv(x, 2, 4))
    d2 = b.Relu(b.conv(d1, 4, 6, strides=[2, 2]))

    def up(v, mode):
        scales = np.float32([1, 1, 2, 2])
        if b.opset < 9:
            return b.Upsample(v, mode=mode, scales=scales.tolist())
        if b.opset < 11:
            return b.Upsample(v, b.const(scales), mode=mode)
        extra = {"nearest_mode": "floor"} if mode == "nearest" else {}
        transform = "asymmetric" if mode == "nearest" else "pytorch_half_pixel"
        roi = b.const(np.zeros(0, np.float32))
        return b.Resize(v, roi, b.const(scales), mode=mode, coordinate_transformation_mode=transform, **extra)

    u = b.Concat(up(d2, "nearest"), d1, axis=1)
    if b.opset >= 11:
        u = b.Add(b.conv(u, 10, 6), up(d2, "linear"))
    else:
        u = b.conv(u, 10, 6)
    b.output(b.Sigmoid(b.conv(u, 6, 1, kernel=1)), "mask")


def one_dimension(b):
    """A temporal network: Conv1d, BatchNorm, MaxPool1d, global pooling over time."""
    x = b.input("signal", [1, 3, 32])
    x = b.Relu(b.batch_norm(b.conv(x, 3, 6, kernel=5, dims=1, bias=False), 6))
    x = b.MaxPool(x, kernel_shape=[2], strides=[2])
    x = b.Relu(b.conv(x, 6, 6, dims=1, group=6, dilations=[2], pads=[2, 2]))
    x = b.AveragePool(x, kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1)
    b.output(b.gemm(b.Flatten(x, axis=1), 48, 2), "y")


def arithmetic(b):
    """Elementwise operators, variadic ones, ArgMax, Pow, reductions, LogSoftmax, strided slices."""
    x = b.input("x", [1, 4, 6, 5])
    y = b.Max(b.Abs(x), b.Neg(x), b.const(np.float32(0.3)))
    y = b.Sum(b.Sqrt(y), b.Exp(b.clip(x, -2.0, 2.0)), b.Log(b.Add(y, b.node_const(np.float32(1.5)))))
    y = b.Sub(b.Pow(y, b.const(np.float32(2.0))), b.Reciprocal(b.Add(y, b.const(np.float32(1.0)))))
    y = b.Min(y, b.Add(b.Softplus(x), b.const(b.random.uniform(0.5, 3.0, (1, 4, 1, 1)))))
    y = b.Mul(y, b.Cos(b.Sin(x))) if b.opset >= 7 else y
    y = b.Add(b.Floor(b.Mul(x, b.const(np.float32(3.1)))), b.Add(y, b.Ceil(x)))
    y = b.slice(y, [0, 1], [4, 1000000], [1, 2], [3, 2] if b.opset >= 10 else None)
    b.output(b.ArgMax(y, axis=2, keepdims=0), "index", kind=INT64)
    z = b.reduce("ReduceSum", y, [3], keepdims=0)
    b.output(b.LogSoftmax(b.Flatten(z, axis=1), axis=1), "log")


def softmax_axis(b):
    """Softmax over channels of an image, and with the flattening of old operator sets."""
    x = b.input("x", [1, 3, 4, 5])
    y = b.conv(x, 3, 4)
    b.output(b.Softmax(y, axis=1), "over_channels")
    b.output(b.Softmax(b.conv(x, 3, 2), axis=2), "over_rows")


def movement(b):
    """Operators that move elements: Gather, Split, Slice backwards, Pad, Expand, Where, ConstantOfShape,
    Transpose without a permutation, Concat of more than eight."""
    x = b.input("x", [1, 6, 4])
    row = b.Gather(x, b.node_const(np.int64(-2)), axis=1)
    some = b.Gather(x, b.ints(4, 0, 1, 1), axis=1)
    steps = b.Gather(x, b.const(np.array([[0, 2], [4, 5]], np.int64)), axis=1)
    steps = b.Reshape(steps, b.ints(0, 4, -1))
    shape = b.Shape(some)
    if b.opset >= 9:
        halves = b.ConstantOfShape(shape, value=helper.make_tensor("half", FLOAT, [1], [0.5]))
        some = b.Add(some, b.Expand(halves, shape))
        some = b.Add(some, b.Where(b.const(np.array([True, False, True, False])), b.const(np.float32(1.0)),
                                   b.const(np.arange(4, dtype=np.float32))))  # fmt: skip
        row = b.Expand(b.unsqueeze(row, [1]), b.ints(1, 2, 1))
    else:
        row = b.unsqueeze(row, [1])
    if b.opset >= 18:
        parts = list(b.Split(b.slice(x, [0], [5], [1]), axis=1, num_outputs=3, outputs=3))
    else:
        parts = list(b.split(x, [2, 2, 1, 1], 1))
    if b.opset >= 10:
        parts.append(b.slice(x, [-1, 3], [-1000, 0], [1, 2], [-2, -1]))
        parts[-1] = b.pad(parts[-1], [0, 0, 0, 0, 0, 1], 2.5)
    cut = b.slice(b.pad(x, [0, 1, 0, 0, 0, 1], 0.75), [0, -4], [5, 5], [1, 2])
    y = b.Concat(row, some, steps, *parts, cut, row, some, cut, axis=1)
    b.output(b.Transpose(y), "y")


def products(b):
    """Matrix products in all their forms, InstanceNormalization, one-sided Clip, ReduceMax, variadic Min."""
    x = b.input("x", [1, 3, 5])
    m = b.input("m", [4, 5], symbolic_batch=False)
    y = b.MatMul(x, b.weights(5, 4))
    z = b.MatMul(b.MatMul(y, m), b.weights(1, 5, 2))
    v = b.MatMul(b.MatMul(z, b.const(np.float32([0.5, -2.0]))), b.weights(3, 2))
    g = b.Gemm(m, m, transB=1, alpha=0.3) if b.opset >= 11 else b.Gemm(m, m, b.const(np.float32(0)), transB=1, alpha=0.3)
    h = b.Gemm(m, b.weights(4, 3), b.const(b.random.normal(size=(5, 1))), transA=1, beta=0.5)
    h = b.Gemm(h, b.weights(3, 2), b.const(b.random.normal(size=2)), beta=2.0, alpha=0.5)
    n = b.InstanceNormalization(b.unsqueeze(z, [3]), b.const(np.float32([1, 2, 3])), b.const(np.float32([0, 1, -1])))
    n = b.Clip(n, "", b.const(np.float32(0.8))) if b.opset >= 11 else b.Clip(n, max=0.8)
    b.output(v, "vector")
    b.output(b.Min(g, b.reduce("ReduceMax", g, [1]), b.const(np.float32(1.0))), "square")
    b.output(h, "h")
    b.output(n, "normal")


def resizes(b):
    """Resize in its coordinate modes, by sizes and by scales, up and down."""
    x = b.input("x", [1, 2, 6, 4])
    none = b.const(np.zeros(0, np.float32))
    modes = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    for k, mode in enumerate(modes):
        sizes = b.ints(1, 2, [9, 3, 11, 1][k], [4, 8, 7, 6][k])
        extra = {"nearest_mode": ["round_prefer_floor", "floor", "round_prefer_ceil", "ceil"][k]}
        near = b.Resize(x, none, none, sizes, mode="nearest", coordinate_transformation_mode=mode, **extra)
        smooth = b.Resize(x, none, none, sizes, mode="linear", coordinate_transformation_mode=mode)
        b.output(b.Sub(near, smooth), f"y_{mode}")


def qdq(b, unsigned):
    """A quantized residual network with a Quantize and a Dequantize around every tensor, as exporters of
    quantized models write them: int8 weights per channel, int32 biases, activations of either signedness."""
    kind, shift = (np.uint8, 128) if unsigned else (np.int8, 0)

    def pair(x, scale, zero_point=0):
        s, z = b.const(np.float32(scale)), b.const(kind(zero_point + shift))
        b.step = scale
        return b.DequantizeLinear(b.QuantizeLinear(x, s, z), s, z)

    def weights(*shape, per_channel=True):
        real = b.random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        axes = tuple(range(1, len(shape))) if per_channel else None
        scale = np.float32(np.abs(real).max(axis=axes) / 127)
        levels = np.rint(real / scale.reshape([-1] + [1] * (len(shape) - 1))).astype(np.int8)
        zeros = np.zeros_like(scale, dtype=np.int8)
        extra = {"axis": 0} if per_channel else {}
        return b.DequantizeLinear(b.const(levels), b.const(scale), b.const(zeros), **extra), scale

    def bias(n, scale):
        levels = b.random.integers(-2000, 2000, n).astype(np.int32)
        scale = np.broadcast_to(scale, n).astype(np.float32)
        zeros = b.const(np.zeros(n, np.int32))
        return b.DequantizeLinear(b.const(levels), b.const(scale), zeros, axis=0)

    def conv(x, scale, inputs, outputs, group=1, per_channel=True, kernel=3):
        w, ws = weights(outputs, inputs // group, kernel, kernel, per_channel=per_channel)
        c = bias(outputs, np.float32(scale) * ws)
        return b.Conv(x, w, c, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=group)

    x = pair(b.input("x", [1, 3, 8, 8]), 0.03, 5)
    x = pair(b.Relu(conv(x, 0.03, 3, 8)), 0.02, -128)
    y = pair(b.clip(conv(x, 0.02, 8, 8, group=8), 0.0, 6.0), 6 / 255, -128)
    y = pair(conv(y, 6 / 255, 8, 8, per_channel=False, kernel=1), 0.04, 3)
    x = pair(b.Relu(b.Add(x, y)), 0.025, -128)
    x = pair(b.MaxPool(x, kernel_shape=[2, 2], strides=[2, 2]), 0.025, -128)
    z = pair(b.AveragePool(x, kernel_shape=[2, 2], strides=[1, 1]), 0.02, -128)
    z = pair(b.LeakyRelu(pair(conv(z, 0.02, 8, 4), 0.04, 0), alpha=0.2), 0.03, 0)
    z = pair(b.Concat(z, pair(b.Sigmoid(z), 1 / 256, -128), axis=1), 0.03, 0)
    f = b.Flatten(pair(z, 0.03, 0), axis=1)
    w, ws = weights(5, 72)
    b.output(pair(b.Gemm(f, w, bias(5, np.float32(0.03) * ws), transB=1), 0.05, -10), "y")


def qdq_uint8(b):
    """Activations as uint8, as ONNX Runtime's quantizer has them."""
    qdq(b, True)


def qdq_int8(b):
    """Activations as int8."""
    qdq(b, False)


def qdq_boundary(b):
    """A quantized model whose own input and output are uint8 images."""
    data = b.random.integers(0, 256, (1, 2, 6, 6)).astype(np.uint8)
    s, z = b.const(np.float32(0.02)), b.const(np.uint8(117))
    x = b.DequantizeLinear(b.input("x", [1, 2, 6, 6], kind=TensorProto.UINT8, data=data), s, z)
    levels = b.random.integers(-127, 128, (3, 2, 3, 3)).astype(np.int8)
    w = b.DequantizeLinear(b.const(levels), b.const(np.float32(0.004)), b.const(np.int8(0)))
    y = b.Relu(b.Conv(x, w, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
    s, z = b.const(np.float32(0.03)), b.const(np.uint8(0))
    b.output(b.QuantizeLinear(y, s, z), "y", kind=TensorProto.UINT8)


MODELS = [
    mobile, flatten_gemm, view_gemm, concat, prelu, shuffle, attention, two_in_two_out, squeeze_excite, upsample,
    one_dimension, arithmetic, softmax_axis, movement, products, resizes, qdq_uint8, qdq_int8, qdq_boundary,
]  # fmt: skip

# Resize with sizes exists since operator set 11, scales per channel since 13.
SINCE = {resizes: 11, qdq_uint8: 13, qdq_int8: 13, qdq_boundary: 13}


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for model in MODELS:
        since = SINCE.get(model, OPSETS[0])
        for opset in [o for o in OPSETS if o >= since]:
            b = Builder(model.__name__, opset)
            model(b)
            b.save(directory)
            print(f"{model.__name__}_opset{opset}")


if __name__ == "__main__":
    main()
