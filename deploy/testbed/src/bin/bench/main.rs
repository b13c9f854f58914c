//! `cargo xtask bench`: our figures beside the raw ones, in one run on the same machine.
//!
//! `--registry` measures the registry alone, `--replicas` three of it on a cluster, `--linking` a new device, `--backup` a backup and its return,
//! `--files` a large file there and back, `--search` the index of words of 1,000,000 messages, `--unlock` what the key and the passphrase of a store cost, `--junk` a
//! conversation under a flood of junk and a list with large invitations; `--accounts N` and `--stock N` say
//! with how much in its store. With `--keep FOLDER` the filled store of `--registry` stays there for the next run.
//!
//! A goal that is missed is printed as missed. Figures count, they do not gate: the exit code says only whether
//! the run came to its end.

mod backup;
mod brain;
mod catch_up;
mod fail_over;
mod figure;
mod files;
mod free;
mod junk;
mod lab;
mod latency;
mod linking;
mod process;
mod raw;
mod registry;
mod replicated;
mod search;
mod throughput;
mod unlock;

use std::path::Path;
use std::process::ExitCode;

use testbed::Result;

use crate::figure::Report;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Messages in a throughput run.
    messages: usize,
    /// Sizes of groups.
    groups: &'static [usize],
    /// Messages to catch up on.
    missed: usize,
    /// Groups that a new device is brought into, with so many messages.
    linked_groups: usize,
    /// Messages in a backup, and their groups.
    backed_up: usize,
    backed_up_groups: usize,
    /// Messages of a profile in which words are looked for.
    searched: usize,
    /// Samples of a latency.
    samples: usize,
    /// Cold starts.
    starts: usize,
    /// Accounts in the registry's store.
    accounts: usize,
    /// Key packages per account and suite.
    stock: usize,
}

const FULL: Extent = Extent {
    messages: 4_000,
    groups: &[2, 10, 100],
    missed: 10_000,
    linked_groups: 50,
    backed_up: 100_000,
    backed_up_groups: 100,
    searched: 1_000_000,
    samples: 500,
    starts: 40,
    accounts: 100_000,
    stock: 20,
};
const QUICK: Extent = Extent {
    messages: 1_000,
    groups: &[2, 10],
    missed: 2_000,
    linked_groups: 10,
    backed_up: 10_000,
    backed_up_groups: 10,
    searched: 100_000,
    samples: 100,
    starts: 10,
    accounts: 10_000,
    stock: 20,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let report = Report::new(has("--json"));
    let number = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1)?.parse::<usize>().ok()
    };
    let mut extent = if has("--quick") { QUICK } else { FULL };
    extent.accounts = number("--accounts").unwrap_or(extent.accounts);
    extent.stock = number("--stock").unwrap_or(extent.stock);
    let kept =
        arguments.iter().position(|argument| argument == "--keep").and_then(|at| arguments.get(at + 1));
    match run(&report, extent, has, kept.map(Path::new)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report.failed(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(report: &Report, extent: Extent, only: impl Fn(&str) -> bool, kept: Option<&Path>) -> Result {
    if cfg!(debug_assertions) {
        report.note("a debug build: figures mean nothing; use cargo xtask bench");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if only("--replicas") {
            return replicated::replicas(report, extent).await;
        }
        if only("--registry") {
            return registry::many_accounts(report, extent, kept).await;
        }
        let mut lab = lab::Lab::new()?;
        if only("--junk") {
            return junk::under_a_flood(report, &mut lab, extent).await;
        }
        if only("--files") {
            return files::there_and_back(report, &lab).await;
        }
        if only("--backup") {
            return backup::there_and_back(report, &mut lab, extent).await;
        }
        if only("--search") {
            return search::many_messages(report, &mut lab, extent).await;
        }
        if only("--unlock") {
            return unlock::with_key_and_passphrase(report, &mut lab, extent).await;
        }
        if only("--linking") {
            return linking::many_groups(report, &mut lab, extent).await;
        }
        throughput::raw_and_core(report, &mut lab, extent).await?;
        throughput::through_the_broker(report, &mut lab, extent).await?;
        latency::publish_to_shown(report, &mut lab, extent).await?;
        catch_up::missed_messages(report, &mut lab, extent).await?;
        linking::many_groups(report, &mut lab, extent).await?;
        backup::there_and_back(report, &mut lab, extent).await?;
        unlock::with_key_and_passphrase(report, &mut lab, extent).await?;
        files::there_and_back(report, &lab).await?;
        process::cold_send(report, &lab, extent)?;
        process::idle_and_peak(report, &lab)?;
        drop(lab);
        registry::many_accounts(report, extent, kept).await?;
        replicated::replicas(report, extent).await
    })
}
