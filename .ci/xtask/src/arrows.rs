//! Who may depend on whom.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Failure, Outcome, run, ui};

/// Direct arrows inside the workspace, of every kind: normal, build and dev.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("cipher-broker", &[]),
    ("cipher-seal", &[]),
    ("cipher-api", &["cipher-broker"]),
    ("cipher-core", &["cipher-api", "cipher-broker", "cipher-seal"]),
    ("cipher-connection", &[]),
    ("cipher-registry", &["cipher-broker", "cipher-connection", "cipher-seal"]),
    ("cipher-bot-macros", &[]),
    ("cipher-bot", &["cipher-broker", "cipher-bot-macros"]),
    ("cipher-bots", &["cipher-bot"]),
    ("cipher-bot-host", &["cipher-bot", "cipher-broker"]),
    (
        "cipher-chat",
        &[
            "cipher-api",
            "cipher-core",
            "cipher-bots",
            "cipher-bot",
            "cipher-bot-host",
            "cipher-broker",
            "cipher-connection",
            "cipher-seal",
        ],
    ),
    (
        "testbed",
        &[
            "cipher-api",
            "cipher-chat",
            "cipher-registry",
            "cipher-core",
            "cipher-bot",
            "cipher-bots",
            "cipher-broker",
            "cipher-seal",
        ],
    ),
    ("xtask", &[]),
];

/// What a package may not reach by normal dependencies, over whatever path.
const FORBIDDEN: [(&str, &[&str]); 9] = [
    ("cipher-seal", &["tokio", "async-nats", "openmls", "redb", "clap"]),
    ("cipher-broker", &["tokio", "async-nats", "openmls", "redb", "clap"]),
    ("cipher-api", &["tokio", "async-nats", "openmls", "redb", "clap", "cipher-core"]),
    ("cipher-core", &["tokio", "async-nats", "clap", "figment", "cipher-chat", "cipher-registry"]),
    ("cipher-bot", &["cipher-core", "openmls", "redb", "tokio", "async-nats"]),
    ("cipher-bots", &["cipher-core", "openmls", "redb", "tokio", "async-nats"]),
    ("cipher-bot-host", &["cipher-core", "cipher-chat", "openmls", "redb", "async-nats", "clap"]),
    ("cipher-registry", &["cipher-core", "cipher-chat", "cipher-bot", "cipher-bots"]),
    ("cipher-chat", &["cipher-registry", "testbed"]),
];

/// Features of OpenMLS that show keys or plaintext, or that are not finished.
const OPENMLS_OFF: [&str; 4] = ["crypto-debug", "content-debug", "test-utils", "virtual-clients-draft"];

/// Fails for every arrow that is not allowed.
pub(crate) fn check() -> Outcome {
    let text = run::output(&mut run::cargo(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata.get("packages").and_then(Value::as_array).ok_or("cargo metadata: no packages")?;
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| field(package, "name")).collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = field(package, "name").ok_or("cargo metadata: a package without name")?;
        let Some((_, allowed)) = ALLOWED.iter().find(|(of, _)| *of == name) else {
            problems.push(format!("{name} is new: say in arrows.rs what it may depend on"));
            continue;
        };
        for dependency in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
            let to = field(dependency, "name").unwrap_or_default();
            if names.contains(to) && to != name && !allowed.contains(&to) {
                problems.push(format!("{name} -> {to} is not allowed"));
            }
        }
    }
    for (package, forbidden) in FORBIDDEN {
        if names.contains(package) {
            let reached = tree(&["--package", package], "{p}")?;
            for name in forbidden.iter().filter(|name| reached.iter().any(|(has, _)| has == *name)) {
                problems
                    .push(format!("{package} reaches {name}: `cargo tree -p {package} -e normal -i {name}`"));
            }
        }
    }
    for (package, features) in tree(&["--workspace", "--exclude", "testbed"], "{p}|{f}")? {
        for feature in OPENMLS_OFF {
            if package.starts_with("openmls") && features.split(',').any(|has| has == feature) {
                problems.push(format!("{package} is built with its feature {feature}"));
            }
        }
    }
    if problems.is_empty() {
        ui::print(&format!("{} packages, every arrow as it should be", names.len()));
        Ok(())
    } else {
        Err(format!("arrows that should not be there:\n  {}", problems.join("\n  ")))
    }
}

/// Names, and what follows `|`, of everything reached by normal dependencies.
fn tree(which: &[&str], format: &str) -> Result<Vec<(String, String)>, Failure> {
    let fixed = ["tree", "--edges", "normal", "--prefix", "none", "--locked", "--format", format];
    let text = run::output(&mut run::cargo(fixed.iter().chain(which)))?;
    let rows = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let (package, rest) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split_whitespace().next().unwrap_or_default();
        (name.to_owned(), rest.trim_end_matches(" (*)").to_owned())
    });
    let unique: BTreeSet<(String, String)> = rows.collect();
    Ok(unique.into_iter().collect())
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
