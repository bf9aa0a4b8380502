//! The dendrogram: the clusters merged at each height, and cuts into partitions.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::ClusteringError;
use crate::condensed::{CondensedMatrix, condensed_index};
use crate::disjoint_sets::DisjointSets;

/// One merge of a dendrogram.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Step {
    /// The merged cluster with the lower label: a point, or n + s for the cluster of step s.
    pub left: usize,
    /// The merged cluster with the higher label.
    pub right: usize,
    /// The distance between the two clusters.
    pub height: f64,
    /// The number of points in the new cluster.
    pub size: usize,
}

/// Two clusters that merge, each named by one of its points, and the height of the merge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merge {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) height: f64,
}

impl Merge {
    pub(super) const fn new(first: usize, second: usize, height: f64) -> Self {
        Self {
            first,
            second,
            // Turns −0 into 0.
            height: height + 0.0,
        }
    }
}

/// All n − 1 merges of n points, from n clusters to one, in SciPy's convention.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(remote = "Self")
)]
pub struct Dendrogram {
    points: usize,
    steps: Vec<Step>,
}

crate::checked::deserialise_checked!(Dendrogram, |read| Self::new(read.points, read.steps));

impl Dendrogram {
    /// Creates a dendrogram from these steps, after checking them.
    ///
    /// # Errors
    ///
    /// [`ClusteringError::Empty`] for no points, [`ClusteringError::Steps`] for too many or too few steps,
    /// and [`ClusteringError::Labels`], [`ClusteringError::Height`] or [`ClusteringError::Size`] for the
    /// first step that is wrong.
    ///
    /// # Complexity
    ///
    /// O(n) time and space.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::clustering::{ClusteringError, Dendrogram, Step};
    ///
    /// let step = |left, right, size| Step { left, right, height: 1.0, size };
    /// assert!(Dendrogram::new(3, vec![step(0, 2, 2), step(1, 3, 3)]).is_ok());
    /// let twice = Dendrogram::new(3, vec![step(0, 2, 2), step(0, 3, 3)]);
    /// let labels = ClusteringError::Labels { step: 1, left: 0, right: 3 };
    /// assert_eq!(twice, Err(labels));
    /// ```
    pub fn new(points: usize, steps: Vec<Step>) -> Result<Self, ClusteringError> {
        if points == 0 {
            return Err(ClusteringError::Empty);
        }
        if steps.len() != points - 1 {
            return Err(ClusteringError::Steps {
                points,
                steps: steps.len(),
            });
        }
        // The size of every current cluster; 0 once it has been merged.
        let mut sizes = vec![1; points];
        for (number, step) in steps.iter().enumerate() {
            let mut take = |label: usize| sizes.get_mut(label).map_or(0, core::mem::take);
            let (left, right) = (take(step.left), take(step.right));
            if left == 0 || right == 0 || step.left > step.right {
                return Err(ClusteringError::Labels {
                    step: number,
                    left: step.left,
                    right: step.right,
                });
            }
            if !(step.height.is_finite() && step.height >= 0.0) {
                return Err(ClusteringError::Height {
                    step: number,
                    height: step.height,
                });
            }
            if left + right != step.size {
                return Err(ClusteringError::Size {
                    step: number,
                    size: step.size,
                });
            }
            sizes.push(step.size);
        }
        Ok(Self { points, steps })
    }

    /// Labels merges of points. Monotone merges may come in any order and are first sorted by height.
    pub(super) fn from_merges(points: usize, mut merges: Vec<Merge>, monotone: bool) -> Self {
        if monotone {
            // Stable, so that among equal heights the merge found first comes first, as in scipy.
            merges.sort_by(|first, second| first.height.total_cmp(&second.height));
        }
        let mut sets = DisjointSets::new(points);
        let (mut labels, mut sizes): (Vec<usize>, _) = ((0..points).collect(), vec![1; points]);
        let mut steps = Vec::with_capacity(merges.len());
        for merge in merges {
            let (first, second) = (sets.find(merge.first), sets.find(merge.second));
            let size = sizes[first] + sizes[second];
            let union = sets.join(first, second);
            steps.push(Step {
                left: labels[first].min(labels[second]),
                right: labels[first].max(labels[second]),
                height: merge.height,
                size,
            });
            sizes[union] = size;
            labels[union] = points + steps.len() - 1;
        }
        Self { points, steps }
    }

