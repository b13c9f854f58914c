//! What opens a store: a key in a file, and a passphrase, which is to cost whoever guesses.

use std::fs;
use std::time::Instant;

use cipher_seal::{Passphrase, SealedFile, Unlock, key_file};
use testbed::{Failure, Result, fail};

use crate::Extent;
use crate::backup::{PASSPHRASE, run};
use crate::figure::{Figure, Goal, Report, percentiles};
use crate::lab::Lab;

/// Times a passphrase is stretched for the figure.
const STRETCHED: usize = 5;

/// Reads and opens the keys of a store, with one and with the other.
pub(crate) async fn with_key_and_passphrase(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let people = lab.people(1).await?;
    let [alice] = people.as_slice() else { return fail("one person") };
    run(lab, alice, &["slot", "add", "passphrase", "--new-passphrase-fd", "0"])?;
    let passphrase = Passphrase::new(PASSPHRASE).ok_or_else(|| Failure::new("no passphrase"))?;
    let passphrase = Unlock::Passphrase(passphrase);
    let timed = |unlock: &dyn Fn() -> Result<Unlock>| {
        let begun = Instant::now();
        let keys = fs::read(alice.profile.keys())?;
        SealedFile::open(&keys, &unlock()?).map_err(|error| Failure::new(error.to_string()))?;
        Ok::<_, Failure>(begun.elapsed().as_secs_f64())
    };
    let from_file = || Ok(Unlock::Key(key_file::read(&alice.profile.key())?));
    let of_key = (0..extent.samples).map(|_| timed(&from_file)).collect::<Result<Vec<_>>>()?;
    let typed = || Ok(passphrase.clone());
    let of_words = (0..STRETCHED).map(|_| timed(&typed)).collect::<Result<Vec<_>>>()?;
    let p50 = |mut times: Vec<f64>| percentiles(&mut times).0;
    report
        .tell(&Figure::new("unlock with a key file, p50", p50(of_key) * 1000.0, "ms").goal(Goal::Most(5.0)));
    report.tell(
        &Figure::new("unlock with a passphrase, p50", p50(of_words), "s").goal(Goal::Between(0.3, 0.6)),
    );
    Ok(())
}
