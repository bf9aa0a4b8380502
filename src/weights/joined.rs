//! A model whose tensors are distributed over several sources, a slice of each tensor in each.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{ElementType, Layer, SkippedLayer, WeightSlice, WeightSource, element_count};
use crate::Scalar;

/// Modules of Megatron and of Meta's Llama whose outputs are distributed: each slice has some rows of the weight and
/// of the bias.
const BY_OUTPUTS: [&str; 15] = [
    "dense_h_to_4h",
    "key_value",
    "linear_fc1",
    "linear_qkv",
    "lm_head",
    "output",
    "output_layer",
    "query",
    "query_key_value",
    "w1",
    "w3",
    "wk",
    "word_embeddings",
    "wq",
    "wv",
];

/// Modules whose inputs are distributed: each slice has some columns of the weight, and the whole bias.
const BY_INPUTS: [&str; 5] = ["dense_4h_to_h", "linear_fc2", "linear_proj", "w2", "wo"];

/// Modules that may hold two matrices, a gate and another one, and the modules that take their product.
const GATED: [(&str, &str); 2] = [
    ("dense_h_to_4h", "dense_4h_to_h"),
    ("linear_fc1", "linear_fc2"),
];

/// How many values of a tensor are compared to see whether all slices have the whole of it.
const COMPARED: usize = 64;

/// A model joined from the slices that tensor parallelism makes of it, as Megatron and Meta's Llama store them.
///
/// The name of a tensor shows whether its rows or its columns are distributed. All other tensors should be equal in
/// all slices. A tensor for which this isn't so is left out.
///
/// # Examples
///
/// ```
/// use mother::weights::{InMemoryModel, Joined, Layer, WeightSource};
///
/// let slice = |value: f32| {
///     let model = InMemoryModel::new("m").with_layer("mlp.linear_fc1.weight", [1, 2], vec![value; 2])?;
///     model.with_layer("mlp.linear_fc2.weight", [2, 1], vec![value; 2])
/// };
/// let model = Joined::new(vec![slice(1.0)?, slice(2.0)?])?;
/// let mut layers = model.layers();
/// let mut next = || -> Result<_, Box<dyn core::error::Error>> {
///     let mut values = [0.0_f32; 4];
///     layers.next().unwrap()?.read(0, &mut values)?;
///     Ok(values)
/// };
/// assert_eq!(next()?, [1.0, 1.0, 2.0, 2.0]);
/// assert_eq!(next()?, [1.0, 2.0, 1.0, 2.0]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// M. Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism", 2019.
/// [arXiv:1909.08053](https://arxiv.org/abs/1909.08053)
#[derive(Clone, Debug)]
pub struct Joined<S> {
    name: String,
    slices: Vec<S>,
    planned: BTreeMap<String, Planned>,
    skipped: Vec<SkippedLayer>,
    interleaved_groups: Option<usize>,
}

/// A tensor to list.
#[derive(Clone, Debug)]
struct Planned {
    shape: Vec<usize>,
    /// How many values are taken from each slice in turn; `None` if each has all values.
    run: Option<usize>,
}

/// The slices of each tensor.
type Slices<L> = BTreeMap<String, Vec<L>>;

impl<S: WeightSource> Joined<S> {
    /// Joins slices, given in their order. The model has the name of the first.
    ///
    /// # Errors
    ///
    /// The error of a source that can't list its layers, or read the first values of one.
    pub fn new(slices: Vec<S>) -> Result<Self, S::Error> {
        let first = slices.first();
        let mut joined = Self {
            name: first.map_or("", S::name).to_owned(),
            planned: BTreeMap::new(),
            skipped: first.map_or(&[][..], S::skipped_layers).to_vec(),
            interleaved_groups: first.and_then(S::interleaved_groups),
            slices: Vec::new(),
        };
        let all = slices_of(&slices)?;
        for (name, layers) in &all {
            let are_alike = layers.len() == slices.len()
                && (layers.iter()).all(|layer| {
                    layer.shape() == layers[0].shape()
                        && layer.element_type() == layers[0].element_type()
                });
            let planned = if are_alike {
                plan(name, layers, &all)?
            } else {
                None
            };
            match planned {
                Some(planned) => {
                    joined.planned.insert(name.clone(), planned);
                }
                None => joined.skipped.push(SkippedLayer {
                    layer: name.clone(),
                    reason: "distributed over slices in an unknown way".into(),
                }),
            }
        }
        drop(all);
        joined.slices = slices;
        Ok(joined)
    }

