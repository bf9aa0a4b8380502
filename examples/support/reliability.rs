//! Whether confidences match the share of statements that are right.

use serde::Serialize;

use super::table;

/// The lower ends of the bins.
const BINS: [f64; 6] = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95];

/// The share of statements that are right, by confidence.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reliability {
    statements: usize,
    right: usize,
    /// The mean squared difference between confidence and truth: 0 is best; a coin toss has 0.25.
    brier: f64,
    bins: Vec<Bin>,
}

/// The statements with a confidence between two bounds.
#[derive(Clone, Debug, Serialize)]
struct Bin {
    from: f64,
    statements: usize,
    mean_confidence: Option<f64>,
    right: Option<f64>,
}

impl Reliability {
    /// Takes statements, each with its confidence and whether it is right. `None` if there are none.
    pub(crate) fn new(statements: impl Iterator<Item = (f64, bool)>) -> Option<Self> {
        let all: Vec<(f64, f64)> = statements
            .map(|(confidence, right)| (confidence, f64::from(u8::from(right))))
            .collect();
        if all.is_empty() {
            return None;
        }
        let squares = all
            .iter()
            .map(|(confidence, right)| (confidence - right).powi(2));
        let ends = BINS[1..].iter().copied().chain([f64::INFINITY]);
        Some(Self {
            statements: all.len(),
            right: all.iter().filter(|(_, right)| *right > 0.0).count(),
            brier: squares.sum::<f64>() / all.len() as f64,
            bins: BINS
                .into_iter()
                .zip(ends)
                .map(|(from, to)| Bin::new(&all, from, to))
                .collect(),
        })
    }

    /// A table with a line for each bin.
    pub(crate) fn markdown(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |v| format!("{v:.3}"));
        let head = ["confidence from", "statements", "mean confidence", "right"];
        let mut rows = vec![head.map(String::from).to_vec()];
        rows.extend(self.bins.iter().map(|bin| {
            vec![
                format!("{:.2}", bin.from),
                bin.statements.to_string(),
                number(bin.mean_confidence),
                number(bin.right),
            ]
        }));
        let Self {
            statements,
            right,
            brier,
            ..
        } = self;
        format!(
            "{}\n\n{right} of {statements} parents and roots are right, Brier score {brier:.4}.",
            table::align(&rows)
        )
    }
}

impl Bin {
    fn new(all: &[(f64, f64)], from: f64, to: f64) -> Self {
        let inside = all
            .iter()
            .filter(|(confidence, _)| (from..to).contains(confidence));
        let inside: Vec<&(f64, f64)> = inside.collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            let sum: f64 = inside.iter().map(|&statement| of(statement)).sum();
            (!inside.is_empty()).then(|| sum / inside.len() as f64)
        };
        Self {
            from,
            statements: inside.len(),
            mean_confidence: mean(|statement| statement.0),
            right: mean(|statement| statement.1),
        }
    }
}
