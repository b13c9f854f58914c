//! The bots that ship: one module per bot, one list. Each is written with `cipher-bot` like anybody's.
//!
//! Not for hosting: giving a bot an account and a network is `cipher-chat bot run NAME`.

use cipher_bot::bot::Bot;

pub mod echo;

/// Makes a bot.
pub type Constructor = fn() -> Bot;

/// Every bot by the name of `cipher-chat bot run NAME`.
pub fn catalog() -> &'static [(&'static str, Constructor)] {
    &[("echo", echo::bot)]
}

/// The bot of a name.
pub fn find(name: &str) -> Option<Bot> {
    catalog().iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bot_calls_itself_what_the_list_calls_it_and_explains_its_commands() {
        for (name, make) in catalog() {
            let description = make().description();
            assert_eq!(description.name, *name);
            assert!(!description.about.is_empty());
            assert!(description.commands.iter().all(|command| !command.about.is_empty()), "{name}");
        }
        assert!(find("echo").is_some() && find("nobody").is_none());
    }
}
