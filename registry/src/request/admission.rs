//! Whether a newcomer is let in: decided before a registration is written. That a code counts once is the store's matter.

use cipher_broker::id::AccountId;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AdmissionProof, admission_work};

use crate::terms::{Admission, codes};

impl Admission {
    /// R-REG-05: a newcomer brings what is asked for, or is told what that is.
    pub(crate) fn admit(
        &self,
        ticket: Option<&AdmissionProof>,
        registry_key: &[u8; 32],
        account: &AccountId,
    ) -> Result<(), Refusal> {
        let missing = |text: &str| Err(Code::Admission.because(text));
        match (self, ticket) {
            (Self::Open, _) => Ok(()),
            (Self::Closed, _) => missing("this registry takes no new accounts; ask its operator"),
            (Self::Code(path), Some(AdmissionProof::Code(code))) => match codes(path) {
                Ok(codes) if codes.contains(code.trim()) => Ok(()),
                Ok(_) => missing("this registration code is not known; ask the operator for one"),
                Err(error) => {
                    tracing::error!(%error, "the registration codes cannot be read");
                    Err(Code::Internal.because("the registry failed; nothing was changed"))
                }
            },
            (Self::Code(_), _) => {
                missing("a new account needs a registration code of this registry's operator")
            }
            (Self::Work(bits), Some(AdmissionProof::Work(number)))
                if admission_work(registry_key, account, *number) >= u32::from(*bits) =>
            {
                Ok(())
            }
            (Self::Work(bits), _) => {
                Err(Code::Admission.because(format!("a new account needs work of {bits} zero bits")))
            }
        }
    }
}
