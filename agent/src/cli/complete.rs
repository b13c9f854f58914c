//! What a shell offers while a command line is typed: commands and flags from the tree, and groups, handles, ids of messages
//! and profiles from the profile that the line is for.
//!
//! A person who presses a key wants to see words, or nothing: nothing is asked of them, nothing is sent, and after
//! [`PATIENCE`] there is no answer any more.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use cipher_api::Target;
use cipher_api::command::{contact, group, message};
use cipher_api::view::{GroupState, GroupView, MessageView};
use clap::CommandFactory as _;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::app::notice::{FrontEnd, Notice};
use crate::app::profile::OpenProfile;
use crate::cli::command::follow::short_id;
use crate::cli::show::rows::cut;
use crate::cli::show::safe_text::safe_text;
use crate::cli::tree::Cli;
use crate::profile::Profile;
use crate::session::Need;
use crate::settings::{self, Flags, Settings};

/// The variable by which a shell's script asks.
const VARIABLE: &str = "CIPHER_CHAT_COMPLETE";
/// How long a person waits for words.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Messages that are offered, the latest ones; and how many of one conversation.
const MESSAGES: usize = 30;
const OF_ONE: usize = 10;
/// Conversations whose messages are looked at.
const CONVERSATIONS: usize = 50;
/// Columns of what stands beside a word, in shells that show it.
const BESIDE: usize = 48;

/// What a word of a command line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// A group, or `@handle`.
    Target,
    /// A group.
    Group,
    /// A handle, with its `@` or without.
    Account,
    /// The beginning of a message's id.
    Message,
    Profile,
}

/// What the words of an argument name, by its command and its id in the tree: one id means different things in different commands.
const WORDS: [(&str, &[(&str, Word)]); 48] = [
    ("", &[("profile", Word::Profile)]),
    ("send", &[("target", Word::Target), ("reply_to", Word::Message), ("thread", Word::Message)]),
    ("read", &[("target", Word::Target), ("after", Word::Message), ("around", Word::Message)]),
    ("search", &[("within", Word::Target), ("from", Word::Account)]),
    ("tail", &[("targets", Word::Target)]),
    ("export", &[("target", Word::Target)]),
    ("edit", &[("id", Word::Message), ("within", Word::Target)]),
    ("delete", &[("id", Word::Message), ("within", Word::Target)]),
    ("react", &[("id", Word::Message), ("within", Word::Target)]),
    ("download", &[("id", Word::Message), ("within", Word::Target)]),
    ("pin", &[("id", Word::Message), ("within", Word::Target)]),
    ("thread", &[("id", Word::Message), ("within", Word::Target)]),
    ("forward", &[("id", Word::Message), ("within", Word::Target), ("to", Word::Target)]),
    ("pins", &[("target", Word::Target)]),
    ("poll create", &[("target", Word::Target)]),
    ("poll vote", &[("id", Word::Message), ("within", Word::Target)]),
    ("poll close", &[("id", Word::Message), ("within", Word::Target)]),
    ("poll show", &[("id", Word::Message), ("within", Word::Target)]),
    ("group create", &[("with", Word::Account)]),
    ("group files", &[("group", Word::Group)]),
    ("group show", &[("group", Word::Group)]),
    ("group accept", &[("group", Word::Group)]),
    ("group decline", &[("group", Word::Group)]),
    ("group invite", &[("group", Word::Group)]),
    ("group rename", &[("group", Word::Group)]),
    ("group mute", &[("group", Word::Group)]),
    ("group unmute", &[("group", Word::Group)]),
    ("group alias", &[("group", Word::Group)]),
    ("group set", &[("group", Word::Group)]),
    ("group leave", &[("group", Word::Group)]),
    ("group add", &[("group", Word::Group), ("handles", Word::Account)]),
    ("group remove", &[("group", Word::Group), ("who", Word::Account)]),
    ("group ban", &[("group", Word::Group), ("who", Word::Account)]),
    ("group unban", &[("group", Word::Group), ("who", Word::Account)]),
    ("group role", &[("group", Word::Group), ("who", Word::Account)]),
    ("group requests", &[("group", Word::Group), ("accept", Word::Account), ("deny", Word::Account)]),
    ("history grant", &[("group", Word::Group), ("who", Word::Account)]),
    ("contact add", &[("handle", Word::Account)]),
    ("contact accept", &[("handle", Word::Account)]),
    ("contact decline", &[("handle", Word::Account)]),
    ("contact remove", &[("handle", Word::Account)]),
    ("contact verify", &[("handle", Word::Account)]),
    ("contact trust", &[("handle", Word::Account)]),
    ("contact block", &[("who", Word::Account)]),
    ("contact unblock", &[("who", Word::Account)]),
    ("profile show", &[("handle", Word::Account)]),
    ("token create", &[("group", Word::Group)]),
    ("restore", &[("owner", Word::Profile)]),
];