    /// The number of points.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.points
    }

    /// The n − 1 merges, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Cuts into exactly `clusters` clusters by undoing the last merges.
    ///
    /// # Errors
    ///
    /// [`ClusteringError::Count`] for zero clusters, or more clusters than points.
    pub fn cut_into(&self, clusters: usize) -> Result<Partition, ClusteringError> {
        if clusters == 0 || clusters > self.points {
            return Err(ClusteringError::Count {
                clusters,
                points: self.points,
            });
        }
        Ok(self.partition(|step, _| step < self.points - clusters))
    }

    /// The largest clusters in which every merge is at or below `height`.
    #[must_use]
    pub fn cut_at(&self, height: f64) -> Partition {
        let mut highest = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let below = |label: usize| {
                label
                    .checked_sub(self.points)
                    .map_or(step.height, |child: usize| highest[child])
            };
            let top = step.height.max(below(step.left)).max(below(step.right));
            highest.push(top);
        }
        self.partition(|step, _| highest[step] <= height)
    }

    /// Cuts at the merge that is highest relative to the one before it.
    ///
    /// Merges at height zero, which join equal points, are never undone. With fewer than two merges above
    /// zero there is no gap, and all points form one cluster. Among equally wide gaps the highest is
    /// taken. Even a dendrogram of one homogeneous cluster has a widest gap, so look at its ratio.
    #[must_use]
    pub fn cut_at_widest_gap(&self) -> WidestGap {
        let mut widest = (1.0, self.steps.len());
        for (step, pair) in self.steps.windows(2).enumerate() {
            let ratio = pair[1].height / pair[0].height;
            if pair[0].height > 0.0 && ratio >= widest.0 {
                widest = (ratio, step + 1);
            }
        }
        WidestGap {
            ratio: widest.0,
            partition: self.partition(|step, _| step < widest.1),
        }
    }

    /// The height at which each pair of points is joined into one cluster.
    ///
    /// For single linkage, it is the largest distance on the path between them in the minimum spanning
    /// tree, which is the least possible over all paths.
    ///
    /// # Errors
    ///
    /// [`ClusteringError::Memory`] if there is not enough memory for n points.
    ///
    /// # Complexity
    ///
    /// O(n²) time and memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::clustering::{Linkage, linkage};
    /// use mother::condensed::CondensedMatrix;
    ///
    /// let distances = CondensedMatrix::new(3, vec![1.0, 9.0, 4.0])?;
    /// let cophenetic = linkage(&distances, Linkage::Single)?.cophenetic_distances()?;
    /// assert_eq!(cophenetic.values(), [1.0, 4.0, 4.0]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # References
    ///
    /// R. R. Sokal, F. J. Rohlf, "The Comparison of Dendrograms by Objective Methods", *Taxon* 11,
    /// 1962. [doi:10.2307/1217208](https://doi.org/10.2307/1217208)
    pub fn cophenetic_distances(&self) -> Result<CondensedMatrix, ClusteringError> {
        let memory = ClusteringError::Memory {
            points: self.points,
        };
        let Some(ordered) = self.points.checked_mul(self.points.saturating_sub(1)) else {
            return Err(memory);
        };
        let mut heights = Vec::new();
        if heights.try_reserve_exact(ordered / 2).is_err() {
            return Err(memory);
        }
        heights.resize(ordered / 2, 0.0);
        let mut members: Vec<Vec<usize>> = (0..self.points).map(|point| vec![point]).collect();
        for step in &self.steps {
            let mut left = mem::take(&mut members[step.left]);
            let right = mem::take(&mut members[step.right]);
            for &first in &left {
                for &second in &right {
                    heights[condensed_index(self.points, first, second)] = step.height;
                }
            }
            left.extend(right);
            members.push(left);
        }
        // Heights are numbers, and there is one for each pair.
        CondensedMatrix::new(self.points, heights).map_err(|_| memory)
    }

    /// Joins the clusters of every step that `keep` accepts.
    fn partition(&self, keep: impl Fn(usize, &Step) -> bool) -> Partition {
        let mut sets = DisjointSets::new(self.points);
        let mut member: Vec<usize> = (0..self.points).collect();
        for (number, step) in self.steps.iter().enumerate() {
            let (left, right) = (member[step.left], member[step.right]);
            if keep(number, step) {
                sets.join(left, right);
            }
            member.push(left);
        }
        let roots: Vec<usize> = (0..self.points).map(|point| sets.find(point)).collect();
        Partition::from_labels(&roots)
    }
}

/// A cut at the widest relative gap between heights.
#[derive(Clone, Debug, PartialEq)]
pub struct WidestGap {
    /// The ratio of the height above the gap to the height below it; 1 if there is no gap.
    pub ratio: f64,
    /// The clusters below the gap.
    pub partition: Partition,
}

/// Points divided into clusters, which are numbered in the order of their first points.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "Vec<usize>", into = "Vec<usize>")
)]
pub struct Partition {
    labels: Vec<usize>,
    count: usize,
}

impl Partition {
    /// The partition that groups points with equal labels, whatever the labels are.
    #[must_use]
    pub fn from_labels(labels: &[usize]) -> Self {
        let mut numbers = hashbrown::HashMap::new();
        let labels = labels
            .iter()
            .map(|label| {
                let next = numbers.len();
                *numbers.entry(*label).or_insert(next)
            })
            .collect();
        Self {
            labels,
            count: numbers.len(),
        }
    }

    /// The cluster of each point.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The number of clusters.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The points of each cluster, in ascending order.
    #[must_use]
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.count];
        for (point, &label) in self.labels.iter().enumerate() {
            members[label].push(point);
        }
        members
    }
}

impl From<Vec<usize>> for Partition {
    fn from(labels: Vec<usize>) -> Self {
        Self::from_labels(&labels)
    }
}

impl From<Partition> for Vec<usize> {
    fn from(partition: Partition) -> Self {
        partition.labels
    }
}
