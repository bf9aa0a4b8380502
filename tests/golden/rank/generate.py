"""Golden singular values and ranks, made with numpy 2.4.6 (python 3.11).

    python3 generate.py > numpy.json

Matrices aren't stored: both sides make them from the same generator, exactly (every entry is an
integer over a power of two, and the sums of the products stay below 2**53).
"""

import json

import numpy as np

MASK = 2**64 - 1


def generator(seed):
    """xorshift64; multiples of 1/1024 from -1 up to 1."""
    state = seed
    while True:
        state ^= state << 13 & MASK
        state ^= state >> 7
        state ^= state << 17 & MASK
        yield ((state >> 32) % 2049 - 1024) / 1024


def matrix(rows, columns, values):
    return np.array([next(values) for _ in range(rows * columns)], dtype=np.float64).reshape(
        rows, columns
    )


def case(kind, rows, columns, inner, seed):
    values = generator(seed)
    if kind == "full":
        a = matrix(rows, columns, values)
    else:
        left, right = matrix(rows, inner, values), matrix(inner, columns, values)
        # More digits than f32 has; integers, so that no order of summation rounds.
        left += matrix(rows, inner, values) / 2**11
        a = ((left * 2**21) @ (right * 2**10)) / 2**31
        if kind == "rounded":
            a = a.astype(np.float32).astype(np.float64)
        elif kind == "update":
            before = matrix(rows, columns, values)
            after = (before + a).astype(np.float32).astype(np.float64)
            a = after - before
    s = np.linalg.svd(a, compute_uv=False)
    edge = s[0] * (max(rows, columns) * float(np.finfo(np.float32).eps))
    return {
        "kind": kind,
        "rows": rows,
        "columns": columns,
        "inner": inner,
        "seed": seed,
        "singular_values": s.tolist(),
        "rank_f64": int(np.linalg.matrix_rank(a)),
        "rank_f32": int((s > edge).sum()),
        "rank_relative": int(np.linalg.matrix_rank(a, rtol=0.1)),
        "rank_absolute": int(np.linalg.matrix_rank(a, tol=1.0)),
    }


CASES = [
    ("full", 1, 1, 0),
    ("full", 1, 9, 0),
    ("full", 9, 1, 0),
    ("full", 7, 7, 0),
    ("full", 30, 11, 0),
    ("full", 11, 30, 0),
    ("full", 48, 20, 0),
    ("product", 2, 2, 1),
    ("product", 12, 12, 5),
    ("product", 40, 9, 3),
    ("product", 9, 40, 3),
    ("product", 40, 40, 16),
    ("rounded", 12, 12, 5),
    ("rounded", 40, 24, 8),
    ("rounded", 24, 40, 8),
    ("rounded", 48, 48, 4),
    ("update", 12, 20, 4),
    ("update", 40, 40, 8),
    ("update", 48, 30, 12),
]

print(
    json.dumps(
        {
            "made_by": f"numpy {np.__version__}",
            "cases": [case(*c, seed=1000 + i) for i, c in enumerate(CASES)],
        },
        indent=1,
    )
)
