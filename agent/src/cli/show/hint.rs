//! What to do about an error, as a person types it. The library below says what is wrong; only here is it known that
//! there is a command line, and which profile it is for.

use cipher_api::{Advice, Error, ErrorKind, Hint};

use crate::app::bot_account::BotAccountError;
use crate::app::error::ProfileError;
use crate::cli::exit::Failure;
use crate::cli::show::typed::{Typed, target, who, word};

/// A profile that is still to be made, as it stands in a command.
const FRESH: &str = "NAME";

/// A hint in words.
pub fn words(hint: &Hint, typed: &Typed) -> String {
    let command = |verb: &str| typed.command(verb);
    let fresh = || typed.of(FRESH).command("device link");
    match hint {
        Hint::Advice { advice } => advised(*advice, typed),
        Hint::Text { text } => text.clone(),

        Hint::AccountRegister => format!("make one with: {}", command("register HANDLE")),
        Hint::AccountRegisterAgain { handle } => format!(
            "find out with: {}; for another handle choose another profile with --profile NAME",
            command(&format!("register {handle}"))
        ),
        Hint::AccountRegisterWithCode { handle: Some(handle) } => format!(
            "{}: {}",
            advised(Advice::AskInviteCode, typed),
            command(&format!("register {handle} --invite-code CODE"))
        ),
        Hint::AccountRegisterWithCode { handle: None } => advised(Advice::AskInviteCode, typed),
        Hint::AccountOtherProfile => "choose another profile with --profile NAME".into(),
        Hint::ProfileShow { who: whom } => {
            format!("look it up first: {}", command(&format!("profile show {}", who(whom))))
        }

        Hint::ContactAccept { handle } => {
            format!("accept it with: {}", command(&format!("contact accept {handle}")))
        }
        Hint::ContactRequests => format!("see the waiting ones with: {}", command("contact list")),
        Hint::ContactList => format!("see your contacts with: {}", command("contact list")),
        Hint::ContactListBlocked => format!("see whom you blocked with: {}", command("contact list")),
        Hint::ContactUnblock { who } => {
            format!("lift it with: {}", command(&format!("contact unblock {}", word(who))))
        }
        Hint::ContactVerify { handle } => {
            format!("to compare safety numbers: {}", command(&format!("contact verify {handle}")))
        }
        Hint::ContactVerifyFirst { handle } => {
            format!("see its number first: {}", command(&format!("contact verify {handle}")))
        }
        Hint::ContactVerifyOwner { owner } => {
            format!("verify the owner: {}", command(&format!("contact verify {}", word(owner))))
        }
        Hint::ContactTrust { handle } => format!(
            "ask the person over another channel what happened; if it is right: {}",
            command(&format!("contact trust {handle}"))
        ),

        Hint::DeviceLinkAnew => format!("link it again in a fresh profile: {}", fresh()),
        Hint::DeviceLinkElsewhere => format!("link in a fresh profile: {}", fresh()),
        Hint::DeviceLinkFirst => format!("link another device first: {}", command("device link")),
        Hint::DeviceLinkAgain => {
            format!("begin again with: {}; if the times are wrong, set the clocks", command("device link"))
        }
        Hint::DeviceLinkAgainThere => "begin again on the new machine with: cipher-chat device link".into(),
        Hint::DeviceLinkGoOn => format!(
            "go on with: {}; for another account choose another profile with --profile NAME",
            command("device link")
        ),
        Hint::DeviceLinkKeep => "keep 'cipher-chat device link' running there, then approve again".into(),
        Hint::DeviceLinkCheck => {
            "check the code; 'cipher-chat device link' must be running on the new machine".into()
        }
        Hint::DeviceApprove => format!("begin with: {}", command("device approve CODE")),
        Hint::DeviceRevoke => format!("end the device with: {}", command("device revoke DEVICE")),
        Hint::DeviceRecoverElsewhere => {
            format!("recover in a fresh profile: {}", typed.of(FRESH).command("device recover"))
        }
        Hint::DeviceRestoreGoOn => {
            format!("go on with: {}; for another account choose another profile with --profile NAME", command("restore FILE"))
        }
        Hint::DeviceResume => format!(
            "for a second machine link it in a fresh profile: {}; if the other copy is gone: {}",
            fresh(),
            command("device resume")
        ),
        Hint::DeviceList => format!("see: {}", command("device list")),
        Hint::DeviceListNamed => format!("see them with: {}", command("device list")),
        Hint::DeviceListId => format!("use more of the id, see: {}", command("device list")),
        Hint::DeviceListNames => {
            format!("choose another name; see them with: {}", command("device list"))
        }
        Hint::DeviceListCompare => {
            format!("nothing was changed; compare the devices with: {}", command("device list"))
        }

        Hint::GroupAccept { group } => {
            format!("accept it with: {}", command(&format!("group accept {}", target(group))))
        }
        Hint::GroupAcceptThenLeave { group, by } => format!(
            "take the place first, and then leave: {}; if @{by} does not belong there: {}",
            command(&format!("group accept {}", target(group))),
            command(&format!("group decline {}", target(group)))
        ),
        Hint::GroupBan => {
            format!("remove it from a group with: {}", command("group ban GROUP ACCOUNT"))
        }
        Hint::GroupUnban { group, who } => {
            format!("lift the ban with: {}", command(&format!("group unban {} {}", target(group), word(who))))
        }
        Hint::GroupCreate => {
            format!("make a group with: {}", command("group create NAME --with HANDLE,HANDLE"))
        }
        Hint::GroupLeave { group } => {
            format!("leave with: {}", command(&format!("group leave {}", target(group))))
        }
        Hint::GroupList => format!("see what there is with: {}", command("group list")),
        Hint::GroupListIds => format!("name it by its id, as shown by: {}", command("group list")),
        Hint::GroupListNames => format!("see them with: {}", command("group list")),
        Hint::GroupListInvitations => format!("see the waiting ones with: {}", command("group list")),
        Hint::GroupShow { group } => {
            format!("see the members with: {}", command(&format!("group show {}", target(group))))
        }
        Hint::GroupRole { group } => format!(
            "first make another member owner with: {}",
            command(&format!("group role {} @HANDLE owner", target(group)))
        ),
        Hint::GroupAlike { name } => format!("did you mean '{name}'?"),
        Hint::GroupOrHandle { handle } => {
            format!("did you mean @{handle}? Groups are listed by: {}", command("group list"))
        }
        Hint::InviteList { group } => {
            format!("see them with: {}", command(&format!("group invite {} --list", target(group))))
        }
        Hint::InviteRevoke { group } => format!(
            "see them with: {}; make room with: {}",
            command(&format!("group invite {} --list", target(group))),
            command(&format!("group invite {} --revoke ID", target(group)))
        ),
        Hint::InviteRequests { group } => {
            format!("see the requests with: {}", command(&format!("group requests {}", target(group))))
        }

        Hint::MessageSend { handle } => {
            format!("start one with: {}", command(&format!("send @{handle} TEXT")))
        }
        Hint::MessageDeleteLocal { id } => {
            format!("{} removes it from this device", command(&format!("delete {} --local", word(id))))
        }
        Hint::MessageSendAgain { id } => format!(
            "send it again, or delete it here with: {}",
            command(&format!("delete {} --local", word(id)))
        ),
        Hint::MessageRead => format!("ids are shown by: {}", command("read TARGET --ids")),
        Hint::TokenCreate { name } => format!(
            "the owner of the profile makes one that covers more: {}",
            command(&format!("token create {} --group TARGET --method METHOD", word(name)))
        ),
        Hint::TokenCreateAnew { name } => format!(
            "the owner of the profile makes a new one: {}",
            command(&format!("token create {} --group TARGET", word(name)))
        ),
        Hint::TokenList => {
            format!("the owner of the profile sees the tokens with: {}", command("token list"))
        }
        Hint::TokenRevoke { name } => format!(
            "choose another name, or revoke it first: {}",
            command(&format!("token revoke {}", word(name)))
        ),
        Hint::Sync => format!("run: {}", command("sync")),
        Hint::Audit => format!("nothing was changed, conversations go on; see: {}", command("audit")),
        Hint::DoctorOffer => format!(
            "it asks the other members by itself while it runs; see how that went with: {}",
            command("doctor")
        ),
        Hint::DoctorRegistry => {
            format!("check that you use the registry of the group's members: {}", command("doctor"))
        }
        Hint::Doctor => format!("{} tells what cannot be reached", command("doctor")),
        Hint::DoctorLater => {
            format!("what was asked may still happen; `{}` tells more", command("doctor"))
        }
        Hint::Config => format!("see where it was set with: {}", command("config show --origin")),
        Hint::BrokerStart => "start one with `cipher-chat up`, or name another with --server".into(),
        Hint::BrokerLogin => format!(
            "check user and password, token, nkey or credentials: {}",
            command("config show --origin")
        ),
        Hint::BrokerRoom => {
            "nothing is lost; its operator makes room with `cipher-registry room`, see deploy/README.md".into()
        }
        Hint::BrokerApart => {
            "the operator sees with `cipher-registry provision --verify` and healthz which servers are apart".into()
        }
        Hint::ReportRepeated => "run the command again; if it repeats, report it".into(),

        Hint::Unknown => {
            "the process that has this profile open is of a newer version, which this one does not understand: update this program".into()
        }
    }
}

