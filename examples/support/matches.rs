//! Which tensor of a parent corresponds to which of its child, and views in which they can be compared.

use std::collections::BTreeMap;

use mother::evidence::{MatchRule, Matching, TransposedModel, find_transposed};
use mother::heritage::ModelGraph;
use mother::progress::{Observer, Progress};
use mother::signature::{Signature, SignatureOptions};
use mother::weights::{Transposed, Unfused, WeightSource};
use serde::Serialize;

use super::terminal::{Failure, note};

/// How the tensors of an edge were matched.
#[derive(Serialize)]
pub(crate) struct MatchReport {
    /// `names`, `prefix` or `content`.
    rule: &'static str,
    /// The number of tensors that were matched.
    names: usize,
    /// The names in the parent and in the child, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<(String, String)>>,
    /// log₁₀ of the p-value of the hypothesis that the two have no common ancestor.
    #[serde(skip)]
    pub(crate) kinship_log10_p: Option<f64>,
}

/// The signatures of all models, and the matrices of some that are stored transposed.
#[derive(Default)]
pub(crate) struct Signed {
    /// Sorted by name.
    pub(crate) signatures: Vec<Signature>,
    transposed: BTreeMap<String, Vec<String>>,
}

/// A model in the form that was signed.
pub(crate) type View<'a, S> = Transposed<Unfused<&'a S>>;

impl Signed {
    /// Signs models that store their matrices transposed again.
    pub(crate) fn align<S: WeightSource>(
        mut signatures: Vec<Signature>,
        models: &[S],
        options: SignatureOptions,
        observer: &mut impl FnMut(Progress) -> core::ops::ControlFlow<()>,
    ) -> Result<Self, Failure> {
        let found = find_transposed(&signatures);
        let mut views: Vec<(usize, View<'_, S>)> = Vec::new();
        let mut transposed = BTreeMap::new();
        for TransposedModel {
            model: at, layers, ..
        } in found
        {
            let name = signatures[at].name();
            if let Some(model) = models.iter().find(|model| model.name() == name) {
                transposed.insert(name.to_string(), layers.clone());
                views.push((at, Transposed::new(Unfused::new(model), layers)));
            }
        }
        let sources: Vec<&View<'_, S>> = views.iter().map(|(_, view)| view).collect();
        let signed = options.sign_all_observed(&sources, observer as &mut dyn Observer);
        for ((at, _), signature) in views.iter().zip(signed.map_err(Failure::run)?) {
            match signature {
                Ok(signature) => signatures[*at] = signature,
                Err(failure) => {
                    let id = signatures[*at].name();
                    note(format!("cannot read {id} transposed: {failure}"));
                }
            }
        }
        signatures.sort_by(|first, second| first.name().cmp(second.name()));
        Ok(Self {
            signatures,
            transposed,
        })
    }

    /// A model in the form that was signed.
    pub(crate) fn view<'a, S: WeightSource>(&self, model: &'a S) -> View<'a, S> {
        let layers = self.transposed.get(model.name()).into_iter().flatten();
        Transposed::new(Unfused::new(model), layers.cloned())
    }

    /// The tensors of a parent and its child that correspond.
    pub(crate) fn matching(&self, parent: &str, child: &str) -> Option<Matching<'_>> {
        let signature = |name: &str| {
            let found = self.signatures.binary_search_by(|s| s.name().cmp(name));
            found.ok().map(|at| &self.signatures[at])
        };
        Matching::between(signature(parent)?, signature(child)?).ok()
    }

    /// The names of the weights that a parent and its child have in common, as far as they are among those
    /// that were compared in their group.
    pub(crate) fn compared(
        &self,
        parent: &str,
        child: &str,
        layers: &[String],
    ) -> Vec<(&str, &str)> {
        let Some(matching) = self.matching(parent, child) else {
            return Vec::new();
        };
        let is_there = |name: &str| layers.binary_search_by(|layer| (**layer).cmp(name)).is_ok();
        // Under other names, few models may have a weight.
        let all = matching.rule() != MatchRule::Names;
        let pairs = matching
            .pairs()
            .iter()
            .filter(|(u, v)| u.is_weight() && (all || is_there(u.name()) || is_there(v.name())));
        pairs.map(|(u, v)| (u.name(), v.name())).collect()
    }

    /// How the tensors of every model were matched with its parent's, by the model's position.
    pub(crate) fn reports(&self, graph: &ModelGraph, lists: bool) -> BTreeMap<usize, MatchReport> {
        let report = |(parent, child): (usize, usize)| {
            let matching = self.matching(graph.name(parent)?, graph.name(child)?)?;
            let pairs = matching.pairs().iter();
            let tensors = pairs.map(|(u, v)| (u.name().to_string(), v.name().to_string()));
            Some((
                child,
                MatchReport {
                    rule: matching.rule().name(),
                    names: matching.pairs().len(),
                    tensors: lists.then(|| tensors.collect()),
                    kinship_log10_p: matching.kinship().log10_p(),
                },
            ))
        };
        graph.edges().filter_map(report).collect()
    }
}
