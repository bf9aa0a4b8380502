"""Writes golden.json: moments by exact rational arithmetic, checked against scipy, and entropies.

Python 3.11, numpy 2.4.6, scipy 1.17.1:  python3 make.py > golden.json
"""

import json
import sys
from fractions import Fraction
from math import isqrt

import numpy as np
import scipy
from scipy import stats

MASK = (1 << 64) - 1


def integers(count, seed, bits):
    """The upper bits of a linear congruential generator (Knuth's MMIX constants)."""
    state, values = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        values.append(state >> (64 - bits))
    return values


def square_root(x, bits=200):
    """Far more digits than a double has."""
    scale = 1 << (2 * bits)
    return Fraction(isqrt(x.numerator * scale // x.denominator), 1 << bits)


def exact(values):
    x = [Fraction(v) for v in values]
    n = len(x)
    mean = sum(x) / n
    m2, m3, m4 = (sum((v - mean) ** k for v in x) / n for k in (2, 3, 4))
    result = {
        "mean": float(mean),
        "variance": float(m2),
        "sample_variance": float(m2 * n / (n - 1)) if n > 1 else None,
        "skewness": float(m3 / (m2 * square_root(m2))) if m2 else None,
        "sample_skewness": None,
        "kurtosis": float(m4 / m2**2) if m2 else None,
        "minimum": float(min(x)),
        "maximum": float(max(x)),
    }
    if m2 and n > 2:
        skewness = m3 / (m2 * square_root(m2))
        result["sample_skewness"] = float(skewness * square_root(Fraction(n * (n - 1))) / (n - 2))
    return result


def check(values, result):
    """scipy agrees, as far as its own accuracy goes."""
    x = np.array([float(v) for v in values])
    spread = np.ptp(x)
    if spread == 0 or abs(x.mean()) > 1e3 * spread:
        return
    assert np.isclose(stats.skew(x), result["skewness"], rtol=1e-9, atol=1e-9)
    if len(x) > 2:
        unbiased = stats.skew(x, bias=False)
        assert np.isclose(unbiased, result["sample_skewness"], rtol=1e-9, atol=1e-9)
    assert np.isclose(stats.kurtosis(x, fisher=False), result["kurtosis"], rtol=1e-9)
    assert np.isclose(x.var(), result["variance"], rtol=1e-9)


def main():
    lists = [
        [1, 2, 3, 4, 10],
        [10, 4, 3, 2, 1],
        [2, 4],
        [7],
        [3, 3, 3],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [-1, -1, -1, 5],
        [1, 1, 2, 3, 5, 8, 13, 21, 34],
        [0.5, 0.25, 0.125, 0.0625],
    ]
    out = {
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__},
        "lists": [],
        "sequences": [],
        "entropies": [],
    }
    for values in lists:
        result = exact(values)
        check(values, result)
        out["lists"].append({"values": values, **result})

    # value = offset + scale * k, with k from the generator, squared and sorted where asked for.
    sequences = [
        ("uniform", 5000, 1, 24, False, False, 0.0, 2.0**-24),
        ("uniform, symmetric", 20000, 2, 24, False, False, -0.5, 2.0**-24),
        ("squared", 10000, 3, 12, True, False, 0.0, 2.0**-24),
        ("squared, sorted", 10000, 4, 12, True, True, 0.0, 2.0**-24),
        ("f32, mean 1e6 deviations", 20000, 5, 3, False, False, 2.0**21, 1.0),
        ("f32, mean 1e6 deviations, sorted", 20000, 6, 3, False, True, 2.0**21, 1.0),
        ("f64, mean 1e6 deviations", 20000, 7, 20, True, False, 3e5, 2.0**-40),
        ("f64, mean 1e6 deviations, sorted", 20000, 8, 20, True, True, 3e5, 2.0**-40),
        ("f64, mean 1e8 deviations", 20000, 9, 12, True, False, 3e7, 2.0**-24),
        ("f64, mean 1e8 deviations, sorted", 20000, 10, 12, True, True, 3e7, 2.0**-24),
        ("f64, mean 1e11 deviations", 20000, 11, 4, True, False, 2.0**36, 2.0**-8),
    ]
    for name, count, seed, bits, squared, sort, offset, scale in sequences:
        k = integers(count, seed, bits)
        k = [v * v for v in k] if squared else k
        k = sorted(k) if sort else k
        # In f64, as the test computes them.
        values = [offset + scale * v for v in k]
        result = exact(values)
        check(values, result)
        out["sequences"].append(
            {
                "name": name,
                "count": count,
                "seed": seed,
                "bits": bits,
                "squared": squared,
                "sorted": sort,
                "offset": offset,
                "scale": scale,
                **result,
            }
        )

    for count, seed, bits, squared, bins in [
        (1, 1, 24, False, 256),
        (2, 1, 24, False, 256),
        (1000, 2, 24, False, 10),
        (20000, 3, 20, True, 256),
        (20000, 4, 20, False, 256),
    ]:
        k = integers(count, seed, bits)
        values = np.array([v * v if squared else v for v in k], dtype=float)
        counts, _ = np.histogram(values, bins=bins, range=(values.min(), values.max() + (count == 1)))
        out["entropies"].append(
            {
                "count": count,
                "seed": seed,
                "bits": bits,
                "squared": squared,
                "bins": bins,
                "entropy": float(stats.entropy(counts)),
            }
        )
    json.dump(out, sys.stdout, indent=1)
    print()


main()
