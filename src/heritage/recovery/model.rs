//! The constants of the joint method, each with where it comes from.

#[cfg(feature = "serde")]
use alloc::collections::BTreeMap;
#[cfg(feature = "serde")]
use alloc::format;
#[cfg(feature = "serde")]
use alloc::string::String;

/// The generative model that [`Recovery`](crate::heritage::Recovery) takes trees to come from.
///
#[doc = include_str!("model.md")]
///
/// # Examples
///
/// What a term is worth is seen by leaving it out:
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
    /// The model with its usual constants.
    #[must_use]
    pub const fn new() -> Self {
        let mut values = [0.0; JointConstant::ALL.len()];
        let mut at = 0;
        while at < values.len() {
            values[at] = JointConstant::ALL[at].usual();
            at += 1;
        }
        Self(values)
    }

    /// Sets a constant. One that isn't from 0 to 1000 is an error when trees are recovered.
    #[must_use]
    pub const fn with(mut self, constant: JointConstant, value: f64) -> Self {
        self.0[constant as usize] = value;
        self
    }

    /// Switches the term of a constant off, or leaves the model as it is if the constant has no
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

    /// The first constant that isn't from 0 to 1000, with its value.
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

/// Constants by name; those that are left out have their usual values.
#[cfg(feature = "serde")]
impl TryFrom<BTreeMap<String, f64>> for JointModel {
    type Error = String;

    fn try_from(values: BTreeMap<String, f64>) -> Result<Self, String> {
        values
            .into_iter()
            .try_fold(Self::new(), |model, (name, value)| {
                let mut constants = JointConstant::ALL.into_iter();
                let constant = constants.find(|constant| constant.name() == name);
                let constant =
                    constant.ok_or_else(|| format!("the joint model has no constant `{name}`"))?;
                Ok(model.with(constant, value))
            })
    }
}

/// A constant of the [`JointModel`].
///
/// "Fitted" are those that make what is true of the project's real and made-up trees most probable; the example
/// `calibrate` fits them again, leaving out one family of networks at a time, and tells how well the others'
/// constants do on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JointConstant {
    /// c: half the number of dimensions in which the steps of real trees seem to go; 20, fitted.
    HalfDimension,
    /// How many times c may become larger where squared distances add up along the tree; 4. Real trees reach 3; steps
    /// of made-up models are orthogonal in thousands of dimensions, but to believe that of a tree that was
    /// found takes more than that it fits. Families of which only near pairs are compared have hundreds of pairs or
    /// more to say so; there it is the fourth power of this.
    MostDimensions,
    /// How many times f counts, at which share of an edge other models branch off; 1.
    LeafGapWeight,
    /// The share of trees whose edges aren't the shortest for other reasons than chance; 0.3, fitted.
    NonShortest,
    /// Half the number of dimensions in which an edge is the shortest but for chance; 200, and anything from 100 to 400
    /// serves.
    ChanceHalfDimension,
    /// How many times the log-likelihood of growth counts; 3.6, fitted. Its errors are cautious: layers disagree
    /// by more than β of the whole model is wrong.
    GrowthWeight,
    /// How far β of an edge lies from the mean of its tree, as a standard deviation; 0.3, fitted.
    GrowthOfEdges,
    /// How far β of two models lies from 0 of which neither is the other's parent; 0.45, fitted.
    GrowthOfOthers,
    /// The degrees of freedom of β given its error and its mean; 10: its tails are a little longer than normal.
    GrowthTails,
    /// How many trees come of training that keeps norms, so that growth says nothing of direction; 0.06. It isn't in
    /// any tree that constants were fitted to, and costs confidence where growth is small.
    NormsKept,
    /// How many trees come of steps that make weights shorter; 0.01: of real trees none does.
    Shortened,
    /// How many times a vote of the scores counts; 1: e² are the odds of a unanimous one, about what kurtosis
    /// was right on in the paper's trees.
    ScoreWeight,
    /// How probable it is that scores rise or fall with training at all, as much the one as the other; 0.9.
    ScoreTells,
    /// How probable it is that a tree was made in the stage that most trees of a recovery share; 0.9.
    StageShared,
    /// The odds that the parent of a model's children is missing, where they share no step; 0.022, fitted with the
    /// next one on trees that were whole and trees that weren't.
    MissingOdds,
    /// The power of 1 + L by which these odds grow; 4.2, fitted.
    MissingPower,
    /// The share of edges that are wrong for reasons the evidence doesn't show; 0.03, what was wrong of the edges
    /// that were thought certain.
    Unforeseen,
    /// What an edge costs whose child was uploaded before its parent; 5.8, ln of the odds of 0.997.
    Early,
    /// How much cheaper an edge is that somebody claims; 2.2, ln of the odds of 0.9.
    Claimed,
    /// What an edge costs whose parent has nothing of what its child holds, in proportion; 1: copies that lack
    /// weights are a little more common than models that were given new ones.
    GivenWeights,
}

