"""Writes base.safetensors and, for each kind of adapter, its tensors, its configuration and the merged weights.

Python 3.11, torch 2.15.0, peft 0.21.2, transformers 5.24.0:  python3 make.py
"""

import os
import shutil
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

HERE = os.path.dirname(os.path.abspath(__file__))


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(6, 8, bias=False)
        self.k_proj = torch.nn.Linear(6, 4, bias=False)
        self.mixed = Conv1D(6, 6)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(10, 6)
        self.blocks = torch.nn.ModuleList([Block(), Block()])
        self.conv = torch.nn.Conv2d(3, 4, 2, bias=False)
        self.score = torch.nn.Linear(6, 2, bias=False)


LINEAR = ["q_proj", "k_proj"]
KINDS = {
    "plain": dict(r=2, lora_alpha=6, target_modules=LINEAR),
    "patterns": dict(
        r=4,
        lora_alpha=8,
        target_modules=LINEAR,
        rank_pattern={"blocks.0.q_proj": 1, "k_proj": 3},
        alpha_pattern={"k_proj": 5, "blocks.1.q_proj": 3},
    ),
    "stabilised": dict(r=4, lora_alpha=8, use_rslora=True, target_modules=LINEAR),
    "dora": dict(r=2, lora_alpha=4, use_dora=True, target_modules=LINEAR),
    "conv1d": dict(r=2, lora_alpha=4, fan_in_fan_out=True, target_modules=["mixed"]),
    "conv1d-dora": dict(r=2, lora_alpha=4, fan_in_fan_out=True, use_dora=True, target_modules=["mixed"]),
    "embedding": dict(r=2, lora_alpha=4, target_modules=["embed", "conv"]),
    "saved": dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["score"]),
}


def contiguous(state):
    return {name: tensor.detach().contiguous().clone() for name, tensor in state.items()}


def main():
    torch.manual_seed(0)
    base = Model()
    start = contiguous(base.state_dict())
    save_file(start, os.path.join(HERE, "base.safetensors"))
    for kind, options in KINDS.items():
        model = Model()
        model.load_state_dict(start)
        model.name_or_path = "acme/base"
        model = get_peft_model(model, LoraConfig(**options))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                with torch.no_grad():
                    parameter.add_(0.3 * torch.randn_like(parameter))
        folder = tempfile.mkdtemp()
        model.save_pretrained(folder, save_embedding_layers=False)
        for name, to in (("adapter_model.safetensors", "safetensors"), ("adapter_config.json", "json")):
            shutil.copy(os.path.join(folder, name), os.path.join(HERE, f"{kind}.{to}"))
        shutil.rmtree(folder)
        merged = contiguous(model.merge_and_unload().state_dict())
        save_file(merged, os.path.join(HERE, f"{kind}.merged.safetensors"))


if __name__ == "__main__":
    main()
