#!/usr/bin/env python3
"""Writes the files beside it with the real libraries, and what their values are.

Needs torch, gguf, numpy and safetensors; the versions that wrote the present files are in VERSIONS.
Everything is seeded, so that values stay as they are; archives also hold times and need not be equal
byte by byte.
"""

from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

HERE = Path(__file__).parent
TORCH = torch.Generator().manual_seed(7)
NUMPY = np.random.default_rng(7)


def matrix(*shape):
    return torch.randn(*shape, generator=TORCH)


def pytorch():
    whole = matrix(6, 10)
    state = {
        "plain": matrix(4, 6),
        "transposed": matrix(5, 7).t(),
        "slice": whole[2:4, 1:9:2],
        "shared": whole,
        "parameter": torch.nn.Parameter(matrix(3, 4)),
        "half": matrix(3, 5).half(),
        "bfloat": matrix(3, 5).bfloat16(),
        "double": matrix(3, 5).double(),
        "scalar": matrix(1)[0],
        "empty": torch.zeros(0, 3),
        "bytes": torch.arange(-4, 4, dtype=torch.int8),
        "f8": matrix(4, 4).to(torch.float8_e4m3fn),
        "steps": torch.tensor(1000),
        "mask": torch.tensor([True, False]),
    }
    expected = {name: value.detach().contiguous().clone() for name, value in state.items()}
    save_tensors(expected, HERE / "pytorch.safetensors")
    torch.save(state, HERE / "pytorch.pt")
    # Types that old files don't know are left out.
    legacy = {name: value for name, value in state.items() if name != "f8"}
    torch.save(legacy, HERE / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(legacy, HERE / "protocol4.bin", pickle_protocol=4)

    torch.manual_seed(7)
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(module.parameters())
    module(matrix(8, 6)).sum().backward()
    optimizer.step()
    save_tensors(module.state_dict(), HERE / "module.safetensors")
    torch.save(module, HERE / "module.pt")
    wrapped = {
        "epoch": 3,
        "state_dict": {f"module.{name}": value for name, value in module.state_dict().items()},
        "optimizer_states": [optimizer.state_dict()],
        "rng": torch.get_rng_state(),
        "loss": np.float64(0.25),
    }
    torch.save(wrapped, HERE / "wrapped.ckpt")
    torch.save(optimizer.state_dict(), HERE / "optimizer.pt")


def npz():
    whole = NUMPY.standard_normal((5, 8))
    arrays = {
        "single": whole.astype("<f4"),
        "double": whole,
        "half": whole.astype("<f2"),
        "big": whole.astype(">f4"),
        "fortran": np.asfortranarray(whole.astype("<f4")),
        "fortran_big": np.asfortranarray(whole.astype(">f8")),
        "cube": np.asfortranarray(NUMPY.standard_normal((3, 4, 5)).astype("<f4")),
        "long": np.tile(whole.astype("<f4"), (4, 8)),
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 3), dtype="<f4"),
        "steps": np.arange(5),
        "name": np.array("text"),
    }
    np.savez(HERE / "plain.npz", **arrays)
    np.savez_compressed(HERE / "compressed.npz", **arrays)
    kept = {
        name: np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")
        for name, array in arrays.items()
        if name not in ("steps", "name")
    }
    save_file(kept, HERE / "npz.safetensors")


QUANTISED = [
    Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1,
    Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K,
]

# Where in a block of each type half-precision scales lie.
SCALES = {
    Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}


