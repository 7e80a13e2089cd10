"""The same float network for every tool: its final softmax cut off, as ONNX and as TFLite."""

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as tfl
from onnx import helper, numpy_helper, shape_inference


def cut_softmax(path, out):
    """Writes the ONNX model with the softmax's input as its output and a batch of one; returns (input, output)."""
    model = onnx.load(path)
    graph = model.graph
    last = graph.node[-1]
    if last.op_type == "Softmax":
        graph.node.remove(last)
        graph.output[0].name = last.input[0]
    graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph.output[0].type.tensor_type.ClearField("shape")
    model = shape_inference.infer_shapes(model)
    onnx.save(model, out)
    return graph.input[0].name, graph.output[0].name


def cut_softmax_tflite(path, out):
    """The same for a TFLite model."""
    model = tfl.ModelT.InitFromPackedBuf(open(path, "rb").read(), 0)
    graph = model.subgraphs[0]
    last = graph.operators[-1]
    code = model.operatorCodes[last.opcodeIndex]
    if tfl.BuiltinOperator.SOFTMAX in (code.builtinCode, code.deprecatedBuiltinCode):
        graph.operators.pop()
        graph.outputs = [last.inputs[0]]
        # What nobody computes any more becomes a constant: quantizers read every tensor.
        orphan, zeros = graph.tensors[last.outputs[0]], tfl.BufferT()
        zeros.data = np.zeros(4 * int(np.prod(orphan.shape)), np.uint8)
        model.buffers.append(zeros)
        orphan.buffer = len(model.buffers) - 1
    save(model, out)


def save(model, out):
    """Writes the model with one signature, which quantizers feed it through."""
    graph, signature = model.subgraphs[0], tfl.SignatureDefT()
    for list_name, tensors in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        entry = tfl.TensorMapT()
        entry.name, entry.tensorIndex = graph.tensors[tensors[0]].name, int(tensors[0])
        setattr(signature, list_name, [entry])
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    with open(out, "wb") as file:
        file.write(bytes(builder.Output()))


