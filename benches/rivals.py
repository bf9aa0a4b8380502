#!/usr/bin/env python3
"""Runs our benchmarks, times Python's libraries on the same arrays, and prints one table.

    pip install numpy==2.4.6 scipy==1.17.1 networkx==3.6.1 fastcluster==1.3.0 torch==2.15.0
    python3 benches/rivals.py

Rows of a library that isn't there are left out. All run on one thread, but for the rows that say
otherwise. Times are the least of some runs, as others make a shared machine slower for minutes: of
`cargo bench` those of its samples, which are means of some runs where these are short.
"""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

VERSIONS = {
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "networkx": "3.6.1",
    "fastcluster": "1.3.0",
    "torch": "2.15.0",
}
LINKAGES = ["single", "complete", "average", "weighted", "ward", "centroid", "median"]
BENCHES = pathlib.Path(__file__).resolve().parent


def library(name):
    """A library, or nothing."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    version = module.__version__.split("+")[0]
    if version != VERSIONS[name]:
        print(f"{name} is {version}, not {VERSIONS[name]}", file=sys.stderr)
    return module


def least_time(function, seconds=3.0):
    """The least time that a call takes, of one or more within so many seconds."""
    least, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        function()
        now = time.perf_counter()
        least = min(least, now - start)
        if now > end:
            return least


def benched(identifier):
    """The least that `cargo bench` measured, in seconds; None if it didn't run."""
    group, function = identifier.rsplit("/", 1)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", BENCHES / "target"))
    folder = target / "criterion" / group.replace("/", "_") / function
    try:
        found = json.loads((folder / "new" / "sample.json").read_text())
    except FileNotFoundError:
        return None
    return min(time / runs for time, runs in zip(found["times"], found["iters"])) / 1e9


