//! The constants of the joint method and where each value comes from.

#[cfg(feature = "serde")]
use alloc::collections::BTreeMap;
#[cfg(feature = "serde")]
use alloc::format;
#[cfg(feature = "serde")]
use alloc::string::String;

/// The generative model behind [`Recovery`](crate::heritage::Recovery): how likely the evidence is, given a
/// tree.
///
#[doc = include_str!("model.md")]
///
/// # Examples
///
/// Leave a term out to see how much it contributes:
///
/// ```
/// use mother::heritage::{JointConstant, JointModel, Method, Recovery};
///
/// let model = JointModel::new().without(JointConstant::GrowthWeight);
/// assert_eq!(model.get(JointConstant::GrowthWeight), 0.0);
/// let recovery = Recovery::new().with_method(Method::Joint(model));
/// # let _ = recovery;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "BTreeMap<String, f64>", try_from = "BTreeMap<String, f64>")
)]
pub struct JointModel([f64; JointConstant::ALL.len()]);

impl Default for JointModel {
    fn default() -> Self {
        Self::new()
    }
}

impl JointModel {
    /// The model with the default constants.
    #[must_use]
    pub const fn new() -> Self {
        let mut values = [0.0; JointConstant::ALL.len()];
        let mut at = 0;
        while at < values.len() {
            values[at] = JointConstant::ALL[at].default_value();
            at += 1;
        }
        Self(values)
    }

    /// Sets a constant. Values outside 0 to 1000 make recovery fail.
    #[must_use]
    pub const fn with(mut self, constant: JointConstant, value: f64) -> Self {
        self.0[constant as usize] = value;
        self
    }

    /// Switches off the term of a constant. Does nothing if the constant has no
    /// [neutral](JointConstant::neutral) value.
    #[must_use]
    pub fn without(self, term: JointConstant) -> Self {
        match term.neutral() {
            Some(value) => self.with(term, value),
            None => self,
        }
    }

    /// The value of a constant.
    #[must_use]
    pub const fn get(&self, constant: JointConstant) -> f64 {
        self.0[constant as usize]
    }

    /// The first constant outside 0 to 1000, with its value.
    pub(super) fn fault(&self) -> Option<(JointConstant, f64)> {
        let mut values = JointConstant::ALL.into_iter().zip(self.0);
        values.find(|(_, value)| !(0.0..=1000.0).contains(value))
    }
}

#[cfg(feature = "serde")]
impl From<JointModel> for BTreeMap<String, f64> {
    fn from(model: JointModel) -> Self {
        let values = JointConstant::ALL.into_iter().zip(model.0);
        values
            .map(|(constant, value)| (constant.name().into(), value))
            .collect()
    }
}

/// Reads constants by name; missing ones keep their default values.
#[cfg(feature = "serde")]
impl TryFrom<BTreeMap<String, f64>> for JointModel {
    type Error = String;

    fn try_from(values: BTreeMap<String, f64>) -> Result<Self, String> {
        values
            .into_iter()
            .try_fold(Self::new(), |model, (name, value)| {
                let mut constants = JointConstant::ALL.into_iter();
                let constant = constants.find(|constant| constant.name() == name);
                let constant = constant
                    .ok_or_else(|| format!("unknown constant `{name}` of the joint model"))?;
                Ok(model.with(constant, value))
            })
    }
}

