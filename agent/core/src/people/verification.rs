//! Safety numbers, and what follows from comparing them.
//!
//! Sixty digits: thirty for each account, the smaller half first, so that both sides see the same. Each half is an
//! iterated hash over what the key is, the key, and the account it belongs to: a key of another kind, or of another
//! account, gives another number (A08).

use cipher_api::view::{SafetyNumberView, Trust};
use cipher_api::{Advice, Error, ErrorKind, Hint, Reply, Result};
use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::AccountId;
use cipher_broker::sign::digest;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;

use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::lookup::Goal;
use crate::state::changed;

/// How often each half is hashed: makes searching for a key with a look-alike number costly.
const ROUNDS: usize = 5_200;
/// Digits of one half.
const HALF: usize = 30;
/// Begins the URI of a safety number.
const URI: &str = "cipher-chat:verify/";
/// First byte behind it.
const URI_VERSION: u8 = 1;
/// The only kind of key that is compared today.
const ACCOUNT_KEY: &str = "ed25519 account key";

/// What the other side showed.
#[derive(Debug, PartialEq, Eq)]
enum OtherSide {
    /// Sixty digits.
    Number(String),
    /// Two accounts and the digest of their number.
    Uri { accounts: [AccountId; 2], digest: [u8; 32] },
}

impl Core {
    pub(super) fn contact_verify(
        &mut self,
        ticket: Ticket,
        handle: Handle,
        code: Option<String>,
    ) -> Result<Option<Reply>> {
        self.state.identity()?;
        let code = code.map(|code| read_code(&code)).transpose()?;
        if let Some(account) = self.state.account_of(&handle) {
            if account == self.state.own_id() {
                return Err(ErrorKind::Usage.because("one does not verify oneself"));
            }
            if self.state.log_of(&account).is_some() {
                return self.verify(&account, code.as_ref()).map(Some);
            }
        }
        // The key is not known here yet.
        let code = code.map(|_| ());
        if code.is_some() {
            return Err(ErrorKind::Misuse
                .because(format!("nothing is known of @{handle} yet that could be compared"))
                .hint(Hint::ContactVerifyFirst { handle }));
        }
        self.begin_errand(Some(ticket), Goal::Verify, vec![handle])?;
        Ok(None)
    }

    /// The safety number with an account.
    pub(super) fn show_safety_number(&mut self, account: &AccountId) -> Result<Reply> {
        self.verify(account, None)
    }

    fn verify(&mut self, account: &AccountId, code: Option<&OtherSide>) -> Result<Reply> {
        let row = self.state.accounts.get(account);
        let row = row.ok_or_else(|| ErrorKind::Bug.because("an account that was just pinned is gone"))?;
        let handle = row.handle.clone();
        if row.kind == Kind::Bot {
            let owner = row.owner.as_ref().map_or_else(|| "its owner".into(), |o| self.state.handle_of(o));
            return Err(ErrorKind::Refused
                .because(format!("@{handle} is a bot: it is as trustworthy as its owner, who signed for it"))
                .hint(Hint::ContactVerifyOwner { owner }));
        }
        if row.trust == Trust::Changed {
            return Err(changed(&handle, row.trust_before == Some(Trust::Verified)));
        }
        let key = row.log.as_ref().map(|log| *log.key());
        let key = key.ok_or_else(|| ErrorKind::Bug.because("the account's key is not known"))?;
        let identity = self.state.identity()?;
        let own_key = SigningKey::from_bytes(&identity.account_seed).verifying_key().to_bytes();
        let own = identity.account;
        let number = safety_number((&own_key, &own), (&key, account));
        if let Some(code) = code {
            if !fits(code, &number, [own, *account]) {
                return Err(differs(&handle));
            }
            if let Some(row) = self.state.accounts.get_mut(account) {
                row.trust = Trust::Verified;
            }
            self.tell_accounts([*account], false)?;
        }
        let trust = self.state.accounts.get(account).map_or(Trust::Unverified, |row| row.trust);
        Ok(Reply::SafetyNumber(Box::new(SafetyNumberView {
            handle,
            account_id: *account,
            uri: uri([own, *account], &number),
            number: grouped(&number),
            trust,
        })))
    }

