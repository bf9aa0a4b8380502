//! An adapter: the changes that it makes, read from its tensors.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::names::{Module, Part, TensorName, whole_name};
use super::update::Matrix;
use super::{AdapterConfig, AdapterError};
use crate::weights::{Layer, WeightSource, element_count};

/// An adapter of low rank (LoRA, rsLoRA, DoRA) over any source of its tensors.
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
/// Low-Rank Adaptation*, ICML 2024, [arXiv:2402.09353](https://arxiv.org/abs/2402.09353).
#[derive(Clone, Debug)]
pub struct Adapter<A> {
    pub(super) source: A,
    pub(super) config: AdapterConfig,
    pub(super) targets: Vec<Target>,
    /// The tensors that stand for the base's, with the names that those have.
    pub(super) whole: BTreeMap<String, String>,
}

/// A weight that an adapter changes, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) module: Module,
    /// Of as many rows as the weight has outputs, and as many columns as it has inputs, multiplied.
    pub(super) outputs: Matrix,
    pub(super) inputs: Matrix,
    pub(super) magnitudes: Option<Vec<f32>>,
    pub(super) scale: f64,
}

/// The tensors of one weight.
struct Parts<L> {
    down: Option<L>,
    up: Option<L>,
    embedding: [Option<L>; 2],
    magnitude: Option<L>,
    alpha: Option<L>,
}

impl<L> Default for Parts<L> {
    fn default() -> Self {
        Self {
            down: None,
            up: None,
            embedding: [None, None],
            magnitude: None,
            alpha: None,
        }
    }
}

impl<A: WeightSource> Adapter<A> {
    /// Whether a source holds an adapter, of whatever method, and not a model of its own.
    ///
    /// A model that is stored with its adapter's factors beside its own weights isn't one.
    pub fn is_adapter(source: &A) -> bool {
        let names = source.layers().map_while(Result::ok);
        let names: BTreeSet<String> = names.map(|layer| layer.name().to_owned()).collect();
        let has_weight = |name: &str| {
            let module = name.split(".lora_").next().unwrap_or(name);
            [".weight", ".base_layer.weight"]
                .iter()
                .any(|end| names.contains(&[module, *end].concat()))
        };
        let mut is_adapter = false;
        for name in &names {
            match TensorName::parse(name) {
                TensorName::Part(_, Part::Alpha) | TensorName::Whole => {}
                TensorName::Part(..) | TensorName::OtherMethod(_) if has_weight(name) => {
                    return false;
                }
                TensorName::Part(..) | TensorName::OtherMethod(_) => is_adapter = true,
            }
        }
        is_adapter
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
                    let parts = modules.entry(module).or_default();
                    let place = match part {
                        Part::Down => &mut parts.down,
                        Part::Up => &mut parts.up,
                        Part::EmbeddingDown => &mut parts.embedding[0],
                        Part::EmbeddingUp => &mut parts.embedding[1],
                        Part::Magnitude => &mut parts.magnitude,
                        Part::Alpha => &mut parts.alpha,
                    };
                    *place = Some(layer);
                }
            }
        }
        let targets = modules
            .into_iter()
            .map(|(module, parts)| target(module, &parts, &config));
        let targets = targets.collect::<Result<Vec<Target>, AdapterError>>()?;
        if targets.is_empty() {
            return Err(AdapterError::NotAnAdapter);
        }
        Ok(Self {
            source,
            config,
            targets,
            whole,
        })
    }

    /// The name of the source of its tensors.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The largest rank of a weight's change.
    #[must_use]
    pub fn rank(&self) -> usize {
        let ranks = self.targets.iter().map(|target| target.inputs.rows);
        ranks.max().unwrap_or(0)
    }

    /// `LoRA` or `DoRA`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        let has_magnitudes = |target: &Target| target.magnitudes.is_some();
        if self.targets.iter().any(has_magnitudes) {
            "DoRA"
        } else {
            "LoRA"
        }
    }

    /// What is known of it beside its tensors.
    #[must_use]
    pub const fn config(&self) -> &AdapterConfig {
        &self.config
    }
}

/// The change of one weight, of whose tensors these are there.
fn target<L: Layer<Error: ToString>>(
    module: Module,
    parts: &Parts<L>,
    config: &AdapterConfig,
) -> Result<Target, AdapterError> {
    let incomplete = || AdapterError::Incomplete {
        weight: module.name.clone(),
    };
    // A table of embeddings has a row for each input, so that inputs take the place of outputs.
    let (down, up, is_table) = match (&parts.down, &parts.up, &parts.embedding) {
        (Some(down), Some(up), _) => (down, up, false),
        (None, None, [Some(down), Some(up)]) => (down, up, true),
        _ => return Err(incomplete()),
    };
    let shapes = || AdapterError::Shapes {
        weight: module.name.clone(),
        down: down.shape().to_vec(),
        up: up.shape().to_vec(),
    };
    let (inputs, outputs) = (matrix(down)?, matrix(up)?);
    let rank = inputs.rows;
    if rank == 0 || outputs.columns != rank {
        return Err(shapes());
    }
    let magnitudes = vector(parts.magnitude.as_ref())?;
    if is_table && magnitudes.is_some() {
        let method = "DoRA of embeddings".to_owned();
        return Err(AdapterError::Method { method });
    }
    if magnitudes
        .as_ref()
        .is_some_and(|found| found.len() != outputs.rows)
    {
        return Err(shapes());
    }
    let alpha = vector(parts.alpha.as_ref())?;
    let alpha = alpha.and_then(|alpha| alpha.first().copied());
    let scale = config.scale(&module.name, rank, alpha.map(f64::from));
    let (outputs, inputs) = if is_table {
        (inputs.transposed(), outputs.transposed())
    } else {
        (outputs, inputs)
    };
    Ok(Target {
        module,
        outputs,
        inputs,
        magnitudes,
        scale,
    })
}

/// All values of a layer that may be there.
fn vector<L: Layer<Error: ToString>>(layer: Option<&L>) -> Result<Option<Vec<f32>>, AdapterError> {
    Ok(layer.map(matrix).transpose()?.map(|matrix| matrix.values))
}

/// All values of a layer, as a matrix whose columns are all dimensions but the first.
fn matrix<L: Layer<Error: ToString>>(layer: &L) -> Result<Matrix, AdapterError> {
    let reading = |reason: String| AdapterError::Reading { reason };
    let shape = layer.shape();
    let Some(count) = element_count(shape) else {
        return Err(reading(alloc::format!("{:?} is too large", layer.name())));
    };
    let mut values = vec![0.0_f32; count];
    layer
        .read(0, &mut values)
        .map_err(|error| reading(error.to_string()))?;
    let rows = shape.first().copied().unwrap_or(1);
    Ok(Matrix {
        rows,
        columns: count.checked_div(rows).unwrap_or(0),
        values,
    })
}
