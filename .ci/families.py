#!/usr/bin/env python3
"""Trains families of small networks, parent to child, for `evaluate` and `calibrate`.

    pip install jax optax scikit-learn safetensors
    python3 .ci/families.py FOLDER

Four architectures (a perceptron, a convolutional and a residual network on scikit-learn's digits; an LSTM on the bytes
of this repository's own files) times six optimisers. Unlike those of large models, children are trained on tasks that
make them unlearn what their parent knew, at high rates and with strong decay, so their growth is erratic. A family
takes half a minute on one core; those that exist are kept.
"""

import json
import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
import optax
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

MODELS = 13
ROOT = Path(__file__).resolve().parent.parent
DIGITS = load_digits()
IMAGES = (DIGITS.data / 16).astype(np.float32)
FILES = ["README.md", "CHANGELOG.md", "ARCHITECTURE.md", "SECURITY.md", "src/growth.rs", "src/pytorch/file.rs"]
TEXTS = [np.minimum(np.frombuffer((ROOT / file).read_bytes(), np.uint8), 127).astype(np.int32) for file in FILES]


def digits(task):
    """The images and classes of one of the tasks on digits."""
    random = np.random.default_rng(1000 + task)
    x, y = IMAGES, DIGITS.target
    match task % 6:
        case 1:
            y = random.permutation(10)[y]
        case 2:
            y = y % 2
        case 3:
            x = x[:, random.permutation(64)]
        case 4:
            y = (x.sum(1) * 7).astype(int) % 10
        case 5:
            x = np.clip(x + random.standard_normal(x.shape).astype(np.float32) / 2, -1, 2)
    kept = random.random(len(y)) < 0.6
    return x[kept], y[kept].astype(np.int32)


def texts(task):
    """Sequences of characters, and the same shifted by one."""
    random = np.random.default_rng(2000 + task)
    text = TEXTS[task % len(TEXTS)]
    match task // len(TEXTS) % 3:
        case 1:
            text = text[::-1]
        case 2:
            text = random.permutation(128).astype(np.int32)[text]
    rows = np.stack([text[at : at + 33] for at in random.integers(0, len(text) - 33, 600)])
    return rows[:, :-1], rows[:, 1:]


def linear(weights, name, x):
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def norm(weights, name, x):
    x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * weights[f"{name}.norm.weight"]


def layers(**shapes):
    """Weights of these shapes, with a bias where the name ends in `_b`."""
    named = {}
    for name, shape in shapes.items():
        key = name.removesuffix("_b").replace("__", ".")
        named[f"{key}.weight"] = shape
        if name.endswith("_b"):
            named[f"{key}.bias"] = shape[:1]
    return named


def perceptron(weights, x):
    for at in range(3):
        x = jax.nn.relu(linear(weights, f"net.{at}", x))
    return linear(weights, "head", x)


def convolutional(weights, x):
    x = x.reshape(-1, 1, 8, 8)
    for at, stride in enumerate([1, 2, 1]):
        strides = (stride, stride)
        x = jax.lax.conv_general_dilated(x, weights[f"conv{at}.weight"], strides, "SAME")
        x = jax.nn.relu(x + weights[f"conv{at}.bias"][None, :, None, None])
    return linear(weights, "head", x.mean((2, 3)))


def residual(weights, x):
    x = linear(weights, "stem", x)
    for at in range(3):
        inner = jax.nn.gelu(linear(weights, f"blocks.{at}.fc1", norm(weights, f"blocks.{at}", x)))
        x = x + linear(weights, f"blocks.{at}.fc2", inner)
    return linear(weights, "head", x)


def lstm(weights, x):
    def step(state, x):
        h, c = state
        gates = linear(weights, "ih", x) + linear(weights, "hh", h)
        i, f, o, u = jnp.split(gates, 4, -1)
        c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(u)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[0], 64))
    _, h = jax.lax.scan(step, (zeros, zeros), weights["embed.weight"][x].transpose(1, 0, 2))
    return linear(weights, "head", h.transpose(1, 0, 2))


BLOCKS = {}
for at in range(3):
    BLOCKS |= layers(**{f"blocks__{at}__fc1_b": (128, 64), f"blocks__{at}__fc2_b": (64, 128)})
    BLOCKS[f"blocks.{at}.norm.weight"] = (64,)
