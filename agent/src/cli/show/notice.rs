//! What the library below has to tell besides results, in words.

use cipher_api::Notice as Told;

use crate::app::notice::{Behind, Notice};
use crate::cli::show::typed::target;
use crate::cli::show::ui::Ui;

/// Shows it on stderr.
pub fn notice(ui: &Ui, notice: Notice<'_>) {
    match notice {
        Notice::Evidence { evidence, file } => ui.alarm(evidence, file),
        Notice::Warning(told @ Told::ValuesDamaged { .. }) => ui.damage(&words(told, ui)),
        Notice::Warning(told) => ui.warn(&words(told, ui)),
        Notice::Stopped(error) => ui.warn(&error.message),
        Notice::Connection { server, lost } => ui.connection(server, lost),
        Notice::OtherServer { used, asked, trouble } => {
            let how = match trouble {
                Some(error) => format!(". The server that it uses has a problem: {}", error.message),
                None => String::new(),
            };
            ui.warn(&format!(
                "the process that has this profile open uses {used}, not {asked}; this command goes through it{how}"
            ));
        }
        Notice::Stored(why) => ui.warn(&format!("{why}; this is what is stored here")),
        Notice::Behind(behind) => ui.warn(&match behind {
            Behind::RegistrySilent => "not up to date yet: the registry does not answer".into(),
            Behind::LookingUp => "not up to date yet: accounts are still being looked up".into(),
            Behind::Slow => "not up to date yet: the broker is slow to answer".into(),
            Behind::Failed(error) => format!("not up to date: {error}"),
        }),
    }
}

