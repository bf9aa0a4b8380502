//! Arborescences and forests.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::Violation;
use crate::arborescence::{DenseDigraph, Root};
use crate::evidence::Evidence;
use crate::heritage::ModelGraph;

/// Checks that parents lead from every node to a root, so that they form a forest.
///
/// # Errors
///
/// [`Violation::NoSuchParent`], and [`Violation::Cycle`] with the lowest node that is its own ancestor.
///
/// # Complexity
///
/// O(n²) time.
pub fn forest(parents: &[Option<usize>]) -> Result<(), Violation> {
    let size = parents.len();
    for (node, parent) in parents.iter().enumerate() {
        if let Some(parent) = *parent
            && parent >= size
        {
            return Err(Violation::NoSuchParent { node, parent });
        }
    }
    for node in 0..size {
        let mut ancestor = parents[node];
        for _ in 0..size {
            match ancestor {
                Some(found) if found == node => return Err(Violation::Cycle { node }),
                Some(found) => ancestor = parents[found],
                None => break,
            }
        }
    }
    Ok(())
}

/// Checks that parents form a spanning arborescence of a digraph and use only its edges.
///
/// # Errors
///
/// [`Violation::Length`], those of [`forest`], [`Violation::Roots`] unless exactly one node has no
/// parent, and [`Violation::ForbiddenEdge`].
///
/// # Complexity
///
/// O(n²) time.
///
/// # Examples
///
/// ```
/// use mother::arborescence::DenseDigraph;
/// use mother::invariants::{Violation, arborescence};
///
/// let forbidden = f64::INFINITY;
/// let digraph = DenseDigraph::new(2, vec![0.0, 1.0, forbidden, 0.0])?;
/// assert_eq!(arborescence(&digraph, &[None, Some(0)]), Ok(()));
/// let backwards = arborescence(&digraph, &[Some(1), None]);
/// assert_eq!(backwards, Err(Violation::ForbiddenEdge { from: 1, to: 0 }));
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
pub fn arborescence(digraph: &DenseDigraph, parents: &[Option<usize>]) -> Result<(), Violation> {
    if parents.len() != digraph.size() {
        return Err(Violation::Length {
            expected: digraph.size(),
            found: parents.len(),
        });
    }
    forest(parents)?;
    let found = parents.iter().filter(|parent| parent.is_none()).count();
    if found != 1 {
        return Err(Violation::Roots { found });
    }
    for (to, parent) in parents.iter().enumerate() {
        if let Some(from) = *parent
            && edge(digraph, from, to).is_none()
        {
            return Err(Violation::ForbiddenEdge { from, to });
        }
    }
    Ok(())
}

/// The weight of an edge, if it may be used.
fn edge(digraph: &DenseDigraph, from: usize, to: usize) -> Option<f64> {
    let weight = digraph.weight(from, to).filter(|_| from != to)?;
    weight.is_finite().then_some(weight)
}

/// Checks that costs of sets of nodes prove that an arborescence has minimum weight.
///
/// Any arborescence with root r enters every set that doesn't hold r. Suppose that for every edge (except
/// edges into a given root) the costs of the sets that it enters add up to at most its weight, and that no
/// set of several nodes has a negative cost. Then no arborescence with root r is lighter than the sum of the
/// costs of all sets without r. If any node may be the root, this must hold for each node from which all
/// others can be reached. [`DualCertificate::sets`](crate::arborescence::DualCertificate::sets) lists such
/// sets.
///
/// The absolute `tolerance` allows for rounding: about n · ε · the largest magnitude of a weight.
///
/// # Errors
///
/// Those of [`arborescence`]; [`Violation::WrongRoot`] if the root isn't the given one;
/// [`Violation::Cost`], [`Violation::DualInfeasible`] and [`Violation::Gap`].
///
/// # Complexity
///
/// O(n² s) time for s sets.
///
/// # Examples
///
/// ```
/// use mother::arborescence::{DenseDigraph, Root, minimum_arborescence_certified};
/// use mother::invariants::dual_certificate;
///
/// let digraph = DenseDigraph::new(3, vec![0.0, 5.0, 4.0, 1.0, 0.0, 2.0, 9.0, 1.0, 0.0])?;
/// let (tree, certificate) = minimum_arborescence_certified(&digraph, Root::Any)?;
/// let sets: Vec<_> = certificate.sets().collect();
/// assert_eq!(dual_certificate(&digraph, Root::Any, tree.parents(), &sets, 0.0), Ok(()));
/// # Ok::<(), mother::arborescence::ArborescenceError>(())
/// ```
pub fn dual_certificate(
    digraph: &DenseDigraph,
    root: Root,
    parents: &[Option<usize>],
    sets: &[(Vec<usize>, f64)],
    tolerance: f64,
) -> Result<(), Violation> {
    arborescence(digraph, parents)?;
    if let Root::At(expected) = root
        && parents.get(expected).copied() != Some(None)
    {
        return Err(Violation::WrongRoot { expected });
    }
    for (set, (nodes, cost)) in sets.iter().enumerate() {
        let negative = nodes.len() > 1 && *cost < -tolerance;
        if !cost.is_finite() || negative {
            return Err(Violation::Cost { set, cost: *cost });
        }
    }
    let size = digraph.size();
    // By set and node, computed once for all edges.
    let holds: Vec<Vec<bool>> = sets
        .iter()
        .map(|(nodes, _)| (0..size).map(|node| nodes.contains(&node)).collect())
        .collect();
    let costs_where = |counts: &dyn Fn(&[bool]) -> bool| -> f64 {
        let counted = sets.iter().zip(&holds).filter(|(_, holds)| counts(holds));
        counted.map(|((_, cost), _)| cost).sum()
    };
    for from in 0..size {
        for to in 0..size {
            let Some(weight) = edge(digraph, from, to).filter(|_| root != Root::At(to)) else {
                continue;
            };
            let excess = costs_where(&|holds| holds[to] && !holds[from]) - weight;
            if excess > tolerance {
                return Err(Violation::DualInfeasible { from, to, excess });
            }
        }
    }
    let edges = parents.iter().enumerate();
    let weights = edges.filter_map(|(to, parent)| edge(digraph, (*parent)?, to));
    let weight: f64 = weights.sum();
    let may_be_root = |node: usize| match root {
        Root::At(root) => node == root,
        Root::Any => reaches_all(digraph, node),
    };
    for node in (0..size).filter(|&node| may_be_root(node)) {
        let bound = costs_where(&|holds| !holds[node]);
        if weight > bound + tolerance {
            return Err(Violation::Gap { weight, bound });
        }
    }
    Ok(())
}

