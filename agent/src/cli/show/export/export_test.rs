use cipher_api::view::{
    AttachmentView, GroupEvent, PollOptionView, PollView, PreviewView, QuotedState, QuotedView, ReactionView,
    SenderView,
};
use cipher_api::view::{Body, GrantView, GrantedView};
use cipher_broker::certificate::Kind as Sender;
use cipher_broker::id::{AccountId, DeviceId, FileId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::cli::show::safe_text::safe_block;

fn said(text: &str) -> MessageView {
    let from = SenderView {
        handle: "bob".into(),
        account_id: AccountId::from_bytes([1; 32]),
        device_id: DeviceId::from_bytes([1; 16]),
        kind: Sender::Person,
    };
    let (id, group) = (MessageId::from_bytes([1; 16]), GroupId::from_bytes([1; 16]));
    let sent_at = Timestamp::from_millis(951_782_400_000);
    MessageView { seq: Some(1), ..MessageView::received(id, group, from, sent_at, text) }
}

fn preview() -> PreviewView {
    PreviewView { mime: "image/jpeg".into(), width: 2, height: 1, bytes: b"\xff\xd8\xff\xe0".to_vec() }
}

/// A message in which everything that a peer chooses is this.
fn hostile(text: &str) -> MessageView {
    let file = AttachmentView {
        name: text.into(),
        size: 1536,
        mime: text.into(),
        id: FileId::from_bytes([7; 16]),
        expires: None,
        // What a preview is, its bytes say.
        preview: Some(PreviewView { mime: text.into(), width: 1, height: 1, bytes: text.into() }),
    };
    let option = PollOptionView { text: text.into(), votes: 1, by: vec![text.into()], own: false };
    MessageView {
        body: Body::Poll(PollView { options: vec![option], multiple: false, closed: true, voters: 1 }),
        from: SenderView { handle: text.into(), ..said("").from },
        attachments: vec![file],
        reactions: vec![ReactionView { emoji: text.into(), by: vec![text.into()], own: false }],
        reply_to: Some(MessageId::from_bytes([2; 16])),
        quoted: Some(QuotedView { from: Some(text.into()), state: QuotedState::Here, text: text.into() }),
        pinned_by: Some(text.into()),
        ..said(text)
    }
}

const HOSTILE: [&str; 26] = [
    "<script>alert(1)</script>",
    "</div></article></main><h1>mine",
    "\" onload=\"alert(1)",
    "' onload='alert(1)",
    "<img src=https://evil/x.png>",
    "![x](https://evil/x.png)",
    "[pay](https://evil)",
    "<https://evil>",
    "-->\n<!--\n]]>",
    "&lt;b&gt; &#60; &amp;",
    "# title\n## day\n- list\n+ list\n* list\n1. list\n2) list\n===\n---",
    "    code\n\tcode",
    "```\ncode\n```\n~~~\nx",
    "`a` **b** _c_ ~~d~~ $x$ ^e^ ==f==",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "> quoted\n>> more",
    "a\n\n\nb\n",
    "[^1]\n\n[^1]: note\n[a]: https://evil",
    "a\\\nb\\",
    "term\n: meaning",
    "[[wiki]] {#id .class} %x !y :z",
    "\u{202e}txt.exe\u{202c} \u{200b}\u{feff}",
    "\u{1b}[31mred\u{7}",
    "--- \ntitle: x\n---",
    "@bob 12:00\n**@alice** 12:01\n\n> yes",
    "",
];

fn page(kind: Kind, message: &MessageView, pictures: &[Picture]) -> String {
    let zone = Zone::utc();
    let mut page = Page::new(kind, &zone);
    let name = if message.text.is_empty() { "team" } else { &message.text };
    let head = Head { name, by: "alice", at: Timestamp::from_millis(951_782_400_000) };
    let (head, line) = (page.head(&head), page.line(message, pictures));
    head + &line + page.end()
}

/// The tags of a page and what stands between them, as a browser takes it apart: nothing of ours has a `<` or a `>` in an attribute.
fn taken_apart(page: &str) -> (Vec<String>, String) {
    let (mut tags, mut text) = (Vec::new(), String::new());
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, more) = behind.split_once('>').expect("a tag ends");
        tags.push(tag.to_owned());
        rest = more;
    }
    text.push_str(rest);
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    (tags, text.replace("&nbsp;", "\u{a0}").replace("&amp;", "&"))
}

