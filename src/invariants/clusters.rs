//! Dendrograms and partitions.

use alloc::vec;
use alloc::vec::Vec;

use super::Violation;
use crate::clustering::{Linkage, Step};

/// Checks that steps form a dendrogram of this many points, in SciPy's convention.
///
/// Every point and every cluster is merged once, with the lower label first. The last cluster has all
/// points. Heights are finite and not negative.
///
/// # Errors
///
/// The first step that is wrong.
///
/// # Complexity
///
/// O(n) time and space.
///
/// # Examples
///
/// ```
/// use mother::clustering::{Linkage, linkage};
/// use mother::condensed::CondensedMatrix;
/// use mother::invariants::dendrogram;
///
/// let distances = CondensedMatrix::new(3, vec![1.0, 2.0, 3.0])?;
/// let found = linkage(&distances, Linkage::Median)?;
/// assert_eq!(dendrogram(3, found.steps()), Ok(()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn dendrogram(points: usize, steps: &[Step]) -> Result<(), Violation> {
    let expected = points.saturating_sub(1);
    if steps.len() != expected {
        return Err(Violation::Length {
            expected,
            found: steps.len(),
        });
    }
    let mut sizes: Vec<Option<usize>> = vec![Some(1); points];
    for (number, step) in steps.iter().enumerate() {
        let mut take = |label: usize| sizes.get_mut(label).and_then(Option::take);
        let (left, right) = (take(step.left), take(step.right));
        let (Some(left), Some(right), true) = (left, right, step.left < step.right) else {
            return Err(Violation::Labels {
                step: number,
                left: step.left,
                right: step.right,
            });
        };
        if left + right != step.size {
            return Err(Violation::ClusterSize {
                step: number,
                expected: left + right,
                found: step.size,
            });
        }
        if !(step.height.is_finite() && step.height >= 0.0) {
            return Err(Violation::Height {
                step: number,
                height: step.height,
            });
        }
        sizes.push(Some(step.size));
    }
    Ok(())
}

/// Checks that heights never decrease, unless the linkage is centroid or median, which don't guarantee that.
///
/// # Errors
///
/// The first step that is lower than the one before it.
pub fn monotone_heights(linkage: Linkage, steps: &[Step]) -> Result<(), Violation> {
    if matches!(linkage, Linkage::Centroid | Linkage::Median) {
        return Ok(());
    }
    match (1..steps.len()).find(|&step| steps[step].height < steps[step - 1].height) {
        Some(step) => Err(Violation::Height {
            step,
            height: steps[step].height,
        }),
        None => Ok(()),
    }
}

/// Checks that points that share a cluster in the finer partition also share one in the coarser, as in all
/// cuts of one dendrogram.
///
/// # Errors
///
/// [`Violation::Length`] if the partitions have different numbers of points, and
/// [`Violation::NotNested`] with the first pair that is separated.
///
/// # Complexity
///
/// O(n²) time.
pub fn nested(finer: &[usize], coarser: &[usize]) -> Result<(), Violation> {
    if finer.len() != coarser.len() {
        return Err(Violation::Length {
            expected: finer.len(),
            found: coarser.len(),
        });
    }
    let pairs = (0..finer.len()).flat_map(|first| (0..first).map(move |second| (second, first)));
    let mut torn = pairs.filter(|&(a, b)| finer[a] == finer[b] && coarser[a] != coarser[b]);
    match torn.next() {
        Some((first, second)) => Err(Violation::NotNested { first, second }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(left: usize, right: usize, height: f64, size: usize) -> Step {
        Step {
            left,
            right,
            height,
            size,
        }
    }

    #[test]
    fn each_fault_of_a_dendrogram_is_found() {
        let right = [step(0, 2, 1.0, 2), step(1, 3, 2.0, 3)];
        assert_eq!(dendrogram(3, &right), Ok(()));
        assert_eq!(dendrogram(0, &[]), Ok(()));
        assert_eq!(dendrogram(1, &[]), Ok(()));
        let expect = |at: usize, wrong: Step| {
            let mut steps = right;
            steps[at] = wrong;
            dendrogram(3, &steps).unwrap_err()
        };
        for wrong in [
            step(0, 3, 1.0, 3),
            step(3, 1, 1.0, 3),
            step(1, 4, 1.0, 3),
            step(1, 1, 1.0, 2),
        ] {
            assert!(matches!(
                expect(1, wrong),
                Violation::Labels { step: 1, .. }
            ));
        }
        assert!(matches!(
            expect(1, step(1, 3, 1.0, 2)),
            Violation::ClusterSize { .. }
        ));
        for height in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(matches!(
                expect(0, step(0, 2, height, 2)),
                Violation::Height { .. }
            ));
        }
        assert!(matches!(
            dendrogram(4, &right),
            Err(Violation::Length { .. })
        ));
    }

    #[test]
    fn falling_heights_are_found_where_they_must_not_be() {
        let falling = [step(0, 2, 2.0, 2), step(1, 3, 1.0, 3)];
        for linkage in Linkage::ALL {
            let may_fall = matches!(linkage, Linkage::Centroid | Linkage::Median);
            assert_eq!(monotone_heights(linkage, &falling).is_ok(), may_fall);
        }
    }

    #[test]
    fn partitions_that_are_not_nested_are_reported() {
        assert_eq!(nested(&[0, 0, 1], &[5, 5, 5]), Ok(()));
        let torn = Violation::NotNested {
            first: 0,
            second: 1,
        };
        assert_eq!(nested(&[0, 0, 1], &[0, 1, 1]), Err(torn));
        assert!(nested(&[0], &[]).is_err());
    }
}
