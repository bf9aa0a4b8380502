//! Mixed heritage: which trees a merged model comes from.

use core::cmp::Ordering;

use alloc::vec::Vec;

use crate::clustering::Partition;
use crate::evidence::Geometry;

/// How alike the mean weights of some models and those of a cluster are.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClusterSimilarity {
    /// The cluster's label.
    pub cluster: usize,
    /// The cosine of the angle between the two means: 1 for one direction, about 0 for independent
    /// weights.
    pub cosine: f64,
}

/// The clusters of which merged models come, the most likely first.
///
/// `merged` are the positions of one merged model or of a whole tree of models made from it. Every
/// cluster that holds none of them is compared with them: the parents of a merge of k models are
/// the first k. Clusters that are exactly as similar come in the order of their labels, which
/// [`Partition`] gives by first member.
///
/// Another merge that shares a parent with this one is similar too, sometimes more than a parent
/// that was trained on for long: where several merges are expected, leave the clusters of the
/// others out of the list before counting.
///
/// # Errors
///
/// [`MixedHeritageError::Models`] when geometry and clusters are of different numbers of models,
/// [`MixedHeritageError::Model`] when there is no such model,
/// [`MixedHeritageError::NoModel`] when `merged` is empty, and
/// [`MixedHeritageError::ZeroMean`] when the mean of weights has no direction.
///
/// # Complexity
///
/// O(n²) time for n models.
///
/// # Examples
///
/// ```
/// use mother::clustering::Partition;
/// use mother::condensed::CondensedMatrix;
/// use mother::evidence::Geometry;
/// use mother::heritage::cluster_similarities;
///
/// // Three orthogonal models of length 1, and the average of the first two.
/// let distances = CondensedMatrix::new(4, vec![2.0, 2.0, 0.5, 2.0, 0.5, 1.5])?;
/// let geometry = Geometry::new(vec![1.0, 1.0, 1.0, 0.5], distances)?;
/// let trees = Partition::from_labels(&[0, 1, 2, 3]);
/// let similarities = cluster_similarities(&geometry, &trees, &[3])?;
/// let parents: Vec<usize> = similarities.iter().take(2).map(|s| s.cluster).collect();
/// assert_eq!(parents, [0, 1]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # References
///
/// Horwitz, Shul, Hoshen, *Unsupervised Model Tree Heritage Recovery*, ICLR 2025, appendix E.
pub fn cluster_similarities(
    geometry: &Geometry,
    clusters: &Partition,
    merged: &[usize],
) -> Result<Vec<ClusterSimilarity>, MixedHeritageError> {
    let models = geometry.squared_norms().len();
    if clusters.labels().len() != models {
        return Err(MixedHeritageError::Models {
            geometry: models,
            clusters: clusters.labels().len(),
        });
    }
    if let Some(&model) = merged.iter().find(|&&model| model >= models) {
        return Err(MixedHeritageError::Model { model, models });
    }
    if merged.is_empty() {
        return Err(MixedHeritageError::NoModel);
    }
    let length = length_of_mean(geometry, merged)?;
    let mut similarities = Vec::new();
    for (cluster, members) in clusters.members().iter().enumerate() {
        if merged.iter().any(|model| members.contains(model)) {
            continue;
        }
        let cosine =
            mean_product(geometry, merged, members) / (length * length_of_mean(geometry, members)?);
        similarities.push(ClusterSimilarity { cluster, cosine });
    }
    similarities.sort_by(|first, second| {
        let descending = second.cosine.partial_cmp(&first.cosine);
        descending.unwrap_or(Ordering::Equal)
    });
    Ok(similarities)
}

/// The inner product of the mean weights of two sets of models.
fn mean_product(geometry: &Geometry, first: &[usize], second: &[usize]) -> f64 {
    let products = first.iter().flat_map(|&u| {
        let product = move |&v: &usize| geometry.inner_product(u, v).unwrap_or(0.0);
        second.iter().map(product)
    });
    products.sum::<f64>() / (first.len() as f64 * second.len() as f64)
}

fn length_of_mean(geometry: &Geometry, models: &[usize]) -> Result<f64, MixedHeritageError> {
    let squared = mean_product(geometry, models, models);
    if squared > 0.0 {
        Ok(num_traits::Float::sqrt(squared))
    } else {
        let model = models.first().copied().unwrap_or(0);
        Err(MixedHeritageError::ZeroMean { model })
    }
}

crate::errors::errors! {
    /// Why the heritage of a merged model can't be told.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum MixedHeritageError {
        /// Geometry and clusters are of different models.
        Models {
            /// The number of models of the geometry.
            geometry: usize,
            /// The number of models that are clustered.
            clusters: usize,
        } => "the geometry is of {geometry} models, the clusters are of {clusters}",
        /// There is no such model.
        Model {
            /// Its position.
            model: usize,
            /// How many models there are.
            models: usize,
        } => "there is no model {model} of {models}",
        /// No merged model was named.
        NoModel => "no merged model is named",
        /// The mean weights of some models are zero, so they have no direction.
        ZeroMean {
            /// The first of those models.
            model: usize,
        } => "the mean weights of model {model} and those with it are zero",
    }
}
