"""Compares `recover --method paper` with independently computed references, split by split."""

import json
import pathlib
import subprocess
import sys


def recover(command, split, reference):
    arguments = [command, str(split), "--method", "paper", "--format", "json"]
    arguments += ["--clusters", str(reference["clusters"]), "--stage", reference["stage"]]
    arguments += ["--distance", reference["distance"], "--linkage", reference["linkage"]]
    arguments += ["--lambda", str(reference["c"])]
    for option, globs in (("--layers", "layers"), ("--score-layers", "score_layers")):
        for glob in reference[globs] or []:
            arguments += [option, glob]
    output = [json.loads(subprocess.check_output(arguments + more)) for more in ([], ["--threads", "1"])]
    for report in output:
        del report["seconds"]
    assert output[0] == output[1], f"{split.name}: results depend on the threads"
    return output[0]


def check(report, reference, name):
    order = {model: index for index, model in enumerate(reference["order"])}
    table = "rank_max_condensed" if reference["distance"] == "rank" else "l2_condensed"
    size = len(order)
    edges = set()
    labels = {}
    for model in report["models"]:
        kurtosis = reference["kurtosis"][model["id"]]
        assert abs(model["score"] - kurtosis) <= 1e-9 * kurtosis, (name, model)
        tree = reference["clusters_found"][model["id"]]
        assert labels.setdefault(tree, model["tree"]) == model["tree"], (name, model)
        if model["parent"] is not None:
            edges.add((model["parent"], model["id"]))
            i, j = sorted((order[model["parent"]], order[model["id"]]))
            distance = reference[table][i * (2 * size - i - 1) // 2 + j - i - 1]
            assert abs(model["distance"] - distance) <= 1e-6 * distance, (name, model)
    assert len(report["models"]) == size, name
    assert len(set(labels.values())) == len(labels) == len(report["trees"]), name
    if reference["unique_optimum"]:
        assert edges == {tuple(edge) for edge in reference["edges"]}, name


def main():
    command, folder = sys.argv[1:]
    for path in sorted(pathlib.Path(folder).glob("*/reference.json")):
        reference = json.loads(path.read_text())
        check(recover(command, path.parent, reference), reference, path.parent.name)
        print(f"{path.parent.name}: as the reference")


main()
