"""Inputs for the MLPerf Tiny models, whose data sets are not part of this project: seeded, structured, and
balanced by the float model's own predictions, so that agreement with it says something."""

import numpy as np


def image(random, height, width, channels):
    """A gradient with up to eight shapes, stripes and lines over it, and noise; in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    slope = random.normal(0, 0.4, (channels, 2))
    picture = random.random(channels) + slope[:, 0] * (x[..., None] - 0.5) + slope[:, 1] * (y[..., None] - 0.5)
    for _ in range(random.integers(1, 9)):
        (cx, cy), radius, aspect = random.random(2), random.uniform(0.04, 0.45), random.uniform(0.3, 3)
        angle = random.uniform(0, np.pi)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        ellipse = (u / radius) ** 2 + (v / (radius * aspect)) ** 2 < 1
        mask = [
            ellipse,
            (abs(u) < radius) & (abs(v) < radius * aspect / 2),
            ellipse & (np.sin(2 * np.pi * u / (radius / 2 + 0.05)) > 0),
            abs(u) < radius * 0.15,
        ][random.integers(4)]
        colour, opacity = random.random(channels), random.uniform(0.4, 1)
        picture = np.where(mask[..., None], picture * (1 - opacity) + colour * opacity, picture)
    picture = picture + random.normal(0, random.choice([0, 0.02, 0.06, 0.15]), picture.shape)
    return np.clip(picture, 0, 1)


def keyword(random):
    """49 frames of 10 cepstral coefficients: up to three syllables, each gliding between two spectra."""
    frames = np.arange(49)
    energy, detail = np.zeros(49), np.zeros((49, 9))
    for _ in range(random.integers(1, 4)):
        centre, width = random.uniform(5, 44), random.uniform(3, 14)
        bump = np.exp(-0.5 * ((frames - centre) / width) ** 2)
        energy += bump * random.uniform(10, 90)
        first = random.normal(0, 1, 9)
        last = first + random.normal(0, 0.7, 9)
        mix = np.clip((frames - centre + width) / (2 * width), 0, 1)[:, None]
        size = random.uniform(4, 22) / np.sqrt(1 + 0.3 * np.arange(9))
        detail += bump[:, None] * ((1 - mix) * first + mix * last) * size
    out = np.zeros((49, 10))
    out[:, 0] = random.uniform(-110, -10) + energy + random.normal(0, 1, 49)
    out[:, 1:] = detail + random.normal(0, 1.5, 9) + random.normal(0, random.uniform(0.3, 3), (49, 9))
    return np.clip(out, -123, 26)[..., None]


def spectrum(random):
    """Five log-mel frames of 128 bands from a machine: hum, harmonics, broadband noise, now and then a whistle."""
    bands = np.arange(128)
    shape = random.uniform(-25, 5) - random.uniform(0.02, 0.25) * bands
    for _ in range(random.integers(2, 12)):
        shape = shape + random.uniform(2, 25) * np.exp(-0.5 * ((bands - random.uniform(0, 128)) / random.uniform(0.7, 6)) ** 2)
    frames = shape + random.normal(0, random.uniform(0.3, 3), (5, 128)) + random.normal(0, 1, (5, 1))
    if random.random() < 0.2:
        frames[:, random.integers(128)] += random.uniform(10, 40)
    return np.clip(frames, -84, 15).reshape(640)


KINDS = {
    "ad": spectrum,
    "ic": lambda r: image(r, 32, 32, 3) * 255,
    "kws": keyword,
    "vww": lambda r: image(r, 96, 96, 3),
}


def balanced(kind, count, seed, classify, share=0.35, pool=400_000):
    """`count` inputs; no class of `classify` holds more than `share` of them (half for two classes)."""
    random = np.random.default_rng(seed)
    make = KINDS[kind]
    if classify is None:
        return np.stack([make(random) for _ in range(count)]).astype(np.float32)
    kept, counts, limit = [], {}, None
    for _ in range(pool // 64):
        batch = np.stack([make(random) for _ in range(64)]).astype(np.float32)
        # Rare classes grow from their members: a member with a little of another input in it.
        if counts:
            rare = min(counts, key=counts.get)
            members = [k for k, c in kept if c == rare][-64:]
            for i in range(16):
                member = members[random.integers(len(members))]
                batch[i] = member + random.uniform(0.05, 0.3) * (batch[i] - member)
        for sample, scores in zip(batch, classify(batch)):
            limit = limit or max(1, int(count * (0.5 if len(scores) == 2 else share)))
            label = int(np.argmax(scores))
            if len(kept) < count and counts.get(label, 0) < limit:
                counts[label] = counts.get(label, 0) + 1
                kept.append((sample, label))
        if len(kept) == count:
            order = random.permutation(count)
            return np.stack([kept[i][0] for i in order])
    raise SystemExit(f"{kind}: {len(kept)} of {count} balanced inputs after {pool} tries")