# Of each architecture: what it computes, the shapes of its weights, the scale of their start, and its tasks.
ARCHITECTURES = {
    "perceptron": (
        perceptron,
        layers(net__0_b=(96, 64), net__1_b=(96, 96), net__2_b=(64, 96), head_b=(10, 64)),
        1.4,
        digits,
    ),
    "convolutional": (
        convolutional,
        layers(conv0_b=(24, 1, 3, 3), conv1_b=(48, 24, 3, 3), conv2_b=(48, 48, 3, 3), head_b=(10, 48)),
        1.4,
        digits,
    ),
    "residual": (residual, layers(stem_b=(64, 64), head_b=(10, 64)) | BLOCKS, 0.8, digits),
    "lstm": (lstm, layers(embed=(128, 48), ih_b=(256, 48), hh=(256, 64), head_b=(128, 64)), 1.0, texts),
}

# The optimiser for a rate, and the shape of the trees.
OPTIMISERS = {
    "adam": (optax.adam, "random"),
    "adamw": (lambda rate: optax.adamw(rate, weight_decay=0.05), "random"),
    "sgd": (lambda rate: optax.sgd(30 * rate, momentum=0.9), "random"),
    "decay": (
        lambda rate: optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(30 * rate, momentum=0.9)),
        "star",
    ),
    "lion": (lambda rate: optax.lion(rate / 3, weight_decay=0.05), "chain"),
    "rmsprop": (optax.rmsprop, "star"),
}


def start(random, shapes, scale):
    def weight(name, shape):
        if name.endswith("bias"):
            return np.zeros(shape, np.float32)
        if name.endswith("norm.weight"):
            return np.ones(shape, np.float32)
        return (scale / np.sqrt(np.prod(shape[1:])) * random.standard_normal(shape)).astype(np.float32)

    return {name: weight(name, shape) for name, shape in shapes.items()}


def train(network, weights, data, optimiser, steps, random):
    def loss(weights, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(network(weights, x), y).mean()

    @jax.jit
    def step(weights, state, x, y):
        updates, state = optimiser.update(jax.grad(loss)(weights, x, y), state, weights)
        return optax.apply_updates(weights, updates), state

    x, y = data
    state = optimiser.init(weights)
    for _ in range(steps):
        batch = random.integers(0, len(x), 48)
        weights, state = step(weights, state, x[batch], y[batch])
    return {name: np.asarray(weight) for name, weight in weights.items()}


def family(folder, architecture, optimiser, seed):
    network, shapes, scale, tasks = ARCHITECTURES[architecture]
    make, tree = OPTIMISERS[optimiser]
    random = np.random.default_rng(seed)
    models, nodes = [], []
    for at in range(MODELS):
        parent, task, steps, rate = None, 0, 1500, 2e-3
        weights = start(random, shapes, scale)
        if at > 0:
            parent = {
                "random": int(random.integers(0, at)),
                "chain": at - 1,
                "star": 0 if random.random() < 0.8 else int(random.integers(0, at)),
            }[tree]
            head = {name: weights[name] for name in weights if name.startswith("head")}
            replaced = head if tasks is digits and random.random() < 0.5 else {}
            weights = models[parent] | replaced
            task = int(random.integers(1, 30))
            steps = int(np.exp(random.uniform(np.log(60), np.log(800))))
            rate = float(np.exp(random.uniform(np.log(2e-4), np.log(3e-3))))
        weights = train(network, weights, tasks(task), make(rate), steps, random)
        models.append(weights)
        name = "".join(random.choice(list("abcdefghijkmnpqrstuvwxyz0123456789"), 8))
        nodes.append({"id": name, "parent": None if parent is None else nodes[parent]["id"], "tree": 0})
        if all(np.isfinite(weight).all() for weight in weights.values()):
            save_file({key: np.ascontiguousarray(weight) for key, weight in weights.items()}, folder / f"{name}.safetensors")
        else:
            raise SystemExit(f"{folder.name}: training diverged")
    (folder / "truth.json").write_text(json.dumps({"nodes": nodes}))


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    for first, architecture in enumerate(ARCHITECTURES):
        for second, optimiser in enumerate(OPTIMISERS):
            folder = Path(sys.argv[1]) / f"{architecture}-{optimiser}"
            if not (folder / "truth.json").exists():
                folder.mkdir(parents=True, exist_ok=True)
                print(folder.name, flush=True)
                family(folder, architecture, optimiser, 100 * first + second)


if __name__ == "__main__":
    main()