class Table:
    def __init__(self):
        self.rows = []

    def compare(self, work, ours, rival, seconds):
        """Adds how many times longer the rival takes."""
        mother = benched(ours)
        if mother is None or seconds is None:
            return
        self.rows.append((work, rival, human(mother), human(seconds), f"{seconds / mother:.2g}"))

    def print(self):
        print("| work | rival | mother | rival's time | ratio |")
        print("|---|---|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def human(seconds):
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def moments(table, arrays, numpy):
    group = "moments/f32/33554432"
    for rival in ("sum", "average"):
        table.compare("moments, 32 M f32", f"{group}/mother", rival, benched(f"{group}/{rival}"))
    for element in ("bf16", "f16"):
        encoded = f"moments/{element}/33554432"
        name = f"moments, 32 M {element}"
        table.compare(name, f"{encoded}/mother", "mother's f32", benched(f"{encoded}/f32"))
    if numpy and library("scipy"):
        stats = importlib.import_module("scipy.stats")
        values = numpy.fromfile(arrays / "moments.f32", dtype=numpy.float32)
        seconds = least_time(lambda: stats.kurtosis(values))
        table.compare("moments, 32 M f32", f"{group}/mother", "scipy.stats.kurtosis", seconds)


def distances(table, arrays, numpy):
    for count in (1000, 3000):
        ours = f"distance/l2/{count}x768/mother"
        work = f"l2 distances, {count} × 768"
        if not numpy:
            continue
        rows = numpy.fromfile(arrays / f"distance-{count}x768.f32", dtype=numpy.float32)
        rows = rows.reshape(count, 768)
        if library("scipy"):
            spatial = importlib.import_module("scipy.spatial.distance")
            table.compare(work, ours, "scipy pdist", least_time(lambda: spatial.pdist(rows)))
        if torch := library("torch"):
            torch.set_num_threads(1)
            tensor = torch.from_numpy(rows)
            table.compare(work, ours, "torch.cdist", least_time(lambda: torch.cdist(tensor, tensor)))


def files(table):
    group = "measure/files/100x7000000"
    for kind in ("", "-with-growth"):
        one, two = (f"{group}/threads-{threads}{kind}" for threads in (1, 2))
        work = f"100 models of 7 M weights{kind.replace('-', ' ')}, 2 threads"
        table.compare(work, two, "1 thread", benched(one))
        table.compare(work, two, "reading the files", benched(f"{group}/read"))


def ranks(table, arrays, numpy):
    group = "rank/pairs/21x12x768"
    work = "ranks, 21 models × 12 layers of 768 × 768"
    for rival in ("faer", "faer-f32"):
        table.compare(work, f"{group}/mother", rival, benched(f"{group}/{rival}"))
    if numpy:
        layer = numpy.fromfile(arrays / "rank-21x768.f32", dtype=numpy.float32).reshape(21, 768, 768)
        sampled = [(first, (7 * first + 3) % 21) for first in range(0, 21, 4)]
        seconds = least_time(
            lambda: [numpy.linalg.matrix_rank(layer[u] - layer[v]) for u, v in sampled]
        )
        pairs = 12 * 21 * 20 / 2
        seconds *= pairs / len(sampled)
        table.compare(work, f"{group}/mother", "numpy matrix_rank", seconds)


def linkages(table, arrays, numpy):
    for size in (1000, 10000):
        for method in LINKAGES:
            if size > 1000 and method in ("centroid", "median", "weighted"):
                continue
            group, work = f"linkage/{method}/{size}", f"{method} linkage, n = {size:,}"
            table.compare(work, f"{group}/mother", "kodama", benched(f"{group}/kodama"))
            if not numpy:
                continue
            values = numpy.fromfile(arrays / f"linkage-{size}.f64")
            if library("scipy"):
                hierarchy = importlib.import_module("scipy.cluster.hierarchy")
                seconds = least_time(lambda: hierarchy.linkage(values, method), 1.0)
                table.compare(work, f"{group}/mother", "scipy", seconds)
            if fastcluster := library("fastcluster"):
                seconds = least_time(lambda: fastcluster.linkage(values, method), 1.0)
                table.compare(work, f"{group}/mother", "fastcluster", seconds)


def arborescences(table, arrays, numpy):
    for size in (121, 1000, 5000):
        group = f"arborescence/dense/{size}"
        for ours, kind in (("mother", "random"), ("mother-nested", "nested cycles")):
            work = f"dense arborescence, n = {size:,}, {kind}"
            seconds = benched(f"{group}/scan")
            table.compare(work, f"{group}/{ours}", "one scan of the matrix", seconds)
        for kind, suffix in (("random", ""), ("nested cycles", "-nested")):
            work = f"dense arborescence, n = {size:,}, {kind}, root given"
            rival = "chu-liu-edmonds"
            seconds = benched(f"{group}/{rival}{suffix}")
            table.compare(work, f"{group}/mother{suffix}-root", rival, seconds)
    networkx = library("networkx")
    if numpy and networkx:
        weights = numpy.fromfile(arrays / "arborescence-121.f64").reshape(121, 121)
        graph = networkx.DiGraph()
        pairs = [(u, v, weights[u, v]) for u in range(121) for v in range(121) if u != v]
        graph.add_weighted_edges_from(pairs)
        seconds = least_time(lambda: networkx.minimum_spanning_arborescence(graph))
        work, ours = "dense arborescence, n = 121, random", "arborescence/dense/121/mother"
        table.compare(work, ours, "networkx", seconds)


def own_parts():
    """What has no rival: how time grows, and what a recovery is made of."""
    print("\n| sparse arborescence, 16 edges a node | time | a edge and log₂ n |")
    print("|---|---|---|")
    for power in (3, 4, 5, 6):
        size = 10**power
        seconds = benched(f"arborescence/sparse/{size}")
        if seconds:
            log = power * 3.3219
            print(f"| n = {size:,} | {human(seconds)} | {human(seconds / (16 * size * log))} |")
    print("\n| recovery from files | reading | reading and measuring | reasoning | all |")
    print("|---|---|---|---|---|")
    for models in (105, 1000):
        group = f"whole/{models}x147456"
        parts = [benched(f"{group}/{part}") for part in ("read", "measure", "recover", "all")]
        if None not in parts:
            row = " | ".join(human(part) for part in parts)
            print(f"| {models:,} models of 147,456 weights | {row} |")


def main():
    with tempfile.TemporaryDirectory() as folder:
        command = ["cargo", "bench", "--bench", "benchmarks", "--", "--noplot", *sys.argv[1:]]
        environment = {**os.environ, "MOTHER_ARRAYS": folder}
        subprocess.run(command, cwd=BENCHES, env=environment, stdout=sys.stderr, check=True)
        table, arrays, numpy = Table(), pathlib.Path(folder), library("numpy")
        moments(table, arrays, numpy)
        distances(table, arrays, numpy)
        files(table)
        ranks(table, arrays, numpy)
        linkages(table, arrays, numpy)
        arborescences(table, arrays, numpy)
        table.print()
        own_parts()


if __name__ == "__main__":
    main()