/// Answers a shell that asks; `false` when it does not.
pub(super) fn answered(args: &[OsString]) -> bool {
    let asked = args.iter().skip_while(|arg| *arg != "--").skip(1).cloned().collect::<Vec<_>>();
    let env = CompleteEnv::with_factory(move || tree(&asked)).var(VARIABLE).shells(Shells::builtins());
    // What cannot be answered is answered by nothing: an error would stand in the line that is typed.
    env.try_complete(args.iter().cloned(), None).unwrap_or(true)
}

/// The script for a shell that asks; `None` for one that only knows what stands in its script.
pub(super) fn script(shell: &str) -> Option<String> {
    if shell == "bash" {
        return Some(include_str!("command/completions.bash").to_owned());
    }
    let shells = Shells::builtins();
    let shell = shells.completer(shell).filter(|shell| ["fish", "zsh"].contains(&shell.name()))?;
    let mut script = Vec::new();
    let name = "cipher-chat";
    shell.write_registration(VARIABLE, name, name, name, &mut script).ok()?;
    String::from_utf8(script).ok()
}

/// The tree, its words known by who completes them.
fn tree(line: &[OsString]) -> clap::Command {
    let line: Vec<OsString> = line.to_vec();
    known(Cli::command(), "", &line)
}

fn known(command: clap::Command, path: &str, line: &[OsString]) -> clap::Command {
    let words = WORDS.iter().find(|(of, _)| *of == path).map_or(&[][..], |(_, words)| *words);
    let command = command.mut_args(|arg| {
        let Some((_, word)) = words.iter().find(|(id, _)| arg.get_id() == id) else { return arg };
        let (word, line) = (*word, line.to_vec());
        arg.add(ArgValueCompleter::new(move |typed: &OsStr| offered(word, typed, &line)))
    });
    command.mut_subcommands(|sub| {
        let path = format!("{path} {}", sub.get_name());
        known(sub, path.trim_start(), line)
    })
}

/// The words that go on from what was typed.
fn offered(word: Word, typed: &OsStr, line: &[OsString]) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let Some(settings) = settings(line) else { return Vec::new() };
    let words = match word {
        Word::Profile => Profile::list(&settings.home).into_iter().map(|name| (name, None)).collect(),
        word => asked(word, typed, settings),
    };
    let going_on = words.into_iter().filter(|(word, _)| word.starts_with(typed));
    going_on.map(|(word, beside)| CompletionCandidate::new(word).help(beside.map(Into::into))).collect()
}

/// Settings of the line that is typed, which asks nobody for anything.
fn settings(line: &[OsString]) -> Option<Settings> {
    let value = |name: &str| {
        let mut words = line.iter().filter_map(|word| word.to_str());
        let mut found = None;
        while let Some(word) = words.next() {
            match word.strip_prefix(name) {
                Some("") => found = words.next().map(str::to_owned),
                Some(value) => found = value.strip_prefix('=').map(str::to_owned).or(found),
                None => {}
            }
        }
        found
    };
    let path = |name: &str| value(name).map(PathBuf::from);
    let flags = Flags {
        profile: value("--profile"),
        home: path("--home"),
        server: value("--server"),
        config: path("--config"),
        key_file: path("--key-file"),
        no_input: true,
        ..Flags::default()
    };
    let mut settings = settings::load(&flags).ok()?;
    settings.unlocking = settings.unlocking.silent();
    Some(settings)
}

type Words = Vec<(String, Option<String>)>;

/// What the profile knows. Whatever goes wrong, there are no words.
fn asked(word: Word, typed: &str, settings: Settings) -> Words {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let silent = Silent(settings);
    let words = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, Box::pin(words(word, typed, &silent))).await.ok().and_then(Result::ok)
    });
    runtime.shutdown_background();
    words.unwrap_or_default()
}

async fn words(word: Word, typed: &str, silent: &Silent) -> crate::app::error::Result<Words> {
    // Without a network: nothing is sent for it, and nobody hears of it.
    let profile = OpenProfile::open(silent, Need::Local).await?;
    let words = found(&profile, word, typed).await;
    profile.close().await;
    words
}

