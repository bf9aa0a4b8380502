//! An adapter and the changes that it makes, read from its tensors.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::names::{Module, Part, TensorName, whole_name};
use super::parts::Parts;
use super::update::Change;
use super::{AdapterConfig, AdapterError};
use crate::weights::{Layer, WeightSource};

/// An adapter (LoRA, rsLoRA, DoRA, AdaLoRA, LoHa, LoKr, IA3, whole differences) over any source of its tensors.
///
/// An adapter is recognised by the names that PEFT, diffusers and kohya give its tensors. Its factors are
/// held in memory. Whole differences and tensors that replace the base's (`modules_to_save`) are read when they
/// are needed.
///
/// # Examples
///
/// ```
/// use mother::adapters::{Adapter, AdapterConfig};
/// use mother::weights::{InMemoryModel, Layer, WeightSource};
///
/// let base = InMemoryModel::new("base").with_layer("q.weight", [2, 3], vec![1.0_f32; 6])?;
/// let tensors = InMemoryModel::new("chat")
///     .with_layer("base_model.model.q.lora_A.weight", [1, 3], vec![1.0_f32, 2.0, 3.0])?
///     .with_layer("base_model.model.q.lora_B.weight", [2, 1], vec![10.0_f32, 20.0])?;
/// let adapter = Adapter::read(tensors, AdapterConfig::new())?;
/// assert_eq!((adapter.name(), adapter.rank()), ("chat", 1));
///
/// let chat = adapter.applied_to(base)?;
/// let mut values = [0.0_f64; 6];
/// chat.layers().next().unwrap()?.read(0, &mut values)?;
/// assert_eq!(values, [11.0, 21.0, 31.0, 21.0, 41.0, 61.0]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// E. Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, ICLR 2022,
/// [arXiv:2106.09685](https://arxiv.org/abs/2106.09685); S.-Y. Liu et al., *DoRA: Weight-Decomposed
/// Low-Rank Adaptation*, ICML 2024, [arXiv:2402.09353](https://arxiv.org/abs/2402.09353); S.-Y. Yeh et al.,
/// *Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation*, ICLR 2024,
/// [arXiv:2309.14859](https://arxiv.org/abs/2309.14859); H. Liu et al., *Few-Shot Parameter-Efficient
/// Fine-Tuning is Better and Cheaper than In-Context Learning*, NeurIPS 2022,
/// [arXiv:2205.05638](https://arxiv.org/abs/2205.05638).
#[derive(Clone, Debug)]
pub struct Adapter<A> {
    pub(super) source: A,
    pub(super) config: AdapterConfig,
    pub(super) targets: Vec<Target>,
    /// The tensors that replace layers of the base, with those layers' names.
    pub(super) whole: BTreeMap<String, String>,
    /// Whether its factors are stored among the base's layers.
    pub(super) is_within: bool,
}

/// The contents of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Model,
    Adapter,
    Both,
}

impl Holding {
    fn of<A: WeightSource>(source: &A) -> Self {
        let names = source.layers().map_while(Result::ok);
        let names: BTreeSet<String> = names.map(|layer| layer.name().to_owned()).collect();
        let has_weight = |name: &str| {
            let ends = [".lora_", ".hada_", ".lokr_", ".ia3_", ".ranknum"];
            let module = ends.iter().find_map(|end| name.split_once(end));
            let module = module.map_or(name, |(module, _)| module);
            let mut weights = ENDINGS.iter().map(|end| [module, *end].concat());
            weights.any(|weight| names.contains(&weight))
        };
        let mut holding = Self::Model;
        let (mut has_difference, mut has_whole) = (false, false);
        for name in &names {
            match TensorName::parse(name) {
                TensorName::Part(_, Part::Alpha) => {}
                TensorName::Part(_, Part::Difference) => has_difference = true,
                TensorName::Whole => has_whole = true,
                TensorName::Part(..) | TensorName::OtherMethod(_) if has_weight(name) => {
                    return Self::Both;
                }
                TensorName::Part(..) | TensorName::OtherMethod(_) => holding = Self::Adapter,
            }
        }
        // A model may use such a name for one of its own parameters.
        if has_difference && !has_whole {
            holding = Self::Adapter;
        }
        holding
    }
}

/// Endings after the name of a module in the name of its weight, inside an adapter or not.
pub(super) const ENDINGS: [&str; 2] = [".weight", ".base_layer.weight"];

/// A weight that an adapter changes, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) module: Module,
    /// The change, with one row per output and one column per input.
    pub(super) change: Option<Change>,
    pub(super) scale: f64,
    pub(super) lengths: Lengths,
    /// The adapter's tensor to add to the weight, in place of a change held in memory.
    pub(super) difference: Option<Difference>,
    /// The rank of its factors.
    pub(super) rank: usize,
    /// The name of the method.
    pub(super) method: &'static str,
}

/// A tensor of the adapter with all values of a change, which are read when they are needed.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) tensor: String,
    /// The number of rows, and the product of the other dimensions.
    pub(super) shape: [usize; 2],
}

/// How the sum of the weight and its change is scaled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lengths {
    /// The sum is used as it is.
    Kept,
    /// Scaled so that each output's weights have the norm that DoRA trained.
    Magnitudes(Vec<f32>),
    /// Scaled by IA3's output factors, which also apply to the bias.
    OfOutputs(Vec<f32>),
    /// Scaled by IA3's input factors.
    OfInputs(Vec<f32>),
}

