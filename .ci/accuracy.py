"""Checks that `evaluate`, told only the number of trees, is nowhere less accurate than it was."""

import json
import subprocess
import sys

# Right edges, and models in the right tree, of each split. They may only rise.
FLOORS = {
    "chain": (3, 15),
    "cnn": (12, 21),
    "deep": (36, 41),
    "ft": (38, 42),
    "gpt": (8, 21),
    "lora-f": (18, 21),
    "lora-v": (13, 21),
    "merged": (0, 16),
    "merges": (16, 21),
    "mixed": (16, 21),
    "pruned90": (11, 21),
    "quant-bf16": (18, 21),
    "quant-int8": (18, 21),
    "seeds": (5, 8),
    "zoo": (13, 21),
}


def main():
    command, folder = sys.argv[1:]
    splits = json.loads(subprocess.check_output([command, folder, "--format", "json"]))
    missing = FLOORS.keys() - {split["split"] for split in splits}
    assert not missing, f"no such split: {missing}"
    for split in splits:
        edges, models = FLOORS.get(split["split"], (0, 0))
        assert split["edges"]["right"] >= edges, split
        assert split["clusters"]["right"] >= models, split


main()
