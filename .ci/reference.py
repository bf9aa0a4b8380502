"""Compares `recover --method paper` with independently computed references, split by split."""

import json
import pathlib
import subprocess
import sys


def recover(command, split, reference, *more):
    arguments = [command, str(split), "--method", "paper", "--format", "json"]
    arguments += ["--clusters", str(reference["clusters"]), "--stage", reference["stage"]]
    arguments += ["--distance", reference["distance"], "--linkage", reference["linkage"]]
    arguments += ["--lambda", str(reference["c"]), *more]
    for option, globs in (("--layers", "layers"), ("--score-layers", "score_layers")):
        for glob in reference[globs] or []:
            arguments += [option, glob]
    output = [json.loads(subprocess.check_output(arguments + more)) for more in ([], ["--threads", "1"])]
    for report in output:
        del report["seconds"]
    assert output[0] == output[1], f"{split.name}: results depend on the threads"
    return output[0]


def check_scores(report, reference, name):
    """The models are the reference's, and so are their scores."""
    assert sorted(model["id"] for model in report["models"]) == sorted(reference["order"]), name
    for model in report["models"]:
        kurtosis = reference["kurtosis"][model["id"]]
        assert abs(model["score"] - kurtosis) <= 1e-9 * kurtosis, (name, model)


def check_distances(report, reference, table, name):
    """The edges have the reference's distances; ranks are equal."""
    order = {model: index for index, model in enumerate(reference["order"])}
    size = len(order)
    tolerance = 1e-6 if table == "l2_condensed" else 0
    for model in report["models"]:
        if model["parent"] is not None:
            i, j = sorted((order[model["parent"]], order[model["id"]]))
            distance = reference[table][i * (2 * size - i - 1) // 2 + j - i - 1]
            assert abs(model["distance"] - distance) <= tolerance * distance, (name, model)


def check_forest(report, reference, name):
    """The clusters are the reference's, and so are the edges, or at least what they weigh."""
    labels = {}
    for model in report["models"]:
        tree = reference["clusters_found"][model["id"]]
        assert labels.setdefault(tree, model["tree"]) == model["tree"], (name, model)
    assert len(set(labels.values())) == len(labels) == len(report["trees"]), name

    score = {model["id"]: model["score"] for model in report["models"]}
    children = [model for model in report["models"] if model["parent"] is not None]
    for tree in reference["trees"]:
        weight = 0.0
        for child in children:
            if child["id"] in tree["models"]:
                rises = score[child["parent"]] < score[child["id"]]
                wrong = rises != (reference["stage"] == "generalization")
                weight += child["distance"] + wrong * tree["lambda"]
        assert abs(weight - tree["weight"]) <= 1e-6 * tree["weight"], (name, weight, tree)
    if reference["unique_optimum"]:
        edges = {(child["parent"], child["id"]) for child in children}
        assert edges == {tuple(edge) for edge in reference["edges"]}, name


def main():
    command, folder = sys.argv[1:]
    for path in sorted(pathlib.Path(folder).glob("*/reference.json")):
        name = path.parent.name
        reference = json.loads(path.read_text())
        report = recover(command, path.parent, reference)
        check_scores(report, reference, name)
        check_forest(report, reference, name)
        if reference["distance"] == "rank":
            check_distances(report, reference, "rank_max_condensed", name)
            report = recover(command, path.parent, reference, "--ranks", "sum")
            check_distances(report, reference, "rank_sum_condensed", name)
        else:
            check_distances(report, reference, "l2_condensed", name)
        print(f"{name}: as the reference")


main()
