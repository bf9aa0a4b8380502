//! Checks that results don't depend on the numbering of items, the unit of weights, or their origin.

use super::Violation;
use crate::condensed::CondensedMatrix;

/// Checks that the parents found for renumbered items are the renumbered parents.
///
/// Item `order[p]` was at position p the second time. This holds for every method if no two answers
/// are equally good.
///
/// # Errors
///
/// [`Violation::Length`], and [`Violation::Relabelling`] with the first item whose parent differs.
///
/// # Examples
///
/// ```
/// use mother::invariants::relabelled_parents;
///
/// let (parents, order) = ([None, Some(0), Some(1)], [2, 0, 1]);
/// assert_eq!(relabelled_parents(&order, &parents, &[Some(2), None, Some(1)]), Ok(()));
/// assert!(relabelled_parents(&order, &parents, &[Some(1), None, Some(1)]).is_err());
/// ```
pub fn relabelled_parents(
    order: &[usize],
    parents: &[Option<usize>],
    relabelled: &[Option<usize>],
) -> Result<(), Violation> {
    for found in [order.len(), relabelled.len()] {
        if found != parents.len() {
            return Err(Violation::Length {
                expected: parents.len(),
                found,
            });
        }
    }
    for (&item, parent) in order.iter().zip(relabelled) {
        // A parent that doesn't exist must not count as none.
        let found = match parent {
            Some(position) => match order.get(*position) {
                Some(&parent) => Some(parent),
                None => return Err(Violation::Relabelling { item }),
            },
            None => None,
        };
        if parents.get(item) != Some(&found) {
            return Err(Violation::Relabelling { item });
        }
    }
    Ok(())
}

/// Checks that the distances of renumbered items are the renumbered distances, to the bit.
///
/// Item `order[p]` was at position p the second time.
///
/// # Errors
///
/// [`Violation::Length`], and the first pair, by its original numbers, whose distance differs.
pub fn relabelled_distances(
    order: &[usize],
    distances: &CondensedMatrix,
    relabelled: &CondensedMatrix,
) -> Result<(), Violation> {
    let Some(expected) = distances
        .select(order)
        .filter(|_| order.len() == distances.size())
    else {
        return Err(Violation::Length {
            expected: distances.size(),
            found: order.len(),
        });
    };
    scaled_distances(1.0, &expected, relabelled, 0.0).map_err(|violation| match violation {
        Violation::Distance {
            row,
            column,
            expected,
            found,
        } => Violation::Distance {
            row: order[row],
            column: order[column],
            expected,
            found,
        },
        other => other,
    })
}

/// Checks that all distances have been multiplied by `factor`, up to a relative `tolerance`.
///
/// This must hold if all weights were multiplied by it and, with a factor of 1, if the same number was added
/// to all weights.
///
/// # Errors
///
/// [`Violation::Length`], and [`Violation::Distance`] with the first pair whose distance differs.
///
/// # Examples
///
/// ```
/// use mother::condensed::CondensedMatrix;
/// use mother::invariants::scaled_distances;
///
/// let distances = |value| CondensedMatrix::new(2, vec![value]);
/// assert_eq!(scaled_distances(4.0, &distances(0.5)?, &distances(2.0)?, 0.0), Ok(()));
/// assert!(scaled_distances(4.0, &distances(0.5)?, &distances(2.1)?, 0.01).is_err());
/// # Ok::<(), mother::condensed::CondensedError>(())
/// ```
pub fn scaled_distances(
    factor: f64,
    distances: &CondensedMatrix,
    scaled: &CondensedMatrix,
    tolerance: f64,
) -> Result<(), Violation> {
    if distances.size() != scaled.size() {
        return Err(Violation::Length {
            expected: distances.size(),
            found: scaled.size(),
        });
    }
    for ((row, column, distance), &found) in distances.pairs().zip(scaled.values()) {
        let expected = factor * distance;
        let exact = found == expected;
        if !(exact || (found - expected).abs() <= tolerance * expected.abs()) {
            return Err(Violation::Distance {
                row,
                column,
                expected,
                found,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn parents_that_do_not_exist_and_wrong_lengths_are_found() {
        let parents = [None, Some(0)];
        assert_eq!(
            relabelled_parents(&[1, 0], &parents, &[Some(1), None]),
            Ok(())
        );
        let wrong = Violation::Relabelling { item: 1 };
        assert_eq!(
            relabelled_parents(&[1, 0], &parents, &[Some(9), None]),
            Err(wrong)
        );
        assert!(relabelled_parents(&[0], &parents, &[None, Some(0)]).is_err());
        assert!(relabelled_parents(&[0, 1], &parents, &[None]).is_err());
        assert!(relabelled_parents(&[7, 1], &parents, &[None, Some(0)]).is_err());
    }

    #[test]
    fn a_pair_is_named_by_its_original_numbers() {
        let before = CondensedMatrix::new(3, vec![1.0, 2.0, 3.0]).unwrap();
        let after = CondensedMatrix::new(3, vec![2.0, 3.5, 1.0]).unwrap();
        let wrong = relabelled_distances(&[2, 0, 1], &before, &after).unwrap_err();
        let expected = Violation::Distance {
            row: 2,
            column: 1,
            expected: 3.0,
            found: 3.5,
        };
        assert_eq!(wrong, expected);
        assert!(relabelled_distances(&[2, 0], &before, &after).is_err());
    }
}
