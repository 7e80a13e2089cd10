"""Samara's own quantizer, through its command line."""

import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np

PLAIN = ["--range", "min-max", "--equalize", "off", "--bias-correction", "off", "--rounding", "nearest"]


class Samara:
    name = "Samara"

    def __init__(self, command):
        self.command = command
        self.settings = {"default": [], "min-max only": PLAIN}

    def call(self, *arguments):
        done = subprocess.run([self.command, "--json", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout)

    def quantize(self, model, samples, setting):
        with tempfile.TemporaryDirectory() as folder:
            # One array needs no archive, whose sums take a tenth of the time.
            data, out = pathlib.Path(folder, "calibrate.npy"), pathlib.Path(folder, "model.samara")
            np.save(data, samples)
            report = self.call("pack", model.onnx, "--calibrate", data, "-o", out, *self.settings[setting])
            content = out.read_bytes()
        size = sum(s["bytes"] for s in report["sections"] if s["kind"] in ("plan", "weights"))
        return lambda inputs: self.outputs(content, model, inputs), size

    def outputs(self, bundle, model, inputs):
        with tempfile.TemporaryDirectory() as folder:
            path, data, out = (pathlib.Path(folder, n) for n in ("model.samara", "x.npz", "y.npz"))
            path.write_bytes(bundle)
            np.savez(data, **{model.input: inputs})
            self.call("run", path, "--input", data, "-o", out, "--dequantize")
            (array,) = np.load(out).values()
        return array.reshape(len(inputs), -1).astype(np.float32)


def seconds(*calls, rounds=15):
    """The least of several, for each call; they take turns."""
    times = [[] for _ in calls]
    for _ in range(rounds):
        for call, own in zip(calls, times):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [min(own) for own in times]
