"""Minimum spanning arborescences by networkx 3.6.1, Python 3.11: weight and root.

Run as `python networkx_weights.py > networkx_weights.json`. The weights of a case come from the
generator below, so the numbers needn't be kept: the edge from u to v weighs draw() % range, drawn
for u = 0, 1, ... and for each v other than u in ascending order; the edge is absent where another
draw() % 100 is below `absent`.
"""

import json

import networkx

MASK = (1 << 64) - 1


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def digraph(size, seed, weights, absent):
    draw = splitmix64(seed)
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(size))
    for u in range(size):
        for v in range(size):
            if u != v:
                weight = next(draw) % weights
                if next(draw) % 100 >= absent:
                    graph.add_edge(u, v, weight=weight)
    return graph


cases = []
for seed, (size, weights, absent) in enumerate(
    [
        (2, 10, 0),
        (3, 5, 0),
        (5, 20, 30),
        (8, 4, 40),
        (12, 1000, 0),
        (20, 1000000, 50),
        (30, 100, 80),
        (40, 1 << 40, 0),
        (60, 50, 90),
        (60, 1 << 50, 20),
    ]
):
    graph = digraph(size, seed, weights, absent)
    tree = networkx.minimum_spanning_arborescence(graph)
    cases.append(
        {
            "size": size,
            "seed": seed,
            "range": weights,
            "absent": absent,
            "weight": int(tree.size("weight")),
            "root": next(v for v, degree in tree.in_degree() if degree == 0),
        }
    )
print(json.dumps(cases, indent=1))