def blocks(kind, rows, columns):
    """Random blocks with scales that are ordinary numbers."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    count = rows * columns // block
    data = NUMPY.integers(0, 256, (count, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scale = NUMPY.uniform(-0.1, 0.1, count).astype("<f2")
        data[:, at : at + 2] = scale.view(np.uint8).reshape(count, 2)
    return data.reshape(rows, columns // block * size)


def quantised():
    writer = gguf.GGUFWriter(HERE / "quantised.gguf", "unknown")
    expected = {}
    for kind in QUANTISED:
        data = blocks(kind, 2, 512 if kind.name.endswith("K") else 96)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        expected[kind.name] = quants.dequantize(data, kind)
    for kind, dtype in [(Type.F32, "<f4"), (Type.F16, "<f2"), (Type.F64, "<f8")]:
        values = NUMPY.standard_normal((3, 5)).astype(dtype)
        writer.add_tensor(kind.name, values, raw_dtype=kind)
        expected[kind.name] = values
    values = NUMPY.standard_normal((3, 6)).astype("<f4")
    bfloat = quants.quantize(values, Type.BF16)
    writer.add_tensor("BF16", bfloat, raw_dtype=Type.BF16)
    expected["BF16"] = quants.dequantize(bfloat, Type.BF16)
    writer.add_tensor("I32", np.arange(5, dtype="<i4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / "quantised.safetensors")


TABLES = {Type.IQ4_NL: [0], Type.IQ4_XS: [0], Type.MXFP4: [], Type.TQ1_0: [52], Type.TQ2_0: [64]}


def tables():
    """Types whose codes are looked up, or have three levels."""
    global NUMPY
    NUMPY = np.random.default_rng(8)
    SCALES.update(TABLES)
    writer = gguf.GGUFWriter(HERE / "tables.gguf", "unknown")
    expected = {}
    for kind in TABLES:
        data = blocks(kind, 2, 96 if kind in (Type.IQ4_NL, Type.MXFP4) else 512)
        if kind == Type.MXFP4:
            # From the least power of two to one that is ordinary.
            data.reshape(-1, 17)[:, 0] = [0, 1, 2, 3, 120, 127]
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        expected[kind.name] = quants.dequantize(data, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / "tables.safetensors")


def permute(weights, heads):
    """The order in which llama.cpp keeps the rows of q and k."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def llama():
    """A model of one layer with 4 heads, 2 for keys, as Hugging Face names it and as llama.cpp does."""
    hidden, wide, heads, keys = 32, 64, 4, 2
    state = {"model.embed_tokens.weight": (40, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (40, hidden)}
    for layer in range(1):
        block = f"model.layers.{layer}."
        state |= {
            block + "input_layernorm.weight": (hidden,),
            block + "self_attn.q_proj.weight": (hidden, hidden),
            block + "self_attn.k_proj.weight": (hidden // heads * keys, hidden),
            block + "self_attn.v_proj.weight": (hidden // heads * keys, hidden),
            block + "self_attn.o_proj.weight": (hidden, hidden),
            block + "post_attention_layernorm.weight": (hidden,),
            block + "mlp.gate_proj.weight": (wide, hidden),
            block + "mlp.up_proj.weight": (wide, hidden),
            block + "mlp.down_proj.weight": (hidden, wide),
        }
    state = {name: NUMPY.standard_normal(shape).astype("<f2").astype("<f4") for name, shape in state.items()}
    save_file(state, HERE / "llama.safetensors")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1)
    for kind in [Type.F32, Type.F16, Type.Q8_0]:
        writer = gguf.GGUFWriter(HERE / f"llama-{kind.name}.gguf", "llama")
        writer.add_name("tiny")
        writer.add_head_count(heads)
        writer.add_head_count_kv(keys)
        writer.add_token_list(["<s>", "a", "b"])
        for name, values in state.items():
            if "q_proj" in name:
                values = permute(values, heads)
            if "k_proj" in name:
                values = permute(values, keys)
            stored = kind if values.ndim > 1 else Type.F32
            data = quants.quantize(np.ascontiguousarray(values), stored)
            writer.add_tensor(names.get_name(name, (".weight",)), data, raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


pytorch()
npz()
quantised()
llama()
tables()
libraries = ["torch", "gguf", "numpy", "safetensors"]
(HERE / "VERSIONS").write_text("".join(f"{name} {version(name)}\n" for name in libraries))
