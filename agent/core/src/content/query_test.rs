use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The marked parts of a text; `None` if it is not found.
fn marked(query: &str, text: &str) -> Option<Vec<String>> {
    let marks = Query::parse(query)?.find(text)?;
    let part = |mark: &TextMark| text.chars().skip(mark.from).take(mark.to - mark.from).collect();
    Some(marks.iter().map(part).collect())
}

#[test]
fn r_search_02_to_06_what_is_found_where() {
    for (query, text, found) in [
        // R-SEARCH-02: as typed, from the beginning of a word, which may go on.
        ("dep", "the Deployment", Some(&["Dep"][..])),
        ("ploy", "the Deployment", None),
        ("don't", "I don\u{2019}t know", Some(&["don\u{2019}t"])),
        ("don't", "I do not know", None),
        ("10:30", "tea at 10:30?", Some(&["10:30"])),
        ("10:30", "10 and 30", None),
        ("/var/log", "see /var/log/nginx.log", Some(&["/var/log"])),
        ("log/nginx", "see /var/log/nginx.log", Some(&["log/nginx"])),
        ("C++", "I write c++ code", Some(&["c++"])),
        ("C++", "I write C code", None),
        (":-)", "well :-) done", Some(&[":-)"])),
        ("\u{1f389}", "done \u{1f389}", Some(&["\u{1f389}"])),
        ("caf", "un Caf\u{e9}", Some(&["Caf"])),
        ("cafe\u{301}", "un cafe", Some(&["cafe"])),
        ("strasse", "Hauptstra\u{df}e, Stra\u{df}e 1", Some(&["Stra\u{df}e"])),
        ("stras", "Stra\u{df}e 1", Some(&["Stra\u{df}"])),
        // R-SEARCH-03: all of them, in any order.
        ("done deploy", "deploy is done", Some(&["deploy", "done"])),
        ("done deploy", "deploy is not", None),
        ("a a", "a", Some(&["a"])),
        // R-SEARCH-04: as it stands between quotes, with whole words at its ends.
        ("\"is done\"", "it is  done", Some(&["is  done"])),
        ("\"is done\"", "done is it", None),
        ("\"is do\"", "it is done", None),
        ("\u{201c}is done\u{201d} it", "it is done", Some(&["it", "is done"])),
        ("5\"", "a disk of 5\"", Some(&["5\""])),
        ("\"unclosed words", "an \"unclosed quote of words", Some(&["\"unclosed", "words"])),
        ("\"\" x", "x", Some(&["x"])),
        // What does not stand hides nothing that does and overlaps with it; what stands twice is marked apart.
        ("\"ab ab\"", "xab ab ab", Some(&["ab ab"])),
        ("\"ab ab\"", "ab ab abx ab ab", Some(&["ab ab", "ab ab"])),
        ("aa", "aaaa baa aa", Some(&["aa", "aa"])),
        (
            "\u{8a2d}\u{8a2d}",
            "\u{8a2d}\u{8a2d}\u{8a2d}.\u{8a2d}\u{8a2d}",
            Some(&["\u{8a2d}\u{8a2d}", "\u{8a2d}\u{8a2d}"]),
        ),
        // R-SEARCH-05: languages without blanks anywhere.
        (
            "\u{8a2d}\u{8a08}",
            "API\u{306e}\u{8a2d}\u{8a08}\u{3092}\u{898b}\u{308b}",
            Some(&["\u{8a2d}\u{8a08}"]),
        ),
        ("\u{8a08}", "\u{8a2d}\u{8a08}\u{66f8}", Some(&["\u{8a08}"])),
        ("\"\u{8a08}\"", "\u{8a2d}\u{8a08}\u{66f8}", Some(&["\u{8a08}"])),
        (
            "\u{e27}\u{e31}\u{e2a}",
            "\u{e2a}\u{e27}\u{e31}\u{e2a}\u{e14}\u{e35}",
            Some(&["\u{e27}\u{e31}\u{e2a}"]),
        ),
        ("AND", "this and that", Some(&["and"])),
        ("field:value", "field: value", None),
        ("-x", "a -x flag", Some(&["-x"])),
    ] {
        let found = found.map(|found| found.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(marked(query, text), found, "{query} in {text}");
    }
    for blank in ["", " ", "\n\t", "\"\"", "\u{200b}"] {
        assert_eq!(Query::parse(blank), None);
    }
    let digits = "00ff17".repeat(11);
    assert_eq!(marked(&digits[..64], &format!("key {}", &digits[..64])), Some(vec![digits[..64].to_owned()]));
    assert_eq!(marked(&digits[..60], &digits[..64]), Some(vec![digits[..60].to_owned()]));
    assert_eq!(marked(&digits[..64], &digits[..63]), None);
}

/// No text makes looking for words in it long, and no text gets more marks than anybody looks at.
#[test]
fn marks_of_a_long_text_are_few_and_found_in_one_go() {
    let long = 192 * 1024;
    for (query, text, count) in [
        ("a", "a ".repeat(long / 2), Some(MARKS_OF_ONE)),
        ("a b c d e f", "a. b. c. d. e. f. ".repeat(long / 18), Some(MARKS)),
        (&"a".repeat(long / 2), format!("x{}", "a".repeat(long)), None),
        (&format!("\"{}\"", "abc ".repeat(long / 8).trim_end_matches("c ")), "abc ".repeat(long / 4), None),
        (&"a ".repeat(long / 2), "a ".repeat(long / 2), Some(MARKS_OF_ONE)),
    ] {
        let query = Query::parse(query).unwrap();
        assert_eq!(query.find(&text).map(|marks| marks.len()), count);
    }
}

/// Whether a text is among what the index gives for a query.
fn is_candidate(query: &Query, text: &str) -> bool {
    let terms: BTreeSet<String> = words::terms_of(text);
    query.lookups().iter().all(|lookup| match lookup {
        Lookup::Exact(term) => terms.contains(term),
        Lookup::Prefix(begin) => terms.iter().any(|term| term.starts_with(begin.as_str())),
    })
}

#[test]
fn r_search_08_what_is_looked_up() {
    let lookups = |query: &str| Query::parse(query).unwrap().lookups();
    assert_eq!(lookups("dep"), [Lookup::Prefix("dep".into())]);
    assert_eq!(lookups("don't"), [Lookup::Exact("don".into()), Lookup::Prefix("t".into())]);
    assert_eq!(lookups("\"is done\""), [Lookup::Exact("done".into()), Lookup::Exact("is".into())]);
    assert_eq!(lookups(":-)"), []);
    assert_eq!(lookups(&"f".repeat(64)), [Lookup::Exact("f".repeat(words::LONGEST))]);
}

proptest! {
    /// R-SEARCH-08: the index hides nothing that would match.
    #[test]
    fn r_search_08_every_text_that_matches_is_a_candidate(
        text in "[ab\u{c4}\u{e9}\u{df}\u{301}\u{2019}'\"./: \u{8a2d}\u{8a08}\u{30ab}\u{3099}\u{30fc}\u{e27}\u{e31}\u{e48}\u{928}\u{94d}\u{1f44d}\u{1f3fd}\u{200d}\u{ac00}\u{1100}\u{1161}]{0,40}",
        from in 0..40_usize,
        length in 1..30_usize,
        any in "\\PC{0,12}",
        quoted: bool,
    ) {
        let part: String = text.chars().skip(from).take(length).collect();
        let part = if quoted { format!("\"{part}\"") } else { part };
        for query in [part, any.clone()] {
            let Some(query) = Query::parse(&query) else { continue };
            for text in [&text, &any] {
                if let Some(marks) = query.find(text) {
                    prop_assert!(is_candidate(&query, text), "{query:?} {text:?}");
                    let length = text.chars().count();
                    prop_assert!(marks.iter().all(|mark| mark.from < mark.to && mark.to <= length), "{marks:?}");
                }
            }
        }
    }

    /// R-SEARCH-06: any text finds itself.
    #[test]
    fn r_search_06_any_text_is_a_query_that_finds_itself(text in "\\PC{1,30}") {
        if let Some(query) = Query::parse(&text) {
            let quotes = words::fold(&text).contains('"');
            prop_assert!(quotes || query.find(&text).is_some(), "{text:?}");
        }
    }
}
