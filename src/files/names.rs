//! Parses file names: which model a file belongs to, and which part of it.

use alloc::string::String;
use std::ffi::OsStr;

use super::ModelFormat;
use super::id::Named;

/// Generic names that libraries give to every model.
///
/// If several occur in one folder, they are one model, and the first one listed here is used.
const PLAIN_NAMES: [&str; 9] = [
    "model",
    "pytorch_model",
    "diffusion_pytorch_model",
    "open_clip_model",
    "open_clip_pytorch_model",
    "flax_model",
    "tf_model",
    "weights",
    "consolidated",
];

/// Generic names of adapters.
const PLAIN_ADAPTER_NAMES: [&str; 4] = [
    "adapter_model",
    "adapter",
    "adapters",
    "pytorch_lora_weights",
];

/// The keys under which all generically named models and adapters of a folder are grouped.
pub(super) const PLAIN_MODEL: &str = "model";
pub(super) const PLAIN_ADAPTER: &str = "adapter_model";

/// Precisions that a file name may state before its ending, highest first.
const PRECISIONS: [&str; 4] = ["fp32", "bf16", "fp16", "fp8"];

/// Names of files with the state of a training run, which contain no model.
const TRAINING_STATES: [&str; 12] = [
    "optimizer",
    "optim",
    "scheduler",
    "lr_scheduler",
    "scaler",
    "rng_state",
    "random_states",
    "training_args",
    "training_state",
    "trainer_state",
    "sampler",
    "dataloader",
];

/// The names of the files that Megatron writes into a folder for each rank.
const SLICES: [&str; 3] = ["model", "model_optim_rng", "model_rng"];

/// The largest number of digits in a shard number.
const MOST_DIGITS: usize = 6;

/// The parsed name of a weight file or an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    pub(super) format: ModelFormat,
    pub(super) kind: FileKind,
    /// The name without the ending, shard number and precision.
    pub(super) series: &'a str,
    /// The name without the ending and shard number.
    pub(super) stem: &'a str,
    pub(super) precision: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Whole,
    Shard { number: usize, of: usize },
    Index,
}

impl<'a> FileName<'a> {
    /// Parses a name; `None` if it isn't that of a weight file or an index.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        if let Some(index) = Self::parse_index(name) {
            return Some(index);
        }
        let (whole, format) = ModelFormat::split(name)?;
        if is_training_state(whole) {
            return None;
        }
        let file = |kind, stem, series, precision| Self {
            format,
            kind,
            series,
            stem,
            precision,
        };
        // `x.fp16-00001-of-00002` or `x-00001-of-00002.fp16`.
        let (rest, late) = split_precision(whole);
        let Some((rest, number, of)) = split_shard(rest) else {
            return Some(file(FileKind::Whole, whole, rest, late));
        };
        let (series, early) = split_precision(rest);
        let kind = FileKind::Shard { number, of };
        Some(file(kind, rest, series, early.or(late)))
    }

    /// `x.safetensors.index.json` or `x.safetensors.index.fp16.json`.
    fn parse_index(name: &'a str) -> Option<Self> {
        let rest = name.strip_suffix(".json")?;
        let (rest, late) = split_precision(rest);
        let (stem, format) = ModelFormat::split(rest.strip_suffix(".index")?)?;
        let (series, early) = split_precision(stem);
        Some(Self {
            format,
            kind: FileKind::Index,
            series,
            stem,
            precision: early.or(late),
        })
    }

    /// The key shared by files of one folder that are the same model.
    pub(super) fn model(&self) -> (&'a str, Option<ModelFormat>) {
        let series = match self.series {
            plain if PLAIN_NAMES.contains(&plain) => PLAIN_MODEL,
            plain if PLAIN_ADAPTER_NAMES.contains(&plain) => PLAIN_ADAPTER,
            slice if Slice::parse(slice).is_some() => PLAIN_MODEL,
            series => series,
        };
        (
            series,
            (!self.format.keeps_weights()).then_some(self.format),
        )
    }

    /// What gives the model its name, judging by this file alone.
    pub(super) fn named(&self) -> Named {
        if is_plain(self.series) {
            Named::ByFolder
        } else {
            Named::ByFile
        }
    }

    /// The rank among several files of one model; the lowest is taken.
    pub(super) fn preference(&self) -> (usize, usize) {
        let place = |names: &[&str], name| names.iter().position(|&other| other == name);
        let name = place(&PLAIN_NAMES, self.series).unwrap_or(PLAIN_NAMES.len());
        let precision = (self.precision).map_or(0, |precision| {
            1 + place(&PRECISIONS, precision).unwrap_or(PRECISIONS.len())
        });
        (name, precision)
    }
}

/// Whether a model with this name is named after its folder.
fn is_plain(series: &str) -> bool {
    PLAIN_NAMES.contains(&series)
        || PLAIN_ADAPTER_NAMES.contains(&series)
        || Slice::parse(series).is_some()
}

/// A file that contains a slice of every tensor, if there are several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Its number among the slices, from 0 on; `None` if layers are distributed as well, or in an unknown way.
    pub(super) number: Option<usize>,
}

