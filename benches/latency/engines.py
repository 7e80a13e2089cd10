"""What runs a model: each engine prepares one of a model's forms and then times single calls of it."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import time
import warnings

import numpy as np

import ends


def timed(call, count):
    """Nanoseconds of `count` calls, each by itself."""
    clock, times = time.perf_counter_ns, []
    for _ in range(count):
        start = clock()
        call()
        times.append(clock() - start)
    return times


class Samara:
    """A process of its own that runs rounds when told to: `samara-rounds`, in benches/src/bin."""

    name = "Samara"

    def __init__(self, target, core):
        self.command, self.count = f"{target}/release/samara", 0
        self.rounds = subprocess.Popen([f"{target}/release/samara-rounds"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    def ask(self, *words):
        print(*words, file=self.rounds.stdin, flush=True)
        answer = self.rounds.stdout.readline().split()
        if answer[:1] != ["ok"]:
            raise RuntimeError(" ".join(answer[1:]) or "samara-rounds ended")
        return answer[1:]

    def call(self, *arguments):
        done = subprocess.run([self.command, "--json", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout)

    def load(self, *what):
        self.count += 1
        name = f"m{self.count}"
        self.ask("load", name, *what)
        return lambda calls: [int(t) for t in self.ask("time", name, calls)]

    def prepare(self, model, form, folder):
        out = pathlib.Path(folder, f"{model.name}-{form}.samara")
        if form == "f32":
            self.call("pack", model.onnx, "--quantize", "f32", "-o", out)
        elif model.int8_tflite:
            self.call("pack", model.int8_tflite, "-o", out)
        else:
            data = pathlib.Path(folder, f"{model.name}-calibrate.npz")
            np.savez(data, **{model.input: model.calibration})
            # How it was quantized does not change how fast it runs.
            self.call("pack", model.onnx, "--calibrate", data, "-o", out, "--range", "min-max", "--equalize", "off",
                      "--bias-correction", "off", "--rounding", "nearest")
        return [("", self.load("samara", out), lambda samples: self.outputs(model, out, samples, folder))]

    def outputs(self, model, bundle, samples, folder):
        data, out = pathlib.Path(folder, "x.npz"), pathlib.Path(folder, "y.npz")
        (source,) = self.call("inspect", bundle)["inputs"]
        np.savez(data, **{source["name"]: samples})
        self.call("run", bundle, "--input", data, "-o", out, "--dequantize")
        (array,) = np.load(out).values()
        return array.reshape(len(samples), -1)


class InRounds:
    """A runtime in the same process as Samara: only where `samara-rounds` was built with it. Floats only: tract's QDQ
    convolutions compute in f32, and candle and burn are given no integer ones."""

    def __init__(self, name, samara):
        self.name, self.samara = name, samara

    def prepare(self, model, form, folder):
        if form == "int8":
            return []
        return [("", self.samara.load(self.name, model.onnx, "x".join(map(str, model.shape))), None)]


class OnnxRuntime:
    name = "ONNX Runtime"

    def prepare(self, model, form, folder):
        if form == "f32":
            return [self.ready("", model.onnx, model)]
        from onnxruntime.quantization import QuantType

        return [self.ready(kind, self.quantize(model, activation, f"{folder}/{model.name}-{kind}.onnx"), model)
                for kind, activation in (("U8S8", QuantType.QUInt8), ("S8S8", QuantType.QInt8))]

    def quantize(self, model, activation, out):
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process

        feed = iter([{model.input: sample.reshape(model.shape)} for sample in model.calibration])

        class Reader(quantization.CalibrationDataReader):
            def get_next(self):
                return next(feed, None)

        prepared = out + ".prepared"
        quant_pre_process(model.onnx, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(prepared, out, Reader(), per_channel=True, activation_type=activation,
                                     weight_type=quantization.QuantType.QInt8)
        ends.strip_onnx(out)
        return out

    def ready(self, variant, path, model):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (source,), (sink,) = session.get_inputs(), session.get_outputs()
        outer = ends.parameters_onnx(path)
        feed = lambda sample: ends.to_integers(sample.reshape(model.shape), outer["input"])
        binding = session.io_binding()
        binding.bind_ortvalue_input(source.name, onnxruntime.OrtValue.ortvalue_from_numpy(feed(model.samples[0])))
        binding.bind_output(sink.name)
        # What `run_with_iobinding` does without its Python.
        raw, bound = session._sess, binding._iobinding

        def outputs(samples):
            return np.stack([ends.to_reals(session.run(None, {source.name: feed(s)})[0], outer["output"]).ravel() for s in samples])

        return variant, lambda calls: timed(lambda: raw.run_with_iobinding(bound, None), calls), outputs


class LiteRt:
    """LiteRT with XNNPACK, which its interpreter applies by itself."""

    name = "LiteRT"

    def prepare(self, model, form, folder):
        from ai_edge_litert.interpreter import Interpreter

        path = model.tflite if form == "f32" else model.int8_tflite or self.quantize(model, f"{folder}/{model.name}-int8.tflite")
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
        # What `invoke` calls.
        raw = interpreter._interpreter

        def feed(sample):
            x = model.to_nhwc(sample[None]).reshape(source["shape"])
            interpreter.set_tensor(source["index"], ends.to_integers(x, (source["dtype"], *source["quantization"])))

        def outputs(samples):
            results = []
            for sample in samples:
                feed(sample)
                raw.Invoke()
                y = interpreter.get_tensor(sink["index"])
                results.append(ends.to_reals(y, (sink["dtype"], *sink["quantization"])).ravel())
            return np.stack(results)

        feed(model.samples[0])
        return [("", lambda calls: timed(raw.Invoke, calls), outputs)]

    def quantize(self, model, out):
        from litert_quantizer import quantizer, recipe
        from ai_edge_litert.interpreter import Interpreter

        tool = quantizer.Quantizer(model.tflite, recipe.static_wi8_ai8(recipe.AlgorithmName.MIN_MAX_UNIFORM_QUANT))
        interpreter = Interpreter(model_path=model.tflite)
        signatures = interpreter.get_signature_list()
        key = next(iter(signatures), None)
        name = signatures[key]["inputs"][0] if key else interpreter.get_input_details()[0]["name"]
        warnings.simplefilter("ignore")
        samples = model.to_nhwc(model.calibration)
        shape = interpreter.get_input_details()[0]["shape"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result = tool.calibrate({key: [{name: sample.reshape(shape)} for sample in samples]}, num_threads=1)
            content = bytes(tool.quantize(result).quantized_model)
        ends.strip_tflite(content, out)
        return out


# Peers by name and the Python module that brings them; those without are features of `samara-rounds`.
MODULES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert", "tract": None, "candle": None, "burn": None}


def load(names, samara):
    """The peers that are installed; says which are not."""
    made = {"onnxruntime": OnnxRuntime, "litert": LiteRt}
    found = []
    for name in names:
        if name not in MODULES:
            raise SystemExit(f"--peers {name}: not one of {', '.join(MODULES)}")
        if not MODULES[name]:
            found.append(InRounds(name, samara))
        elif importlib.util.find_spec(MODULES[name]) is None:
            print(f"SKIPPED {name}: {MODULES[name]} is not installed")
        else:
            found.append(made[name]())
    return found
