"""Checks that `evaluate`, which knows only the number of trees, is nowhere less accurate than it was."""

import json
import subprocess
import sys

# Right edges, and models in the right tree, of each split. They may only rise.
FLOORS = {
    "chain": (12, 15),
    "cnn": (20, 21),
    "deep": (40, 41),
    "ft": (40, 42),
    "gpt": (17, 21),
    "lora-f": (20, 21),
    "lora-v": (20, 21),
    "merged": (0, 18),
    "merges": (18, 24),
    "mixed": (20, 21),
    "pruned90": (20, 21),
    "quant-bf16": (20, 21),
    "quant-int8": (20, 21),
    "seeds": (6, 8),
    "zoo": (17, 21),
}

# Of all parents and roots, how many are right at least, and the greatest Brier score of their confidences.
RIGHT = 315
BRIER = 0.0251


def main():
    command, folder = sys.argv[1:]
    report = json.loads(subprocess.check_output([command, folder, "--format", "json"]))
    splits = report["splits"]
    missing = FLOORS.keys() - {split["split"] for split in splits}
    assert not missing, f"no such split: {missing}"
    for split in splits:
        edges, models = FLOORS.get(split["split"], (0, 0))
        assert split["edges"]["right"] >= edges, split
        assert split["clusters"]["right"] >= models, split
    reliability = report["reliability"]
    assert reliability["right"] >= RIGHT and reliability["brier"] <= BRIER, reliability


main()
