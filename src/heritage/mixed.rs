//! Mixed heritage: the trees that a merged model comes from.

use core::cmp::Ordering;

use alloc::vec::Vec;

use crate::clustering::Partition;
use crate::evidence::Geometry;

/// The similarity between the mean weights of some models and those of a cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClusterSimilarity {
    /// The cluster's label.
    pub cluster: usize,
    /// The cosine of the angle between the two means: 1 for the same direction, about 0 for independent
    /// weights.
    pub cosine: f64,
}

/// The clusters that merged models may come from, most likely first.
///
/// `merged` are the positions of one merged model, or of a whole tree of models made from it. They are
/// compared with every cluster that contains none of them. If k models were merged, their clusters are the
/// first k. Ties are in the order of the labels, which [`Partition`] assigns by first member.
///
/// Another merge that shares a parent with this one is similar too, sometimes more than a parent that has
/// been trained further. If you expect several merges, remove the clusters of the others before counting.
///
/// # Errors
///
/// [`MixedHeritageError::Models`] if the geometry and the clusters have different numbers of models,
/// [`MixedHeritageError::Model`] if there is no such model, [`MixedHeritageError::NoModel`] if `merged` is
/// empty, and [`MixedHeritageError::ZeroMean`] if the mean of some weights has no direction.
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
    /// Why the origin of a merged model can't be determined.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum MixedHeritageError {
        /// The geometry and the clusters have different numbers of models.
        Models {
            /// The number of models in the geometry.
            geometry: usize,
            /// The number of models in the clusters.
            clusters: usize,
        } => "the geometry is for {geometry} models, but the clusters are for {clusters}",
        /// There is no such model.
        Model {
            /// Its position.
            model: usize,
            /// How many models there are.
            models: usize,
        } => "model {model} is not among the {models} models",
        /// No merged model was given.
        NoModel => "no merged model given",
        /// The mean weights of some models are zero, so they have no direction.
        ZeroMean {
            /// The first of these models.
            model: usize,
        } => "the mean weights of model {model} and its group are zero",
    }
}