impl JointConstant {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::HalfDimension,
        Self::MostDimensions,
        Self::LeafGapWeight,
        Self::NonShortest,
        Self::ChanceHalfDimension,
        Self::GrowthWeight,
        Self::GrowthOfEdges,
        Self::GrowthOfOthers,
        Self::GrowthTails,
        Self::NormsKept,
        Self::Shortened,
        Self::ScoreWeight,
        Self::ScoreTells,
        Self::StageShared,
        Self::MissingOdds,
        Self::MissingPower,
        Self::Unforeseen,
        Self::Early,
        Self::Claimed,
        Self::GivenWeights,
    ];

    /// Its usual value.
    #[must_use]
    pub const fn usual(self) -> f64 {
        match self {
            Self::HalfDimension => 20.0,
            Self::MostDimensions => 4.0,
            Self::LeafGapWeight | Self::ScoreWeight | Self::GivenWeights => 1.0,
            Self::NonShortest | Self::GrowthOfEdges => 0.3,
            Self::GrowthWeight => 3.6,
            Self::ChanceHalfDimension => 200.0,
            Self::GrowthOfOthers => 0.45,
            Self::GrowthTails => 10.0,
            Self::NormsKept => 0.06,
            Self::Shortened => 0.01,
            Self::ScoreTells | Self::StageShared => 0.9,
            Self::MissingOdds => 0.022,
            Self::MissingPower => 4.2,
            Self::Unforeseen => 0.03,
            Self::Early => 5.8,
            Self::Claimed => 2.2,
        }
    }

    /// The value at which its term says nothing, if there is one.
    #[must_use]
    pub const fn neutral(self) -> Option<f64> {
        match self {
            Self::MostDimensions | Self::NonShortest => Some(1.0),
            Self::LeafGapWeight
            | Self::GrowthWeight
            | Self::NormsKept
            | Self::Shortened
            | Self::ScoreWeight
            | Self::StageShared
            | Self::MissingOdds
            | Self::Unforeseen
            | Self::Early
            | Self::Claimed
            | Self::GivenWeights => Some(0.0),
            Self::HalfDimension
            | Self::ChanceHalfDimension
            | Self::GrowthOfEdges
            | Self::GrowthOfOthers
            | Self::GrowthTails
            | Self::ScoreTells
            | Self::MissingPower => None,
        }
    }

    /// Its name, in lower case with hyphens: `growth-weight`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfDimension => "half-dimension",
            Self::MostDimensions => "most-dimensions",
            Self::LeafGapWeight => "leaf-gap-weight",
            Self::NonShortest => "non-shortest",
            Self::ChanceHalfDimension => "chance-half-dimension",
            Self::GrowthWeight => "growth-weight",
            Self::GrowthOfEdges => "growth-of-edges",
            Self::GrowthOfOthers => "growth-of-others",
            Self::GrowthTails => "growth-tails",
            Self::NormsKept => "norms-kept",
            Self::Shortened => "shortened",
            Self::ScoreWeight => "score-weight",
            Self::ScoreTells => "score-tells",
            Self::StageShared => "stage-shared",
            Self::MissingOdds => "missing-odds",
            Self::MissingPower => "missing-power",
            Self::Unforeseen => "unforeseen",
            Self::Early => "early",
            Self::Claimed => "claimed",
            Self::GivenWeights => "given-weights",
        }
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
            assert_eq!(model.with(constant, constant.usual()), JointModel::new());
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn constants_are_written_by_name() {
        let model = JointModel::new().with(JointConstant::Early, 3.0);
        let json = serde_json::to_string(&model).unwrap();
        assert!(json.contains("\"early\":3.0"), "{json}");
        assert_eq!(serde_json::from_str::<JointModel>(&json).unwrap(), model);
        assert_eq!(
            serde_json::from_str::<JointModel>("{}").unwrap(),
            JointModel::new()
        );
        let error = serde_json::from_str::<JointModel>("{\"late\":1.0}").unwrap_err();
        assert!(format!("{error}").contains("late"), "{error}");
    }

    #[test]
    fn a_constant_that_is_no_number_is_a_fault() {
        assert_eq!(JointModel::new().fault(), None);
        let model = JointModel::new().with(JointConstant::Early, -1.0);
        assert_eq!(model.fault(), Some((JointConstant::Early, -1.0)));
        let model = JointModel::new().with(JointConstant::Claimed, f64::NAN);
        assert!(model.fault().is_some());
    }
}
