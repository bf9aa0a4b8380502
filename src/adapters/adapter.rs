//! An adapter: the changes that it makes, read from its tensors.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::names::{Module, Part, TensorName, whole_name};
use super::parts::Parts;
use super::update::Change;
use super::{AdapterConfig, AdapterError};
use crate::weights::{Layer, WeightSource};

/// An adapter (LoRA, rsLoRA, DoRA, LoHa, LoKr, IA3) over any source of its tensors.
///
/// It is recognised by its tensors, as PEFT, diffusers and kohya name them. Its factors are held in
/// memory; tensors that stand for the base's (`modules_to_save`) are read when they are needed.
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
    /// The tensors that stand for the base's, with the names that those have.
    pub(super) whole: BTreeMap<String, String>,
    /// Whether its factors lie among the base's layers.
    pub(super) is_within: bool,
}

/// What a source holds.
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
            let ends = [".lora_", ".hada_", ".lokr_", ".ia3_"];
            let module = ends.iter().find_map(|end| name.split_once(end));
            let module = module.map_or(name, |(module, _)| module);
            let mut weights = ENDINGS.iter().map(|end| [module, *end].concat());
            weights.any(|weight| names.contains(&weight))
        };
        let mut holding = Self::Model;
        for name in &names {
            match TensorName::parse(name) {
                TensorName::Part(_, Part::Alpha) | TensorName::Whole => {}
                TensorName::Part(..) | TensorName::OtherMethod(_) if has_weight(name) => {
                    return Self::Both;
                }
                TensorName::Part(..) | TensorName::OtherMethod(_) => holding = Self::Adapter,
            }
        }
        holding
    }
}

/// What follows the name of a module in that of its weight, inside an adapter and without.
pub(super) const ENDINGS: [&str; 2] = [".weight", ".base_layer.weight"];

/// A weight that an adapter changes, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) module: Module,
    /// Of as many rows as the weight has outputs, and as many columns as it has inputs, multiplied.
    pub(super) change: Option<Change>,
    pub(super) scale: f64,
    pub(super) lengths: Lengths,
    /// The rank of its factors.
    pub(super) rank: usize,
}

/// What is done to the sum of the weight and its change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lengths {
    /// Nothing.
    Kept,
    /// DoRA's lengths that the outputs' weights are to have.
    Magnitudes(Vec<f32>),
    /// IA3's factors of outputs; the bias has them, too.
    OfOutputs(Vec<f32>),
    /// IA3's factors of inputs.
    OfInputs(Vec<f32>),
}

impl Target {
    /// The number of outputs and inputs, as far as it is known.
    pub(super) fn dimensions(&self) -> [Option<usize>; 2] {
        match (&self.change, &self.lengths) {
            (Some(change), _) => [Some(change.rows()), Some(change.columns())],
            (None, Lengths::OfOutputs(factors)) => [Some(factors.len()), None],
            (None, Lengths::OfInputs(factors)) => [None, Some(factors.len())],
            (None, _) => [None, None],
        }
    }
}

impl<A: WeightSource> Adapter<A> {
    /// Whether a source holds an adapter, of whatever method, and not a model of its own.
    ///
    /// A model that is stored with its adapter's factors beside its own weights isn't one.
    pub fn is_adapter(source: &A) -> bool {
        Holding::of(source) == Holding::Adapter
    }

    /// Whether a source holds a model with the factors of an adapter beside the weights that they change, as
    /// training programs store it that don't know of adapters.
    pub fn is_within(source: &A) -> bool {
        Holding::of(source) == Holding::Both
    }

    /// Reads the factors beside a model's own weights; [`applied_to`](Self::applied_to) the model itself, it
    /// gives what both are together.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
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
    /// [`AdapterError::NotAnAdapter`] and [`AdapterError::Method`] where it is nothing of this kind, and
    /// other [`AdapterError`]s where a tensor can't be read or factors don't fit each other.
    ///
    /// # Complexity
    ///
    /// O(values) time and memory for the factors, four bytes a value.
    pub fn read(source: A, config: AdapterConfig) -> Result<Self, AdapterError> {
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

    /// The name of the source of its tensors.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The largest rank of factors; 0 where there are none, as of IA3.
    #[must_use]
    pub fn rank(&self) -> usize {
        let ranks = self.targets.iter().map(|target| target.rank);
        ranks.max().unwrap_or(0)
    }

    /// `LoRA`, `DoRA`, `LoHa`, `LoKr` or `IA3`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        let method = |target: &Target| match (&target.change, &target.lengths) {
            (_, Lengths::Magnitudes(_)) => "DoRA",
            (Some(Change::Added(_)), _) => "LoRA",
            (Some(Change::Hadamard(..)), _) => "LoHa",
            (Some(Change::Kronecker(..)), _) => "LoKr",
            (None, _) => "IA3",
        };
        let mut methods = self.targets.iter().map(method);
        // Not every weight of DoRA has magnitudes.
        let is_dora = methods.clone().any(|method| method == "DoRA");
        if is_dora {
            "DoRA"
        } else {
            methods.next().unwrap_or("LoRA")
        }
    }

    /// What is known of it beside its tensors.
    #[must_use]
    pub const fn config(&self) -> &AdapterConfig {
        &self.config
    }
}
