//! What must not depend on how items are numbered, in which unit weights are, and where zero is.

use super::Violation;
use crate::condensed::CondensedMatrix;

/// Whether the parents found for renumbered items are the renumbered parents.
///
/// Item `order[p]` was at position p the second time. It holds of every method where no two answers
/// are equally good.
///
/// # Errors
///
/// [`Violation::Length`], and the first item whose parent is another.
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
        // A parent that doesn't exist must not pass for none.
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

/// Whether the distances of renumbered items are the renumbered distances, bit for bit.
///
/// Item `order[p]` was at position p the second time.
///
/// # Errors
///
/// [`Violation::Length`], and the first pair, by its numbers before, whose distance is another.
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

/// Whether all distances are `factor` times what they were, but for a relative `tolerance`.
///
/// That is so when all weights were multiplied by it; with a factor of 1, when something was added
/// to all weights alike.
///
/// # Errors
///
/// [`Violation::Length`], and the first pair whose distance is another.
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
    fn a_pair_is_named_by_its_numbers_before() {
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
