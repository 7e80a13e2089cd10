"""Integers at both ends of a quantized model: what converts floats there is taken off, so that only the model is timed,
and is done here instead."""

import json

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as tfl
from onnx import numpy_helper

import graphs


def strip_onnx(path):
    """Takes the first QuantizeLinear and the last DequantizeLinear off; keeps their parameters in the metadata."""
    model = onnx.load(path)
    graph, kept = model.graph, {}
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for end, kind, value in (("input", "QuantizeLinear", graph.input[0]), ("output", "DequantizeLinear", graph.output[0])):
        outer, inner = ("input", "output") if end == "input" else ("output", "input")
        found = [n for n in graph.node if value.name in getattr(n, outer)]
        if len(found) != 1 or found[0].op_type != kind:
            continue
        node = found[0]
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        kept[end] = [zero.dtype.name, float(scale), int(zero)]
        value.name = getattr(node, inner)[0]
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(zero.dtype)
        graph.node.remove(node)
    entry = model.metadata_props.add()
    entry.key, entry.value = "ends", json.dumps(kept)
    onnx.save(model, path)


def parameters_onnx(path):
    """(type, scale, zero point) of `input` and `output`, `None` where they are floats."""
    props = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
    kept = json.loads(props.get("ends", "{}"))
    return {end: kept.get(end) for end in ("input", "output")}


def strip_tflite(content, path):
    """The same for a TFLite model, whose tensors carry their own parameters."""
    model = tfl.ModelT.InitFromPackedBuf(content, 0)
    graph, kinds = model.subgraphs[0], tfl.BuiltinOperator
    for buffer in model.buffers:
        if buffer.offset > 1:  # Large ones lie behind the model.
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0

    def is_kind(operator, kind):
        code = model.operatorCodes[operator.opcodeIndex]
        return max(code.builtinCode, code.deprecatedBuiltinCode) == kind

    first, last = graph.operators[0], graph.operators[-1]
    if is_kind(first, kinds.QUANTIZE) and list(first.inputs) == list(graph.inputs):
        graph.inputs = [first.outputs[0]]
        graph.operators.remove(first)
    if is_kind(last, kinds.DEQUANTIZE) and list(last.outputs) == list(graph.outputs):
        graph.outputs = [last.inputs[0]]
        graph.operators.remove(last)
    graphs.save(model, path)


def to_integers(x, parameters):
    if not parameters or not np.issubdtype(np.dtype(parameters[0]), np.integer):
        return np.ascontiguousarray(x, np.float32)
    kind, scale, zero = np.iinfo(parameters[0]), parameters[1], parameters[2]
    return np.clip(np.round(x / scale) + zero, kind.min, kind.max).astype(parameters[0])


def to_reals(y, parameters):
    y = np.asarray(y, np.float32)
    if not parameters or not np.issubdtype(np.dtype(parameters[0]), np.integer):
        return y
    return (y - parameters[2]) * np.float32(parameters[1])
