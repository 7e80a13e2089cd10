"""Samara and its peers on the same models, in one run, taking turns, each on one thread of the same core.

    python3 -m venv target/latency && target/latency/bin/pip install -r benches/latency/requirements.txt
    target/latency/bin/python benches/latency

Every engine runs a few calls, then the next one, in an order that turns from round to round; each call is timed by
itself. Figures are microseconds per inference: the least, and the median over all rounds. From the peers' times that of
a model of one operator, measured in the same rounds, is subtracted: what a call from Python costs them. Samara's are
as they are. Integer models have integers at both ends everywhere. Outputs are compared before anything is timed."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "benches/quantizer"))

import engines  # noqa: E402
import graphs  # noqa: E402
import networks  # noqa: E402
import synthetic  # noqa: E402

SHARED = ROOT.parent / "shared/models/mlperf-tiny"
MLPERF = {"ad": "ad_autoencoder", "ic": "ic_resnet8", "kws": "kws_dscnn", "vww": "vww_mobilenet"}
OWN = ("vibration", "anomaly", "glyphs")
NAMES = [*MLPERF, *OWN, *networks.GENERATED]
# Nanoseconds that an engine's turn takes.
TURN = 4_000_000
# How far, as 1 - cosine, outputs of the very same model may be apart: integers round in several ways.
NEAR = {"int8": 0.01, "f32": 1e-4}


class Model:
    """One network in all of its forms; samples are in ONNX's layout, without the batch axis where that is one."""

    def __init__(self, name, folder):
        self.name, self.onnx, self.tflite, self.int8_tflite = name, f"{folder}/{name}.onnx", f"{folder}/{name}.tflite", None
        if name in MLPERF:
            stem = f"{SHARED}/{MLPERF[name]}"
            self.onnx, self.tflite, self.int8_tflite = f"{stem}_float.onnx", f"{stem}_float.tflite", f"{stem}_int8.tflite"
        elif name in OWN:
            graphs.cut_softmax(ROOT / "models" / name / "model.onnx", self.onnx)
            graphs.Translator(self.onnx).run(self.tflite)
        else:
            generate = networks.GENERATED.get(name, networks.one_operator)
            generate(self.onnx)
            graphs.Translator(self.onnx).run(self.tflite)
        graph = onnx.load(self.onnx).graph
        source = graph.input[0]
        self.input = source.name
        self.shape = [d.dim_value or 1 for d in source.type.tensor_type.shape.dim]
        # Only MLPerf Tiny's come from TensorFlow, in its layout.
        self.nchw = name not in MLPERF
        self.calibration = self.draw(8, 1)
        self.samples = self.draw(4, 2)

    def draw(self, count, seed):
        random = np.random.default_rng(seed)
        if self.name in MLPERF:
            one = {"ad": lambda: synthetic.spectrum(random), "kws": lambda: synthetic.keyword(random),
                   "ic": lambda: 255 * synthetic.image(random, 32, 32, 3), "vww": lambda: synthetic.image(random, 96, 96, 3)}
            samples = [one[self.name]() for _ in range(count)]
        elif self.name in OWN:
            data = np.load(ROOT / "models" / self.name / "calibrate.npz")[self.input]
            samples = list(data[random.permutation(len(data))[:count]])
        else:
            samples = [random.normal(0, 1, self.shape[1:] if self.shape[0] == 1 else self.shape) for _ in range(count)]
        return np.stack(samples).astype(np.float32)

    def to_nhwc(self, x):
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if self.nchw and x.ndim == 4 else x


