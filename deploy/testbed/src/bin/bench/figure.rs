//! Figures, and the one place that prints them.

use serde_json::json;
use testbed::Failure;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// Value at most this.
    Most(f64),
    /// Value at least this.
    Least(f64),
    /// Value from this to that.
    Between(f64, f64),
    /// Ratio to what it is measured against at least this.
    RatioAtLeast(f64),
    /// At most this.
    RatioAtMost(f64),
    /// No goal: it is just told.
    None,
}

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: f64,
    /// Of the value.
    pub(crate) unit: &'static str,
    /// What it is compared with, and that one's value in the same unit.
    pub(crate) against: Option<(&'static str, f64)>,
    /// What we want.
    pub(crate) goal: Goal,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, against: None, goal: Goal::None }
    }

    pub(crate) fn against(mut self, what: &'static str, value: f64) -> Self {
        self.against = Some((what, value));
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.against.map(|(_, other)| self.value / other).filter(|ratio| ratio.is_finite())
    }

    fn holds(&self) -> Option<bool> {
        match self.goal {
            Goal::Most(most) => Some(self.value <= most),
            Goal::Least(least) => Some(self.value >= least),
            Goal::Between(least, most) => Some((least..=most).contains(&self.value)),
            Goal::RatioAtLeast(least) => Some(self.ratio().is_some_and(|ratio| ratio >= least)),
            Goal::RatioAtMost(most) => Some(self.ratio().is_some_and(|ratio| ratio <= most)),
            Goal::None => None,
        }
    }

    /// Which way is better: as the goal says, else as the unit does.
    fn better(&self) -> &'static str {
        match self.goal {
            Goal::Most(_) | Goal::RatioAtMost(_) | Goal::Between(..) => "less",
            Goal::Least(_) | Goal::RatioAtLeast(_) => "more",
            Goal::None if self.unit.ends_with("/s") => "more",
            Goal::None => "less",
        }
    }

    fn goal_in_words(&self) -> Option<String> {
        match self.goal {
            Goal::Most(most) => Some(format!("<= {most} {}", self.unit)),
            Goal::Least(least) => Some(format!(">= {least} {}", self.unit)),
            Goal::Between(least, most) => Some(format!("{least} to {most} {}", self.unit)),
            Goal::RatioAtLeast(least) => Some(format!("ratio >= {least}")),
            Goal::RatioAtMost(most) => Some(format!("ratio <= {most}")),
            Goal::None => None,
        }
    }
}

/// Where figures go.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a figure.
    #[expect(clippy::print_stdout, reason = "the one place of the bench that prints")]
    pub(crate) fn tell(&self, figure: &Figure) {
        if self.json {
            let against = figure.against.map(|(what, value)| json!({ "name": what, "value": round(value) }));
            println!(
                "{}",
                json!({
                    "type": "figure", "name": figure.name, "value": round(figure.value), "unit": figure.unit,
                    "against": against, "ratio": figure.ratio().map(round),
                    "goal": figure.goal_in_words(), "holds": figure.holds(), "better": figure.better(),
                })
            );
            return;
        }
        let mut line = format!("{:<58} {:>12} {:<6}", figure.name, shown(figure.value), figure.unit);
        if let (Some((what, value)), Some(ratio)) = (figure.against, figure.ratio()) {
            line.push_str(&format!("  {:>5.0} % of {what} ({})", ratio * 100.0, shown(value)));
        }
        if let (Some(goal), Some(holds)) = (figure.goal_in_words(), figure.holds()) {
            line.push_str(&format!("  goal {goal}: {}", if holds { "holds" } else { "MISSED" }));
        }
        println!("{}", line.trim_end());
    }

    /// Something about the run.
    #[expect(clippy::print_stderr, reason = "the one place of the bench that prints")]
    pub(crate) fn note(&self, text: &str) {
        eprintln!("bench: {text}");
    }

    /// Why the run ended early.
    #[expect(clippy::print_stderr, reason = "the one place of the bench that prints")]
    pub(crate) fn failed(&self, failure: &Failure) {
        eprintln!("bench: {failure:?}");
    }
}

/// Median and 99th percentile.
pub(crate) fn percentiles(samples: &mut [f64]) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        let index = (samples.len() * hundredths / 100).min(samples.len().saturating_sub(1));
        samples.get(index).copied().unwrap_or(f64::NAN)
    };
    (at(50), at(99))
}

/// A count as a number one can divide.
pub(crate) fn number(count: usize) -> f64 {
    // Whole numbers that a float holds exactly, in two halves.
    let half = |part: usize| f64::from(u32::try_from(part).unwrap_or(u32::MAX));
    half(count >> 32) * 4_294_967_296.0 + half(count & 0xFFFF_FFFF)
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn shown(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
