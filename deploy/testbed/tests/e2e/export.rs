//! A conversation as a file that other programs read: whole, harmless, and never over another one.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testbed::person::{kind_of, text};
use testbed::{Failure, Output, Person, Result, Site, ensure};

/// A picture of one dot, as a viewer takes it.
pub(crate) const PNG: [u8; 67] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0,
    0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0,
    1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// Takes a page apart as a browser would: a JSON line with its tags, its texts, and what its pictures are.
const APART: &str = r##"
import base64, hashlib, html.parser, json, sys
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.pictures, self.links, self.policy, self.open, self.style = [], [], [], [], "", [], ""
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        assert not [name for name in attrs if name.startswith("on") or name == "style"], attrs
        if tag not in ("meta", "img"): self.open.append(tag)
        if attrs.get("http-equiv") == "Content-Security-Policy": self.policy = attrs["content"]
        if "src" in attrs:
            head, content = attrs["src"].split(",", 1)
            self.pictures.append([head, len(base64.b64decode(content, validate=True)), attrs["alt"]])
        if "href" in attrs: self.links.append(attrs["href"])
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data):
        if self.open and self.open[-1] == "style": self.style += data
        else: self.texts.append(data)
    def handle_comment(self, data): raise SystemExit("a comment")
    def unknown_decl(self, data): raise SystemExit("a declaration")
    def handle_pi(self, data): raise SystemExit("an instruction")
page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
page.close()
assert not page.open, page.open
digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
assert f"style-src 'sha256-{digest}'" in page.policy, page.policy
print(json.dumps({"tags": sorted(set(page.tags)), "text": "".join(page.texts), "pictures": page.pictures, "links": page.links, "policy": page.policy}))
"##;

fn apart(page: &Path) -> Result<Value> {
    let output = Command::new("python3").arg("-c").arg(APART).arg(page).output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure(output.status.success(), || told)?;
    serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(error.to_string()))
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn exports(person: &Person, arguments: &[&str]) -> Result<Output> {
    let mut words = vec!["export", "team"];
    words.extend(arguments);
    person.does(&words)
}

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script></div></main><h1>mine</h1>",
    "\" onload=\"alert(1) ' onerror='x",
    "![x](https://evil.example/x.png) [pay](https://evil.example)",
    "one\n\n<!-- two\n]]> &lt;b&gt; &amp;",
    "\u{202e}txt.exe\u{202c}\u{200b}",
    "# title\n- list\n    code\n```\nx\n```",
];

