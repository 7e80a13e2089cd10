"""Networks that are larger than the own and MLPerf Tiny's, generated: random weights of fixed seeds, as ONNX.
Time does not depend on the weights' values."""

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Builder:
    """An ONNX graph with one input, layer by layer; every layer returns its output's name."""

    def __init__(self, seed, shape):
        self.random, self.nodes, self.constants = np.random.default_rng(seed), [], []
        self.shape, self.channels = shape, shape[1]

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(self, kind, inputs, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weights(self, kind, shape, inputs):
        prefix = f"{kind}{len(self.nodes)}"
        spread = self.random.normal(0, (2 / inputs) ** 0.5, shape)
        return [self.constant(f"{prefix}.weight", spread),
                self.constant(f"{prefix}.bias", self.random.normal(0, 0.05, shape[0]))]

    def conv(self, x, channels_in, channels_out, size, stride=1, group=1):
        inputs = size * size * channels_in // group
        parameters = self.weights("conv", (channels_out, channels_in // group, size, size), inputs)
        # As TensorFlow's SAME, so that no runtime needs a padding of its own.
        pads = [0, 0, 1, 1] if stride == 2 else [size // 2] * 4
        return self.node("Conv", [x, *parameters], kernel_shape=[size, size], strides=[stride, stride], pads=pads, group=group)

    def relu6(self, x):
        return self.node("Clip", [x, "zero", "six"])

    def gemm(self, x, inputs, outputs):
        return self.node("Gemm", [x, *self.weights("gemm", (outputs, inputs), inputs)], transB=1)

    def save(self, y, shape, path):
        self.constants += [numpy_helper.from_array(np.float32(v), n) for n, v in (("zero", 0), ("six", 6))
                           if any(n in node.input for node in self.nodes)]
        value = lambda name, dims: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
        graph = helper.make_graph(self.nodes, "generated", [value("x", self.shape)], [value(y, shape)], self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def mobilenet(path):
    """Inverted residuals of MobileNetV2's sizes on 224x224."""
    b = Builder(2, [1, 3, 224, 224])
    y, channels = b.relu6(b.conv("x", 3, 32, 3, stride=2)), 32
    for expand, out, repeats, first_stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                               (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(repeats):
            stride, x, middle = first_stride if i == 0 else 1, y, channels * expand
            if expand > 1:
                y = b.relu6(b.conv(y, channels, middle, 1))
            y = b.relu6(b.conv(y, middle, middle, 3, stride, group=middle))
            y = b.conv(y, middle, out, 1)
            if stride == 1 and channels == out:
                y = b.node("Add", [x, y])
            channels = out
    y = b.relu6(b.conv(y, channels, 1280, 1))
    y = b.node("Flatten", [b.node("GlobalAveragePool", [y])])
    b.save(b.gemm(y, 1280, 1000), [1, 1000], path)


def transformer(path, tokens=128, width=384):
    """The matrices of one transformer block: queries, keys, values, projection, and a rectified layer of four times
    the width. Attention itself, which multiplies activations, is left out: the three are added instead."""
    b = Builder(3, [tokens, width])
    q, k, v = (b.gemm("x", width, width) for _ in range(3))
    y = b.gemm(b.node("Add", [b.node("Add", [q, k]), v]), width, width)
    y = b.gemm(b.node("Relu", [b.gemm(y, width, 4 * width)]), 4 * width, width)
    b.save(y, [tokens, width], path)


def one_operator(path):
    """What a call costs when there is next to nothing to compute."""
    b = Builder(1, [1, 8])
    b.save(b.node("Relu", ["x"]), [1, 8], path)


# Name: generator and a multiply-accumulate count for people.
GENERATED = {"mobilenet224": mobilenet, "transformer384": transformer}
