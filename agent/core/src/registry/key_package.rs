//! The stock of key packages: making, refilling, and judging those of others.

use std::collections::BTreeMap;
use std::time::Duration;

use cipher_api::{Advice, Error, ErrorKind, Result};
use cipher_broker::certificate::CREDENTIAL_TYPE;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::GROUP_DATA_EXTENSION;
use cipher_broker::wire::registry::{ClaimedKeyPackage, Operation};
use ed25519_dalek::VerifyingKey;
use openmls::prelude::{
    Ciphersuite, CredentialType, Extension, ExtensionType, KeyPackage, KeyPackageIn, Lifetime,
    ProtocolVersion,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::VerifiableCiphersuite;
use serde_bytes::ByteBuf;
use tls_codec::{DeserializeBytes, Serialize as _};

use crate::machine::Core;
use crate::registry::question::QuestionReason;
use crate::state::suite::{POST_QUANTUM_SUITE, SUITE, capabilities, suite_of};
use crate::state::{Joiner, PackageRow, Skip, Wish, roster};

/// How often a running device counts its packages: they grow too old to be handed out.
const COUNT_EVERY: Duration = Duration::from_secs(86_400);
/// How long to wait before the stock is counted again after that failed; doubled each time, up to a quarter of an hour.
const STOCK_WAIT: Duration = Duration::from_secs(1);

impl Core {
    /// Asks how many packages are left, once per connection and once a day.
    pub(crate) fn ask_stock(&mut self) {
        self.run.registry.stock_at = self.run.now.plus(COUNT_EVERY);
        self.ask(Operation::CountKeyPackages, QuestionReason::Count, None);
    }

    /// The registry told our stock.
    pub(super) fn stock_known(
        &mut self,
        one_time: u32,
        last_resort: bool,
        suites: &BTreeMap<u16, u32>,
    ) -> Result<()> {
        if self.state.meta.stock != Some(one_time) {
            self.state.meta_mut().stock = Some(one_time);
        }
        let mut complete = true;
        for suite in [SUITE, POST_QUANTUM_SUITE] {
            // One suite may run out while nobody asks for the other. Old registries do not tell them apart.
            let unknown = if suites.is_empty() { one_time / 2 } else { 0 };
            let have = suites.get(&suite.into()).copied().unwrap_or(unknown) as usize;
            let few = have < limit::KEY_PACKAGE_REFILL;
            if few || !last_resort {
                complete = false;
                let missing = if few { limit::KEY_PACKAGE_STOCK.saturating_sub(have) } else { 0 };
                self.publish_suite(suite, missing, !last_resort)?;
            }
        }
        if complete {
            self.run.registry.stock_again = None;
        }
        Ok(())
    }

    /// The registry took packages. It does not say how many lie there now: the next count does.
    pub(super) fn stock_grew(&mut self, one_time: u32) {
        let known = self.state.meta.stock.unwrap_or_default();
        self.state.meta_mut().stock = Some(known.saturating_add(one_time));
    }

    /// Counting or bringing packages failed: tries again, less and less often. Whether it was that.
    pub(super) fn stock_failed(&mut self, purpose: &QuestionReason) -> bool {
        if !about_stock(purpose) {
            return false;
        }
        if !self.state.is_revoked() {
            let (_, attempts) = self.run.registry.stock_again.unwrap_or_default();
            let wait = STOCK_WAIT.saturating_mul(1 << attempts.min(10));
            let at = self.run.now.plus(wait);
            self.run.registry.stock_again = Some((at, attempts.saturating_add(1)));
            self.run.wake_at(at);
        }
        true
    }

    /// Counts again when it is time: what is missing follows from the answer.
    pub(super) fn stock_tick(&mut self) {
        let Some((at, _)) = self.run.registry.stock_again else { return };
        if self.run.now < at {
            self.run.wake_at(at);
        } else if !self.run.registry.questions.values().any(|question| about_stock(&question.purpose)) {
            self.ask_stock();
        }
    }

    /// Makes packages for both suites and asks the registry to take them. Their private parts are in this
    /// batch's transaction, so nothing leaves before it is safe.
    pub(crate) fn publish_key_packages(&mut self, count: usize, last_resort: bool) -> Result<()> {
        for suite in [SUITE, POST_QUANTUM_SUITE] {
            self.publish_suite(suite, count, last_resort)?;
        }
        Ok(())
    }

    fn publish_suite(&mut self, suite: Ciphersuite, count: usize, last_resort: bool) -> Result<()> {
        self.run.registry.stock_at = self.run.registry.stock_at.max(self.run.now.plus(COUNT_EVERY));
        let brought = u32::try_from(count).unwrap_or(u32::MAX);
        let mut one_time = Vec::with_capacity(count);
        for _ in 0..count {
            one_time.push(ByteBuf::from(self.make_key_package(suite, false)?));
        }
        let last_resort =
            if last_resort { Some(ByteBuf::from(self.make_key_package(suite, true)?)) } else { None };
        let publish = Operation::PublishKeyPackages { one_time, last_resort };
        self.ask(publish, QuestionReason::PublishKeyPackages { one_time: brought }, None);
        Ok(())
    }

    /// A group was joined by the last resort, which others may have too: the registry gets another at once, and the
    /// group's leaf gets keys that nobody else's Welcome was sealed to (K08).
    pub(crate) fn last_resort_used(&mut self, group: GroupId, suite: u16) -> Result<()> {
        tracing::info!(group = group.short(), suite, "joined by the last-resort key package: it is replaced");
        self.state.meta_mut().used_last_resorts.insert(suite);
        self.wish(group, Wish::Rotate, None)?;
        if self.run.connected { self.renew_last_resorts() } else { Ok(()) }
    }

    /// Replaces every last resort that was used.
    pub(super) fn renew_last_resorts(&mut self) -> Result<()> {
        for number in self.state.meta.used_last_resorts.clone() {
            let Some(suite) = suite_of(number) else { continue };
            let last_resort = Some(ByteBuf::from(self.make_key_package(suite, true)?));
            let publish = Operation::PublishKeyPackages { one_time: Vec::new(), last_resort };
            self.ask(publish, QuestionReason::RenewLastResort(number), None);
        }
        Ok(())
    }

    /// Makes a key package, and keeps its private part.
    pub(crate) fn make_key_package(&self, suite: Ciphersuite, last_resort: bool) -> Result<Vec<u8>> {
        let now = self.run.now;
        let mut builder = KeyPackage::builder().leaf_node_capabilities(capabilities()).key_package_lifetime(
            Lifetime::init(
                now.minus(limit::CLOCK_SKEW).as_secs(),
                now.plus(limit::KEY_PACKAGE_LIFETIME).as_secs(),
            ),
        );
        if last_resort {
            builder = builder.mark_as_last_resort();
        }
        let bundle = builder
            .build(suite, &self.provider, &self.state.signer()?, self.state.credential()?)
            .map_err(|error| ErrorKind::Bug.because_of("a key package could not be made", error))?;
        bundle
            .key_package()
            .tls_serialize_detached()
            .map_err(|error| ErrorKind::Bug.because_of("a key package could not be encoded", error))
    }

    /// What can be used of the key packages that the registry handed out. R-KP-05: a one-time package is used
    /// once; a registry that hands one out again is told so (K06). R-KP-06: none is of a device that the account
    /// revoked (G05); one of a device that the account did not state yet is left out.
    pub(super) fn usable(
        &mut self,
        account: &AccountId,
        mut packages: Vec<ClaimedKeyPackage>,
    ) -> Result<Vec<ClaimedKeyPackage>> {
        let told = |what: &str, handle: String| -> Error {
            ErrorKind::Trust
                .because(format!("the registry handed out a key package of @{handle} {what}"))
                .hint(Advice::AskRegistryOperatorAndTry)
        };
        // R-KP-06
        if let Some(log) = self.state.log_of(account) {
            if packages.iter().any(|package| log.is_revoked(&package.device)) {
                return Err(told("whose device the account revoked", self.state.handle_of(account)));
            }
            packages.retain(|package| log.is_active(&package.device));
        }
        // R-KP-05
        let crypto = self.provider.crypto();
        let once: Vec<u64> = packages.iter().filter_map(|package| one_time(crypto, package)).collect();
        if once.iter().any(|name| self.state.packages.get(name).is_some()) {
            self.skip(Skip::KeyPackageAgain);
            return Err(told("a second time, though it is for one use", self.state.handle_of(account)));
        }
        for name in once {
            self.state.packages.insert(name, PackageRow { at: self.run.now });
        }
        while self.state.packages.len() > limit::USED_KEY_PACKAGES {
            let oldest = self.state.packages.iter().min_by_key(|(_, row)| row.at).map(|(name, _)| *name);
            let Some(oldest) = oldest else { break };
            self.state.packages.remove(&oldest);
        }
        Ok(packages)
    }

    /// Judges somebody's key package before it is used.
    pub(crate) fn judge_key_package(&self, joiner: &Joiner, suite: u16) -> Result<KeyPackage> {
        let package = judge(self.provider.crypto(), joiner, suite, self.run.now).map_err(|reason| {
            let whose = self.state.named(&joiner.account);
            ErrorKind::Trust
                .because(format!("the key package of {whose} cannot be used: {reason}"))
                .hint(Advice::AccountMustUpdate)
        })?;
        // R-KP-06: a device that its account revoked is not added, whatever the registry still hands out.
        let certificate = wire_hash(package.leaf_node().credential().serialized_content());
        let log = self.state.log_of(&joiner.account);
        if log.is_some_and(|log| log.revocation_of(&joiner.device, &certificate).is_some()) {
            return Err(ErrorKind::Trust
                .because("the registry gave a key package of a device that its account revoked")
                .hint(Advice::TryLaterUnchanged));
        }
        Ok(package)
    }
}

const fn about_stock(purpose: &QuestionReason) -> bool {
    matches!(purpose, QuestionReason::Count | QuestionReason::PublishKeyPackages { .. })
}

/// R-KP-01 to R-KP-04, R-KP-07 and R-KP-08; why it cannot be used.
fn judge(
    crypto: &impl OpenMlsCrypto,
    joiner: &Joiner,
    suite: u16,
    now: Timestamp,
) -> Result<KeyPackage, String> {
    let bad = |reason: String| reason;
    // R-KP-01: it parses completely, is well signed, and is of the group's suite.
    let package = KeyPackageIn::tls_deserialize_exact_bytes(&joiner.key_package)
        .map_err(|error| bad(error.to_string()))?
        .validate(crypto, ProtocolVersion::Mls10)
        .map_err(|error| bad(error.to_string()))?;
    if u16::from(package.ciphersuite()) != suite {
        return Err(bad("it is of another cipher suite".into()));
    }
    // R-KP-02: its certificate proves the account and device that were asked for (K05).
    let leaf = roster::prove_leaf(package.leaf_node()).map_err(|error| bad(error.0))?;
    if (leaf.account, leaf.device) != (joiner.account, joiner.device) {
        return Err(bad("it belongs to another account".into()));
    }
    // R-KP-03: lifetime not wider than allowed, begun, and with enough left to be replayed later (K07).
    let lifetime = package.life_time();
    let (from, to) = (seconds(lifetime.not_before()), seconds(lifetime.not_after()));
    if to.since(from) > limit::KEY_PACKAGE_MAX_LIFETIME || from > now.plus(limit::CLOCK_SKEW) {
        return Err(bad("its lifetime is not acceptable".into()));
    }
    if to.since(now) < limit::KEY_PACKAGE_MIN_REMAINING {
        return Err(bad("it has expired or expires too soon".into()));
    }
    // R-KP-07: none of its keys is of low order: whatever is sealed to such a key, everybody can open (K10).
    let path_key = package.leaf_node().encryption_key().tls_serialize_detached().unwrap_or_default();
    let sealed_to = [package.hpke_init_key().as_slice(), &path_key];
    let signs = package.leaf_node().signature_key().as_slice();
    let signs = signs.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
    if sealed_to.into_iter().any(is_low_order) || signs.is_none_or(|key| key.is_weak()) {
        return Err(bad("one of its keys is of low order".into()));
    }
    // R-KP-04: its leaf can do what every leaf of ours can.
    let extensions = package.leaf_node().capabilities().extensions();
    if !extensions.contains(&ExtensionType::Unknown(GROUP_DATA_EXTENSION)) {
        return Err(bad("its client is too old for groups of this version".into()));
    }
    addable(&package)?;
    Ok(package)
}

/// R-KP-08: what OpenMLS asks of a leaf only when it is added (`validate_leaf_node_capabilities` and
/// `validate_locally` of 0.9.2), asked before anything is made for it.
fn addable(package: &KeyPackage) -> Result<(), String> {
    let leaf = package.leaf_node();
    let able = leaf.capabilities();
    if !able.versions().contains(&ProtocolVersion::Mls10) {
        return Err("its leaf does not list this version of MLS".into());
    }
    if !able.ciphersuites().contains(&VerifiableCiphersuite::from(package.ciphersuite())) {
        return Err("its leaf does not list the group's cipher suite".into());
    }
    if !able.credentials().contains(&CredentialType::Other(CREDENTIAL_TYPE)) {
        return Err("its leaf does not list the type of its own credential".into());
    }
    let in_leaf = leaf.extensions().iter().map(Extension::extension_type);
    let in_package = package.extensions().iter().map(Extension::extension_type);
    for (kind, leaf) in in_leaf.map(|kind| (kind, true)).chain(in_package.map(|kind| (kind, false))) {
        // What OpenMLS makes of such a type depends on where it stands: two agents could disagree.
        if is_grease(kind.into()) {
            return Err("it has an extension of a reserved type".into());
        }
        let misplaced = match kind {
            ExtensionType::RatchetTree
            | ExtensionType::RequiredCapabilities
            | ExtensionType::ExternalPub
            | ExtensionType::ExternalSenders => true,
            ExtensionType::LastResort => leaf,
            _ => false,
        };
        if misplaced {
            return Err("it has an extension in a place where it does not belong".into());
        }
        if kind != ExtensionType::ApplicationId && !able.extensions().contains(&kind) {
            return Err("its leaf does not list an extension that it has".into());
        }
    }
    Ok(())
}

/// The types that are reserved to be ignored (RFC 9420 §13.5): 0x0A0A, 0x1A1A, …, 0xEAEA.
const fn is_grease(kind: u16) -> bool {
    let [high, low] = kind.to_be_bytes();
    high == low && low & 0x0f == 0x0a && low != 0xfa
}

/// The name by which a one-time package is remembered; `None` for last resorts. What it is, its own bytes say.
fn one_time(crypto: &impl OpenMlsCrypto, package: &ClaimedKeyPackage) -> Option<u64> {
    let bytes = &package.key_package;
    let read = KeyPackageIn::tls_deserialize_exact_bytes(bytes).ok()?;
    if read.validate(crypto, ProtocolVersion::Mls10).ok()?.last_resort() {
        return None;
    }
    let [a, b, c, d, e, f, g, h, ..] = wire_hash(bytes);
    Some(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// Whether an X25519 key, the last 32 bytes of an X-Wing key too, is one of the points with which every agreement ends
/// in zero (RFC 7748 §6.1; the list is that of curve25519's small subgroup, the highest bit ignored).
fn is_low_order(key: &[u8]) -> bool {
    const ORDER_EIGHT: [[u8; 32]; 2] = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
            0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
            0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
    ];
    let Some(key) = key.last_chunk::<32>() else { return true };
    let mut key = *key;
    if let Some(last) = key.last_mut() {
        *last &= 0x7f;
    }
    let [first, middle @ .., last] = key;
    // 0 and 1; p - 1, p and p + 1, where p = 2^255 - 19.
    let small = first <= 1 && middle.iter().all(|byte| *byte == 0) && last == 0;
    let around_p = (0xec..=0xee).contains(&first) && middle.iter().all(|byte| *byte == 0xff) && last == 0x7f;
    small || around_p || ORDER_EIGHT.contains(&key)
}

const fn seconds(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs.saturating_mul(1000))
}

#[cfg(test)]
#[path = "key_package_test.rs"]
mod tests;