    /// The person decided that a handle belongs to another account now.
    pub(super) fn contact_trust(&mut self, handle: &Handle) -> Result<Reply> {
        self.state.identity()?;
        let account = self.state.account_of(handle).ok_or_else(|| {
            ErrorKind::NotFound.because(format!("@{handle} is not known here")).hint(Advice::CheckSpelling)
        })?;
        let rival = self.state.accounts.get(&account).filter(|row| row.trust == Trust::Changed);
        let rival = rival.and_then(|row| row.rival).filter(|rival| self.state.accounts.get(rival).is_some());
        let Some(rival) = rival else {
            return Err(ErrorKind::Misuse
                .because(format!(
                    "@{handle} is the account that it was when first seen: there is nothing to decide"
                ))
                .hint(Hint::ContactVerify { handle: handle.clone() }));
        };
        if let Some(row) = self.state.accounts.get_mut(&account) {
            row.retired = true;
        }
        if let Some(row) = self.state.accounts.get_mut(&rival) {
            row.claimant = false;
            row.trust = Trust::Unverified;
        }
        let conversations: Vec<_> = self.state.groups.keys();
        for group in conversations {
            if self.state.groups.get(&group).is_some_and(|row| row.peer == Some(account)) {
                self.run.changed.insert(group);
            }
        }
        self.tell_accounts([account, rival], false)?;
        Ok(Reply::Contact(Box::new(self.contact_view(&rival)?)))
    }
}

fn differs(handle: &Handle) -> Error {
    ErrorKind::Trust
        .because(format!("the safety number of @{handle} is not the one that the other side shows"))
        .hint(Advice::CompareAgain)
}

/// One side's thirty digits.
fn half(key_kind: &str, key: &[u8; 32], account: &AccountId) -> String {
    let label = "cipher-chat/safety-number/v1";
    let mut hash = digest(label, &[key_kind.as_bytes(), key, account.as_bytes()]);
    for _ in 1..ROUNDS {
        hash = digest(label, &[&hash, key_kind.as_bytes(), key, account.as_bytes()]);
    }
    hash.chunks_exact(5)
        .take(HALF / 5)
        .map(|five| five.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)))
        .map(|number| format!("{:05}", number % 100_000))
        .collect()
}

/// The sixty digits of two accounts, whichever side computes them.
fn safety_number(one: (&[u8; 32], &AccountId), other: (&[u8; 32], &AccountId)) -> String {
    let mut halves = [half(ACCOUNT_KEY, one.0, one.1), half(ACCOUNT_KEY, other.0, other.1)];
    halves.sort();
    halves.concat()
}