/// Advice in words.
fn advised(advice: Advice, typed: &Typed) -> String {
    let words = match advice {
        Advice::CheckBroker => "check --server and that the broker runs",
        Advice::CheckRegistry => "check --server and that the registry runs; nothing was changed",
        Advice::CheckPhrase => "check --server and the phrase; nothing was changed",
        Advice::CheckSpelling => "check the spelling",
        Advice::CheckHandle => "check the spelling of the handle",
        Advice::CheckDisk => "check the disk and its free space, then run the command again",
        Advice::CheckDiskFirst => {
            "nothing is known to be lost: check the disk and its free space, then run the command again"
        }
        Advice::StorePermission => {
            "nothing is lost: it must be readable and writable for its owner, and the command must run as that owner"
        }
        Advice::StoreReadOnly => {
            "nothing is lost: it lies on a file system that is mounted read-only; a store is written to even when a \
             conversation is only read"
        }
        Advice::StoreShared => "wait for it to end, or let commands of this profile go through it",
        Advice::StoreDamaged => {
            let fresh = typed.of(FRESH);
            return format!(
                "keep the file, but an old copy of it would repeat keys and lose messages: link this machine again ({}), \
                 restore a backup ({}), or recover the account with its phrase ({})",
                fresh.command("device link"),
                fresh.command("restore FILE"),
                fresh.command("device recover")
            );
        }
        Advice::EmojiOrName => "give an emoji, or the name of one: 👍, thumbsup, :tada:",
        Advice::StoreNewer => "use the version that wrote it, or a newer one",
        Advice::StoreKey => {
            "nothing was changed; give what this profile was sealed with: --key-file FILE, --passphrase-fd N, or the store.key that \
             belongs to it"
        }
        Advice::SetClock => "set the clock of this machine",
        Advice::ChangeKept => "the change is kept and made as soon as the broker answers",
        Advice::JoinKept => {
            "the request to join is kept; the group appears by itself when a member lets this account in"
        }
        Advice::NothingChanged => "nothing was changed",
        Advice::TryAgain => "try again",
        Advice::WaitAndTry => "wait and try again",
        Advice::TryLater => "try again later",
        Advice::TryLaterUnchanged => "nothing was changed; try again later",
        Advice::TryInMinutes => "try again in a few minutes",
        Advice::TryAgainAccountChanged => "another device changed the account; try again",
        Advice::WaitForLink => "wait until it is done, then try again",
        Advice::SendLess => "send less at once",
        Advice::SendLessOrAsk => "send less at once, or ask the operator for the broker's limits",
        Advice::SmallerSteps => "do it in smaller steps",
        Advice::SmallerStepsOrAsk => "do it in smaller steps, or ask the operator for the broker's limits",
        Advice::SplitText => "split it, or send it as a file: --file PATH, or --file - for standard input",
        Advice::WaitOrTakeBack => "wait until it is sent, or delete it for all members, without --local",
        Advice::SayAnew => "send it as a new message",
        Advice::DeleteAndSayAnew => "delete it, and send it as a new message",
        Advice::MoreOfId => "give more of the id",
        Advice::ChooseHandle => "choose another handle",
        Advice::RegisteredElsewhere => "this account is registered under another handle",
        Advice::PhraseForm => {
            "it has 24 English words, in the order they were shown at registration; nothing was changed"
        }
        Advice::SafetyNumberForm => {
            "give the sixty digits, or the cipher-chat:verify/ text of the other side's QR code"
        }
        Advice::JoinLinkForm => "a link begins with cipher-chat:join/ and is one word: copy all of it",
        Advice::LinkCodeForm => "type it as the new machine shows it, for example 4k7x-m2pq",
        Advice::TokenForm => "it is one word that begins with cct_: copy all of it",
        Advice::SocketPath => {
            "name a path of at most 100 bytes where nothing lies yet, in a folder that is there"
        }
        Advice::WithoutToken => "the owner of the profile does that without a token",
        Advice::AtNamesAccounts => "'@' names accounts",
        Advice::SignAgain => "let the owner's profile sign again",
        Advice::RemoveBot => "remove the bot instead",
        Advice::RevokeElsewhere => "revoke it on another of your devices, or change the profile there first",
        Advice::DeviceMayNot => "this device may not do that",
        Advice::DeviceRevoked => "this device was revoked by its account; link it again in a fresh profile",
        Advice::AskOwner => "ask an owner of the group",
        Advice::AskAdmin => "ask an owner or admin of the group",
        Advice::AskUnban => "ask an admin to lift the ban",
        Advice::AskInviteAgain => "ask a member to invite you again",
        Advice::AskNewInvitation => "ask for a new one: the inviter removes and adds this account",
        Advice::AskNewLink => "ask a member of the group for a new link",
        Advice::AskLinkGiver => "ask the person who gave the link",
        Advice::OfferComesAgain => "this device asks again by itself, and reports the next offer",
        Advice::AccountMustRefill => "the account must come online once to refill; try again later",
        Advice::AccountMustUpdate => {
            "tell the account's owner to update the agent and to run: cipher-chat sync"
        }
        Advice::AskRegistryOperator => "ask the registry's operator",
        Advice::AskRegistryOperatorUnchanged => "nothing was changed; ask its operator",
        Advice::AskRegistryOperatorAndTry => {
            "nothing was changed; ask the registry's operator, and try again"
        }
        Advice::TryOrAskRegistryOperator => {
            "try again, or ask the registry's operator; agent and registry may be of different versions"
        }
        Advice::AskInviteCode => "ask the registry's operator for a registration code (--invite-code)",
        Advice::RegistryKeyReplaced => {
            "nothing was changed; if the registry's key was replaced on purpose, ask its operator"
        }
        Advice::VersionsDiffer => "agent and registry may be of different versions",
        Advice::ProgramsDiffer => "the programs that use this profile may be of different versions",
        Advice::UpdateAgent => "update this agent",
        Advice::UpdateAgentForReason => "update this agent: it does not know the reason",
        Advice::CompareElsewhere => "nothing was changed; compare with the person over another channel",
        Advice::CompareAgain => {
            "nothing was changed; compare again, and if it differs again, send nothing confidential there"
        }
        Advice::LookWhetherDone => "check whether it was done; if not, run the command again",
        Advice::AskForLess => "ask for less at once",
        Advice::BeginWithoutCursor => "begin without a cursor, and read the conversations",
        Advice::Unknown => {
            "the process that has this profile open is of a newer version, which this one does not understand: update this program"
        }
    };
    words.into()
}

