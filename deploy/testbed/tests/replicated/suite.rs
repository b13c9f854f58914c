//! Runs the suite of `registry/tests/runner` against replicas on one cluster.
//!
//! The tests of the suite stand in this binary too; started one by one they have no cluster and run in memory,
//! which takes no time. Here the binary starts itself for all of them with the address of a cluster.

use std::process::{Command, Stdio};

use testbed::{Broker, Failure, Result, ensure};

use crate::place;

#[test]
fn the_suite_of_the_registry_holds_on_a_cluster() -> Result {
    let broker = Broker::cluster()?;
    let (user, password) = broker.registry_login();
    let output = Command::new(std::env::current_exe()?)
        .args(["--test-threads", "4", "--skip", "cluster", "--skip", "replica"])
        .env(place::SERVERS, broker.servers())
        .env(place::USER, user)
        .env(place::PASSWORD, password)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure(output.status.success(), || format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    let passed = text
        .lines()
        .find_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<u32>().ok())
        .ok_or_else(|| Failure::new(text.clone()))?;
    ensure(passed > 60, || format!("only {passed} tests ran: {text}"))
}
