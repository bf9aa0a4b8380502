//! Finds models that store their matrices transposed, compared with others that use the same names.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::matching::prefixes::named_alike;
use crate::signature::{ModelFailure, Signature, SignatureOptions, TensorSignature};
use crate::weights::{Transposed, Unfused, WeightSource, bias_of};

/// A model that stores some matrices transposed, compared with another model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransposedModel {
    /// The position of the model's signature.
    pub model: usize,
    /// The names of the matrices to transpose, sorted.
    pub layers: Vec<String>,
}

/// Finds the models that store matrices with one row for each input, whereas others with the same names have
/// one row for each output.
///
/// Two models are stored differently if most of the non-square matrices with the same name in both have
/// reversed shapes. If names differ, it is enough that more shapes agree when reversed than as they are. One
/// of the two then has to be transposed. It is the one whose matrices less often have the most frequent width
/// of both models, since in a network more matrices read from the hidden state than write to it. If that is
/// undecided, it is the one whose first such matrix is wider. A model whose biases show that it has one row for
/// each output is never transposed. Square matrices follow the others of their model. The sketches of a matrix and
/// of its transpose can't be compared, so these models must be signed again; [`sign_aligned`] does all of this.
///
/// Models whose biases show how they are stored are already aligned: see [`Unfused`].
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
    let mut layers: Vec<BTreeSet<&str>> = models_of.iter().map(|_| BTreeSet::new()).collect();
    for (at, models) in models_of.iter().enumerate() {
        let first = &signatures[models[0]];
        for (other, models) in models_of.iter().enumerate().skip(at + 1) {
            match transposed(first, &signatures[models[0]]) {
                Some((Which::First, names)) => layers[at].extend(names),
                Some((Which::Second, names)) => layers[other].extend(names),
                None => {}
            }
        }
    }
    let mut found = Vec::new();
    for (layers, models) in layers.iter().zip(&models_of).filter(|(l, _)| !l.is_empty()) {
        let layers: Vec<String> = layers.iter().map(|&name| name.into()).collect();
        found.extend(models.iter().map(|&model| TransposedModel {
            model,
            layers: layers.clone(),
        }));
    }
    found.sort_by_key(|found| found.model);
    found
}

/// Signs many models, reading those that store their matrices transposed a second time. Results are in the
/// order of the models.
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

/// One of two models.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Second,
}

/// Which of two models to transpose, and the names of its matrices; `None` if both are stored alike.
fn transposed<'a>(
    first: &'a Signature,
    second: &'a Signature,
) -> Option<(Which, BTreeSet<&'a str>)> {
    let (u, v) = (first.tensors(), second.tensors());
    let mut pairs = named_alike(u, v, is_same_or_reversed);
    pairs.retain(|&(i, _)| is_matrix(&u[i]));
    let matrices = |tensors: &[TensorSignature]| tensors.iter().filter(|t| is_matrix(t)).count();
    let [in_first, in_second] = if 2 * pairs.len() >= matrices(u).min(matrices(v)) {
        reversed_by_name(pairs.iter().map(|&(i, j)| (&u[i], &v[j])))
    } else {
        reversed_by_shape(u, v)
    }?;
    let is_first = match [has_row_for_each_output(u), has_row_for_each_output(v)] {
        // Their signatures are of matrices with a row for each output, so reversed shapes have another reason.
        [true, true] => return None,
        [true, false] => false,
        [false, true] => true,
        [false, false] => is_input_major(&in_first),
    };
    let (which, model, matrices) = if is_first {
        (Which::First, u, in_first)
    } else {
        (Which::Second, v, in_second)
    };
    let square = model
        .iter()
        .filter(|tensor| is_matrix(tensor) && is_square(tensor));
    let names = matrices
        .into_iter()
        .chain(square)
        .map(TensorSignature::name);
    Some((which, names.collect()))
}

/// The matrices of two models that one of them stores transposed.
type Reversed<'a> = [Vec<&'a TensorSignature>; 2];

/// The matrices with equal names and reversed shapes, if they are most of the non-square ones among the pairs.
fn reversed_by_name<'a>(
    pairs: impl Iterator<Item = (&'a TensorSignature, &'a TensorSignature)>,
) -> Option<Reversed<'a>> {
    let oblong = pairs.filter(|(u, _)| !is_square(u));
    let (same, mut reversed): (Vec<_>, Vec<_>) = oblong.partition(|(u, v)| u.shape() == v.shape());
    if reversed.len() <= same.len() {
        return None;
    }
    reversed.sort_unstable_by_key(|(u, _)| u.name());
    let (in_first, in_second) = reversed.into_iter().unzip();
    Some([in_first, in_second])
}

