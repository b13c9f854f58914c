//! A bot's account and its owner: what the owner shows and signs, and what a bot that is set up gives.

use cipher_api::command::bot::{OwnerCard, Prepared, Signature};
use cipher_api::{ErrorKind, Hint, Reply, Result};
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind, Owner};
use cipher_broker::codec;
use cipher_broker::sign::{self, Purpose};
use ed25519_dalek::SigningKey;

use crate::machine::Core;

impl Core {
    /// What a bot needs to name this account as its owner.
    pub(super) fn owner_card(&self) -> Result<Reply> {
        let identity = self.state.identity()?;
        let handle = self.state.own_account()?.handle;
        if identity.kind == Kind::Bot {
            return Err(ErrorKind::Refused.because("a bot cannot own a bot"));
        }
        let account_key = SigningKey::from_bytes(&identity.account_seed).verifying_key().to_bytes();
        Ok(OwnerCard { owner: Owner { account: identity.account, account_key }, handle }.into())
    }

    /// Signs the certificate of a bot of this account.
    pub(super) fn sign_bot(&self, certificate: &[u8]) -> Result<Reply> {
        let identity = self.state.identity()?;
        let bad = |_| ErrorKind::Misuse.because("the bytes to sign are not a bot's certificate");
        let certificate: DeviceCertificate = codec::decode(certificate).map_err(bad)?;
        let body: CertificateBody = codec::decode(certificate.body_bytes()).map_err(bad)?;
        // Only what names this account as owner of a bot is ever signed.
        if body.kind != Kind::Bot || body.owner.as_ref().map(|owner| owner.account) != Some(identity.account)
        {
            return Err(
                ErrorKind::Refused.because("the certificate does not name this account as a bot's owner")
            );
        }
        let key = SigningKey::from_bytes(&identity.account_seed);
        let signature = sign::sign(&key, Purpose::BotOwner, certificate.body_bytes()).to_vec();
        Ok(Signature { signature }.into())
    }

    /// Makes the account of a bot, which its owner has to sign.
    pub(super) fn prepare_bot(&mut self, owner: Owner) -> Result<Reply> {
        if self.state.registered() {
            return Err(ErrorKind::Conflict.because("this profile already has an account"));
        }
        if self.state.restored().is_some() {
            return Err(ErrorKind::Conflict
                .because("a backup of another account is being restored in this profile")
                .hint(Hint::DeviceRestoreGoOn));
        }
        let identity = self.make_identity(Kind::Bot, Some(owner));
        Ok(Prepared { certificate: identity.certificate }.into())
    }
}