#[test]
fn t11_a_conversation_is_written_for_programs_and_for_people_and_peers_write_nothing_but_texts() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    for words in HOSTILE {
        bob.sends("team", words)?;
    }
    let gone = bob.sends("team", "taken back")?;
    bob.does(&["delete", text(&gone, "id").unwrap_or_default()])?;
    let picture = bob.home().join("<b>dot.png");
    std::fs::write(&picture, PNG)?;
    let drawing = bob.home().join("drawing.svg");
    std::fs::write(
        &drawing,
        "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"x\"/>",
    )?;
    bob.does(&["send", "team", "see", "--file", shown(&picture), "--file", shown(&drawing)])?;
    bob.does(&["send", "team", "soon gone", "--expire", "1d"])?;
    alice.syncs()?;

    // The lines are those that `read` has, and nothing counts as read.
    let lines = exports(&alice, &["--format", "jsonl"])?;
    let unread = alice.shows("team")?.get("unread").and_then(Value::as_u64);
    ensure(unread.is_some_and(|unread| unread > 5), || format!("exporting is not reading: {unread:?}"))?;
    let read = alice.does(&["read", "team"])?;
    assert_eq!(lines.lines.len(), read.lines.len());
    let texts = |lines: &[Value]| -> Vec<String> {
        lines.iter().filter_map(|line| text(line, "text")).map(str::to_owned).collect()
    };
    assert_eq!(texts(&lines.lines), texts(&read.lines));
    ensure(texts(&lines.lines).iter().all(|text| text != "taken back"), || {
        "what was deleted is there".into()
    })?;
    let told = |output: &Output| -> String {
        output.errors.iter().filter(|line| kind_of(line) == Some("warning")).map(Value::to_string).collect()
    };
    ensure(told(&lines).contains("nothing protects it any more"), || lines.to_string())?;
    ensure(told(&lines).contains("1 message that is to disappear stays in it"), || lines.to_string())?;

    // For people, each text is a text.
    let page = alice.home().join("team.html");
    let done = exports(&alice, &["--format", "html", "--to", shown(&page)])?;
    assert_eq!(done.of_type("done")?.get("target").and_then(Value::as_str), Some(shown(&page)));
    let found = apart(&page)?;
    let known = [
        "article",
        "bdi",
        "body",
        "div",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "head",
        "header",
        "html",
        "img",
        "main",
    ];
    let others = ["meta", "p", "span", "style", "time", "title"];
    for tag in found.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        ensure(known.contains(&tag) || others.contains(&tag), || format!("<{tag}>"))?;
    }
    let words = text(&found, "text").unwrap_or_default();
    for hostile in HOSTILE.into_iter().filter(|words| !words.contains('\u{202e}')) {
        ensure(words.contains(hostile), || format!("{hostile} is not in {words}"))?;
    }
    ensure(words.contains("\\u{202e}txt.exe") && !words.contains('\u{202e}'), || words.to_owned())?;
    ensure(!words.contains("taken back") && words.contains("(deleted)"), || words.to_owned())?;
    ensure(words.contains("disappears after 1 day"), || words.to_owned())?;
    let pictures = found.get("pictures").cloned().unwrap_or_default();
    assert_eq!(pictures.as_array().map(Vec::len), Some(1), "a drawing can hold a program: {pictures}");
    let dot = pictures.pointer("/0/0").and_then(Value::as_str);
    assert_eq!(
        (dot, pictures.pointer("/0/1")),
        (Some("data:image/png;base64"), Some(&Value::from(PNG.len())))
    );
    ensure(words.contains("drawing.svg"), || words.to_owned())?;
    ensure(text(&found, "policy").is_some_and(|policy| policy.starts_with("default-src 'none';")), || {
        found.to_string()
    })?;

    // Nothing is overwritten, nothing is half, and whoever named a place where it cannot be is told before anything is done.
    let before = std::fs::read(&page)?;
    alice.is_refused(8, "conflict", &["export", "team", "--format", "md", "--to", shown(&page)])?;
    ensure(std::fs::read(&page)? == before, || "it was overwritten".into())?;
    let nowhere = alice.home().join("nowhere/page.md");
    alice.is_refused(9, "not-found", &["export", "team", "--format", "md", "--to", shown(&nowhere)])?;
    alice.is_refused(9, "not-found", &["export", "nobody-knows", "--format", "md"])?;
    alice.is_refused(2, "usage", &["export", "team"])?;
    alice.is_refused(
        2,
        "usage",
        &["export", "team", "--format", "md", "--to", &format!("{}/", shown(alice.home()))],
    )?;
    Ok(())
}

/// So many lines, which a person says one after the other.
fn says_many(person: &Person, count: usize) -> Result<String> {
    let many: String = (0..count).map(|n| format!("line {n}\n")).collect();
    let hello =
        serde_json::json!({ "jsonrpc": "2.0", "id": 0, "method": "hello", "params": { "version": 1 } });
    let mut asked = format!("{hello}\n");
    for (id, line) in (1..).zip(many.lines()) {
        let params = serde_json::json!({ "target": "team", "text": line });
        let call =
            serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "message.send", "params": params });
        asked.push_str(&format!("{call}\n"));
    }
    person.run_with(&["rpc"], &asked)?.expecting(0)?;
    person.syncs()?;
    Ok(many)
}

/// More lines than a page of them has, without a broker, while others wait for it: each once, in order.
#[test]
fn a_long_conversation_is_written_whole_without_a_broker_and_with_what_waits_for_it() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let many = says_many(&bob, 230)?;
    alice.syncs()?;
    let fault = site.fault()?;
    fault.cut();
    let away = site.through(&fault, &alice);
    away.sends("team", "waits")?;
    away.sends("team", "waits too")?;
    let markdown = exports(&away, &["--format", "md"])?;
    ensure(many.lines().all(|line| markdown.stdout.contains(line)), || "a line is missing".into())?;
    let lines = exports(&away, &["--format", "jsonl"])?;
    let said = lines.lines.iter().filter(|line| kind_of(line) == Some("message"));
    let texts: Vec<&str> = said.filter_map(|line| text(line, "text")).collect();
    let expected: Vec<&str> = many.lines().chain(["waits", "waits too"]).collect();
    assert_eq!(texts, expected);
    Ok(())
}