#[test]
fn r_export_02_r_export_03_a_page_is_the_same_whatever_peers_write() {
    let names = |tags: &[String]| -> Vec<String> {
        tags.iter().map(|tag| tag.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    let (plain, _) = taken_apart(&page(Kind::Html, &hostile("plain"), &[]));
    for text in HOSTILE {
        let page = page(Kind::Html, &hostile(text), &[]);
        let (tags, shown) = taken_apart(&page);
        if !text.is_empty() {
            assert_eq!(names(&tags), names(&plain), "{text:?}");
            assert!(shown.contains(&safe_block(text, 0)), "{text:?} is not in\n{page}");
        }
        for tag in &tags {
            assert!(!tag.starts_with("script") && !tag.contains(" on") && !tag.contains("http://"), "{tag}");
            let leads = tag.split("href=").nth(1).or_else(|| tag.split("src=").nth(1));
            assert!(leads.is_none_or(|leads| leads.starts_with("\"#m-")), "{tag}");
        }
        let policy = "content=\"default-src 'none'; img-src data:; style-src 'sha256-";
        assert!(tags.iter().any(|tag| tag.contains("Content-Security-Policy") && tag.contains(policy)));
    }
}

/// What Markdown makes of a page: the text of each quote, and everything else that is no paragraph of ours.
fn read_again(page: &str) -> (String, Vec<String>) {
    let (mut quotes, mut depth, mut odd) = (String::new(), 0, Vec::new());
    for event in Parser::new_ext(page, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
        match event {
            Event::Start(Tag::BlockQuote(_)) => depth += 1,
            Event::End(TagEnd::BlockQuote(_)) => depth -= 1,
            Event::Text(text) if depth > 0 => quotes.push_str(&text),
            Event::HardBreak | Event::End(TagEnd::Paragraph) => quotes.push('\n'),
            Event::Text(_) | Event::Start(Tag::Paragraph | Tag::Strong) | Event::End(TagEnd::Strong) => {}
            Event::Start(Tag::Heading { .. }) | Event::End(TagEnd::Heading(_)) if depth == 0 => {}
            other => odd.push(format!("{other:?}")),
        }
    }
    (quotes, odd)
}

#[test]
fn r_export_02_texts_mean_nothing_in_markdown_but_what_they_say() {
    for text in HOSTILE {
        let page = page(Kind::Markdown, &said(text), &[]);
        let (quotes, odd) = read_again(&page);
        assert!(odd.is_empty(), "{text:?}: {odd:?} in\n{page}");
        let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        assert_eq!(words(&quotes), words(&safe_block(text, 0)), "{text:?} in\n{page}");
    }
    // The same in every other place that peers choose: but for the list of answers nothing is there that is not ours.
    for text in HOSTILE {
        let (_, odd) = read_again(&page(Kind::Markdown, &hostile(text), &[]));
        let list = |event: &&String| !event.contains("List") && !event.contains("Item");
        assert_eq!(odd.iter().find(list), None, "{text:?}");
    }
}

#[test]
fn r_export_01_what_was_taken_back_or_has_disappeared_has_no_words() {
    for kind in [Kind::Html, Kind::Markdown] {
        let deleted = MessageView { deleted: true, deleted_by: Some("carol".into()), ..hostile("secret") };
        let expired = MessageView { expired: true, ..hostile("secret") };
        for (message, told) in [(deleted, "deleted by @carol"), (expired, "disappeared")] {
            let zone = Zone::utc();
            let message = MessageView { from: said("").from, pinned_by: None, ..message };
            let line = Page::new(kind, &zone).line(&message, &[]);
            assert!(line.contains(told) && !line.contains("secret"), "{line}");
        }
    }
}

#[test]
fn a_page_for_people() {
    let zone = Zone::utc();
    let event = Body::Event { event: GroupEvent::Added, who: Vec::new() };
    let added = MessageView { body: event, ..said("@alice added @bob") };
    let words = MessageView { edited: true, expire: Some(3600), ..said("one\n  two\n\nthree") };
    let mut answer = hostile("re");
    answer.attachments = vec![AttachmentView {
        name: "p.png".into(),
        size: 3,
        mime: "image/png".into(),
        id: FileId::from_bytes([7; 16]),
        expires: None,
        preview: Some(preview()),
    }];
    let mut away = answer.attachments[0].clone();
    (away.name, away.id) = ("away.png".into(), FileId::from_bytes([8; 16]));
    answer.attachments.push(away);
    let picture = Picture { id: FileId::from_bytes([7; 16]), mime: "image/png", bytes: b"abc".to_vec() };
    let head = Head { name: "team", by: "alice", at: Timestamp::from_millis(951_782_400_000) };
    let mut told = String::new();
    for kind in [Kind::Markdown, Kind::Html] {
        let mut page = Page::new(kind, &zone);
        told.push_str(&page.head(&head));
        for line in [&added, &words, &answer] {
            told.push_str(&page.line(line, std::slice::from_ref(&picture)));
        }
        told.push_str(page.end());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn pictures_are_known_by_their_content() {
    for (content, mime) in [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), Some("image/png")),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", Some("image/jpeg")),
        (b"GIF89a\x01\0\x01\0", Some("image/gif")),
        (b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp")),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'>", None),
        (b"<html><script>", None),
        (b"BM\x36\0\0\0", None),
        (b"", None),
    ] {
        assert_eq!(is_picture(content), mime, "{content:?}");
    }
}

/// The giver's name stands where a sender's does; who is said to have said it beside.
#[test]
fn r_grant_07_what_was_given_is_shown_as_the_givers_word() {
    let granted = |from: &str| MessageView {
        body: Body::Granted(GrantedView {
            message: MessageId::from_bytes([3; 16]),
            from: from.into(),
            account_id: AccountId::from_bytes([4; 32]),
            reply_to: None,
            edited: true,
        }),
        ..said("the plan\nof *all*")
    };
    let grant = MessageView {
        body: Body::Grant(GrantView {
            to: "carol".into(),
            account_id: AccountId::from_bytes([5; 32]),
            count: 2,
            from: Timestamp::from_millis(951_782_400_000),
            until: Timestamp::from_millis(951_786_000_000),
            refused: false,
        }),
        ..said("gave @carol the last 2 messages, from 2000-02-29T00:00:00.000Z to 2000-02-29T01:00:00.000Z")
    };
    let (zone, typed) = (Zone::utc(), crate::cli::show::typed::Typed::default());
    let look = crate::cli::show::paint::Look {
        paint: crate::cli::show::paint::Paint(false),
        zone: &zone,
        typed: &typed,
        dated: true,
        columns: None,
        markdown: true,
    };
    let line = |message: &MessageView| {
        let line = crate::cli::show::line::Line::message(message, |_| None);
        crate::cli::show::human::block(&line, crate::cli::show::paint::Look { ..look })
    };
    assert_eq!(
        line(&granted("alice")),
        "00:00Z @bob: (says that @alice wrote) the plan\n    of *all* (edited)"
    );
    assert_eq!(
        line(&grant),
        "00:00Z @bob: (gave @carol the last 2 messages, from 2000-02-29 00:00Z to 2000-02-29 01:00Z)"
    );
    // A text that looks like it is its sender's word all the same.
    assert_eq!(line(&said("(says that @alice wrote) no")), "00:00Z @bob: (says that @alice wrote) no");
    for kind in [Kind::Html, Kind::Markdown] {
        let page = page(kind, &granted("alice"), &[]);
        assert!(page.contains("says that @alice wrote") && page.contains("@bob"), "{page}");
    }
    assert!(page(Kind::Html, &granted("<b>"), &[]).contains("&lt;b&gt;"));
}
