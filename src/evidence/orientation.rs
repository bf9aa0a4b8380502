//! Models that store their matrices transposed, as others of the same names show.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::matching::names::unwrapped;
use crate::signature::{ModelFailure, Signature, SignatureOptions, TensorSignature};
use crate::weights::{Transposed, Unfused, WeightSource};

/// A model that stores matrices transposed, as another model shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransposedModel {
    /// The position of its signature.
    pub model: usize,
    /// The names of the matrices to transpose, sorted.
    pub layers: Vec<String>,
}

/// Finds the models that store matrices with a row for each input where others of the same names have a row
/// for each output.
///
/// Two models are stored differently if most of the matrices that have the same name in both, and that
/// aren't square, have reversed shapes. Of the two the one is to be transposed whose matrices less often
/// have the width that is the most frequent in both, since more matrices read from the hidden state of a
/// network than write to it; if that doesn't tell, the one whose first such matrix is wider. Square matrices
/// follow the others of their model. Sketches of a matrix and of its transpose can't be compared, so these
/// models have to be signed again; [`sign_aligned`] does all of it.
///
/// Models that tell by their biases how they are stored never differ: see [`Unfused`].
///
/// # Complexity
///
/// O(a² t) time for a different architectures of t tensors.
#[must_use]
pub fn find_transposed(signatures: &[Signature]) -> Vec<TransposedModel> {
    let mut numbers: HashMap<Vec<(&str, &[usize])>, usize> = HashMap::new();
    let mut models_of: Vec<Vec<usize>> = Vec::new();
    for (model, signature) in signatures.iter().enumerate() {
        let tensors = signature.tensors().iter();
        let layout = tensors
            .map(|tensor| (tensor.name(), tensor.shape()))
            .collect();
        let number = *numbers.entry(layout).or_insert_with(|| {
            models_of.push(Vec::new());
            models_of.len() - 1
        });
        models_of[number].push(model);
    }
    let layouts: Vec<Layout<'_>> = (models_of.iter())
        .map(|models| Layout::new(&signatures[models[0]]))
        .collect();
    let mut found = Vec::new();
    for (layout, models) in layouts.iter().zip(&models_of) {
        let others = layouts.iter().map(|other| layout.transposed_against(other));
        let mut layers: BTreeSet<String> = others.flatten().collect();
        if !layers.is_empty() {
            layers.extend(layout.square());
        }
        let layers: Vec<String> = layers.into_iter().collect();
        let is_found = !layers.is_empty();
        let models = models.iter().filter(|_| is_found);
        found.extend(models.map(|&model| TransposedModel {
            model,
            layers: layers.clone(),
        }));
    }
    found.sort_by_key(|found| found.model);
    found
}

/// Reads many models, and those again that store their matrices transposed; results are in the order of the
/// models.
///
/// # Examples
///
/// ```
/// use mother::evidence::{Relation, sign_aligned};
/// use mother::signature::SignatureOptions;
/// use mother::weights::InMemoryModel;
///
/// let rows = InMemoryModel::new("rows").with_layer("w", [2, 3], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let columns =
///     InMemoryModel::new("columns").with_layer("w", [3, 2], vec![1.0_f32, 4.0, 2.0, 5.0, 3.0, 6.0])?;
/// let signed = sign_aligned(SignatureOptions::new(), &[rows, columns]);
/// let signatures = signed.into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert!(Relation::between(&signatures[0], &signatures[1])?.is_equal());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn sign_aligned<S: WeightSource>(
    options: SignatureOptions,
    models: &[S],
) -> Vec<Result<Signature, ModelFailure>> {
    let mut results = options.sign_all(models);
    let (mut positions, mut signatures) = (Vec::new(), Vec::new());
    for (position, signature) in results.iter().enumerate() {
        if let Ok(signature) = signature {
            positions.push(position);
            signatures.push(signature.clone());
        }
    }
    let found = find_transposed(&signatures);
    let views: Vec<Transposed<Unfused<&S>>> = (found.iter())
        .map(|found| {
            let source = Unfused::new(&models[positions[found.model]]);
            Transposed::new(source, found.layers.iter().cloned())
        })
        .collect();
    for (found, signature) in found.iter().zip(options.sign_all(&views)) {
        results[positions[found.model]] = signature;
    }
    results
}

/// The matrices of a model by their names without wrappers.
struct Layout<'a> {
    matrices: HashMap<Cow<'a, str>, &'a TensorSignature>,
}

impl<'a> Layout<'a> {
    fn new(signature: &'a Signature) -> Self {
        let tensors = signature.tensors();
        let named = unwrapped(tensors).into_iter().zip(tensors);
        Self {
            matrices: named
                .filter(|(_, tensor)| tensor.is_weight() && tensor.shape().len() == 2)
                .collect(),
        }
    }

    /// The names of the square matrices.
    fn square(&self) -> impl Iterator<Item = String> {
        let square = (self.matrices.values()).filter(|tensor| !is_oblong(tensor));
        square.map(|tensor| tensor.name().into())
    }

    /// The names of the matrices that are stored transposed, as another model shows; none where it shows
    /// nothing, or if it is the other that is to be transposed.
    fn transposed_against(&self, other: &Self) -> Vec<String> {
        let mut reversed: Vec<(&str, &TensorSignature)> = Vec::new();
        let mut same = 0;
        for (name, tensor) in self.matrices.iter().filter(|(_, tensor)| is_oblong(tensor)) {
            let Some(found) = other.matrices.get(name) else {
                continue;
            };
            if tensor.shape() == found.shape() {
                same += 1;
            } else if tensor.shape().iter().eq(found.shape().iter().rev()) {
                reversed.push((name, tensor));
            }
        }
        reversed.sort_unstable_by_key(|&(name, _)| name);
        if reversed.len() <= same || !is_input_major(&reversed) {
            return Vec::new();
        }
        let names = reversed.iter().map(|(_, tensor)| tensor.name().into());
        names.collect()
    }
}

fn is_oblong(tensor: &TensorSignature) -> bool {
    tensor.shape().first() != tensor.shape().last()
}

/// Whether matrices, rather than their transposes, have a row for each input.
fn is_input_major(matrices: &[(&str, &TensorSignature)]) -> bool {
    let side = |tensor: &TensorSignature, at: usize| tensor.shape().get(at).copied().unwrap_or(0);
    let mut counts: HashMap<usize, [usize; 2]> = HashMap::new();
    for (_, tensor) in matrices {
        for at in 0..2 {
            counts.entry(side(tensor, at)).or_default()[at] += 1;
        }
    }
    // The width of the hidden state is the length that occurs most, of several the least.
    let most = counts
        .iter()
        .max_by_key(|(length, count)| (count[0] + count[1], core::cmp::Reverse(**length)));
    let [rows, columns] = most.map_or([0; 2], |(_, &count)| count);
    match matrices.first() {
        Some((_, first)) if rows == columns => side(first, 0) < side(first, 1),
        _ => rows > columns,
    }
}
