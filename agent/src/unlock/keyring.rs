//! The system's keyring (Secret Service), which holds a key of a store. Only builds with the feature `keyring` ask it.

use cipher_api::{Error, ErrorKind, Hint};
use cipher_seal::Key;

use crate::profile::Profile;

#[cfg(feature = "keyring")]
use asked::on_entry;
#[cfg(not(feature = "keyring"))]
use unasked::on_entry;

/// What is wanted of the entry of a profile.
#[cfg_attr(not(feature = "keyring"), expect(dead_code, reason = "nothing is asked"))]
enum Wanted<'a> {
    Fetch,
    Store(&'a Key),
    Forget,
}

/// The key of a store.
pub(crate) fn fetch(profile: &Profile) -> Result<Key, Error> {
    on_entry(profile, &Wanted::Fetch)?.ok_or_else(|| {
        ErrorKind::Storage
            .because(format!("the system's keyring has no key for {}", profile.dir().display()))
            .hint(Hint::text(
                "it is kept under the folder of the profile: was that moved? Otherwise give what opens another slot: --key-file FILE, or --passphrase-fd N",
            ))
    })
}

/// Puts a key of a store there, in the place of another.
pub(super) fn store(profile: &Profile, key: &Key) -> Result<(), Error> {
    on_entry(profile, &Wanted::Store(key)).map(|_| ())
}

/// Takes it away.
pub(super) fn forget(profile: &Profile) -> Result<(), Error> {
    on_entry(profile, &Wanted::Forget).map(|_| ())
}

#[cfg(feature = "keyring")]
mod asked {
    use keyring_core::api::CredentialStoreApi as _;
    use zbus_secret_service_keyring_store::Store;
    use zeroize::Zeroizing;

    use super::{Error, ErrorKind, Hint, Key, Profile, Wanted};

    /// What entries of this program are kept under, beside the folder of the profile.
    const SERVICE: &str = "cipher-chat";

    pub(super) fn on_entry(profile: &Profile, wanted: &Wanted<'_>) -> Result<Option<Key>, Error> {
        // On a thread of its own: what waits for the bus has a runtime, and the caller may be inside of one.
        let done = std::thread::scope(|scope| scope.spawn(|| ask(profile, wanted)).join());
        let done = done.unwrap_or_else(|_| Err(keyring_core::Error::NoDefaultStore));
        done.map_err(|error| {
            ErrorKind::Storage
                .because_of("the system's keyring cannot be used", error)
                .hint(Hint::text("is a session with a keyring there, and unlocked? Otherwise give what opens another slot: --key-file FILE, or --passphrase-fd N"))
        })
    }

    /// The connection is made anew each time: a daemon may have begun before the session's bus.
    fn ask(profile: &Profile, wanted: &Wanted<'_>) -> keyring_core::Result<Option<Key>> {
        let entry = Store::new()?.build(SERVICE, &profile.dir().display().to_string(), None)?;
        match wanted {
            Wanted::Fetch => match entry.get_secret().map(Zeroizing::new) {
                Ok(bytes) => Ok(Key::from_slice(&bytes)),
                Err(keyring_core::Error::NoEntry) => Ok(None),
                Err(error) => Err(error),
            },
            Wanted::Store(key) => entry.set_secret(key.expose()).map(|()| None),
            Wanted::Forget => match entry.delete_credential() {
                Ok(()) | Err(keyring_core::Error::NoEntry) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod unasked {
    use super::{Error, ErrorKind, Hint, Key, Profile, Wanted};

    pub(super) fn on_entry(_: &Profile, _: &Wanted<'_>) -> Result<Option<Key>, Error> {
        Err(ErrorKind::Storage.because("this build does not ask the system's keyring").hint(Hint::text(
            "use one with the feature `keyring`, or give what opens another slot: --key-file FILE, or --passphrase-fd N",
        )))
    }
}
