//! Replaces the profile of the calling account.

use cipher_broker::codec;
use cipher_broker::id::AccountId;
use cipher_broker::limit;
use cipher_broker::sign::Purpose;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{Answer, PublicProfile, SignedProfile};

use crate::caller::Caller;
use crate::error::OpError;
use crate::op::change::Change;
use crate::store::{Txn, View, account};

/// Bytes of an encoded profile: names and status texts of four bytes a character, and room for what is added.
const PROFILE_BYTES: usize = 2048;

/// A profile that verifies.
#[derive(Debug)]
pub(crate) struct NewProfile {
    signed: SignedProfile,
    version: u64,
}

/// Verifies the profile under the key of the device it names, a device of the calling account.
pub(crate) fn check(signed: SignedProfile, caller: &Caller, view: &View) -> Result<NewProfile, OpError> {
    let key = account::device_key(&view.devices, &caller.account, &signed.device)?
        .ok_or_else(|| Code::Denied.because("the profile is signed by a device of another account"))?;
    let profile = verify(&signed, &caller.account, &key)?;
    Ok(NewProfile { signed, version: profile.version })
}

/// Verifies signature, owner and limits of a profile.
pub(crate) fn verify(
    signed: &SignedProfile,
    owner: &AccountId,
    key: &[u8; 32],
) -> Result<PublicProfile, Refusal> {
    if signed.profile.body.len() > PROFILE_BYTES {
        return Err(Code::TooLarge.because(format!("a profile has at most {PROFILE_BYTES} bytes")));
    }
    let body = signed
        .profile
        .verified(key, Purpose::Profile)
        .map_err(|_| Code::Denied.because("the profile is not signed by the device it names"))?;
    let profile: PublicProfile = decode(body)?;
    if profile.account != *owner {
        return Err(Code::Denied.because("the profile belongs to another account"));
    }
    let texts = [
        ("display name", &profile.name, limit::DISPLAY_NAME_CHARS),
        ("status text", &profile.status, limit::STATUS_CHARS),
    ];
    for (what, text, most) in texts {
        if text.chars().count() > most {
            return Err(Code::TooLarge.because(format!("a {what} has at most {most} characters")));
        }
        // A line break or an escape sequence in a name could imitate the interface of whoever reads it.
        if text.chars().any(char::is_control) {
            return Err(Code::Malformed.because(format!("a {what} has no control characters")));
        }
    }
    Ok(profile)
}

pub(crate) fn run(new: NewProfile, caller: &Caller, txn: &mut Txn<'_>) -> Result<Change, OpError> {
    let mut record = account::by_id(&txn.accounts, &caller.account)?
        .ok_or_else(|| Code::NotFound.because("the calling account does not exist"))?;
    if record.profile == new.signed {
        return Ok(Answer::Done.into());
    }
    // The device that signed may have been revoked since it was looked at.
    if account::is_revoked(&txn.revoked, &caller.account, &new.signed.device)? {
        return Err(Code::Denied.because("the profile is signed by a revoked device").into());
    }
    follows(&record.profile, &new.signed, new.version)?;
    record.profile = new.signed;
    account::put(&mut txn.accounts, &record)?;
    Ok(Answer::Done.into())
}

/// Refuses a profile that is not newer than the present one. One that was lost is older than any.
pub(crate) fn follows(present: &SignedProfile, new: &SignedProfile, version: u64) -> Result<(), Refusal> {
    if present.is_unknown() || present == new {
        return Ok(());
    }
    let current = decode(&present.profile.body)?.version;
    if version <= current {
        return Err(Code::Denied.because(format!("the profile's version must be above {current}")));
    }
    Ok(())
}

fn decode(body: &[u8]) -> Result<PublicProfile, Refusal> {
    codec::decode(body)
        .map_err(|error| Code::Malformed.because(format!("the profile cannot be read: {error}")))
}
