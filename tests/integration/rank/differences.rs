//! Ranks of many pairs at once, against the rank of each by itself.

use mother::rank::{
    Difference, MatrixView, RankError, Tolerance, rank_of_difference, ranks_of_differences,
};
use mother::weights::ElementType;

use super::matrix::{Matrix, normal};

const SHAPE: (usize, usize) = (200, 196);

/// As models store them: one root, updates of rank 1, 8 and 60, a copy, and one trained in full.
fn matrices() -> Vec<Vec<f32>> {
    let (rows, columns) = SHAPE;
    let random = |rows, columns, seed| Matrix::from_source(rows, columns, &mut normal(seed));
    let update = |rank, seed| {
        let left = random(rows, rank, seed).map(|value| value * 0.1);
        left.times(&random(rank, columns, seed + 1))
    };
    let root = random(rows, columns, 1);
    let small = update(8, 2);
    let models = [
        root.clone(),
        root.plus(&update(1, 4)),
        root.plus(&small),
        root.plus(&small).plus(&update(60, 6)),
        root.clone(),
        root.plus(&random(rows, columns, 8).map(|value| value * 0.1)),
    ];
    let stored = |matrix: &Matrix| matrix.values.iter().map(|&v| v as f32).collect();
    models.iter().map(stored).collect()
}

fn views(matrices: &[Vec<f32>]) -> Vec<MatrixView<'_, f32>> {
    let view = |values| MatrixView::new(values, SHAPE.0, SHAPE.1).unwrap();
    matrices.iter().map(|values| view(values)).collect()
}

fn all_pairs(count: usize, tolerance: Tolerance) -> Vec<Difference> {
    let pair = |first, second| Difference {
        first,
        second,
        tolerance,
    };
    (0..count)
        .flat_map(|first| (first + 1..count).map(move |second| pair(first, second)))
        .collect()
}

#[test]
fn ranks_are_those_of_each_pair() {
    let matrices = matrices();
    let views = views(&matrices);
    let pairs = all_pairs(views.len(), Tolerance::numpy(ElementType::F32));
    let found = ranks_of_differences(&views, &pairs);
    for (pair, found) in pairs.iter().zip(&found) {
        let (first, second) = (views[pair.first], views[pair.second]);
        let rank = rank_of_difference(first, second, pair.tolerance).unwrap();
        assert_eq!(*found, Ok(rank.value()), "{pair:?}");
    }
    let of_root: Vec<_> = found.into_iter().take(5).map(Result::unwrap).collect();
    assert_eq!(of_root, [1, 8, 68, 0, 196]);
}

#[test]
fn neither_other_pairs_nor_threads_change_a_rank() {
    let matrices = matrices();
    let views = views(&matrices[..5]);
    let mut pairs = all_pairs(views.len(), Tolerance::Relative(1e-5));
    let found = ranks_of_differences(&views, &pairs);
    for (pair, found) in pairs.iter().zip(&found) {
        let alone = ranks_of_differences(&views, &[*pair]);
        assert_eq!(alone.first(), Some(found));
    }
    pairs.reverse();
    let mut reversed = ranks_of_differences(&views, &pairs);
    reversed.reverse();
    assert_eq!(reversed, found);
    #[cfg(feature = "rayon")]
    for threads in [2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pairs.reverse();
        let again = pool
            .unwrap()
            .install(|| ranks_of_differences(&views, &pairs));
        pairs.reverse();
        assert_eq!(again, found);
    }
}

#[test]
fn errors_affect_only_their_own_pairs() {
    let mut matrices = matrices();
    matrices[1][196 + 7] = f32::NAN;
    let views = views(&matrices);
    let short = [0.0; 6];
    let mut views = views;
    views[3] = MatrixView::new(&short, 2, 3).unwrap();
    let good = Tolerance::numpy(ElementType::F32);
    let pair = |first, second, tolerance| Difference {
        first,
        second,
        tolerance,
    };
    let pairs = [
        pair(0, 2, good),
        pair(0, 1, good),
        pair(3, 2, good),
        pair(9, 2, good),
        pair(2, 7, good),
        pair(4, 2, Tolerance::Absolute(-1.0)),
        pair(4, 2, good),
        pair(2, 2, good),
    ];
    let found = ranks_of_differences(&views, &pairs);
    assert_eq!([&found[0], &found[6], &found[7]], [&Ok(8), &Ok(8), &Ok(0)]);
    let Err(RankError::NonFinite {
        row: 1, column: 7, ..
    }) = found[1]
    else {
        panic!("{:?}", found[1]);
    };
    let (first, second) = ((2, 3), SHAPE);
    assert_eq!(found[2], Err(RankError::ShapesDiffer { first, second }));
    assert_eq!(found[3], Err(RankError::UnknownMatrix { position: 9 }));
    assert_eq!(found[4], Err(RankError::UnknownMatrix { position: 7 }));
    assert!(matches!(found[5], Err(RankError::InvalidTolerance { .. })));
}

#[test]
fn no_matrices_have_no_ranks() {
    assert!(ranks_of_differences::<f64>(&[], &[]).is_empty());
    let pairs = all_pairs(2, Tolerance::Absolute(0.0));
    let unknown = RankError::UnknownMatrix { position: 0 };
    assert_eq!(ranks_of_differences::<f64>(&[], &pairs), [Err(unknown)]);
    let empty = MatrixView::<f64>::new(&[], 0, 3).unwrap();
    assert_eq!(ranks_of_differences(&[empty; 2], &pairs), [Ok(0)]);
}