class Translator:
    """ONNX (NCHW, as this project's models are written) to TFLite (NHWC), for the operators that they use."""

    def __init__(self, path):
        self.onnx = shape_inference.infer_shapes(onnx.load(path))
        self.constants = {i.name: numpy_helper.to_array(i) for i in self.onnx.graph.initializer}
        self.model, self.graph = tfl.ModelT(), tfl.SubGraphT()
        self.model.version, self.model.description = 3, b"float"
        self.model.subgraphs, self.model.buffers, self.model.operatorCodes = [self.graph], [tfl.BufferT()], []
        self.model.metadata = self.model.signatureDefs = []
        self.graph.tensors, self.graph.operators, self.graph.name = [], [], b"main"
        self.codes, self.ids, self.shapes = {}, {}, {}

    def tensor(self, name, shape, data=None, dtype=tfl.TensorType.FLOAT32):
        tensor = tfl.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), dtype, 0
        tensor.quantization = tfl.QuantizationParametersT()
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        self.ids[name], self.shapes[name] = len(self.graph.tensors) - 1, list(shape)
        return self.ids[name]

    def operator(self, code, inputs, name, shape, options=None, kind=0):
        if code not in self.codes:
            entry = tfl.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            self.model.operatorCodes.append(entry)
            self.codes[code] = len(self.model.operatorCodes) - 1
        operator = tfl.OperatorT()
        operator.opcodeIndex, operator.inputs = self.codes[code], inputs
        operator.outputs = [self.tensor(name, shape)]
        operator.builtinOptions, operator.builtinOptionsType = options, kind
        self.graph.operators.append(operator)

    def fold(self):
        """Batch normalization into the convolution before it."""
        nodes, made = [], {}
        for node in self.onnx.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(helper.get_node_attr_value(node, "value"))
            elif node.op_type == "BatchNormalization":
                conv = made[node.input[0]]
                scale, shift, mean, variance = (self.constants[i] for i in node.input[1:5])
                epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
                factor = scale / np.sqrt(variance + epsilon)
                weights = self.constants[conv.input[1]] * factor[:, None, None, None]
                bias = self.constants[conv.input[2]] if len(conv.input) > 2 else 0
                self.constants[conv.input[1] + "/folded"] = weights.astype(np.float32)
                self.constants[conv.input[1] + "/bias"] = ((bias - mean) * factor + shift).astype(np.float32)
                conv.input[:] = [conv.input[0], conv.input[1] + "/folded", conv.input[1] + "/bias"]
                conv.output[0] = node.output[0]
            else:
                nodes.append(node)
            made.update({o: nodes[-1] for o in node.output})
        return nodes

    def run(self, out):
        source = self.onnx.graph.input[0]
        dims = [d.dim_value or 1 for d in source.type.tensor_type.shape.dim]
        dims = [dims[0], *dims[2:], dims[1]] if len(dims) == 4 else dims
        self.graph.inputs = [self.tensor(source.name, dims)]
        for node in self.fold():
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            handler = getattr(self, node.op_type.lower(), None)
            if handler is None:
                raise SystemExit(f"{node.op_type}: no TFLite form in this script")
            handler(node, attributes)
        self.graph.outputs = [self.ids[self.onnx.graph.output[0].name]]
        save(self.model, out)

    def stored(self, name, value):
        return self.ids[name] if name in self.ids else self.tensor(name, value.shape, value.astype(np.float32))

    def conv(self, node, a):
        x, weights = node.input[0], self.constants[node.input[1]]
        n, h, w, c = self.shapes[x]
        bias = self.constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weights), np.float32)
        (kh, kw), strides, pads = weights.shape[2:], a.get("strides", [1, 1]), a.get("pads", [0] * 4)
        oh = (h + pads[0] + pads[2] - kh) // strides[0] + 1
        ow = (w + pads[1] + pads[3] - kw) // strides[1] + 1
        padding = tfl.Padding.VALID
        same = [max((-(-size // s) - 1) * s + k - size, 0) for size, s, k in zip((h, w), strides, (kh, kw))]
        if any(pads):
            if [pads[0], pads[1]] == [s // 2 for s in same] and [pads[2], pads[3]] == [s - s // 2 for s in same]:
                padding = tfl.Padding.SAME
            else:
                pad = self.tensor(node.name + "/pads", [4, 2], np.array(
                    [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32), tfl.TensorType.INT32)
                shape = [n, h + pads[0] + pads[2], w + pads[1] + pads[3], c]
                self.operator(tfl.BuiltinOperator.PAD, [self.ids[x], pad], node.name + "/pad", shape,
                              tfl.PadOptionsT(), tfl.BuiltinOptions.PadOptions)
                x = node.name + "/pad"
        groups = a.get("group", 1)
        if groups == c and groups > 1:
            kernel = weights.transpose(1, 2, 3, 0)
            options, kind = tfl.DepthwiseConv2DOptionsT(), tfl.BuiltinOptions.DepthwiseConv2DOptions
            options.depthMultiplier, code = len(weights) // c, tfl.BuiltinOperator.DEPTHWISE_CONV_2D
        elif groups == 1:
            kernel = weights.transpose(0, 2, 3, 1)
            options, kind = tfl.Conv2DOptionsT(), tfl.BuiltinOptions.Conv2DOptions
            code = tfl.BuiltinOperator.CONV_2D
        else:
            raise SystemExit("grouped convolution: no TFLite form in this script")
        options.strideH, options.strideW, options.padding = *strides, padding
        options.dilationHFactor = options.dilationWFactor = 1
        inputs = [self.ids[x], self.stored(node.input[1] + "/nhwc", kernel), self.stored(node.name + "/b", bias)]
        self.operator(code, inputs, node.output[0], [n, oh, ow, len(weights)], options, kind)

    def unary(self, code, node):
        self.operator(code, [self.ids[node.input[0]]], node.output[0], self.shapes[node.input[0]])

    def relu(self, node, _):
        self.unary(tfl.BuiltinOperator.RELU, node)

    def clip(self, node, a):
        bounds = [self.constants[i].item() for i in node.input[1:]] or [a.get("min"), a.get("max")]
        if bounds != [0.0, 6.0]:
            raise SystemExit(f"Clip to {bounds}: no TFLite form in this script")
        self.unary(tfl.BuiltinOperator.RELU6, node)

    def add(self, node, _):
        inputs = [self.ids[i] if i in self.ids else self.stored(i, self.constants[i]) for i in node.input]
        shape = max((self.shapes[i] for i in node.input), key=np.prod)
        self.operator(tfl.BuiltinOperator.ADD, inputs, node.output[0], shape, tfl.AddOptionsT(),
                      tfl.BuiltinOptions.AddOptions)

    def globalaveragepool(self, node, _):
        n, h, w, c = self.shapes[node.input[0]]
        options = tfl.Pool2DOptionsT()
        options.filterHeight, options.filterWidth, options.strideH, options.strideW = h, w, 1, 1
        options.padding = tfl.Padding.VALID
        self.operator(tfl.BuiltinOperator.AVERAGE_POOL_2D, [self.ids[node.input[0]]], node.output[0],
                      [n, 1, 1, c], options, tfl.BuiltinOptions.Pool2DOptions)

    def flatten(self, node, _):
        shape = self.shapes[node.input[0]]
        if len(shape) == 4 and shape[1] * shape[2] > 1:
            raise SystemExit("Flatten of an image: no TFLite form in this script")
        flat = [shape[0], int(np.prod(shape[1:]))]
        options = tfl.ReshapeOptionsT()
        options.newShape = flat
        target = self.tensor(node.output[0] + "/shape", [2], np.array(flat, np.int32), tfl.TensorType.INT32)
        self.operator(tfl.BuiltinOperator.RESHAPE, [self.ids[node.input[0]], target], node.output[0], flat,
                      options, tfl.BuiltinOptions.ReshapeOptions)

    def gemm(self, node, a):
        weights = self.constants[node.input[1]]
        weights = weights if a.get("transB") else weights.T
        options = tfl.FullyConnectedOptionsT()
        inputs = [self.ids[node.input[0]], self.stored(node.input[1] + "/oi", weights),
                  self.stored(node.input[2], self.constants[node.input[2]])]
        self.operator(tfl.BuiltinOperator.FULLY_CONNECTED, inputs, node.output[0],
                      [self.shapes[node.input[0]][0], len(weights)], options,
                      tfl.BuiltinOptions.FullyConnectedOptions)