/// One constant of the [`JointModel`].
///
/// Values marked "fitted" maximise the likelihood of the known trees of this project's real and simulated
/// families. The example `calibrate` refits them with one family of networks left out at a time, and reports
/// how well the constants fitted to the other families do on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JointConstant {
    /// c: half the effective dimension of the steps of real trees. Default: 20, fitted.
    HalfDimension,
    /// The largest factor by which c may grow where squared distances add up along the tree. Default: 4. Real
    /// trees reach 3. Random steps of simulated models are orthogonal in thousands of dimensions, but a good fit of
    /// a recovered tree is weak evidence for that many. Families of which only near pairs are compared have
    /// hundreds of pairs or more to support it, so there the limit is the fourth power of this value.
    DimensionFactorLimit,
    /// Weight of the leaf gap f, which says how far along an edge other models branch off. Default: 1.
    LeafGapWeight,
    /// The share of trees whose edges aren't the shortest for reasons other than chance. Default: 0.3,
    /// fitted.
    NonShortest,
    /// Half the effective dimension in which only chance keeps a true edge from being the shortest. Default: 200;
    /// any value from 100 to 400 works equally well.
    ChanceHalfDimension,
    /// Factor on the log-likelihood of growth. Default: 1.
    GrowthWeight,
    /// The share of the squared error of β that counts in most trees. Default: 0.26, fitted. The error is estimated
    /// cautiously: layers disagree with each other by more than the whole model's β is wrong.
    GrowthErrorShare,
    /// Standard deviation of an edge's β around the mean of its tree. Default: 0.153, fitted.
    EdgeGrowthDeviation,
    /// Standard deviation around 0 of β between two models if neither is the other's parent. Default: 0.229,
    /// fitted.
    NonEdgeGrowthDeviation,
    /// Degrees of freedom of the distribution of β around its mean. Default: 39, fitted; nearly a normal
    /// distribution.
    GrowthDegreesOfFreedom,
    /// Prior probability that growth in a tree is erratic: it follows its mean loosely, with long tails, and all of
    /// its error counts. Default: 0.1. The five constants of erratic growth were set by hand on families of small
    /// networks that unlearn what their parents knew (`.ci/families.py`). Other values work about equally well,
    /// and none changes more than a few statements about other trees.
    Erratic,
    /// Mean β of edges if growth is erratic. Default: 0.6.
    ErraticGrowth,
    /// Standard deviation of an edge's β if growth is erratic. Default: 0.3.
    ErraticEdgeDeviation,
    /// Standard deviation around 0 of β if growth is erratic and neither model is the other's parent. Default: 0.6.
    ErraticNonEdgeDeviation,
    /// Degrees of freedom of the distribution of β if growth is erratic. Default: 4.
    ErraticDegreesOfFreedom,
    /// Prior probability that the β of two models is beyond ±4 because rows or columns of one of them were rescaled.
    /// Default: 0.05, set by hand. β is then as likely in either direction.
    Rescaled,
    /// Prior probability that all training in a tree preserves norms, so that growth says nothing about direction.
    /// Default: 0.06. No tree used for fitting is of this kind, and the term costs some confidence where growth is
    /// small.
    NormPreserving,
    /// Prior probability that training shortens the weights throughout a tree. Default: 0.01; it happens in no real
    /// tree.
    Shortening,
    /// Factor on a vote of the scores. Default: 1. A unanimous vote then has odds of e², about those of
    /// kurtosis being right on the paper's trees.
    ScoreWeight,
    /// Prior probability that training changes scores in a consistent direction, rising and falling being equally
    /// probable. Default: 0.9.
    InformativeScore,
    /// Prior probability that a tree belongs to the training stage that most trees of a recovery share.
    /// Default: 0.9.
    SharedStage,
    /// The odds that the parent of a model's children is missing if the children share no step. Default:
    /// 0.022, fitted together with [`MissingPower`](Self::MissingPower) on complete and incomplete trees.
    MissingOdds,
    /// The power of 1 + L with which these odds grow. Default: 4.2, fitted.
    MissingPower,
    /// The share of edges that are wrong for reasons the evidence doesn't show. Default: 0.03, the share of
    /// wrong edges among those that seemed certain.
    UnexplainedError,
    /// Extra cost of an edge whose child was uploaded before its parent. Default: 5.8, the log odds of a
    /// probability of 0.997.
    EarlyUpload,
    /// Reduction in cost of an edge that somebody claims. Default: 2.2, the log odds of a probability of 0.9.
    Claimed,
    /// Extra cost of an edge whose parent lacks weights of its child, in proportion to the missing share.
    /// Default: 1, because copies that drop weights are slightly more common than models that add new ones.
    AddedWeights,
    /// If a model lies on the line between another and its descendant: the probability that the descendant was extrapolated
    /// from the two, rather than the model between being their average. Default: 0.2, a guess: hubs hold both, and more
    /// averages.
    Extrapolated,
    /// The prior odds that a model's apparent parent is its sibling, in trees whose steps are far from orthogonal.
    /// Default: 0.1.
    SharedSteps,
    /// The prior odds that the only child of a root is its sibling. Default: 0.3, a compromise. The project's real trees
    /// have no such pairs, but of any two relatives on a hub, more are siblings than parent and child.
    OnlyChild,
    /// Reduction in cost of an edge for every set of weights that are equal in both models and in the same others.
    /// Default: 12. Anything from 6 to 24 gives nearly the same answers.
    SharedWeights,
}

