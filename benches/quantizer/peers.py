"""The other quantizers. Each has settings by name, the first its default; a setting takes the model and
calibration samples and returns a function from inputs to outputs."""

import importlib.util
import os
import pathlib
import tempfile

import numpy as np


def over(samples, one):
    """Outputs of `one` for every sample, each a batch of one."""
    return np.concatenate([np.asarray(one(sample[None])).reshape(1, -1) for sample in samples])


def ort_runner(model):
    """Runs an ONNX file or its bytes with ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda samples: over(samples, lambda x: session.run(None, {name: x})[0])


class OnnxRuntime:
    name = "ONNX Runtime"

    def __init__(self):
        from onnxruntime.quantization import CalibrationMethod, QuantType

        self.settings = {"S8S8 per tensor, min-max": (QuantType.QInt8, CalibrationMethod.MinMax, False)}
        for kind, activation in (("S8S8", QuantType.QInt8), ("U8S8", QuantType.QUInt8)):
            for method in ("MinMax", "Percentile", "Entropy"):
                self.settings[f"{kind} per channel, {method.lower()}"] = (
                    activation, getattr(CalibrationMethod, method), True)

    def quantize(self, model, samples, setting):
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process

        activation, method, per_channel = self.settings[setting]
        feed = iter([{model.input: sample[None]} for sample in samples])

        class Reader(quantization.CalibrationDataReader):
            def get_next(self):
                return next(feed, None)

        with tempfile.TemporaryDirectory() as folder:
            prepared, out = f"{folder}/prepared.onnx", f"{folder}/int8.onnx"
            quant_pre_process(model.onnx, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared, out, Reader(), per_channel=per_channel, activation_type=activation,
                weight_type=quantization.QuantType.QInt8, calibrate_method=method)
            content = pathlib.Path(out).read_bytes()
        return ort_runner(content), len(content)


def floats(content):
    """Convolutions and fully connected layers of a TFLite model whose input is not int8."""
    from ai_edge_litert import schema_py_generated as tfl

    model = tfl.ModelT.InitFromPackedBuf(content, 0)
    graph, kinds = model.subgraphs[0], tfl.BuiltinOperator
    layers = (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.FULLY_CONNECTED)
    code = lambda o: max(model.operatorCodes[o.opcodeIndex].builtinCode, model.operatorCodes[o.opcodeIndex].deprecatedBuiltinCode)
    return sum(code(o) in layers and graph.tensors[o.inputs[0]].type != tfl.TensorType.INT8 for o in graph.operators)


class LiteRt:
    name = "LiteRT"

    def __init__(self):
        from litert_quantizer import recipe

        names = recipe.AlgorithmName
        self.settings = {
            "min-max": names.MIN_MAX_UNIFORM_QUANT, "OCTAV": names.OCTAV, "MSE": names.MSE, "GPTQ": names.GPTQ,
        }

    def quantize(self, model, samples, setting):
        from ai_edge_litert.interpreter import Interpreter
        from litert_quantizer import quantizer, recipe

        nhwc = model.to_nhwc(samples)
        tool = quantizer.Quantizer(model.tflite, recipe.static_wi8_ai8(self.settings[setting]))
        interpreter = Interpreter(model_path=model.tflite)
        signatures = interpreter.get_signature_list()
        key = next(iter(signatures), None)
        name = signatures[key]["inputs"][0] if key else interpreter.get_input_details()[0]["name"]
        result = tool.calibrate({key: [{name: sample[None]} for sample in nhwc]}, num_threads=1)
        content = bytes(tool.quantize(result).quantized_model)
        left = floats(content)
        if left:
            raise ValueError(f"leaves {left} layers in floats")
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()

        def one(x):
            x = model.to_nhwc(x)
            scale, zero = source["quantization"]
            if source["dtype"] == np.int8:
                x = np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)
            interpreter.set_tensor(source["index"], x)
            interpreter.invoke()
            y = interpreter.get_tensor(sink["index"]).astype(np.float32)
            scale, zero = sink["quantization"]
            return (y - zero) * scale if scale else y

        return lambda inputs: over(inputs, one), len(content)


class Nncf:
    name = "NNCF"

    def __init__(self):
        self.settings = {
            "default": {}, "mixed preset": {"preset": "mixed"}, "full bias correction": {"fast_bias_correction": False},
            "mixed, full bias correction": {"preset": "mixed", "fast_bias_correction": False},
        }

    def quantize(self, model, samples, setting):
        import nncf
        import onnx

        arguments = dict(self.settings[setting])
        if "preset" in arguments:
            arguments["preset"] = nncf.QuantizationPreset(arguments["preset"])
        nncf.set_log_level(40)
        data = nncf.Dataset([{model.input: sample[None]} for sample in samples])
        result = nncf.quantize(onnx.load(model.onnx), data, subset_size=len(samples), **arguments)
        content = result.SerializeToString()
        return ort_runner(content), len(content)


class Aimet:
    name = "AIMET"

    def __init__(self):
        self.settings = {"min-max": [], "equalized": ["equalize"], "AdaRound": ["adaround"],
                         "equalized, AdaRound": ["equalize", "adaround"]}

    def quantize(self, model, samples, setting):
        import aimet_onnx
        import onnx

        steps = self.settings[setting]
        graph = onnx.load(model.onnx)
        if "equalize" in steps:
            from aimet_onnx.cross_layer_equalization import equalize_model

            equalize_model(graph)
        feed = [{model.input: sample[None]} for sample in samples]
        sim = aimet_onnx.QuantizationSimModel(graph, param_type=aimet_onnx.int8, activation_type=aimet_onnx.int8)
        if "adaround" in steps:
            aimet_onnx.apply_adaround(sim, feed, num_iterations=2000)
        sim.compute_encodings(feed)
        return lambda inputs: over(inputs, lambda x: sim.session.run(None, {model.input: x})[0]), None


REGISTRY = {"onnxruntime": (OnnxRuntime, "onnxruntime"), "litert": (LiteRt, "litert_quantizer"),
            "nncf": (Nncf, "nncf"), "aimet": (Aimet, "aimet_onnx")}


def load(names):
    """The peers that are installed; says which are not."""
    os.environ.setdefault("NNCF_TELEMETRY", "0")
    found = []
    for name in names:
        peer, module = REGISTRY[name]
        if importlib.util.find_spec(module) is None:
            print(f"SKIPPED {name}: {module} is not installed")
        else:
            found.append(peer())
    return found