impl Target {
    /// The numbers of outputs and inputs, as far as they are known.
    pub(super) fn dimensions(&self) -> [Option<usize>; 2] {
        if let Some(difference) = &self.difference {
            return difference.shape.map(Some);
        }
        match (&self.change, &self.lengths) {
            (Some(change), _) => [Some(change.rows()), Some(change.columns())],
            (None, Lengths::OfOutputs(factors)) => [Some(factors.len()), None],
            (None, Lengths::OfInputs(factors)) => [None, Some(factors.len())],
            (None, _) => [None, None],
        }
    }
}

impl<A: WeightSource> Adapter<A> {
    /// Whether a source holds an adapter, of whatever method, and not a complete model.
    ///
    /// Returns false if the file also holds a whole model's weights.
    pub fn is_adapter(source: &A) -> bool {
        Holding::of(source) == Holding::Adapter
    }

    /// Whether a source holds a model with an adapter's factors next to the weights that they change, as
    /// training programs without adapter support store it.
    pub fn is_within(source: &A) -> bool {
        Holding::of(source) == Holding::Both
    }

    /// Reads the factors stored among a model's own weights. Use [`applied_to`](Self::applied_to) on that
    /// same model to combine both.
    ///
    /// # Errors
    ///
    /// The same as for [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::adapters::{Adapter, AdapterConfig};
    /// use mother::weights::{InMemoryModel, Layer, WeightSource};
    ///
    /// let stored = InMemoryModel::new("stored")
    ///     .with_layer("q.base_layer.weight", [1, 2], vec![1.0_f32, 1.0])?
    ///     .with_layer("q.lora_A.weight", [1, 2], vec![2.0_f32, 3.0])?
    ///     .with_layer("q.lora_B.weight", [1, 1], vec![10.0_f32])?;
    /// assert!(Adapter::is_within(&stored));
    /// let adapter = Adapter::read_within(stored.clone(), AdapterConfig::new())?;
    /// let both = adapter.applied_to(stored)?;
    /// let mut values = [0.0_f64; 2];
    /// both.layers().next().unwrap()?.read(0, &mut values)?;
    /// assert_eq!((both.layers().count(), values), (1, [21.0, 31.0]));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn read_within(source: A, config: AdapterConfig) -> Result<Self, AdapterError> {
        let mut adapter = Self::read(source, config)?;
        adapter.whole.clear();
        adapter.is_within = true;
        Ok(adapter)
    }

    /// Reads an adapter's factors.
    ///
    /// # Errors
    ///
    /// [`AdapterError::NotAnAdapter`] or [`AdapterError::Method`] if the source isn't a supported adapter,
    /// and other [`AdapterError`]s if a tensor can't be read or factors don't fit each other.
    ///
    /// # Complexity
    ///
    /// O(values) time and memory for the factors, four bytes per value.
    pub fn read(source: A, config: AdapterConfig) -> Result<Self, AdapterError> {
        if let Some(method) = config.unsupported_method() {
            let method = method.to_owned();
            return Err(AdapterError::Method { method });
        }
        let mut whole = BTreeMap::new();
        let mut modules: BTreeMap<Module, Parts<A::Layer<'_>>> = BTreeMap::new();
        for layer in source.layers() {
            let layer = layer.map_err(|error| AdapterError::Reading {
                reason: error.to_string(),
            })?;
            match TensorName::parse(layer.name()) {
                TensorName::OtherMethod(method) => {
                    let method = method.to_owned();
                    return Err(AdapterError::Method { method });
                }
                TensorName::Whole => {
                    whole.insert(whole_name(layer.name()), layer.name().to_owned());
                }
                TensorName::Part(module, part) => {
                    modules.entry(module).or_default().set(part, layer);
                }
            }
        }
        let targets = modules
            .into_iter()
            .map(|(module, parts)| parts.target(module, &config));
        let targets = targets.collect::<Result<Vec<Target>, AdapterError>>()?;
        if targets.is_empty() {
            return Err(AdapterError::NotAnAdapter);
        }
        Ok(Self {
            source,
            config,
            targets,
            whole,
            is_within: false,
        })
    }

    /// The adapter's name, which is that of its source.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The largest rank of the factors; 0 if there are none, as for IA3 and whole differences.
    #[must_use]
    pub fn rank(&self) -> usize {
        let ranks = self.targets.iter().map(|target| target.rank);
        ranks.max().unwrap_or(0)
    }

    /// The method: `LoRA`, `DoRA`, `AdaLoRA`, `LoHa`, `LoKr`, `IA3`, or `full` for whole differences.
    #[must_use]
    pub fn method(&self) -> &'static str {
        let methods = self.targets.iter().map(|target| target.method);
        // In DoRA, not every weight has magnitudes. Differences may come with another method.
        let first = methods.min_by_key(|&method| match method {
            "DoRA" => 0,
            "full" => 2,
            _ => 1,
        });
        first.unwrap_or("LoRA")
    }

    /// The configuration stored next to its tensors.
    #[must_use]
    pub const fn config(&self) -> &AdapterConfig {
        &self.config
    }
}
