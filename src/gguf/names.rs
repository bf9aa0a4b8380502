//! Translates llama.cpp's names into the names of the same tensors at Hugging Face.

use alloc::format;
use alloc::string::String;

/// Architectures whose tensors have the same names as Llama's at Hugging Face.
const LIKE_LLAMA: &[&str] = &[
    "llama",
    "llama4",
    "mistral3",
    "qwen2",
    "qwen2vl",
    "qwen2moe",
    "qwen3",
    "qwen3moe",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma-embedding",
    "phi3",
    "granite",
    "granitemoe",
    "minicpm",
    "olmo",
    "olmo2",
    "xverse",
    "orion",
    "stablelm",
    "command-r",
    "cohere2",
    "smollm3",
    "arcee",
];

/// Architectures in which llama.cpp interleaves the two halves of each head of q and k.
const INTERLEAVED: &[&str] = &[
    "llama",
    "mistral3",
    "granite",
    "granitemoe",
    "minicpm",
    "olmo",
    "xverse",
    "smollm3",
    "arcee",
];

/// Whether the rows of q and k are in a different order than at Hugging Face.
pub(super) fn is_interleaved(architecture: &str) -> bool {
    INTERLEAVED.contains(&architecture)
}

/// Whether llama.cpp adds one to the weights of this norm.
pub(super) fn is_raised(architecture: &str, name: &str) -> bool {
    ["gemma", "gemma2", "gemma3", "gemma-embedding"].contains(&architecture)
        && name.ends_with("norm.weight")
}

/// Whether a tensor is derived from the configuration and so isn't a weight.
pub(super) fn is_derived(name: &str) -> bool {
    name.starts_with("rope_freqs.") || name.starts_with("rope_factors_")
}

/// The parts of a name `blk.N.part.end`.
pub(super) fn in_block(name: &str) -> Option<(usize, &str, &str)> {
    let (block, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let (part, end) = rest.rsplit_once('.')?;
    Some((block.parse().ok()?, part, end))
}

/// The name of a tensor at Hugging Face, if the architecture's names are known.
pub(super) fn original(architecture: &str, name: &str) -> Option<String> {
    let (top, block): (fn(&str) -> Option<&'static str>, Blocks) = match architecture {
        "phi3" => (of_llama, ("model.layers", in_phi)),
        "gemma2" | "gemma3" | "gemma-embedding" => (of_llama, ("model.layers", in_gemma)),
        like if LIKE_LLAMA.contains(&like) => (of_llama, ("model.layers", in_llama)),
        "gpt2" => (of_gpt2, ("transformer.h", in_gpt2)),
        "bert" => (of_bert, ("encoder.layer", in_bert)),
        _ => return None,
    };
    if let Some((number, part, end)) = in_block(name) {
        let (blocks, names) = block;
        return Some(format!("{blocks}.{number}.{}.{end}", names(part)?));
    }
    let (part, end) = name.rsplit_once('.')?;
    Some(format!("{}.{end}", top(part)?))
}

/// The name of a list of blocks, and the function that names the parts of one.
type Blocks = (&'static str, fn(&str) -> Option<&'static str>);

fn of_llama(part: &str) -> Option<&'static str> {
    Some(match part {
        "token_embd" => "model.embed_tokens",
        "output_norm" => "model.norm",
        "output" => "lm_head",
        _ => return None,
    })
}

fn in_llama(part: &str) -> Option<&'static str> {
    Some(match part {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_qkv" => "self_attn.qkv_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "post_attention_norm" => "post_attention_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "post_ffw_norm" => "post_feedforward_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        "ffn_gate_inp" => "mlp.gate",
        "ffn_gate_exps" => "mlp.experts.gate_proj",
        "ffn_up_exps" => "mlp.experts.up_proj",
        "ffn_down_exps" => "mlp.experts.down_proj",
        "ffn_gate_shexp" => "mlp.shared_expert.gate_proj",
        "ffn_up_shexp" => "mlp.shared_expert.up_proj",
        "ffn_down_shexp" => "mlp.shared_expert.down_proj",
        "ffn_gate_inp_shexp" => "mlp.shared_expert_gate",
        _ => return None,
    })
}

fn in_phi(part: &str) -> Option<&'static str> {
    match part {
        "ffn_up" => Some("mlp.gate_up_proj"),
        part => in_llama(part),
    }
}

/// Since its second version, Gemma has norms before and after each part.
fn in_gemma(part: &str) -> Option<&'static str> {
    match part {
        "ffn_norm" => Some("pre_feedforward_layernorm"),
        part => in_llama(part),
    }
}

fn of_gpt2(part: &str) -> Option<&'static str> {
    Some(match part {
        "token_embd" => "transformer.wte",
        "position_embd" => "transformer.wpe",
        "output_norm" => "transformer.ln_f",
        "output" => "lm_head",
        _ => return None,
    })
}

fn in_gpt2(part: &str) -> Option<&'static str> {
    Some(match part {
        "attn_norm" => "ln_1",
        "attn_qkv" => "attn.c_attn",
        "attn_output" => "attn.c_proj",
        "ffn_norm" => "ln_2",
        "ffn_up" => "mlp.c_fc",
        "ffn_down" => "mlp.c_proj",
        _ => return None,
    })
}

fn of_bert(part: &str) -> Option<&'static str> {
    Some(match part {
        "token_embd" => "embeddings.word_embeddings",
        "position_embd" => "embeddings.position_embeddings",
        "token_types" => "embeddings.token_type_embeddings",
        "token_embd_norm" => "embeddings.LayerNorm",
        _ => return None,
    })
}

fn in_bert(part: &str) -> Option<&'static str> {
    Some(match part {
        "attn_q" => "attention.self.query",
        "attn_k" => "attention.self.key",
        "attn_v" => "attention.self.value",
        "attn_output" => "attention.output.dense",
        "attn_output_norm" => "attention.output.LayerNorm",
        "ffn_up" => "intermediate.dense",
        "ffn_down" => "output.dense",
        "layer_output_norm" => "output.LayerNorm",
        _ => return None,
    })
}
