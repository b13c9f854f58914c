//! How a poll looks to people.

use cipher_api::view::{PollOptionView, PollView};

use crate::cli::show::paint::{Ink, Paint, at};
use crate::cli::show::safe_text::safe_text;

/// The answers of a poll, a line each: number, words, how many chose it, and who; then how it stands.
pub fn block(poll: &PollView, paint: Paint) -> String {
    let options = (1..).zip(&poll.options).map(|(number, option)| {
        let own = if option.own { "*" } else { " " };
        let by = paint.ink(Ink::Dim, &who(option));
        format!("\n   {own}{number}. {}  {}{by}", safe_text(&option.text), option.votes)
    });
    let voted = match poll.voters {
        1 => "1 vote".to_owned(),
        voters => format!("{voters} votes"),
    };
    let several = if poll.multiple { ", several answers may be chosen" } else { "" };
    let stands = if poll.closed { ", closed" } else { several };
    format!("{}\n    {}", options.collect::<String>(), paint.ink(Ink::Dim, &format!("({voted}{stands})")))
}

fn who(option: &PollOptionView) -> String {
    let by: Vec<String> = option.by.iter().map(|by| safe_text(&at(by))).collect();
    if by.is_empty() { String::new() } else { format!("  {}", by.join(", ")) }
}