/// The matrices whose two side lengths match the other model's more often reversed than as they are. Side
/// lengths for which neither holds follow the others. Together they must be half of the non-square matrices.
fn reversed_by_shape<'a>(
    u: &'a [TensorSignature],
    v: &'a [TensorSignature],
) -> Option<Reversed<'a>> {
    let oblong = |tensors: &'a [TensorSignature]| -> Vec<&'a TensorSignature> {
        let matrices = tensors.iter().filter(|tensor| is_matrix(tensor));
        matrices.filter(|tensor| !is_square(tensor)).collect()
    };
    let sides = |tensor: &TensorSignature| {
        let shape = tensor.shape();
        let (rows, columns) = (shape[0], shape[1]);
        (
            [rows.min(columns), rows.max(columns)],
            usize::from(rows > columns),
        )
    };
    let models = [oblong(u), oblong(v)];
    let mut counts: BTreeMap<[usize; 2], [[usize; 2]; 2]> = BTreeMap::new();
    for (model, matrices) in models.iter().enumerate() {
        for tensor in matrices {
            let (lengths, is_high) = sides(tensor);
            counts.entry(lengths).or_default()[model][is_high] += 1;
        }
    }
    let in_common = |[first, second]: [[usize; 2]; 2], reversed: usize| -> usize {
        (0..2).map(|at| first[at].min(second[at ^ reversed])).sum()
    };
    let order = |counts: &[[usize; 2]; 2]| in_common(*counts, 1).cmp(&in_common(*counts, 0));
    if !counts.values().any(|counts| order(counts).is_gt()) {
        return None;
    }
    let is_reversed = |tensor: &&TensorSignature| {
        let counts = &counts[&sides(tensor).0];
        order(counts).is_ge() && in_common(*counts, 1) > 0
    };
    let all = models.each_ref().map(Vec::len);
    let reversed =
        models.map(|matrices| -> Vec<_> { matrices.into_iter().filter(is_reversed).collect() });
    let are_half = reversed
        .iter()
        .zip(all)
        .all(|(reversed, all)| 2 * reversed.len() >= all);
    are_half.then_some(reversed)
}

fn is_matrix(tensor: &TensorSignature) -> bool {
    tensor.is_weight() && tensor.shape().len() == 2
}

fn is_square(tensor: &TensorSignature) -> bool {
    tensor.shape().first() == tensor.shape().last()
}

fn is_same_or_reversed(u: &TensorSignature, v: &TensorSignature) -> bool {
    let is_reversed = is_matrix(u) && u.shape().iter().eq(v.shape().iter().rev());
    u.shape() == v.shape() || is_reversed
}

/// Whether biases show that matrices have a row for each output. [`Unfused`] lists the matrices of such models so.
fn has_row_for_each_output(tensors: &[TensorSignature]) -> bool {
    let has_bias = |tensor: &TensorSignature| {
        let bias = bias_of(tensor.name()).and_then(|name| {
            let found = tensors.binary_search_by(|other| other.name().cmp(&name));
            found.ok().map(|at| &tensors[at])
        });
        bias.is_some_and(|bias| bias.shape() == &tensor.shape()[..1])
    };
    let mut oblong = (tensors.iter()).filter(|tensor| is_matrix(tensor) && !is_square(tensor));
    oblong.any(has_bias)
}

/// Whether the matrices, and not their transposes, have a row for each input.
fn is_input_major(matrices: &[&TensorSignature]) -> bool {
    let side = |tensor: &TensorSignature, at: usize| tensor.shape().get(at).copied().unwrap_or(0);
    let mut counts: HashMap<usize, [usize; 2]> = HashMap::new();
    for tensor in matrices {
        for at in 0..2 {
            counts.entry(side(tensor, at)).or_default()[at] += 1;
        }
    }
    // The width of the hidden state is the most frequent length; among ties, the least.
    let most = counts
        .iter()
        .max_by_key(|(length, count)| (count[0] + count[1], core::cmp::Reverse(**length)));
    let [rows, columns] = most.map_or([0; 2], |(_, &count)| count);
    match matrices.first() {
        Some(first) if rows == columns => side(first, 0) < side(first, 1),
        _ => rows > columns,
    }
}
