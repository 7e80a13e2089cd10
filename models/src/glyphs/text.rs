//! The model's own part of its card.

use super::{LABELS, LEVELS, OCTAVES, SIDE};
use crate::card::Text;

/// The words.
pub const TEXT: Text = Text {
    title: "Signs in small camera images",
    purpose,
    samples: "images",
    data,
    network,
    training: "AdamW, cosine learning rate, cross-entropy with label smoothing 0.05",
    limits: "For tests, demonstrations and benchmarks of quantizers: a model that plain min-max int8 breaks although its floats
are in order. It has never seen a photograph. Its channels were made unequal on purpose and more so than in most
networks; how a quantizer fares here says what it does about unequal channels, not what it does on average.",
};

fn purpose() -> String {
    format!(
        "Classifies a grey {SIDE} x {SIDE} image as one of {} signs: {}. The output is a probability per class.",
        LABELS.len(),
        LABELS.join(", ")
    )
}

fn data() -> String {
    format!(
        "Everything is simulated. A sign is a few strokes, turned by up to 22 degrees, sheared, stretched, between 10 and 22
pixels large and anywhere in the image; stroke width, polarity and contrast (log-uniform over a factor of four) are
drawn anew for each, as are a shaded background, one to four scratches of up to 0.9 of the sign's contrast, and pixel noise. Faint
signs drown and some signs differ by one stroke: the classes overlap by design, and the ranges were set, with
the network as it is, such that about one image in eight is classified wrongly.

Pixels are clipped to [-1, 1] and rounded to 1/{LEVELS}."
    )
}

fn network() -> String {
    let largest = 1 << OCTAVES;
    format!(
        "| block | output |
|---|---|
| Conv 3x3 stride 2, BatchNorm, ReLU | 16 x 16 x 16 |
| depthwise 3x3, BatchNorm, ReLU; pointwise, BatchNorm, ReLU | 24 x 16 x 16 |
| depthwise 3x3 stride 2, BatchNorm, ReLU; pointwise, BatchNorm, ReLU | 48 x 8 x 8 |
| depthwise 3x3, BatchNorm, ReLU; pointwise, BatchNorm; added to its input | 48 x 8 x 8 |
| depthwise 3x3 stride 2, BatchNorm, ReLU; pointwise, BatchNorm, ReLU | 96 x 4 x 4 |
| global average pool, flatten, linear, softmax | {} |

**Unequal channels, made so.** Pruned networks and networks with folded normalization show channels of one tensor whose ranges
differ by orders of magnitude. Here that is done on purpose after training: each channel of the stem, of every depthwise
convolution and of the first pointwise convolution is scaled by a power of two drawn evenly from 1/{largest} to {largest}
(gamma and beta of its normalization), and the weights that read the channel are divided by the same. ReLU passes positive
factors through, powers of two change no digit, so the outputs in floats are the same bits as before; a test says so. One scale
for the whole tensor, however, leaves channels scaled down with few levels or none. Scales per output channel of
the weights do not help: it is activations, and weights along the input channels, that are unequal. The tensors of
the residual addition and the input of the classifier keep the channels that training gave them.",
        LABELS.len()
    )
}