/// What to do about an error of a profile.
pub fn of_profile(error: &ProfileError, typed: &Typed) -> Option<String> {
    Some(match error {
        ProfileError::Unknown { others, .. } if others.is_empty() => {
            format!("there is no profile yet: {} makes one", typed.command("register HANDLE"))
        }
        ProfileError::Unknown { others, .. } => format!("profiles here: {}", others.join(", ")),
        ProfileError::NoAccount { profile } => typed.of(profile).command("register HANDLE"),
        ProfileError::Linking { profile } => {
            format!("go on with: {}", typed.of(profile).command("device link"))
        }
        ProfileError::HasAccount { .. } => {
            "another account or device needs another profile: --profile NAME".into()
        }
        ProfileError::Stopped { profile, .. } => words(&Hint::DeviceResume, &typed.of(profile)),
        ProfileError::NoBroker { .. } => words(&Hint::BrokerStart, typed),
        ProfileError::NoAnswer => words(&Hint::DoctorLater, typed),
        ProfileError::OwnerEnded => "run the command again: it goes on".into(),
        ProfileError::Name(error) | ProfileError::Core(error) => return of(error, typed),
    })
}

/// What to do about an error, whether its place of origin knows better than its kind or not.
pub fn of(error: &Error, typed: &Typed) -> Option<String> {
    match &error.hint {
        Some(hint) => Some(words(hint, typed)),
        None => fallback(error.kind, typed),
    }
}

