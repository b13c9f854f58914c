//! The whole pipeline, and the parts that are cargo's own.

use std::time::Instant;

use crate::{Outcome, arrows, attacks, deny, links, rooms, rules, run, size, suite, ui};

/// A named part of the pipeline.
type Part = (&'static str, fn() -> Outcome);

/// Everything, cheapest first; ends in the test command of the README.
pub(crate) fn ci() -> Outcome {
    let parts: [Part; 11] = [
        ("fmt", fmt),
        ("size", size::check),
        ("rules", rules::check),
        ("attacks", attacks::check),
        ("links", links::check),
        ("arrows", arrows::check),
        ("rooms", rooms::check),
        ("deny", deny::check),
        ("clippy", clippy),
        ("doc", doc),
        ("test", || suite::test(&[])),
    ];
    let mut failed = Vec::new();
    for (name, part) in parts {
        let begun = Instant::now();
        let outcome = part();
        let seconds = begun.elapsed().as_secs();
        match outcome {
            Ok(()) => ui::tell(&format!("    {name}: ok ({seconds} s)")),
            Err(failure) => {
                ui::tell(&format!("    {name}: FAILED ({seconds} s): {failure}"));
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        ui::print("ci: everything holds");
        Ok(())
    } else {
        Err(format!("ci: {} failed", failed.join(", ")))
    }
}

/// Formatting.
pub(crate) fn fmt() -> Outcome {
    run::succeed(&mut run::cargo(["fmt", "--all", "--check"]), "cargo fmt --check")
}

/// Lints, warnings are errors.
pub(crate) fn clippy() -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run::succeed(&mut run::cargo(arguments), "cargo clippy")
}

/// Documentation, warnings are errors.
pub(crate) fn doc() -> Outcome {
    let mut command = run::cargo(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    run::succeed(command.env("RUSTDOCFLAGS", "-D warnings"), "cargo doc")
}