    /// The same model under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Declares that fused projections list their rows by groups of heads; see
    /// [`WeightSource::interleaved_groups`].
    #[must_use]
    pub const fn with_interleaved_groups(mut self, groups: usize) -> Self {
        self.interleaved_groups = Some(groups);
        self
    }
}

fn slices_of<S: WeightSource>(sources: &[S]) -> Result<Slices<S::Layer<'_>>, S::Error> {
    let mut slices = Slices::new();
    for layer in sources.iter().flat_map(S::layers) {
        let layer = layer?;
        let of_tensor: &mut Vec<_> = slices.entry(layer.name().to_owned()).or_default();
        of_tensor.push(layer);
    }
    Ok(slices)
}

/// How the slices of a tensor, which have one shape, are joined; `None` if unknown.
fn plan<L: Layer>(name: &str, slices: &[L], all: &Slices<L>) -> Result<Option<Planned>, L::Error> {
    let mut shape = slices[0].shape().to_vec();
    let Some(count) = element_count(&shape) else {
        return Ok(None);
    };
    let (path, last) = name.rsplit_once('.').unwrap_or(("", name));
    let (before, module) = path.rsplit_once('.').unwrap_or(("", path));
    let shape_of = |name: &str| Some(all.get(name)?.first()?.shape());
    // The embedding's rows are distributed in later models of Meta's.
    let hidden = shape_of("norm.weight").and_then(<[usize]>::first);
    let is_embedding = module == "tok_embeddings" && last == "weight";
    let has_all_columns = is_embedding && shape.get(1) == hidden;
    let has_rows = (BY_OUTPUTS.contains(&module) && ["weight", "bias"].contains(&last)
        || has_all_columns)
        && !shape.is_empty();
    let has_columns = last == "weight"
        && shape.len() == 2
        && (BY_INPUTS.contains(&module)
            || is_embedding
            || module == "dense" && before.ends_with("attention"));
    let (dimension, run) = if has_rows {
        let down = GATED.iter().find(|(up, _)| *up == module);
        let down = down.and_then(|(_, down)| shape_of(&format!("{before}.{down}.weight")));
        let inputs = down.and_then(|down| down.get(1));
        let is_gated = inputs.and_then(|inputs| inputs.checked_mul(2)) == Some(shape[0]);
        (0, if is_gated { count / 2 } else { count })
    } else if has_columns {
        (1, shape[1])
    } else {
        let planned = Planned { shape, run: None };
        return Ok(are_equal(slices, count.min(COMPARED))?.then_some(planned));
    };
    shape[dimension] = shape[dimension].saturating_mul(slices.len());
    let run = Some(run);
    Ok(element_count(&shape).map(|_| Planned { shape, run }))
}

/// Whether the first values are the same in all slices.
fn are_equal<L: Layer>(slices: &[L], count: usize) -> Result<bool, L::Error> {
    let first = |layer: &L| {
        let mut values = vec![0.0_f64; count];
        layer.read(0, &mut values)?;
        Ok(values.into_iter().map(f64::to_bits).collect::<Vec<u64>>())
    };
    let values = slices.iter().map(first).collect::<Result<Vec<_>, _>>()?;
    Ok(values.windows(2).all(|pair| pair[0] == pair[1]))
}

impl<S: WeightSource> WeightSource for Joined<S> {
    type Error = S::Error;
    type Layer<'a>
        = JoinedLayer<'a, S::Layer<'a>>
    where
        Self: 'a;

    fn name(&self) -> &str {
        &self.name
    }

    fn layers(&self) -> impl Iterator<Item = Result<Self::Layer<'_>, S::Error>> {
        let (mut slices, error) = match slices_of(&self.slices) {
            Ok(slices) => (slices, None),
            Err(error) => (Slices::new(), Some(Err(error))),
        };
        let layers = self.planned.iter().filter_map(move |(name, planned)| {
            let (name, slices) = (name, slices.remove(name)?);
            Some(Ok(JoinedLayer {
                name,
                planned,
                slices,
            }))
        });
        error.into_iter().chain(layers)
    }

    fn skipped_layers(&self) -> &[SkippedLayer] {
        &self.skipped
    }

    fn interleaved_groups(&self) -> Option<usize> {
        self.interleaved_groups
    }
}

/// A layer of a [`Joined`] source.
#[derive(Debug)]
pub struct JoinedLayer<'a, L> {
    name: &'a str,
    planned: &'a Planned,
    /// At least one.
    slices: Vec<L>,
}

