//! Numbers as evidence: whatever they are, a forest of its models or an error.

use mother::clustering::Linkage;
use mother::condensed::CondensedMatrix;
use mother::evidence::{CopyKind, Evidence, Geometry, GroupEvidence, Growth, ModelCopy};
use mother::heritage::{Method, Recovery, Stage, Trees, find_merges};
use mother::invariants::recovered_forest;

use super::bytes::Bytes;

pub(crate) fn check(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let recovery = recovery(&mut bytes);
    let mut evidence = Evidence::default();
    for group in 0..1 + bytes.below(2) {
        if let Some(found) = group_evidence(&mut bytes, group) {
            if let Some(geometry) = found.geometry() {
                let merges = find_merges(geometry);
                assert!(
                    merges
                        .iter()
                        .all(|merge| merge.model() < found.models().len())
                );
            }
            evidence.groups.push(found);
        }
    }
    let graph = match recovery.recover(&evidence) {
        Ok(graph) => graph,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(recovered_forest(&evidence, &graph), Ok(()));
    for model in graph.models() {
        let confidence = model.confidence().unwrap_or(0.0);
        assert!((0.0..=1.0).contains(&confidence), "{confidence}");
        let distance = model.descent().and_then(|descent| descent.distance());
        assert!(distance.is_none_or(f64::is_finite));
    }
    let written = [
        graph.dot().to_string(),
        graph.mermaid().to_string(),
        graph.newick().to_string(),
        graph.svg().to_string(),
        graph.cyclonedx().to_string(),
    ];
    assert!(written.iter().all(|text| !text.contains("NaN")));
    assert_eq!(recovery.recover(&evidence).as_ref(), Ok(&graph));
}

fn recovery(bytes: &mut Bytes<'_>) -> Recovery {
    let recovery = match bytes.below(3) {
        0 => Recovery::paper(),
        _ => Recovery::new(),
    };
    let recovery = match bytes.below(5) {
        0 => recovery.with_trees(Trees::Count(bytes.below(10))),
        1 => recovery.with_trees(Trees::Threshold(bytes.number())),
        _ => recovery,
    };
    let recovery = match bytes.below(4) {
        0 => recovery.with_method(Method::Paper {
            penalty: bytes.number(),
        }),
        _ => recovery,
    };
    let recovery = match bytes.below(4) {
        0 => recovery.with_linkage(Linkage::ALL[bytes.below(7)]),
        _ => recovery,
    };
    match bytes.below(6) {
        0 => recovery.with_stage(Stage::Specialization),
        1 => recovery.with_stage(Stage::Generalization),
        2 => recovery.with_stage_of("0-1", Stage::Generalization),
        _ => recovery,
    }
}

fn matrix(bytes: &mut Bytes<'_>, size: usize, hostile: bool) -> Option<CondensedMatrix> {
    let value = |_, _| {
        if hostile {
            bytes.number()
        } else {
            bytes.distance()
        }
    };
    CondensedMatrix::from_fn(size, value).ok()
}

/// What of the evidence is accepted.
fn group_evidence(bytes: &mut Bytes<'_>, group: usize) -> Option<GroupEvidence> {
    let models = bytes.below(9);
    let hostile = bytes.below(4) == 0;
    let names = (0..models)
        .map(|model| format!("{group}-{model}"))
        .collect();
    let finite = |number: f64| if number.is_finite() { number } else { 0.0 };
    let scores =
        (bytes.below(4) > 0).then(|| (0..models).map(|_| finite(bytes.number())).collect());
    let distances = matrix(bytes, models, hostile)?;
    let mut evidence = GroupEvidence::new(names, scores, distances).ok()?;
    let mut offer = |next: Option<GroupEvidence>| {
        if let Some(next) = next {
            evidence = next;
        }
        evidence.clone()
    };
    let mut current = offer(None);
    if bytes.below(3) > 0 {
        let norms = (0..models).map(|_| bytes.distance()).collect();
        let geometry = matrix(bytes, models, hostile).and_then(|d| Geometry::new(norms, d).ok());
        current = offer(geometry.and_then(|geometry| current.with_geometry(geometry).ok()));
    }
    if bytes.below(3) > 0 {
        let growth = match (
            matrix(bytes, models, true),
            matrix(bytes, models, hostile),
            matrix(bytes, models, hostile),
        ) {
            (Some(a), Some(b), Some(c)) => Growth::new(a, b, c).ok(),
            _ => None,
        };
        current = offer(growth.and_then(|growth| current.with_growth(growth).ok()));
    }
    if bytes.below(3) > 0 {
        let changes = matrix(bytes, models, true);
        current = offer(changes.and_then(|changes| current.with_score_changes(changes).ok()));
    }
    if bytes.below(3) == 0 {
        let copies = (0..bytes.below(4)).map(|_| ModelCopy {
            copy: bytes.below(9),
            original: bytes.below(9),
            kind: CopyKind::Cast,
        });
        let copies = copies.collect();
        current = offer(current.with_copies(copies).ok());
    }
    Some(current)
}