/// Nothing of a page is ever seen that is not whole, whatever ends the command; who had the profile open and dies does not end it.
#[test]
fn a_page_is_whole_or_not_there() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let picture = bob.home().join("dot.png");
    std::fs::write(&picture, PNG)?;
    bob.does(&["send", "team", "--file", shown(&picture)])?;
    let many = says_many(&bob, 150)?;
    alice.syncs()?;
    let fault = site.fault()?;
    let away = site.through(&fault, &alice);
    let folder = alice.home().join("out");
    std::fs::create_dir(&folder)?;
    let page = folder.join("team.html");
    let words = ["export", "team", "--format", "html", "--to", shown(&page)];
    let is_empty = || -> Result {
        let names: Vec<_> = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.file_name()).collect();
        ensure(names.is_empty(), || format!("{names:?} is left"))
    };
    // It waits for the picture, and the head of the page is written.
    let in_the_middle = || -> Result<testbed::Screen> {
        let lost = fault.lost();
        fault.lose_questions("$JS.API.DIRECT.GET.FILES.>");
        let exporting = away.starts(&words)?;
        fault.has_lost(lost + 1)?;
        Ok(exporting)
    };
    let mut exporting = in_the_middle()?;
    exporting.process().kill()?;
    is_empty()?;
    let mut exporting = in_the_middle()?;
    assert_eq!(exporting.interrupt()?, 1);
    is_empty()?;
    fault.heal();

    let mut daemon = away.starts(&["daemon"])?;
    daemon.is_ready()?;
    // The disk takes no more.
    let command = away.command(&words);
    let mut full = Command::new("sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    full.current_dir(alice.home())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let refused = Output::of(&mut full)?.expecting(7)?;
    let error =
        refused.errors.iter().find(|line| kind_of(line) == Some("error")).cloned().unwrap_or_default();
    assert_eq!(text(&error, "kind"), Some("storage"), "{refused}");
    ensure(text(&error, "hint").is_some_and(|hint| hint.contains("make room")), || refused.to_string())?;
    is_empty()?;

    let mut exporting = in_the_middle()?;
    daemon.process().kill()?;
    fault.heal();
    let (code, told) = exporting.ends()?;
    assert_eq!(code, 0, "{told}");
    let found = apart(&page)?;
    let words = text(&found, "text").unwrap_or_default();
    ensure(many.lines().all(|line| words.contains(line)), || "a line is missing".into())?;
    assert_eq!(found.pointer("/pictures/0/2").and_then(Value::as_str), Some("dot.png"), "{told}");
    Ok(())
}

/// R-FILE-03: what a picture shows is seen before it is fetched, and when it cannot be fetched any more.
#[test]
fn r_file_03_a_picture_has_a_preview_that_is_shown_where_the_picture_is_not() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let place = |name: &str, content: &[u8]| -> Result<String> {
        let path = bob.home().join(name);
        std::fs::write(&path, content)?;
        Ok(shown(&path).to_owned())
    };
    for (said, path, more) in [
        ("dot", place("dot.png", &PNG)?, None),
        ("unseen", place("unseen.png", &PNG)?, Some("--no-preview")),
        ("torn", place("torn.png", &PNG[..40])?, None),
        ("words", place("words.png", b"words in a file named .png")?, None),
        ("empty", place("empty.png", b"")?, None),
    ] {
        let mut words = vec!["send", "team", said, "--file", &path];
        words.extend(more);
        bob.does(&words)?;
    }
    alice.syncs()?;
    let read = alice.does(&["read", "team"])?;
    for line in read.lines.iter().filter(|line| text(line, "kind") == Some("text")) {
        let preview = line.pointer("/attachments/0/preview");
        let has = preview.map(|preview| {
            let side = |name: &str| preview.get(name).and_then(Value::as_u64);
            (text(preview, "mime"), side("width"), side("height"))
        });
        let expected = (text(line, "text") == Some("dot")).then_some((Some("image/jpeg"), Some(1), Some(1)));
        assert_eq!(has, expected, "{line}");
        assert!(
            preview
                .is_none_or(|preview| text(preview, "bytes").is_some_and(|bytes| bytes.starts_with("/9j/")))
        );
    }
    crate::files::tampered(&site, |_, _| None)?;
    let page = alice.home().join("team.html");
    let done = exports(&alice, &["--format", "html", "--to", shown(&page)])?;
    let pictures = apart(&page)?.get("pictures").cloned().unwrap_or_default();
    assert_eq!(pictures.as_array().map(Vec::len), Some(1), "{pictures}");
    let told = |at: &str| pictures.pointer(at).and_then(Value::as_str);
    assert_eq!((told("/0/0"), told("/0/2")), (Some("data:image/jpeg;base64"), Some("dot.png")));
    let told: String = done.errors.iter().map(Value::to_string).collect();
    ensure(told.contains("1 picture is there as a preview only"), || done.to_string())
}