impl<L: Layer> Layer for JoinedLayer<'_, L> {
    type Error = L::Error;

    fn name(&self) -> &str {
        self.name
    }

    fn shape(&self) -> &[usize] {
        &self.planned.shape
    }

    fn element_type(&self) -> ElementType {
        self.slices[0].element_type()
    }

    fn read<T: Scalar>(&self, mut offset: usize, mut values: &mut [T]) -> Result<(), L::Error> {
        let Some(run) = self.planned.run else {
            return self.slices[0].read(offset, values);
        };
        while !values.is_empty() {
            let (turn, within) = (offset / run, offset % run);
            let (now, later) = values.split_at_mut((run - within).min(values.len()));
            let slice = &self.slices[turn % self.slices.len()];
            slice.read(turn / self.slices.len() * run + within, now)?;
            (offset, values) = (offset + now.len(), later);
        }
        Ok(())
    }

    fn preferred_length(&self) -> usize {
        self.slices[0].preferred_length()
    }

    fn as_slice(&self) -> Option<WeightSlice<'_>> {
        let whole = self.planned.run.is_none();
        whole.then(|| self.slices[0].as_slice())?
    }
}

#[cfg(test)]
mod tests {
    use super::super::InMemoryModel;
    use super::*;

    /// Whether a value at this row and column is in the second of two slices.
    type IsSecond = fn(usize, usize) -> bool;

    /// A model in two slices: tensors by name, the shape of a slice, and the number of columns. Their values count
    /// from 0.
    fn joined(tensors: &[(&str, [usize; 2], usize, IsSecond)]) -> Joined<InMemoryModel<'static>> {
        let slice = |second: bool| {
            let mut model = InMemoryModel::new("m");
            for &(name, shape, columns, is_second) in tensors {
                let own = (0..2 * shape[0] * shape[1])
                    .filter(|at| is_second(at / columns, at % columns) == second);
                let values: Vec<f32> = own.map(|at| at as f32).collect();
                model = model.with_layer(name, shape, values).unwrap();
            }
            let norm = vec![0.0_f32, 1.0];
            model.with_layer("norm.weight", [2], norm).unwrap()
        };
        Joined::new(vec![slice(false), slice(true)]).unwrap()
    }

    #[test]
    fn rows_columns_and_gates_are_joined_from_any_offset() {
        let by_rows: IsSecond = |row, _| row >= 2;
        let by_columns: IsSecond = |_, column| column >= 2;
        let gated: IsSecond = |row, _| row / 2 % 2 == 1;
        let model = joined(&[
            ("l.mlp.linear_fc1.weight", [4, 3], 3, gated),
            ("l.mlp.linear_fc2.weight", [3, 2], 4, by_columns),
            ("l.mlp.dense_h_to_4h.weight", [2, 3], 3, by_rows),
            ("l.attention.dense.weight", [3, 2], 4, by_columns),
            ("tok_embeddings.weight", [2, 2], 2, by_rows),
        ]);
        assert_eq!(model.skipped_layers(), []);
        let shapes = model.layers().map(|layer| layer.unwrap().shape().to_vec());
        let expected = [&[3, 4][..], &[4, 3], &[8, 3], &[3, 4], &[2], &[4, 2]];
        assert!(shapes.eq(expected));
        for layer in model.layers() {
            let layer = layer.unwrap();
            let count = element_count(layer.shape()).unwrap();
            for start in 0..count {
                for end in start..=count {
                    let mut values = vec![f32::NAN; end - start];
                    layer.read(start, &mut values).unwrap();
                    assert!((start..end).map(|at| at as f32).eq(values));
                }
            }
        }
    }

    #[test]
    fn tensors_that_differ_without_a_known_reason_are_left_out() {
        let slice = |value: f32| {
            let model = InMemoryModel::new("m").with_layer("a.weight", [1], vec![value]);
            model
                .unwrap()
                .with_layer("b.weight", [1], vec![1.0_f32])
                .unwrap()
        };
        let third = slice(1.0)
            .with_layer("c.weight", [1], vec![1.0_f32])
            .unwrap();
        let model = Joined::new(vec![slice(1.0), slice(2.0), third]).unwrap();
        let names: Vec<_> = model
            .layers()
            .map(|layer| layer.unwrap().name().to_owned())
            .collect();
        assert_eq!(names, ["b.weight"]);
        let skipped: Vec<&str> = model
            .skipped_layers()
            .iter()
            .map(|layer| &*layer.layer)
            .collect();
        assert_eq!(skipped, ["a.weight", "c.weight"]);
    }
}