async fn found(profile: &OpenProfile<'_>, word: Word, typed: &str) -> crate::app::error::Result<Words> {
    let groups = profile.ask(group::List {}).await?;
    let mut words: Words = Vec::new();
    if matches!(word, Word::Target | Word::Group) {
        words.extend(groups.iter().filter(|group| !group.direct).map(named));
    }
    if matches!(word, Word::Target | Word::Account) {
        let mut handles: BTreeSet<String> = profile
            .ask(contact::List {})
            .await?
            .into_iter()
            .map(|contact| contact.handle.to_string())
            .collect();
        if word == Word::Account {
            let members = groups.iter().flat_map(|group| &group.members);
            handles.extend(members.map(|member| member.handle.clone()).filter(|handle| handle.len() <= 32));
        }
        let at = if word == Word::Target || typed.is_empty() || typed.starts_with('@') { "@" } else { "" };
        words.extend(handles.into_iter().map(|handle| (format!("{at}{handle}"), None)));
    }
    if word == Word::Message {
        let mut messages: Vec<MessageView> = Vec::new();
        for group in groups.iter().filter(|group| group.state == GroupState::Active).take(CONVERSATIONS) {
            let read = message::Read { last: Some(OF_ONE), ..message::Read::of(Target::Group(group.id)) };
            messages.extend(profile.ask(read).await?);
        }
        messages.retain(|message| message.event().is_none() && !message.deleted);
        messages.sort_by_key(|message| std::cmp::Reverse(message.at.unwrap_or(message.sent_at)));
        messages.truncate(MESSAGES);
        words.extend(messages.iter().map(|message| {
            let said = format!("@{}: {}", message.from.handle, message.text);
            // Whoever typed more than that goes on by all of it.
            let id = if typed.len() > short_id(message).len() {
                message.id.to_string()
            } else {
                short_id(message)
            };
            (id, Some(cut(&safe_text(&said), BESIDE)))
        }));
    }
    Ok(words)
}

/// A group by its name; by its id where a shell would take the name for something else.
fn named(group: &GroupView) -> (String, Option<String>) {
    let plain = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
    if !group.name.is_empty() && group.name.chars().all(plain) {
        (group.name.clone(), None)
    } else {
        (group.id.to_string(), Some(cut(&safe_text(&group.name), BESIDE)))
    }
}

/// A front end that shows nothing.
#[derive(Debug)]
struct Silent(Settings);

impl FrontEnd for Silent {
    fn settings(&self) -> &Settings {
        &self.0
    }

    fn notice(&self, _: Notice<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Ids of arguments that name something which may be there.
    const NAMING: [&str; 18] = [
        "target", "targets", "within", "group", "handle", "handles", "who", "from", "with", "id", "reply_to",
        "thread", "after", "around", "profile", "owner", "accept", "deny",
    ];

    /// Handles that nobody has yet have no words.
    const WORDLESS: [(&str, &str); 3] =
        [("register", "handle"), ("bot run", "handle"), ("bot register", "handle")];

    /// Every argument with the command that it stands in, and whether it is completed.
    fn arguments(command: &clap::Command, path: &str) -> Vec<(String, String, bool)> {
        let own = command
            .get_arguments()
            .map(|arg| (path.to_owned(), arg.get_id().to_string(), arg.get::<ArgValueCompleter>().is_some()));
        let mut all: Vec<_> = own.collect();
        for sub in command.get_subcommands() {
            all.extend(arguments(sub, format!("{path} {}", sub.get_name()).trim_start()));
        }
        all
    }

    #[test]
    fn every_word_that_names_something_is_completed() {
        let all = arguments(&tree(&[]), "");
        for (path, words) in WORDS {
            for (id, _) in words {
                assert!(all.contains(&(path.into(), (*id).into(), true)), "there is no {id} of '{path}'");
            }
        }
        for (path, id, completed) in &all {
            let naming = NAMING.contains(&id.as_str()) && !WORDLESS.contains(&(path, id));
            assert!(*completed || !naming, "'{path}' does not complete {id}");
        }
        for (path, id) in WORDLESS {
            assert!(all.contains(&(path.into(), id.into(), false)), "{path} {id}");
        }
    }

    #[test]
    fn the_line_says_which_profile_it_is_for() {
        let home = std::env::temp_dir();
        let home = home.to_str().expect("UTF-8");
        let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let told =
            settings(&line(&["cipher-chat", "--home", home, "--profile=ana", "read", ""])).expect("settings");
        assert_eq!((told.profile.as_str(), told.home.as_path()), ("ana", Path::new(home)));
        assert!(told.no_input && !told.unlocking.asks && told.unlocking.passphrase_fd.is_none());
        let later = settings(&line(&["cipher-chat", "read", "--home", home, "ops", "--profile", "bob"]));
        assert_eq!(later.expect("settings").profile, "bob");
    }
}
