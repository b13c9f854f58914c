//! What to say of a broker that works and may still lose or show something: its version, no TLS, no word on its disk.

/// Oldest version of nats-server that is known to hold.
pub const OLDEST: (u32, u32) = (2, 15);

/// What is known of a broker.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its version, as it says it.
    pub version: &'a str,
    /// TLS is in use.
    pub encrypted: bool,
    /// All its servers are on this machine.
    pub loopback: bool,
    /// The operator confirmed that it writes to disk before it acknowledges. No client can ask for it.
    pub synced: bool,
}

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What it is about, one word.
    pub about: &'static str,
    /// What is known.
    pub found: String,
    /// What to do.
    pub hint: &'static str,
}

/// Everything there is to say; nothing of a broker that is set up as our server files have it.
pub fn advice(known: Known<'_>) -> Vec<Advice> {
    let (major, minor) = OLDEST;
    let mut all = Vec::new();
    if older(known.version) {
        all.push(Advice {
            about: "version",
            found: format!("nats-server {}; use {major}.{minor} or newer", known.version),
            hint: "older ones have known ways around permissions; deploy/get-nats-server fetches a newer one",
        });
    }
    if !known.encrypted && !known.loopback {
        all.push(Advice {
            about: "tls",
            found: "the login goes to the broker without TLS, and not on this machine only".into(),
            hint: "give the broker TLS (tls.conf) and write tls://",
        });
    }
    if !known.synced {
        all.push(Advice {
            about: "sync",
            found: "unknown: no client can ask whether the broker writes to disk before it acknowledges".into(),
            hint: "ask its operator for sync_interval: always (our server files have it), then confirm: the setting sync = always",
        });
    }
    all
}

fn older(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) < OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_an_old_broker_without_tls_and_without_a_word_on_its_disk_is_told() {
        for (version, old) in [
            ("2.14.9", true),
            ("2.9.0", true),
            ("2.15.0", false),
            ("2.15.1-RC.1", false),
            ("3.0.0", false),
            ("", true),
        ] {
            assert_eq!(older(version), old, "{version}");
        }
        let about = |known| advice(known).iter().map(|advice| advice.about).collect::<Vec<_>>();
        let ours = Known { version: "2.15.1", encrypted: true, loopback: false, synced: true };
        assert!(about(ours).is_empty());
        assert!(about(Known { encrypted: false, loopback: true, ..ours }).is_empty());
        let plain = Known { version: "2.10.1", encrypted: false, loopback: false, synced: false };
        assert_eq!(about(plain), ["version", "tls", "sync"]);
    }
}
