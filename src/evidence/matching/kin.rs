//! Whether the weights of two models have a common ancestor: [`kinship`](crate::kinship) over matched
//! tensors.

use alloc::vec::Vec;

use super::{MatchRule, Matching};
use crate::kinship::{Kinship, own_matches};
use crate::signature::{TensorSignature, is_weight_matrix};
use crate::sketch::RowSample;

/// Substrings in the names of tensors whose rows are tokens, positions, patches or classes, which mean the
/// same in every network.
const FIXED_ROWS: [&str; 13] = [
    "embed",
    "wte",
    "wpe",
    "token",
    "position",
    "vocab",
    "patch",
    "lm_head",
    "head",
    "classifier",
    "score",
    "logits",
    "output_projection",
];

/// Substrings in the names of tensors that a formula gives, and that unrelated models have in common.
const TABLES: [&str; 8] = [
    "inv_freq",
    "cos_cached",
    "sin_cached",
    "rotary",
    "mel_filters",
    "a_log",
    "attn.bias",
    "embed_positions",
];

/// Whether a tensor that two models have in common may show that they are related: masks, constants and tables don't.
pub(in crate::evidence) fn is_telling(tensor: &TensorSignature) -> bool {
    let is_mask = (tensor.profile().levels()).is_some_and(|levels| levels.count <= 2);
    let name = tensor.name().to_ascii_lowercase();
    !is_mask && !TABLES.iter().any(|part| name.contains(part)) && !has_equal_rows(tensor)
}

/// Due to rounding, the squares of equally long rows may differ by this share.
const ROUNDING: f64 = 1e-5;

/// Whether most rows have the same length, as in the basis of a Fourier transform or in sinusoidal positions. In
/// trained weights, groups of rows differ by percents.
fn has_equal_rows(tensor: &TensorSignature) -> bool {
    let sketch = tensor.sketch();
    let groups = sketch.groups();
    let squares = sketch.squared_norms().iter().enumerate();
    let mut squares: Vec<f64> = squares
        .map(|(group, norm)| norm / groups.values(group).len() as f64)
        .collect();
    squares.sort_unstable_by(f64::total_cmp);
    let middle = squares[squares.len() / 2];
    let is_usual = |&&square: &&f64| (square - middle).abs() <= ROUNDING * middle;
    let usual = squares.iter().filter(is_usual).count();
    squares.len() >= LEAST_GROUPS && 4 * usual >= 3 * squares.len()
}

/// Fewer groups of rows may have equal lengths by chance.
const LEAST_GROUPS: usize = 8;

impl Matching<'_> {
    /// Tests whether the two models share an ancestor, on the sampled rows of their largest matrices.
    ///
    /// Tensors whose rows mean the same in every network (tokens, positions, classes) are recognised by name
    /// and left out. If tensors were matched by content, every pair that might have been matched counts as a
    /// matrix, because the nearest were selected.
    ///
    /// # Examples
    ///
    /// ```
    /// use mother::evidence::Matching;
    /// use mother::signature::SignatureOptions;
    /// use mother::weights::InMemoryModel;
    ///
    /// let base: Vec<f32> = (0..2048_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32).collect();
    /// let child: Vec<f32> = base.iter().enumerate().map(|(i, x)| x + (i % 97) as f32).collect();
    /// let model = |name, values| InMemoryModel::new(name).with_layer("mlp", [64, 32], values);
    /// let options = SignatureOptions::new();
    /// let (base, child) = (options.sign(&model("base", base)?)?, options.sign(&model("child", child)?)?);
    /// let kinship = Matching::between(&base, &child)?.kinship();
    /// assert!(kinship.log10_p().unwrap() < -30.0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Complexity
    ///
    /// At most eight matrices are used, each with 32² products of 16 numbers: about 0.1 ms.
    #[must_use]
    pub fn kinship(&self) -> Kinship {
        let mut kinship = Kinship::new();
        for &(first, second) in self.pairs() {
            if let Some((rows, others)) = comparable_rows(first, second) {
                let width = RowSample::DIMENSIONS;
                kinship.add(own_matches(width, rows.numbers(), others.numbers()));
            }
        }
        if self.rule() == MatchRule::Content {
            for _ in kinship.matrices()..kinship.matrices() * kinship.matrices() {
                kinship.add(0);
            }
        }
        kinship
    }
}

/// The samples of two tensors, if both are of the same, exchangeable rows.
fn comparable_rows<'a>(
    first: &'a TensorSignature,
    second: &'a TensorSignature,
) -> Option<(&'a RowSample, &'a RowSample)> {
    let heights = [first, second].map(|tensor| tensor.sketch().groups().height());
    let may_be = |tensor: &TensorSignature| {
        let name = tensor.name().to_ascii_lowercase();
        is_weight_matrix(tensor.shape())
            && is_telling(tensor)
            && !FIXED_ROWS.iter().any(|part| name.contains(part))
    };
    let both = heights[0] == heights[1] && may_be(first) && may_be(second);
    both.then_some(first.rows().zip(second.rows()))?
}
