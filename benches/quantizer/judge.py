"""Metrics, and a paired bootstrap between two quantizers on the same samples."""

import numpy as np


def sqnr(reference, got):
    """Signal to quantization noise in decibels, over all samples."""
    noise = np.sum((reference.astype(np.float64) - got) ** 2)
    return float("inf") if noise == 0 else float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / noise))


def auc(score, positive):
    """Area under the ROC curve by ranks, ties shared."""
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    for value in np.unique(score):
        same = score == value
        if same.sum() > 1:
            ranks[same] = ranks[same].mean()
    positives = int(positive.sum())
    negatives = len(score) - positives
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


class Judge:
    """Holds one model's test set; measures outputs in points (0 to 100) and decibels."""

    def __init__(self, kind, inputs, labels, float_outputs):
        self.kind, self.float = kind, float_outputs
        self.inputs = inputs.reshape(len(inputs), -1)
        if kind == "auc":
            self.float_score = self.error(float_outputs)
            # Without labels the float model's own tenth of greatest errors are the anomalies.
            self.labels = labels.astype(bool) if labels is not None else (
                self.float_score > np.quantile(self.float_score, 0.9))
        else:
            self.float_class = float_outputs.argmax(1)
            self.labels = self.float_class if labels is None else labels

    def error(self, outputs):
        return np.mean((self.inputs - outputs.reshape(len(outputs), -1)) ** 2, axis=1)

    def points(self, outputs, index=slice(None)):
        if self.kind == "auc":
            return 100 * auc(self.error(outputs)[index], self.labels[index])
        return 100 * float(np.mean((outputs.argmax(1) == self.labels)[index]))

    def measure(self, outputs):
        row = {"points": self.points(outputs), "sqnr_db": sqnr(self.float, outputs)}
        row["drop"] = self.points(self.float) - row["points"]
        if self.kind == "top1":
            row["agreement"] = 100 * float(np.mean(outputs.argmax(1) == self.float_class))
        return row

    def constant(self):
        """What a constant predictor would score, and the largest class's share of the float predictions."""
        if self.kind == "auc":
            return 50.0, None
        share = np.bincount(self.float_class).max() / len(self.float_class)
        return 100 * np.bincount(self.labels).max() / len(self.labels), 100 * float(share)

    def interval(self, ours, theirs, rounds=1000, seed=7):
        """Mean and 95 % interval of our points less theirs. `ours` and `theirs` are lists of outputs, one per
        calibration draw; samples are drawn again with replacement, the same for both and for all draws."""
        random = np.random.default_rng(seed)
        n = len(self.labels)
        if self.kind == "top1":
            gain = np.mean([
                (a.argmax(1) == self.labels).astype(float) - (b.argmax(1) == self.labels)
                for a, b in zip(ours, theirs)
            ], axis=0)
            means = [gain[random.integers(n, size=n)].mean() for _ in range(rounds)]
            return 100 * gain.mean(), *(100 * np.quantile(means, [0.025, 0.975]))
        scores = [(self.error(a), self.error(b)) for a, b in zip(ours, theirs)]
        difference = lambda i: np.mean([auc(a[i], self.labels[i]) - auc(b[i], self.labels[i]) for a, b in scores])
        means = [difference(random.integers(n, size=n)) for _ in range(rounds // 5)]
        return 100 * difference(slice(None)), *(100 * np.quantile(means, [0.025, 0.975]))