/// A notice as one sentence.
pub fn words(notice: &Told, ui: &Ui) -> String {
    let command = |verb: &str| ui.command(verb);
    match notice {
        Told::RoomMade { until } => format!(
            "the broker's operator made room: what was stored before {} is gone from it, and a device that had not \
             read it by then does not get it",
            ui.time(*until)
        ),
        Told::ValuesDamaged { of, count } => {
            let values = if *count == 1 { "a value was".to_owned() } else { format!("{count} values were") };
            format!(
                "{values} damaged on the disk and cannot be read any more ({}); everything else is whole. Check the disk, and see: {}",
                of.join(", "),
                command("doctor")
            )
        }
        Told::LogLost => format!(
            "the broker lost messages that it had stored: what is missing there is sent again by those who have it; see: {}",
            command("doctor")
        ),
        Told::KeptBack { name, count, .. } => {
            let messages = if *count == 1 { "message".to_owned() } else { format!("{count} messages") };
            format!(
                "the broker lost your {messages} in '{name}' from before a member was added. Nothing is sent again, because the new \
                 member could then read it; members who had read it keep it"
            )
        }
        Told::NotDelivered { name, error, .. } => {
            format!("a message to '{name}' was not delivered: {}", error.message)
        }

        Told::ChangeNotDelivered { name, error, .. } => {
            format!("a change of a message in '{name}' has no effect: {}", error.message)
        }

        Told::InvitationClosed { group } => format!(
            "an invitation to the group {group} cannot be opened: its list of members does not arrive. Ask the person who \
             invited you to remove this account and to add it again"
        ),
        Told::InvitationNowhere { name, .. } => format!(
            "the invitation to '{name}' leads nowhere: the group's log does not hold the change that let you in. It is lost \
             there, or the member who made it was not allowed to invite: ask another member for a new one"
        ),
        Told::InvitationUnheard { name, who, at, .. } => format!(
            "nothing was heard of {} since the invitation to '{name}' at {}: it may not have arrived. To invite again, remove \
             and add them again",
            who.join(", "),
            ui.time(*at)
        ),
        Told::JoinEnded { group, name, error } => {
            let which = if name.is_empty() { group.to_string() } else { format!("'{name}'") };
            format!("the group {which} could not be joined: {}", error.message)
        }
        Told::LeftOut { who, name: Some(name), error, .. } => {
            format!("{who} was left out of '{name}': {}", error.message)
        }
        Told::LeftOut { who, name: None, error, .. } => format!("{who} was left out: {}", error.message),
        Told::ContactAskedBefore { handle } => format!(
            "@{handle} was asked before and has not said yes; to ask again: {}, then {}",
            command(&format!("contact remove {handle}")),
            command(&format!("contact add {handle}"))
        ),

        Told::PlaceLost { name, .. } => format!(
            "this device lost its place in '{name}' and asks the others to let it back in; what you send there waits"
        ),
        Told::PlaceOffered { name, target: group, by, .. } => format!(
            "{by} would let this device back into '{name}', and was not in it when this device last followed it: if {by} \
             belongs there, {}; if not, {}",
            command(&format!("group accept {}", target(group))),
            command(&format!("group decline {}", target(group)))
        ),
        Told::PlaceDenied { name, by, over, .. } => {
            let then = if *over {
                "it asks no more to be let back in"
            } else {
                "it goes on asking once a day, for three days"
            };
            format!(
                "{by} says that this device is no member of '{name}' any more: {then}. Ask a member to add you again, or say \
                 something there if that is not so"
            )
        }
        Told::LeavesLater { name, .. } => format!(
            "this device is without its place in '{name}': it leaves as soon as a member has let it back in"
        ),
        Told::OtherPast { name, by, .. } => {
            let by = by.as_deref().unwrap_or("a member");
            format!(
                "{by} changed '{name}' and names another change before it than the broker shows here: either the broker does \
                 not show both of you the same log, or {by} does not tell the truth"
            )
        }
        Told::Doubled { name, .. } => format!(
            "'{name}' has something in the name of this device that it did not send: this profile was copied or restored, \
             or a member repeats messages. The device takes new keys and goes on; to use a second machine run there: \
             cipher-chat device link"
        ),
        Told::SameName { group, name, alias } => format!(
            "there is a group named '{name}' here: the other one of that name ({group}) is called '{alias}' here. Give it a \
             name of your own with: {}",
            command(&format!("group alias {group} NAME"))
        ),

        Told::DeviceAdded { device } => format!(
            "a device was added to your account: if it was not you, revoke it: {}",
            command(&format!("device revoke {device}"))
        ),
        Told::DeviceRevoked { device } => format!("a device was revoked from your account: {device}"),
        Told::ThisDeviceRevoked => {
            "this device was revoked: it does not belong to the account any more".into()
        }
        Told::AccountRecovered => {
            "your account was recovered on another machine: if it was not you, another person has your recovery phrase".into()
        }
        Told::HistoryEnded => {
            "the device that let this one in was revoked: history that has not come yet will not come".into()
        }
        Told::HistorySilent => {
            "the device that let this one in has sent nothing for three days: history that has not come yet may not come"
                .into()
        }

        Told::AccountChanged { handle, verified } => {
            let (loud, who) = if *verified { ("WARNING: ", ", whom you verified,") } else { ("", "") };
            format!(
                "{loud}@{handle}{who} is another account now than when it was first seen; nothing is sent to it until you \
                 decide: {}",
                command(&format!("contact trust {handle}"))
            )
        }
        Told::AccountAgain { handle } => {
            format!("@{handle} is again the account that it was when first seen")
        }
        Told::HandleTaken { handle } => {
            format!("the registry gives your handle @{handle} to another account")
        }
        Told::GhostDevice { device } => format!(
            "GHOST DEVICE: the registry shows device {device} as one of yours, and your account never added it"
        ),
        Told::StatementHidden { handle } => format!(
            "@{handle} stated something that the account log leaves out: broker or registry hide statements"
        ),
        Told::StaleLog { hours } => format!(
            "the registry answers with an account log that ends {hours} hours ago: it may hide what was stated since, revoked \
             devices too"
        ),
        Told::LogFits => "the registry's account log fits again what it showed before".into(),
        Told::ForeignRegistry { who, name, .. } => format!(
            "@{who} in '{name}' uses another registry than this profile: what it says of accounts cannot be compared"
        ),
        Told::ShownAsKnown { handle } => {
            format!("the registry does not answer: @{handle} is shown as it was known before")
        }
        Told::ClocksApart { ours, theirs } => format!(
            "the clocks are too far apart for the registry: this machine's says {}, the registry's {}",
            ui.time(*ours),
            ui.time(*theirs)
        ),

        Told::BotSilent { bot, group, name } => {
            let place = if name.is_empty() { group.short() } else { format!("'{name}'") };
            format!(
                "the bot {bot} reached its limit of answers in {place} for this minute: questions there get no answer until \
                 the minute is over"
            )
        }
        Told::BotGaveUp { bot, event, trouble } => {
            format!("the bot {bot} did not handle the event {event}: {trouble}")
        }
        Told::Unknown => {
            "the process that has this profile open warns of something that this version does not know: update this program".into()
        }
    }
}