impl Slice {
    /// Parses names such as `consolidated.00`, `mp_rank_00_model_states`, `mp_rank_00/model_optim_rng`,
    /// `mp_rank_00_000/model_rng` and `model-rank-0-part-0`.
    pub(super) fn parse(series: &str) -> Option<Self> {
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if let Some((rank, part)) =
            (series.strip_prefix("model-rank-")).and_then(|rest| rest.split_once("-part-"))
        {
            return (is_number(rank) && is_number(part)).then_some(Self { number: None });
        }
        let of_rank = || {
            let rest = series.strip_prefix("mp_rank_")?;
            let of_folder = rest
                .split_once('/')
                .filter(|(_, file)| SLICES.contains(file));
            (of_folder.map(|(rank, _)| rank)).or_else(|| rest.strip_suffix("_model_states"))
        };
        let rank = series.strip_prefix("consolidated.").or_else(of_rank)?;
        let number = rank.parse().ok().filter(|_| is_number(rank));
        (rank.split('_').all(is_number)).then_some(Self { number })
    }
}

/// Whether a file is the state of a training run; its name is given without the ending.
fn is_training_state(stem: &str) -> bool {
    let is_number = |c: char| c.is_ascii_digit() || ['_', '-', '.'].contains(&c);
    let names_state = |state: &str| {
        let rest = stem
            .strip_prefix(state)
            .map(|rest| rest.trim_matches(is_number));
        rest.is_some_and(|rest| ["", "state", "states", "last", "latest"].contains(&rest))
    };
    TRAINING_STATES.iter().any(|state| names_state(state)) || stem.ends_with("optim_states")
}

fn split_precision(stem: &str) -> (&str, Option<&str>) {
    match stem.rsplit_once('.') {
        Some((rest, precision)) if !rest.is_empty() && PRECISIONS.contains(&precision) => {
            (rest, Some(precision))
        }
        _ => (stem, None),
    }
}

/// Splits `x-00001-of-00002` into `x`, 1 and 2.
fn split_shard(stem: &str) -> Option<(&str, usize, usize)> {
    let (rest, of) = split_number(stem)?;
    let rest = (rest.strip_suffix("-of-")).or_else(|| rest.strip_suffix("_of_"))?;
    let (rest, number) = split_number(rest)?;
    let series = rest.strip_suffix(['-', '_'])?;
    let is_shard = !series.is_empty() && of > 0 && number <= of;
    is_shard.then_some((series, number, of))
}

/// Splits a text into the part before its final number, and that number.
fn split_number(text: &str) -> Option<(&str, usize)> {
    let digits = (text.bytes().rev()).take_while(u8::is_ascii_digit).count();
    let (rest, number) = text.split_at_checked(text.len() - digits)?;
    let number = (digits <= MOST_DIGITS).then(|| number.parse().ok())??;
    Some((rest, number))
}

/// A part of a path as text, as far as it can be displayed; empty for none.
pub(super) fn shown(name: Option<&OsStr>) -> String {
    name.unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str) -> Option<(FileKind, &str, Option<&str>)> {
        FileName::parse(name).map(|file| (file.kind, file.series, file.precision))
    }

    #[test]
    fn names_are_taken_apart() {
        use FileKind::{Index, Shard, Whole};
        let shard = |number, of| Shard { number, of };
        let names = [
            ("model.safetensors", Whole, "model", None),
            ("a.b.SafeTensors", Whole, "a.b", None),
            ("x.fp16.safetensors", Whole, "x", Some("fp16")),
            ("x-of-2.bin", Whole, "x-of-2", None),
            (
                "model-00002-of-00010.safetensors",
                shard(2, 10),
                "model",
                None,
            ),
            (
                "pytorch_model_1_of_2.bin",
                shard(1, 2),
                "pytorch_model",
                None,
            ),
            (
                "m.fp16-00001-of-00002.safetensors",
                shard(1, 2),
                "m",
                Some("fp16"),
            ),
            (
                "m-00001-of-00002.fp16.safetensors",
                shard(1, 2),
                "m",
                Some("fp16"),
            ),
            (
                "m-00003-of-00002.safetensors",
                Whole,
                "m-00003-of-00002",
                None,
            ),
            ("model.safetensors.index.json", Index, "model", None),
            ("m.safetensors.index.fp16.json", Index, "m", Some("fp16")),
            ("pytorch_model.bin.index.json", Index, "pytorch_model", None),
        ];
        for (name, kind, series, precision) in names {
            assert_eq!(parts(name), Some((kind, series, precision)), "{name}");
        }
    }

    #[test]
    fn files_without_weights_are_not_models() {
        for name in [
            "config.json",
            "safetensors",
            ".safetensors",
            "optimizer.pt",
            "optimizer_0.bin",
            "training_args.bin",
            "rng_state_3.pth",
            "zero_pp_rank_0_mp_rank_00_optim_states.pt",
            "x.index.json",
        ] {
            assert_eq!(parts(name), None, "{name}");
        }
        assert!(parts("optimizer-of-worlds.safetensors").is_some());
    }
}
