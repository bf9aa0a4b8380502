//! Parses the names of an adapter's tensors: which weight each changes, and which part of the change it is.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The weight that an adapter changes, as the adapter's library names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Module {
    /// The component of a pipeline to which it belongs; empty if the adapter is for one model.
    pub(super) component: String,
    pub(super) name: String,
    pub(super) separator: Separator,
}

/// The separator between the parts of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Separator {
    Dot,
    /// kohya's names have underscores in place of the model's dots.
    Underscore,
}

/// The role of a tensor in the change of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The factor that is applied first, with `rank` rows.
    Down,
    /// The factor that is applied to the result.
    Up,
    /// The factors of an embedding table, which is changed by the transpose of their product.
    EmbeddingDown,
    EmbeddingUp,
    /// The factors between these two: of a convolution (LoCon), or a diagonal (AdaLoRA).
    Middle,
    Diagonal,
    /// The number by which AdaLoRA divides alpha.
    Divisor,
    /// DoRA's trained norm of each output's weights.
    Magnitude,
    /// A number that scales the change.
    Alpha,
    /// The factors of LoHa's two products, each with a factor of outputs and one of inputs.
    Hadamard(Factor),
    HadamardOther(Factor),
    /// LoKr's two tables, each whole or as a product.
    Kronecker(Factor),
    KroneckerOther(Factor),
    /// IA3's scaling factors.
    Factors,
    /// The whole change of the weight, and that of the bias next to it.
    Difference,
    BiasDifference,
}

/// A table, or one factor of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Factor {
    Whole,
    OfOutputs,
    OfInputs,
    /// Between the other two, for convolutions.
    Middle,
}

impl Part {
    /// The factors of LoHa's two products.
    pub(super) const HADAMARD: [fn(Factor) -> Self; 2] = [Self::Hadamard, Self::HadamardOther];

    /// LoKr's two tables.
    pub(super) const KRONECKER: [fn(Factor) -> Self; 2] = [Self::Kronecker, Self::KroneckerOther];

    /// The part that this segment of a name stands for.
    fn of_segment(segment: &str) -> Option<Self> {
        use Factor::{Middle, OfInputs, OfOutputs, Whole};
        Some(match segment {
            "lora_A" | "lora_down" => Self::Down,
            "lora_B" | "lora_up" => Self::Up,
            "lora_embedding_A" => Self::EmbeddingDown,
            "lora_embedding_B" => Self::EmbeddingUp,
            "lora_mid" => Self::Middle,
            "lora_E" => Self::Diagonal,
            "ranknum" => Self::Divisor,
            "lora_magnitude_vector" => Self::Magnitude,
            "alpha" => Self::Alpha,
            "hada_w1_a" => Self::Hadamard(OfOutputs),
            "hada_w1_b" => Self::Hadamard(OfInputs),
            "hada_t1" => Self::Hadamard(Middle),
            "hada_t2" => Self::HadamardOther(Middle),
            "hada_w2_a" => Self::HadamardOther(OfOutputs),
            "hada_w2_b" => Self::HadamardOther(OfInputs),
            "lokr_w1" => Self::Kronecker(Whole),
            "lokr_w1_a" => Self::Kronecker(OfOutputs),
            "lokr_w1_b" => Self::Kronecker(OfInputs),
            "lokr_w2" => Self::KroneckerOther(Whole),
            "lokr_w2_a" => Self::KroneckerOther(OfOutputs),
            "lokr_w2_b" => Self::KroneckerOther(OfInputs),
            "lokr_t2" => Self::KroneckerOther(Middle),
            "ia3_l" => Self::Factors,
            "diff" | "w_norm" => Self::Difference,
            "diff_b" | "b_norm" => Self::BiasDifference,
            _ => return None,
        })
    }
}

/// The role of a tensor in an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TensorName {
    /// Part of the change of a weight.
    Part(Module, Part),
    /// Part of a change by the named, unsupported method.
    OtherMethod(&'static str),
    /// Anything else: a tensor that replaces one of the base's.
    Whole,
}