/// Twelve groups of five.
fn grouped(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    digits.chunks(5).map(|five| five.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn number_digest(number: &str) -> [u8; 32] {
    digest("cipher-chat/safety-number-digest/v1", &[number.as_bytes()])
}

/// Both accounts and a digest of their number: what the other side needs to compare without asking anybody.
fn uri(accounts: [AccountId; 2], number: &str) -> String {
    let mut bytes = vec![URI_VERSION];
    for account in accounts {
        bytes.extend_from_slice(account.as_bytes());
    }
    bytes.extend_from_slice(&number_digest(number));
    format!("{URI}{}", BASE64URL_NOPAD.encode(&bytes))
}

fn fits(shown: &OtherSide, number: &str, accounts: [AccountId; 2]) -> bool {
    match shown {
        OtherSide::Number(digits) => digits == number,
        OtherSide::Uri { accounts: shown, digest } => {
            let [a, b] = accounts;
            (*shown == [a, b] || *shown == [b, a]) && *digest == number_digest(number)
        }
    }
}

/// Reads what a person typed or scanned.
fn read_code(text: &str) -> Result<OtherSide> {
    let text = text.trim();
    let bad = || ErrorKind::Misuse.because("this is not a safety number").hint(Advice::SafetyNumberForm);
    if let Some(encoded) = text.strip_prefix(URI) {
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| bad())?;
        let (version, rest) = bytes.split_first().ok_or_else(bad)?;
        let (one, rest) = rest.split_at_checked(AccountId::LEN).ok_or_else(bad)?;
        let (other, digest) = rest.split_at_checked(AccountId::LEN).ok_or_else(bad)?;
        if *version != URI_VERSION {
            return Err(bad());
        }
        let account = |bytes: &[u8]| AccountId::from_slice(bytes).map_err(|_| bad());
        let digest = digest.try_into().map_err(|_| bad())?;
        return Ok(OtherSide::Uri { accounts: [account(one)?, account(other)?], digest });
    }
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() == 2 * HALF && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(OtherSide::Number(digits))
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 32])
    }

    #[test]
    fn both_sides_compute_the_same_sixty_digits() {
        let (one, other) = (([1; 32], account(11)), ([2; 32], account(22)));
        let number = safety_number((&one.0, &one.1), (&other.0, &other.1));
        assert_eq!(number, safety_number((&other.0, &other.1), (&one.0, &one.1)));
        assert_eq!(number.len(), 60);
        assert!(number.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(grouped(&number).split(' ').count(), 12);
        // Fixed for ever: two versions that disagree would cry wolf.
        assert_eq!(grouped(&number), GOLDEN);
    }

    const GOLDEN: &str = "24691 71717 02895 71886 19027 90564 76897 28397 38638 31951 74572 86508";

    /// A08: what a key is, which key, and whose: each of them decides.
    #[test]
    fn a08_keys_of_another_kind_or_account_give_another_number() {
        let half_of = |kind, key: u8, of: u8| half(kind, &[key; 32], &account(of));
        let right = half_of(ACCOUNT_KEY, 1, 11);
        assert_ne!(right, half_of("ed25519 device key", 1, 11));
        assert_ne!(right, half_of(ACCOUNT_KEY, 2, 11));
        assert_ne!(right, half_of(ACCOUNT_KEY, 1, 22));
        // Two keys of different accounts swapped.
        let number = |a: u8, b: u8| safety_number((&[a; 32], &account(11)), (&[b; 32], &account(22)));
        assert_ne!(number(1, 2), number(2, 1));
    }

    #[test]
    fn a_number_is_read_with_and_without_spaces_and_from_its_uri() {
        let accounts = [account(1), account(2)];
        let number = "0123456789".repeat(6);
        for text in [number.clone(), grouped(&number), format!(" {} \n", grouped(&number))] {
            assert!(fits(&read_code(&text).unwrap(), &number, accounts), "{text}");
        }
        let shown = uri(accounts, &number);
        assert!(fits(&read_code(&shown).unwrap(), &number, accounts));
        assert!(fits(&read_code(&shown).unwrap(), &number, [accounts[1], accounts[0]]));
        assert!(!fits(&read_code(&shown).unwrap(), &"1".repeat(60), accounts));
        assert!(!fits(&read_code(&shown).unwrap(), &number, [account(1), account(3)]));
    }

    #[test]
    fn what_is_no_safety_number_is_a_misuse() {
        let number = "0123456789".repeat(6);
        let shown = uri([account(1), account(2)], &number);
        for text in [
            "",
            "12345",
            &"1".repeat(59),
            &"1".repeat(61),
            &"a".repeat(60),
            &"١".repeat(60),
            "cipher-chat:verify/",
            "cipher-chat:verify/!!",
            &shown[..shown.len() - 4],
            &format!("{shown}AAAA"),
            &shown.replace("verify", "link"),
        ] {
            assert_eq!(read_code(text).map_err(|error| error.kind), Err(ErrorKind::Misuse), "{text}");
        }
    }
}