class Contender:
    """One engine with one form of one model."""

    def __init__(self, engine, model, form, variant, run, outputs):
        self.engine, self.model, self.form, self.run, self.outputs = engine, model, form, run, outputs
        self.label = f"{engine} {variant}".strip()
        self.times = []
        run(3)
        self.calls = int(np.clip(TURN // max(min(run(10)), 1), 3, 2000))

    def turn(self):
        self.run(2)
        self.times += self.run(self.calls)

    def least(self):
        return min(self.times) / 1e3

    def median(self):
        return float(np.median(self.times)) / 1e3


def contenders(model, forms, tools, folder):
    found = []
    for form in forms:
        for tool in tools:
            try:
                for variant, run, outputs in tool.prepare(model, form, folder):
                    found.append(Contender(tool.name, model.name, form, variant, run, outputs))
            except Exception as error:  # A peer that cannot do a model is a result, too.
                if tool.name == "Samara":
                    raise
                print(f"SKIPPED {tool.name} {model.name} {form}: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
    return found


def cosine(a, b):
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))


def agree(model, found):
    """Cosines of every engine's outputs with the float model's. What runs the same file as another engine is compared
    with that one, too, and named where it is not near."""
    known = {(c.form, c.label): c.outputs(model.samples) for c in found if c.outputs}
    reference = known.get(("f32", "ONNX Runtime"))
    for (form, label), y in known.items():
        # Each quantizer makes an integer model of its own, unless there is one file for both.
        same = known.get(("int8", "LiteRT")) if form == "int8" and model.int8_tflite else reference
        if label == "Samara" and same is not None and (form == "f32" or model.int8_tflite) and 1 - cosine(y, same) > NEAR[form]:
            print(f"  {model.name} {form}: outputs differ from the same model's elsewhere, cosine {cosine(y, same):.5f}")
    return {} if reference is None else {key: cosine(y, reference) for key, y in known.items()}


def report(model, found, overhead, cosines):
    rows = []
    for form in dict.fromkeys(c.form for c in found):
        group = [c for c in found if c.form == form]
        net = {c.label: c.least() - (0 if c.engine == "Samara" else overhead.get(c.engine, 0)) for c in group}
        peers = [c for c in group if c.engine != "Samara"]
        best = min(peers, key=lambda c: net[c.label]) if peers else None
        print(f"\n{model.name} {form}\n  {'':20} {'least':>9} {'net':>9} {'median':>9}   cosine")
        for c in group:
            near = cosines.get((form, c.label))
            print(f"  {c.label:20} {c.least():9.2f} {net[c.label]:9.2f} {c.median():9.2f}   {'' if near is None else f'{near:.5f}'}")
            rows.append({"model": model.name, "form": form, "engine": c.label, "least_us": c.least(), "net_us": net[c.label],
                         "median_us": c.median(), "calls": len(c.times), "cosine": near})
        if best:
            ratio = net["Samara"] / net[best.label]
            medians = next(c.median() for c in group if c.engine == "Samara") / min(c.median() for c in peers)
            print(f"  Samara / best peer ({best.label}): {ratio:.2f} of the least, {medians:.2f} of the medians")
            rows.append({"model": model.name, "form": form, "ratio": ratio, "ratio_medians": medians, "best": best.label})
    sys.stdout.flush()
    return rows


def built(features):
    """Builds what is timed, with peers as features; the directory."""
    cargo = ["cargo", "build", "--release", "--quiet", "--locked", "-p", "samara-packager", "-p", "samara-benches",
             "--bin", "samara", "--bin", "samara-rounds"]
    subprocess.run(cargo + [word for f in features for word in ("--features", f"samara-benches/{f}")], cwd=ROOT, check=True)
    metadata = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True)
    return json.loads(metadata.stdout)["target_directory"]


def listed(choices):
    def split(text):
        names = text.split(",")
        for name in names:
            if name not in choices:
                raise argparse.ArgumentTypeError(f"'{name}' is not one of {', '.join(choices)}")
        return names
    return split


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=listed(NAMES), default=NAMES, help=",".join(NAMES))
    parser.add_argument("--forms", type=listed(["int8", "f32"]), default=["int8", "f32"], help="int8,f32")
    parser.add_argument("--peers", type=listed(list(engines.MODULES)), default=["onnxruntime", "litert"],
                        help="onnxruntime,litert,tract,candle,burn (the last three take minutes to build)")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the processor core that all run on")
    parser.add_argument("--json", help="results as a JSON file")
    arguments = parser.parse_args()
    target = built([peer for peer in arguments.peers if engines.MODULES[peer] is None])
    os.sched_setaffinity(0, {arguments.core})
    samara = engines.Samara(target, arguments.core)
    tools = [samara, *engines.load(arguments.peers, samara)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        calls = contenders(Model("call", folder), ["f32"], tools, folder)
        for name in arguments.models:
            if name in MLPERF and not SHARED.exists():
                print(f"SKIPPED {name}: {SHARED} is not there")
                continue
            model = Model(name, folder)
            found = contenders(model, arguments.forms, tools, folder)
            cosines = agree(model, found)
            taking_turns = [*found, *calls]
            for round in range(arguments.rounds):
                turn = round % len(taking_turns)
                for contender in taking_turns[turn:] + taking_turns[:turn]:
                    contender.turn()
            overhead = {c.engine: c.least() for c in calls}
            rows += report(model, found, overhead, cosines)
            if arguments.json:
                pathlib.Path(arguments.json).write_text(json.dumps({"call_us": overhead, "rows": rows}, indent=1))
        print("\nA call of one operator, us: " + ", ".join(f"{c.label} {c.least():.2f} ({c.median():.2f})" for c in calls))
        ratios = [r for r in rows if "ratio" in r]
        if ratios:
            print("\nSamara / best peer\n" + "\n".join(
                f"  {r['model']:16} {r['form']:5} {r['ratio']:5.2f}  ({r['best']})" for r in ratios))


if __name__ == "__main__":
    sys.exit(main())