/// Segments of names that identify unsupported methods.
const OTHER_METHODS: [(&str, &str); 33] = [
    ("adaption_gate", "adaption prompts"),
    ("adaption_prompt", "adaption prompts"),
    ("bone_block", "Bone"),
    ("boft_R", "BOFT"),
    ("boft_s", "BOFT"),
    ("c3a_kernel", "C3A"),
    ("dora_scale", "LyCORIS's DoRA"),
    ("fourierft_spectrum", "FourierFT"),
    ("hra_u", "HRA"),
    ("lora_a", "LoRA of MLX or llama.cpp"),
    ("lora_b", "LoRA of MLX or llama.cpp"),
    ("miss_block", "MiSS"),
    ("oft_r", "OFT"),
    ("oft_R", "OFT"),
    ("oft_blocks", "OFT"),
    ("poly_lora_A", "Poly"),
    ("poly_lora_B", "Poly"),
    ("proj_lora1", "LoRA of XLabs"),
    ("proj_lora2", "LoRA of XLabs"),
    ("prompt_embeddings", "prompt tuning"),
    ("qkv_lora1", "LoRA of XLabs"),
    ("qkv_lora2", "LoRA of XLabs"),
    ("randlora_lambda", "RandLoRA"),
    ("road_theta", "RoAd"),
    ("shira_weight", "SHiRA"),
    ("trainable_tokens_delta", "trainable tokens"),
    ("vblora_logits_A", "VB-LoRA"),
    ("vblora_logits_B", "VB-LoRA"),
    ("vera_A", "VeRA"),
    ("vera_B", "VeRA"),
    ("vera_lambda_b", "VeRA"),
    ("vera_lambda_d", "VeRA"),
    ("waveft_spectrum", "WaveFT"),
];

/// The prefix that PEFT adds to all names.
const PEFT_PREFIX: &str = "base_model.model.";

/// The components of pipelines, by diffusers' names.
const COMPONENTS: [&str; 6] = [
    "unet",
    "transformer",
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
    "prior",
];

impl TensorName {
    pub(super) fn parse(name: &str) -> Self {
        let segments: Vec<&str> = name.split('.').collect();
        let other = OTHER_METHODS
            .iter()
            .find(|(segment, _)| segments.contains(segment));
        if let Some((_, method)) = other {
            return Self::OtherMethod(method);
        }
        if segments.contains(&"lora_B") && segments.last() == Some(&"bias") {
            return Self::OtherMethod("LoRA with biases");
        }
        let found = (1..segments.len()).rev().find_map(|at| {
            let (part, length, module) = part_at(&segments, at)?;
            is_end(part, segments.get(at + length..)?).then_some((part, module))
        });
        match found {
            Some((Part::BiasDifference, module)) => {
                Self::Part(Module::new(&module).bias(), Part::Difference)
            }
            Some((part, module)) => Self::Part(Module::new(&module), part),
            None => Self::Whole,
        }
    }
}

/// The part that the segments starting here name, how many segments it takes, and the module before them.
fn part_at(segments: &[&str], at: usize) -> Option<(Part, usize, String)> {
    let (&segment, next) = (segments.get(at)?, segments.get(at + 1));
    let before = segments.get(..at)?.join(".");
    let direction = match next {
        Some(&"down") => Some(Part::Down),
        Some(&"up") => Some(Part::Up),
        _ => None,
    };
    if let Some(part) = direction {
        if segment == "lora" || segment == "lora_linear_layer" {
            return Some((part, 2, before));
        }
        // `attn1.processor.to_q_lora.down`
        let projection = segment.strip_suffix("_lora")?;
        let before = before.strip_suffix(".processor").unwrap_or(&before);
        let projection = if projection == "to_out" {
            "to_out.0"
        } else {
            projection
        };
        return Some((part, 2, format!("{before}.{projection}")));
    }
    let part = Part::of_segment(segment)?;
    Some((part, 1, before))
}

/// Whether these segments may follow a part: the adapter's name and `weight`.
fn is_end(part: Part, rest: &[&str]) -> bool {
    match (part, rest) {
        (Part::Alpha | Part::Difference | Part::BiasDifference, rest) => rest.is_empty(),
        (_, [] | [_] | [_, "weight"]) => rest != ["bias"],
        _ => false,
    }
}

impl Module {
    fn new(name: &str) -> Self {
        let module = |component: &str, name: &str, separator| Self {
            component: component.to_owned(),
            name: name.to_string(),
            separator,
        };
        if let Some(name) = name.strip_prefix(PEFT_PREFIX) {
            return module("", name, Separator::Dot);
        }
        if let Some((component, name)) = name.split_once('.')
            && COMPONENTS.contains(&component)
        {
            let name = name.strip_prefix(PEFT_PREFIX).unwrap_or(name);
            return module(component, name, Separator::Dot);
        }
        match name
            .strip_prefix("lora_")
            .and_then(|name| name.split_once('_'))
        {
            Some((component, rest)) if !name.contains('.') => {
                module(component, rest, Separator::Underscore)
            }
            _ => module("", name, Separator::Dot),
        }
    }
}