fn reaches_all(digraph: &DenseDigraph, root: usize) -> bool {
    let mut reached = vec![false; digraph.size()];
    let mut open = vec![root];
    while let Some(from) = open.pop() {
        if core::mem::replace(&mut reached[from], true) {
            continue;
        }
        open.extend((0..digraph.size()).filter(|&to| edge(digraph, from, to).is_some()));
    }
    reached.iter().all(|&reached| reached)
}

/// Checks that a graph is a forest of exactly the models in the evidence, without edges between
/// architectures.
///
/// # Errors
///
/// [`Violation::Models`], [`Violation::Architectures`], and those of [`forest`].
///
/// # Complexity
///
/// O(n²) time.
pub fn recovered_forest(evidence: &Evidence, graph: &ModelGraph) -> Result<(), Violation> {
    let group_of = |name: &str| {
        let mut groups = evidence.groups.iter();
        groups.position(|group| group.models().iter().any(|model| model == name))
    };
    let measured = evidence.groups.iter().flat_map(|group| group.models());
    let mut expected: Vec<&str> = measured.map(String::as_str).collect();
    let mut found: Vec<&str> = graph.models().iter().map(|model| model.name()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    if expected != found {
        let pairs = expected.iter().zip(&found);
        let differing = pairs.filter(|(expected, found)| expected != found);
        let name = differing.map(|(expected, _)| *expected).next();
        let longer = if expected.len() > found.len() {
            &expected
        } else {
            &found
        };
        let last = longer.get(expected.len().min(found.len())).copied();
        let name = name.or(last).unwrap_or_default().into();
        return Err(Violation::Models { name });
    }
    let parents: Vec<Option<usize>> = (0..graph.len()).map(|model| graph.parent(model)).collect();
    forest(&parents)?;
    for (child, parent) in graph.edges().map(|(parent, child)| (child, parent)) {
        let name = |model| graph.name(model).unwrap_or_default();
        if group_of(name(child)) != group_of(name(parent)) {
            return Err(Violation::Architectures {
                child: name(child).into(),
                parent: name(parent).into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_forest_is_found() {
        assert_eq!(forest(&[]), Ok(()));
        assert_eq!(forest(&[Some(2), None, Some(1)]), Ok(()));
        let missing = Violation::NoSuchParent { node: 1, parent: 2 };
        assert_eq!(forest(&[None, Some(2)]), Err(missing));
        // The cycle leads to node 0, but doesn't contain it.
        let cycle = Violation::Cycle { node: 1 };
        assert_eq!(forest(&[Some(1), Some(2), Some(1)]), Err(cycle));
        assert_eq!(forest(&[Some(0)]), Err(Violation::Cycle { node: 0 }));
    }

    #[test]
    fn each_fault_of_a_certificate_is_found() {
        let weights = vec![0.0, 5.0, 4.0, 1.0, 0.0, 2.0, 9.0, 1.0, 0.0];
        let digraph = DenseDigraph::new(3, weights).unwrap();
        let best = [None, Some(2), Some(0)];
        let sets = vec![(vec![1], 1.0), (vec![2], 2.0), (vec![1, 2], 2.0)];
        let check = |root, parents: &[Option<usize>], sets: &[(Vec<usize>, f64)]| {
            dual_certificate(&digraph, root, parents, sets, 0.0)
        };
        assert_eq!(check(Root::At(0), &best, &sets), Ok(()));
        assert_eq!(
            check(Root::At(1), &best, &sets),
            Err(Violation::WrongRoot { expected: 1 })
        );
        assert!(matches!(
            check(Root::Any, &best, &sets),
            Err(Violation::Gap { .. })
        ));
        let worse = [None, Some(0), Some(1)];
        assert!(matches!(
            check(Root::At(0), &worse, &sets),
            Err(Violation::Gap { .. })
        ));
        let with_cost = |set: usize, cost| {
            let mut sets = sets.clone();
            sets[set].1 = cost;
            check(Root::At(0), &best, &sets)
        };
        assert!(matches!(
            with_cost(0, 3.0),
            Err(Violation::DualInfeasible { .. })
        ));
        assert!(matches!(
            with_cost(2, -1.0),
            Err(Violation::Cost { set: 2, .. })
        ));
        assert!(matches!(
            with_cost(0, f64::NAN),
            Err(Violation::Cost { set: 0, .. })
        ));
        let two_roots = [None, None, Some(0)];
        assert_eq!(
            check(Root::At(0), &two_roots, &sets),
            Err(Violation::Roots { found: 2 })
        );
        assert!(matches!(
            check(Root::At(0), &[None], &sets),
            Err(Violation::Length { .. })
        ));
    }
}
