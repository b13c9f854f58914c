//! `cargo xtask bench --against COMMIT`: that commit's bench beside ours, in turns on the same machine.
//!
//! A machine that others use gets slower and faster while a bench runs. So both run in turns, and what counts is the
//! ratio of two runs that were neighbours: whatever slowed one slowed the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::other_commit::OtherCommit;
use crate::{Failure, Outcome, run, setup, ui};

/// Fewer runs of each say nothing about the spread.
pub(crate) const ROUNDS: usize = 5;

/// How often a run that ended early is repeated.
const REPEATS: usize = 3;

/// A change of this much, as a ratio, is worth a word.
const WORTH_A_WORD: f64 = 0.05;

/// A built bench.
pub(crate) struct Side {
    name: String,
    program: PathBuf,
}

/// Values of each figure, one per round in which there was one.
type Rounds = BTreeMap<String, BTreeMap<usize, f64>>;

/// How a figure compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// No more than a few per cent, or in the right direction.
    Holds,
    /// Worse in the middle, but the rounds do not agree.
    Spread,
    /// Worse, and nearly every round says so.
    Worse,
}

impl Side {
    /// What is built from the working copy.
    pub(crate) fn ours(program: PathBuf) -> Self {
        Self { name: "here".into(), program }
    }

    /// Builds the bench of a commit in a working copy of its own, with this profile.
    pub(crate) fn of(
        commit: &str,
        profile: &str,
        build: impl Fn(&mut Command) -> Outcome,
    ) -> Result<Self, Failure> {
        let other = OtherCommit::at(commit)?;
        let program = other.build(profile, build)?.join(format!("bench{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { name: other.name, program })
    }

    /// One run: what it measured until it ended, and whether it came to its end.
    fn figures(&self, arguments: &[String], server: &Path) -> Result<(Vec<Value>, bool), Failure> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--json").current_dir(run::root()).stdin(Stdio::null());
        command.stderr(Stdio::inherit());
        setup::with_nats(&mut command, server)?;
        let output = command.output().map_err(|error| format!("the bench could not be started ({error})"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let figures = lines.filter(|line| line.get("type").and_then(Value::as_str) == Some("figure"));
        Ok((figures.collect(), output.status.success()))
    }
}

/// Runs both in turns and prints each figure's comparison.
pub(crate) fn compare(old: &Side, new: &Side, rounds: usize, arguments: &[String], server: &Path) -> Outcome {
    let json = arguments.iter().any(|argument| argument == "--json");
    let arguments: Vec<String> = arguments.iter().filter(|argument| *argument != "--json").cloned().collect();
    let (mut theirs, mut ours) = (Rounds::new(), Rounds::new());
    // The latest line of each of our figures, in the order in which they came: unit, goal, direction.
    let mut lines: Vec<Value> = Vec::new();
    for round in 0..rounds {
        // Who is first takes turns too.
        let mut turns = [(old, &mut theirs), (new, &mut ours)];
        if round % 2 == 1 {
            turns.reverse();
        }
        for (side, values) in turns {
            ui::step(&format!("bench of {}, round {} of {rounds}", side.name, round + 1));
            for figure in whole_run(side, &arguments, server)? {
                let (Some(key), Some(value)) = (key_of(&figure), figure.get("value").and_then(Value::as_f64))
                else {
                    continue;
                };
                values.entry(key.clone()).or_default().insert(round, value);
                if std::ptr::eq(side, new) {
                    match lines.iter_mut().find(|line| key_of(line).as_ref() == Some(&key)) {
                        Some(line) => *line = figure,
                        None => lines.push(figure),
                    }
                }
            }
        }
    }
    for line in &lines {
        let key = key_of(line).unwrap_or_default();
        let none = BTreeMap::new();
        let compared =
            compared(line, ours.get(&key).unwrap_or(&none), theirs.get(&key).unwrap_or(&none), &old.name);
        ui::print(&if json { compared.to_string() } else { in_words(&compared) });
    }
    Ok(())
}

/// Figures of a run; one that ended early is repeated, and says so.
fn whole_run(side: &Side, arguments: &[String], server: &Path) -> Result<Vec<Value>, Failure> {
    let mut best = Vec::new();
    for _ in 0..REPEATS {
        let (figures, whole) = side.figures(arguments, server)?;
        if figures.len() >= best.len() {
            best = figures;
        }
        if whole {
            return Ok(best);
        }
        ui::tell(&format!("    the bench of {} ended early; it runs again", side.name));
    }
    if best.is_empty() {
        return Err(format!("the bench of {} does not run", side.name));
    }
    ui::tell(&format!("    the bench of {} never came to its end; what it measured counts", side.name));
    Ok(best)
}

/// What a figure is called, whoever measured it: one has the number of transactions in its name.
fn key_of(figure: &Value) -> Option<String> {
    let name = figure.get("name")?.as_str()?;
    let words: Vec<&str> = name.split(' ').collect();
    let counts = |at: usize| words.get(at + 1).is_some_and(|next| next.starts_with("transactions"));
    let kept = words.iter().enumerate().filter(|(at, _)| !counts(*at)).map(|(_, word)| *word);
    Some(kept.collect::<Vec<_>>().join(" "))
}

/// One line about one figure: medians, the median of the rounds' ratios, and how far those lie apart.
fn compared(
    line: &Value,
    ours: &BTreeMap<usize, f64>,
    theirs: &BTreeMap<usize, f64>,
    against: &str,
) -> Value {
    let ratios: Vec<f64> = ours
        .iter()
        .filter_map(|(round, value)| Some(value / theirs.get(round)?))
        .filter(|ratio| ratio.is_finite())
        .collect();
    let (own, other) = (spread(ours.values()), spread(theirs.values()));
    let more_is_better = line.get("better").and_then(Value::as_str) == Some("more");
    let verdict = verdict(&ratios, more_is_better);
    let ratio = spread(&ratios);
    let mut told = line.clone();
    let Some(fields) = told.as_object_mut() else { return told };
    fields.insert("name".into(), key_of(line).into());
    fields.insert("value".into(), json!(own.map(|(_, median, _)| rounded(median))));
    fields.insert(
        "against".into(),
        json!(other.map(|(_, median, _)| json!({ "name": against, "value": rounded(median) }))),
    );
    fields.insert("ratio".into(), json!(ratio.map(|(_, median, _)| rounded(median))));
    fields.insert("ratios".into(), json!(ratio.map(|(low, _, high)| [rounded(low), rounded(high)])));
    fields.insert("rounds".into(), ratios.len().into());
    fields.insert(
        "verdict".into(),
        json!(verdict.map(|verdict| match verdict {
            Verdict::Holds => "holds",
            Verdict::Spread => "spread",
            Verdict::Worse => "worse",
        })),
    );
    told
}

/// Whether a figure got worse, by the ratios of its rounds; `None` when there is nothing to compare.
fn verdict(ratios: &[f64], more_is_better: bool) -> Option<Verdict> {
    let worse = |ratio: f64| if more_is_better { 1.0 / ratio - 1.0 } else { ratio - 1.0 };
    let (_, median, _) = spread(ratios)?;
    if worse(median) <= WORTH_A_WORD {
        return Some(Verdict::Holds);
    }
    let agree = ratios.iter().filter(|ratio| worse(**ratio) > 0.0).count();
    // Four of five.
    Some(if agree * 5 >= ratios.len() * 4 { Verdict::Worse } else { Verdict::Spread })
}

/// Lowest, median, highest.
fn spread<'a>(values: impl IntoIterator<Item = &'a f64>) -> Option<(f64, f64, f64)> {
    let mut sorted: Vec<f64> = values.into_iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle.checked_sub(1)?)? } else { upper };
    Some((*sorted.first()?, f64::midpoint(lower, upper), *sorted.last()?))
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn in_words(line: &Value) -> String {
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |at: &str| line.pointer(at).and_then(Value::as_f64);
    let shown = |value: Option<f64>| match value {
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
        None => "-".into(),
    };
    let mut words = format!("{:<58} {:>10} {:<6}", text("name"), shown(number("/value")), text("unit"));
    if let (Some(ratio), Some(low), Some(high)) = (number("/ratio"), number("/ratios/0"), number("/ratios/1"))
    {
        words.push_str(&format!(
            "  {:>5.1} % of {} in {} ({:.0} to {:.0} %; {} is better): {}",
            ratio * 100.0,
            shown(number("/against/value")),
            text_at(line, "/against/name"),
            low * 100.0,
            high * 100.0,
            text("better"),
            text("verdict"),
        ));
    } else {
        words.push_str("  not measured there");
    }
    words
}

fn text_at<'a>(line: &'a Value, at: &str) -> &'a str {
    line.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_worse_when_its_median_is_and_nearly_all_rounds_agree() {
        let table = [
            (&[1.0, 1.02, 0.99, 1.01, 1.04][..], false, Some(Verdict::Holds)),
            (&[1.2, 1.3, 1.1, 1.2, 1.25], false, Some(Verdict::Worse)),
            (&[1.2, 1.3, 1.1, 1.2, 1.25], true, Some(Verdict::Holds)),
            (&[0.8, 0.9, 0.7, 0.85, 1.1], true, Some(Verdict::Worse)),
            (&[0.8, 0.9, 1.2, 0.85, 1.1], true, Some(Verdict::Spread)),
            (&[0.5, 0.5, 0.4, 0.5, 0.6], false, Some(Verdict::Holds)),
            (&[], false, None),
        ];
        for (ratios, more_is_better, expected) in table {
            assert_eq!(verdict(ratios, more_is_better), expected, "{ratios:?} {more_is_better}");
        }
    }

    #[test]
    fn figures_are_compared_round_by_round_and_a_missing_one_is_not() {
        let line = json!({ "type": "figure", "name": "a", "value": 9, "unit": "ms", "better": "less", "goal": null });
        let ours = BTreeMap::from([(0, 2.0), (1, 20.0), (2, 3.0)]);
        let theirs = BTreeMap::from([(0, 1.0), (1, 10.0)]);
        let told = compared(&line, &ours, &theirs, "abc");
        assert_eq!(told.get("ratio"), Some(&json!(2.0)), "a slow round is slow for both");
        assert_eq!(told.get("value"), Some(&json!(3.0)));
        assert_eq!(told.pointer("/against/name"), Some(&json!("abc")));
        assert_eq!((told.get("rounds"), told.get("verdict")), (Some(&json!(2)), Some(&json!("worse"))));
        let told = compared(&line, &ours, &BTreeMap::new(), "abc");
        assert_eq!((told.get("against"), told.get("verdict")), (Some(&Value::Null), Some(&Value::Null)));
        assert!(in_words(&told).ends_with("not measured there"));
    }

    #[test]
    fn a_figure_is_the_same_however_many_transactions_it_took() {
        let named = |name: &str| key_of(&json!({ "name": name }));
        assert_eq!(
            named("core send: written in 17 transactions, per message"),
            named("core send: written in 9 transactions, per message")
        );
        assert_ne!(named("core send, 2 members"), named("core send, 10 members"));
    }
}
