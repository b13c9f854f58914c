//! One page for browsers that needs nothing else, and does nothing: no program, no link to outside, nothing that is loaded.
//!
//! The policy in its head says so to the browser too, should something of a peer ever get through [`escaped`].

use std::fmt::{self, Write as _};

use data_encoding::BASE64;
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use crate::cli::show::export::entry::{Entry, FileLine, Head, Picture, Poll, Quoted, Said, What, Words};
use crate::cli::show::safe_text::safe_text;
use crate::cli::zone::Zone;

const STYLE: &str = "\
body{font:16px/1.45 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
h1{margin:0}h2{font-size:1rem;color:#666;border-bottom:1px solid #ddd;margin:2rem 0 1rem}\
article{margin:.9rem 0}article p,.event{margin:.1rem 0}\
.who{font-weight:600}time,.mark,.event,.none,.about{color:#666;font-weight:400}\
.text{white-space:pre-wrap;overflow-wrap:anywhere}\
.quoted{border-left:3px solid #ccc;padding-left:.6rem;color:#666;overflow-wrap:anywhere}.quoted a{color:inherit}\
ul{margin:.2rem 0;padding-left:1.4rem}figure{margin:.4rem 0}img{max-width:100%;max-height:40rem}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}h2{border-color:#444}}";

pub(super) struct Html;

impl Html {
    pub(super) const END: &'static str = "</main>\n</body>\n</html>\n";

    pub(super) fn head(head: &Head<'_>, zone: &Zone) -> String {
        let name = escaped(&safe_text(head.name));
        let sentence = escaped(&head.sentence(zone));
        // R-EXPORT-03: nothing runs, nothing is loaded, nothing is sent.
        let style = BASE64.encode(&Sha256::digest(STYLE));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'sha256-{style}'; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1 dir=\"auto\">{name}</h1>\n<p>{sentence}</p>\n</header>\n<main>\n"
        )
    }

    pub(super) fn day(day: Option<Date>) -> String {
        day.map_or_else(String::new, |day| {
            format!("<h2><time datetime=\"{day}\">{}</time></h2>\n", day.strftime("%A, %Y-%m-%d"))
        })
    }

    pub(super) fn line(entry: &Entry, pictures: &[Picture]) -> String {
        let Entry { id, at, clock, what } = entry;
        let (at, clock) = (escaped(at), escaped(clock));
        let time = format!("<time datetime=\"{at}\">{clock}</time>");
        match what {
            What::Observed(sentence) => {
                format!("<p class=\"event\">{time} <bdi>{}</bdi></p>\n", escaped(sentence))
            }
            What::Said(said) => {
                let mut page = format!("<article id=\"m-{}\">\n", escaped(id));
                // A string takes everything.
                let _ = write_said(&mut page, said, &time, pictures);
                page.push_str("</article>\n");
                page
            }
        }
    }
}

fn write_said(page: &mut String, said: &Said, time: &str, pictures: &[Picture]) -> fmt::Result {
    let Said { who, marks, quoted, words, poll, files, reactions } = said;
    write!(page, "<p><bdi class=\"who\">{}</bdi> {time}", escaped(who))?;
    if !marks.is_empty() {
        write!(page, " <span class=\"mark\">({})</span>", escaped(&marks.join(", ")))?;
    }
    page.push_str("</p>\n");
    if let Some(Quoted { of, words }) = quoted {
        let words = escaped(words);
        match of {
            Some(of) => {
                let of = escaped(of);
                writeln!(page, "<p class=\"quoted\" dir=\"auto\"><a href=\"#m-{of}\">{words}</a></p>")?;
            }
            None => writeln!(page, "<p class=\"quoted\" dir=\"auto\">{words}</p>")?,
        }
    }
    match words {
        Words::Text(text) if text.is_empty() => {}
        Words::Text(text) => writeln!(page, "<div class=\"text\" dir=\"auto\">{}</div>", escaped(text))?,
        Words::None(sentence) => writeln!(page, "<p class=\"none\">{}</p>", escaped(sentence))?,
    }
    if let Some(Poll { options, stands }) = poll {
        page.push_str("<ul>\n");
        for (option, votes) in options {
            writeln!(
                page,
                "<li><bdi>{}</bdi> <span class=\"about\">{}</span></li>",
                escaped(option),
                escaped(votes)
            )?;
        }
        writeln!(page, "</ul>\n<p class=\"about\">{}</p>", escaped(stands))?;
    }
    for FileLine { id, name, about, preview } in files {
        let (name, about) = (escaped(name), escaped(about));
        let whole = pictures.iter().find(|picture| picture.id == *id);
        let what = if whole.is_none() { ", a preview" } else { "" };
        match whole.or(preview.as_ref()) {
            Some(Picture { mime, bytes, .. }) => writeln!(
                page,
                "<figure><img src=\"data:{mime};base64,{}\" alt=\"{name}\"><figcaption><bdi>{name}</bdi> \
                 <span class=\"about\">({about}{what})</span></figcaption></figure>",
                BASE64.encode(bytes)
            )?,
            None => {
                writeln!(page, "<p>file <bdi>{name}</bdi> <span class=\"about\">({about})</span></p>")?;
            }
        }
    }
    if !reactions.is_empty() {
        let each =
            reactions.iter().map(|(emoji, by)| format!("{} <bdi>{}</bdi>", escaped(emoji), escaped(by)));
        writeln!(page, "<p class=\"about\">{}</p>", each.collect::<Vec<_>>().join(" &nbsp; "))?;
    }
    Ok(())
}

/// R-EXPORT-02: a text as a text, between tags and in attributes, whatever is in it.
fn escaped(text: &str) -> String {
    let mut page = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
    page
}
