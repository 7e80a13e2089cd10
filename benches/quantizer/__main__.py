"""Samara's quantizer and its peers on the same float models, the same calibration samples, the same test set.

    python3 -m venv target/peers && target/peers/bin/pip install -r benches/quantizer/requirements.txt
    target/peers/bin/python benches/quantizer

Every tool quantizes every model at its default and at the setting that does best on the calibration samples
themselves, once per calibration draw. Points are top-1 accuracy or AUC where the data have labels; for the
MLPerf Tiny models, whose data sets are not here, inputs are synthetic and the float model's own answers are the
labels. Nothing from the test set chooses anything."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import graphs
import judge
import peers
import samara
import synthetic

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
# The project's own models: folder under models/, and the metric.
OWN = {"vibration": "top1", "anomaly": "auc", "glyphs": "top1"}
MLPERF = {"ad": ("ad_autoencoder", "auc"), "ic": ("ic_resnet8", "top1"), "kws": ("kws_dscnn", "top1"),
          "vww": ("vww_mobilenet", "top1")}


class Model:
    """One float network, its calibration draws and its test set."""

    def __init__(self, name, metric, folder):
        self.name, self.metric = name, metric
        self.onnx, self.tflite = f"{folder}/{name}.onnx", f"{folder}/{name}.tflite"
        self.nchw = False

    def to_nhwc(self, x):
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if self.nchw and x.ndim == 4 else x

    def measure_float(self):
        self.float = peers.ort_runner(self.onnx)
        self.judge = judge.Judge(self.metric, self.test, self.labels, self.float(self.test))


def own(name, metric, folder, data, draws, limit):
    model = Model(name, metric, folder)
    source = ROOT / "models" / name / "model.onnx"
    model.input, _ = graphs.cut_softmax(source, model.onnx)
    graphs.Translator(model.onnx).run(model.tflite)
    model.nchw = True
    subprocess.run([data, "data", name, "-o", f"{folder}/{name}", "--splits"], check=True, stdout=subprocess.DEVNULL)
    load = lambda file: np.load(f"{folder}/{name}/{file}")
    model.draws = [load(f"calibrate-{d}.npz")[model.input].astype(np.float32) for d in range(draws)]
    test = load("test.npz")
    model.test, model.labels = test[model.input][:limit].astype(np.float32), test["labels"][:limit]
    model.measure_float()
    return model


def mlperf(name, metric, folder, draws, limit):
    model = Model(name, metric, folder)
    stem = SHARED / "models/mlperf-tiny" / MLPERF[name][0]
    model.input, _ = graphs.cut_softmax(f"{stem}_float.onnx", model.onnx)
    graphs.cut_softmax_tflite(f"{stem}_float.tflite", model.tflite)
    classify = peers.ort_runner(model.onnx) if metric == "top1" else None
    model.draws = [synthetic.balanced(name, 256, 100 + d, classify) for d in range(draws)]
    model.test, model.labels = synthetic.balanced(name, limit, 1, classify), None
    model.measure_float()
    return model


def trials(tool, model):
    """Outputs on the test set by setting and draw, and the setting that is best on the calibration samples."""
    results = {}
    for setting in tool.settings:
        try:
            runs = []
            for samples in model.draws:
                run, size = tool.quantize(model, samples, setting)
                score = judge.sqnr(model.float(samples), run(samples))
                runs.append({"outputs": run(model.test), "calibration_db": score, "size": size})
            results[setting] = runs
        except Exception as error:  # A peer that cannot do a model is a result, too.
            print(f"  {tool.name} {setting}: {type(error).__name__}: {str(error).splitlines()[0][:150]}", flush=True)
    if not results:
        return None
    best = max(results, key=lambda s: np.mean([r["calibration_db"] for r in results[s]]))
    default = next(iter(tool.settings))
    return {"default": (default, results.get(default)), "best": (best, results[best])}


def row(model, tool, which, setting, runs):
    measured = [model.judge.measure(r["outputs"]) for r in runs]
    mean = {k: float(np.mean([m[k] for m in measured])) for k in measured[0]}
    worst = max(m["drop"] for m in measured)
    size = runs[0]["size"]
    agreement = f"{mean['agreement']:6.2f}" if "agreement" in mean else "     -"
    print(f"  {tool:13} {which:7} {setting:32} {mean['points']:6.2f} {mean['drop']:+6.2f} (worst {worst:+6.2f}) "
          f"{agreement} {mean['sqnr_db']:6.1f} dB {size or 0:9}", flush=True)
    return {"tool": tool, "which": which, "setting": setting, "size": size, "worst_drop": worst, **mean}


def compare(model, tools):
    constant, share = model.judge.constant()
    print(f"\n{model.name}: float {model.judge.points(model.judge.float):.2f} points, a constant predictor {constant:.2f}"
          + (f", largest class {share:.1f} % of the float predictions" if share else ""))
    if share and share > 50:
        print("  agreement does not count here: one class holds more than half of the float predictions")
    print(f"  {'':13} {'':7} {'setting':32} points   drop               agree.   SQNR      bytes", flush=True)
    rows, kept = [], {}
    for tool in tools:
        found = trials(tool, model)
        for which, (setting, runs) in (found or {}).items():
            if runs:
                rows.append(row(model, tool.name, which, setting, runs))
                kept[tool.name, which] = runs
    gaps = {}
    for ours, theirs in (("default", "default"), ("default", "best"), ("best", "best")):
        others = [r for r in rows if r["which"] == theirs and r["tool"] != "Samara"]
        if not others or ("Samara", ours) not in kept:
            continue
        peer = max(others, key=lambda r: r["points"])
        pairs = [[r["outputs"] for r in kept[key]] for key in (("Samara", ours), (peer["tool"], theirs))]
        mean, low, high = model.judge.interval(*pairs)
        gaps[f"{ours} - {theirs}"] = {"peer": peer["tool"], "mean": mean, "low": low, "high": high}
        print(f"  Samara {ours} - best {theirs} peer ({peer['tool']}): {mean:+.2f} points, 95 % [{low:+.2f}, {high:+.2f}]")
    return {"model": model.name, "float": model.judge.points(model.judge.float), "constant": constant,
            "largest_class": share, "rows": rows, "gaps": gaps}


def timing(model, ours):
    """Min-max only, the whole of each tool's work, in turns. ONNX Runtime's imports and process start are left out, so
    Samara's process start, measured beside them, is subtracted; the ratio with it is printed, too."""
    theirs = peers.OnnxRuntime()
    a, b, start = samara.seconds(lambda: ours.quantize(model, model.draws[0], "min-max only"),
                                 lambda: theirs.quantize(model, model.draws[0], "S8S8 per channel, minmax"),
                                 lambda: subprocess.run([ours.command, "--version"], check=True, capture_output=True))
    print(f"  {model.name}: Samara {a - start:.3f} s, ONNX Runtime {b:.3f} s, ratio {(a - start) / b:.2f} "
          f"({a / b:.2f} with the {start:.3f} s that a process takes to start)", flush=True)
    return {"model": model.name, "samara_s": a - start, "start_s": start, "onnxruntime_s": b, "ratio": (a - start) / b}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*OWN, *MLPERF]
    parser.add_argument("--models", default=",".join(names))
    parser.add_argument("--peers", default=",".join(peers.REGISTRY))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--test", type=int, default=5000)
    parser.add_argument("--out", help="results as JSON")
    parser.add_argument("--time-only", action="store_true", help="only how long min-max takes: on an idle machine")
    arguments = parser.parse_args()
    build = ["cargo", "build", "--release", "--quiet", "--locked", "-p", "samara-packager", "-p", "samara-models"]
    subprocess.run([*build, "--bin", "samara", "--bin", "samara-models"], cwd=ROOT, check=True)
    target = json.loads(subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT,
                                       check=True, capture_output=True).stdout)["target_directory"]
    ours = samara.Samara(f"{target}/release/samara")
    tools = [ours, *peers.load([] if arguments.time_only else arguments.peers.split(","))]
    results, models = [], []
    if arguments.time_only:
        arguments.draws, arguments.test = 1, 64
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models.split(","):
            if name in OWN:
                model = own(name, OWN[name], folder, f"{target}/release/samara-models", arguments.draws, arguments.test)
            elif not SHARED.exists():
                print(f"SKIPPED {name}: {SHARED} is not there")
                continue
            else:
                model = mlperf(name, MLPERF[name][1], folder, arguments.draws, arguments.test)
            models.append(model)
            if arguments.time_only:
                continue
            results.append(compare(model, tools))
            if arguments.out:
                pathlib.Path(arguments.out).write_text(json.dumps(results, indent=1))
        print("\nTime of min-max quantization, 256 samples, least of fifteen:")
        times = [timing(model, ours) for model in models]
    for key in ("default - default", "default - best", "best - best"):
        gaps = [r["gaps"][key] for r in results if key in r["gaps"]]
        if gaps:
            print(f"Samara {key} peer: mean over models {np.mean([g['mean'] for g in gaps]):+.2f} points, "
                  f"least lower bound {min(g['low'] for g in gaps):+.2f}")
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps({"models": results, "times": times}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