impl Module {
    /// The bias next to this weight.
    fn bias(self) -> Self {
        let end = match self.separator {
            Separator::Dot => ".bias",
            Separator::Underscore => "_bias",
        };
        Self {
            name: self.name + end,
            ..self
        }
    }
}

/// The name of a tensor that replaces one of the base's, without PEFT's additions.
pub(super) fn whole_name(name: &str) -> String {
    let name = name.strip_prefix(PEFT_PREFIX).unwrap_or(name);
    let segments: Vec<&str> = name.split('.').collect();
    let kept = segments.iter().enumerate().filter(|&(at, &segment)| {
        let after = at.checked_sub(1).and_then(|before| segments.get(before));
        segment != "modules_to_save" && after != Some(&"modules_to_save")
            || at + 1 == segments.len()
    });
    let kept: Vec<&str> = kept.map(|(_, &segment)| segment).collect();
    kept.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_are_taken_apart() {
        use Part::{Alpha, Difference, Down, EmbeddingUp, Magnitude, Up};
        let dotted = [
            ("base_model.model.h.0.q.lora_A.weight", "", "h.0.q", Down),
            (
                "base_model.model.h.0.q.lora_B.default.weight",
                "",
                "h.0.q",
                Up,
            ),
            (
                "base_model.model.wte.lora_embedding_B",
                "",
                "wte",
                EmbeddingUp,
            ),
            (
                "base_model.model.q.lora_magnitude_vector",
                "",
                "q",
                Magnitude,
            ),
            (
                "base_model.model.q.lora_magnitude_vector.weight",
                "",
                "q",
                Magnitude,
            ),
            (
                "unet.down.0.to_q.lora_A.weight",
                "unet",
                "down.0.to_q",
                Down,
            ),
            (
                "unet.up.attn1.to_k.lora.up.weight",
                "unet",
                "up.attn1.to_k",
                Up,
            ),
            (
                "unet.up.attn1.processor.to_q_lora.down.weight",
                "unet",
                "up.attn1.to_q",
                Down,
            ),
            (
                "unet.attn1.processor.to_out_lora.up.weight",
                "unet",
                "attn1.to_out.0",
                Up,
            ),
            (
                "text_encoder.q.lora_linear_layer.up.weight",
                "text_encoder",
                "q",
                Up,
            ),
            ("layers.0.q_proj.lora_B.weight", "", "layers.0.q_proj", Up),
            ("unet.q.alpha", "unet", "q", Alpha),
            ("blocks.0.norm.diff", "", "blocks.0.norm", Difference),
            ("blocks.0.q.diff_b", "", "blocks.0.q.bias", Difference),
        ];
        for (name, component, module, part) in dotted {
            let expected = Module {
                component: component.into(),
                name: module.into(),
                separator: Separator::Dot,
            };
            assert_eq!(
                TensorName::parse(name),
                TensorName::Part(expected, part),
                "{name}"
            );
        }
        let expected = Module {
            component: "unet".into(),
            name: "down_blocks_0_to_q".into(),
            separator: Separator::Underscore,
        };
        let name = "lora_unet_down_blocks_0_to_q.lora_down.weight";
        assert_eq!(TensorName::parse(name), TensorName::Part(expected, Down));
    }

    #[test]
    fn other_tensors_are_distinguished() {
        let whole = [
            "base_model.model.score.weight",
            "alpha",
            "q.alpha.weight",
            "lora_A.weight",
            "q.diff.weight",
        ];
        for name in whole {
            assert_eq!(TensorName::parse(name), TensorName::Whole, "{name}");
        }
        let other = TensorName::parse("base_model.model.q.vera_lambda_b");
        assert_eq!(other, TensorName::OtherMethod("VeRA"));
        let biased = TensorName::parse("base_model.model.q.lora_B.bias");
        assert_eq!(biased, TensorName::OtherMethod("LoRA with biases"));
        let name = "base_model.model.score.modules_to_save.default.weight";
        assert_eq!(whole_name(name), "score.weight");
        assert_eq!(
            whole_name("base_model.model.score.modules_to_save.weight"),
            "score.weight"
        );
        assert_eq!(whole_name("base_model.model.score.weight"), "score.weight");
    }
}
