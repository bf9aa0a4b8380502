"""Writes linkage.json: scipy's dendrograms of points whose distances have no ties.

Made with scipy 1.17.1 and numpy 2.4.6: python3 make.py > linkage.json
"""

import json

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

METHODS = ["single", "complete", "average", "weighted", "ward", "centroid", "median"]
generator = np.random.default_rng(7)
cases = []
for size in (2, 3, 5, 10, 40):
    distances = pdist(generator.normal(size=(size, 3)))
    steps = {method: linkage(distances, method).tolist() for method in METHODS}
    cases.append({"size": size, "distances": distances.tolist(), "steps": steps})
print(json.dumps(cases))