/// What to do about the account of a bot.
pub fn of_bot(error: &BotAccountError, typed: &Typed) -> Option<String> {
    Some(match error {
        BotAccountError::Name { .. } => "choose one with --handle".into(),
        BotAccountError::OwnProfile { .. } => return None,
        BotAccountError::HasHandle { .. } => "leave --handle out, or run it under another name".into(),
        BotAccountError::PersonsProfile { .. } => {
            "give the bot another home with --into, or another name".into()
        }
        BotAccountError::Taken { handle, .. } => {
            format!("@{handle} belongs to another account: choose another handle with --handle")
        }
        BotAccountError::NotMade { name, home, .. } => {
            let into = word(&home.display().to_string());
            let make = format!("cipher-chat --profile OWNER bot register {} --into {into}", word(name));
            format!("make the bot's account first, with its owner's profile: {make}")
        }
        BotAccountError::Profile(error) => return of_profile(error, typed),
    })
}

/// A name that is none is a mistake on the command line.
impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Name(error) => Self::Usage { message: error.message, hint: error.hint },
            error => Self::Profile(Box::new(error)),
        }
    }
}

impl From<BotAccountError> for Failure {
    fn from(error: BotAccountError) -> Self {
        match error {
            BotAccountError::Profile(error) => error.into(),
            error => Self::Bot(Box::new(error)),
        }
    }
}

