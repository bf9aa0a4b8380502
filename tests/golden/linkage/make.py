"""Writes linkage.json: scipy's dendrograms of points that the test computes too.

The coordinates are whole numbers below `range` from the generator

    state = (state * 6364136223846793005 + 1442695040888963407) mod 2^64,  coordinate = (state >> 33) mod range

begun at state = size, three for each point; distances are Euclidean. A range of a million gives no two
equal distances (checked here), a range of 4 gives mostly equal ones.

Made with scipy 1.17.1 and numpy 2.4.6: python3 make.py > linkage.json
"""

import json

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

METHODS = ["single", "complete", "average", "weighted", "ward", "centroid", "median"]


def points(size, below):
    state = size
    rows = []
    for _ in range(size):
        row = []
        for _ in range(3):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            row.append(float((state >> 33) % below))
        rows.append(row)
    return np.array(rows)


cases = []
for below in (10**6, 4):
    for size in (2, 3, 5, 10, 40, 200):
        distances = pdist(points(size, below))
        ties = len(set(distances)) < len(distances)
        assert not ties or below == 4
        steps = {method: linkage(distances, method).tolist() for method in METHODS}
        cases.append({"size": size, "range": below, "steps": steps})
print(json.dumps(cases, separators=(",", ":")))
