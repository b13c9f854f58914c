//! Why something that came is of no use.

/// Classes by which what is of no use is counted. `doctor` shows the counts by their names, which never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// An invitation of an account that this one blocked.
    Blocked,
    /// A commit that cannot be applied here.
    Commit,
    /// A commit that adds a leaf whose key package is not valid.
    KeyPackage,
    /// A payload that is no content, or lacks what its kind must carry.
    Content,
    /// A sender whose leaf proves nothing.
    Credential,
    /// An invitation that an own device declined.
    Declined,
    /// What cannot be opened with the keys of its epoch.
    Decrypt,
    /// A claim of devices that the account log does not show.
    Devices,
    /// Evidence in a commit that proves nothing.
    Evidence,
    /// A message of an epoch that is too far ahead to be kept.
    FutureEpoch,
    /// A message whose keys are gone: too many came after it.
    Gap,
    /// A head of the account log, passed on by a member, that no registry of ours signed.
    Gossip,
    /// A head of the account log beyond those that can be kept.
    Heads,
    /// An invitation of a member that may add nobody.
    InviterRole,
    /// A request to join that is malformed, or by a link that admits nobody.
    Join,
    /// An invitation by a key package that was used before.
    KeyPackageAgain,
    /// A commit that OpenMLS gave up on.
    Library,
    /// More, or larger, than anybody may send.
    Limit,
    /// A commit that names another predecessor than the log shows, or a link to join that is none.
    Link,
    /// A step of a device link that does not fit.
    LinkStep,
    /// An entry of the account log that does not continue it.
    Log,
    /// Entries of the account log that are gone.
    LogGap,
    /// Entries of the account log that the broker does not show.
    LogHidden,
    /// A commit that an invitation names and the log does not have.
    NotInLog,
    /// A bot whose owner did not say so.
    NotOwner,
    /// A message of an epoch that is over.
    OldEpoch,
    /// Bytes that are no envelope.
    Parse,
    /// What the rules refuse.
    Policy,
    /// A proposal that cannot be kept.
    Proposal,
    /// A request to come back that is malformed or not of a member.
    Rejoin,
    /// A message that was read before.
    Repeat,
    /// A message whose keys were used already.
    Replay,
    /// An invitation to a device that was revoked.
    Revoked,
    /// A signature that does not verify.
    Signature,
    /// Bytes beyond the limit of their kind.
    TooLarge,
    /// A request of an account from which none is wanted.
    Unwanted,
    /// An invitation that cannot be opened, or whose group is not sound.
    Welcome,
    /// An invitation that nobody waits for any more.
    WelcomeLate,
    /// An MLS message of another kind.
    WireFormat,
    /// A message of another group.
    WrongGroup,
    /// A message on a subject that is not for its kind.
    WrongSubject,
}

impl Skip {
    /// Its name in stores and in what scripts see.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Commit => "commit",
            Self::KeyPackage => "key-package",
            Self::Content => "content",
            Self::Credential => "credential",
            Self::Declined => "declined",
            Self::Decrypt => "decrypt",
            Self::Devices => "devices",
            Self::Evidence => "evidence",
            Self::FutureEpoch => "future-epoch",
            Self::Gap => "gap",
            Self::Gossip => "gossip",
            Self::Heads => "heads",
            Self::InviterRole => "inviter-role",
            Self::Join => "join",
            Self::KeyPackageAgain => "key-package-again",
            Self::Library => "library",
            Self::Limit => "limit",
            Self::Link => "link",
            Self::LinkStep => "link-step",
            Self::Log => "log",
            Self::LogGap => "log-gap",
            Self::LogHidden => "log-hidden",
            Self::NotInLog => "not-in-log",
            Self::NotOwner => "not-owner",
            Self::OldEpoch => "old-epoch",
            Self::Parse => "parse",
            Self::Policy => "policy",
            Self::Proposal => "proposal",
            Self::Rejoin => "rejoin",
            Self::Repeat => "repeat",
            Self::Replay => "replay",
            Self::Revoked => "revoked",
            Self::Signature => "signature",
            Self::TooLarge => "too-large",
            Self::Unwanted => "unwanted",
            Self::Welcome => "welcome",
            Self::WelcomeLate => "welcome-late",
            Self::WireFormat => "wire-format",
            Self::WrongGroup => "wrong-group",
            Self::WrongSubject => "wrong-subject",
        }
    }
}