/// What to do about an error whose place of origin knows no better. Nothing where a kind has too many causes for one answer: why
/// something is refused only its sentence says.
fn fallback(kind: ErrorKind, typed: &Typed) -> Option<String> {
    let command = |verb: &str| typed.command(verb);
    Some(match kind {
        ErrorKind::Unreachable => words(&Hint::Doctor, typed),
        ErrorKind::Refused => return None,
        ErrorKind::Limit => "send less, or later".into(),
        ErrorKind::Trust => {
            "do not continue before you know why; ask the other person over another channel".into()
        }
        ErrorKind::Locked => "another cipher-chat process uses this profile; wait for it to end".into(),
        ErrorKind::Stopped => words(&Hint::DeviceResume, typed),
        ErrorKind::Storage => {
            format!("{} tells more; do not delete the store, it holds your keys", command("doctor"))
        }
        ErrorKind::Conflict => "look at what is there now, then try again".into(),
        ErrorKind::NotFound => {
            format!("{} and {} show what there is", command("group list"), command("contact list"))
        }
        ErrorKind::Usage | ErrorKind::Misuse => "try --help".into(),
        ErrorKind::Bug => "this is a defect of cipher-chat; -vv shows more".into(),
        ErrorKind::Unknown => words(&Hint::Unknown, typed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is told that a message was deleted already must not be sent to ask for another role.
    #[test]
    fn a_refusal_without_a_hint_of_its_own_gets_none() {
        let deleted = ErrorKind::Refused.because("this message was deleted already");
        assert_eq!(of(&deleted, &Typed::default()), None);
        let profile = ProfileError::Core(deleted);
        assert_eq!(of_profile(&profile, &Typed::default()), None);
    }

    /// R-TOKEN-04: a token that is over covers enough; it is only too old.
    #[test]
    fn the_hint_for_a_token_that_is_over_asks_for_a_new_one() {
        let hint = words(&Hint::TokenCreateAnew { name: "bridge".into() }, &Typed::default());
        assert!(hint.contains("a new one") && !hint.contains("more"), "{hint}");
    }

    /// S2: whatever a command line was called with, what it prints goes to the same profile.
    #[test]
    fn every_command_in_a_hint_is_for_the_profile_at_hand() {
        let typed = Typed::default().of("bob");
        let group = || "night shift".parse().unwrap();
        for (hint, expected) in [
            (
                Hint::ContactAccept { handle: "alice".parse().unwrap() },
                "accept it with: cipher-chat --profile bob contact accept alice",
            ),
            (
                Hint::GroupAccept { group: group() },
                "accept it with: cipher-chat --profile bob group accept 'night shift'",
            ),
            (
                Hint::GroupAcceptThenLeave { group: group(), by: "eve".into() },
                "take the place first, and then leave: cipher-chat --profile bob group accept 'night shift'; if @eve does \
                 not belong there: cipher-chat --profile bob group decline 'night shift'",
            ),
            (
                Hint::DeviceResume,
                "for a second machine link it in a fresh profile: cipher-chat --profile NAME device link; if the other copy \
                 is gone: cipher-chat --profile bob device resume",
            ),
        ] {
            assert_eq!(words(&hint, &typed), expected);
        }
    }
}