/// Each constant with its name, its default value and the value that switches its term off, if there is one.
///
/// A constant's row is found by its position among the variants.
#[rustfmt::skip]
const TABLE: [(JointConstant, &str, f64, Option<f64>); 31] = {
    use JointConstant::*;
    [
        (HalfDimension, "half-dimension", 20.0, None),
        (DimensionFactorLimit, "dimension-factor-limit", 4.0, Some(1.0)),
        (LeafGapWeight, "leaf-gap-weight", 1.0, Some(0.0)),
        (NonShortest, "non-shortest", 0.3, Some(1.0)),
        (ChanceHalfDimension, "chance-half-dimension", 200.0, None),
        (GrowthWeight, "growth-weight", 1.0, Some(0.0)),
        (GrowthErrorShare, "growth-error-share", 0.26, Some(0.0)),
        (EdgeGrowthDeviation, "edge-growth-deviation", 0.153, None),
        (NonEdgeGrowthDeviation, "non-edge-growth-deviation", 0.229, None),
        (GrowthDegreesOfFreedom, "growth-degrees-of-freedom", 39.0, None),
        (Erratic, "erratic", 0.1, Some(0.0)),
        (ErraticGrowth, "erratic-growth", 0.6, None),
        (ErraticEdgeDeviation, "erratic-edge-deviation", 0.3, None),
        (ErraticNonEdgeDeviation, "erratic-non-edge-deviation", 0.6, None),
        (ErraticDegreesOfFreedom, "erratic-degrees-of-freedom", 4.0, None),
        (Rescaled, "rescaled", 0.05, Some(0.0)),
        (NormPreserving, "norm-preserving", 0.06, Some(0.0)),
        (Shortening, "shortening", 0.01, Some(0.0)),
        (ScoreWeight, "score-weight", 1.0, Some(0.0)),
        (InformativeScore, "informative-score", 0.9, None),
        (SharedStage, "shared-stage", 0.9, Some(0.0)),
        (MissingOdds, "missing-odds", 0.022, Some(0.0)),
        (MissingPower, "missing-power", 4.2, None),
        (UnexplainedError, "unexplained-error", 0.03, Some(0.0)),
        (EarlyUpload, "early-upload", 5.8, Some(0.0)),
        (Claimed, "claimed", 2.2, Some(0.0)),
        (AddedWeights, "added-weights", 1.0, Some(0.0)),
        (Extrapolated, "extrapolated", 0.2, Some(0.0)),
        (SharedSteps, "shared-steps", 0.1, Some(0.0)),
        (OnlyChild, "only-child", 0.3, Some(0.0)),
        (SharedWeights, "shared-weights", 12.0, Some(0.0)),
    ]
};

impl JointConstant {
    /// All constants.
    pub const ALL: [Self; 31] = {
        let mut all = [Self::HalfDimension; 31];
        let mut at = 0;
        while at < all.len() {
            all[at] = TABLE[at].0;
            at += 1;
        }
        all
    };

    /// The default value of this constant.
    #[must_use]
    pub const fn default_value(self) -> f64 {
        TABLE[self as usize].2
    }

    /// The value that switches its term off, if there is one.
    #[must_use]
    pub const fn neutral(self) -> Option<f64> {
        TABLE[self as usize].3
    }

    /// The constant's name, in lower case with hyphens: `growth-weight`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }
}

impl core::fmt::Display for JointConstant {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_in_the_order_of_their_positions() {
        for (position, constant) in JointConstant::ALL.into_iter().enumerate() {
            assert_eq!(constant as usize, position, "{constant}");
            let model = JointModel::new().with(constant, 7.0);
            assert_eq!(model.get(constant), 7.0);
            assert_eq!(
                model.with(constant, constant.default_value()),
                JointModel::new()
            );
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn constants_are_written_by_name() {
        let model = JointModel::new().with(JointConstant::EarlyUpload, 3.0);
        let json = serde_json::to_string(&model).unwrap();
        assert!(json.contains("\"early-upload\":3.0"), "{json}");
        assert_eq!(serde_json::from_str::<JointModel>(&json).unwrap(), model);
        assert_eq!(
            serde_json::from_str::<JointModel>("{}").unwrap(),
            JointModel::new()
        );
        let error = serde_json::from_str::<JointModel>("{\"late\":1.0}").unwrap_err();
        assert!(format!("{error}").contains("late"), "{error}");
    }

    #[test]
    fn negative_and_nan_constants_are_reported() {
        assert_eq!(JointModel::new().fault(), None);
        let model = JointModel::new().with(JointConstant::EarlyUpload, -1.0);
        assert_eq!(model.fault(), Some((JointConstant::EarlyUpload, -1.0)));
        let model = JointModel::new().with(JointConstant::Claimed, f64::NAN);
        assert!(model.fault().is_some());
    }
}
