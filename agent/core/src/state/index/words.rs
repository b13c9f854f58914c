//! What of a text is looked up: its words, as they are when case and marks do not count.
//!
//! Whatever is changed here, or in which words a message has ([`crate::state::MessageRow::searched`]), changes what lies in the index
//! of every store: [`VERSION`] goes up, and the index is made anew.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript as _};

/// Of what this file makes of a text.
pub(super) const VERSION: u32 = 3;

/// Characters of a word that are kept; of a longer one the beginning is looked up.
pub(crate) const LONGEST: usize = 24;

/// What a folded character is for looking things up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Of a word that stands between blanks or signs.
    Word,
    /// Of a script that writes no blanks between words.
    Unspaced,
    /// An emoji or another sign that people look for by itself.
    Sign,
    /// Blanks and punctuation.
    Gap,
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Word } else { Class::Gap };
    }
    if is_unspaced(c) {
        return Class::Unspaced;
    }
    if c.is_alphanumeric() || is_combining_mark(c) {
        return Class::Word;
    }
    match u32::from(c) {
        // General punctuation, and that of East Asia.
        0x80..=0xbf | 0x2000..=0x206f | 0x2e00..=0x2e7f | 0x3000..=0x303f => Class::Gap,
        _ if c.is_whitespace() || c.is_control() => Class::Gap,
        _ => Class::Sign,
    }
}

fn is_unspaced(c: char) -> bool {
    const SCRIPTS: [Script; 9] = [
        Script::Han,
        Script::Hiragana,
        Script::Katakana,
        Script::Bopomofo,
        Script::Thai,
        Script::Lao,
        Script::Khmer,
        Script::Myanmar,
        Script::Tibetan,
    ];
    let punctuation =
        matches!(u32::from(c), 0x3000..=0x3003 | 0x3008..=0x3020 | 0x3030 | 0x303d..=0x303f | 0x30fb);
    let script = c.script();
    let shared = || {
        let scripts = c.script_extension();
        // What belongs to every script belongs to none of them.
        !scripts.is_common()
            && !scripts.is_inherited()
            && SCRIPTS.iter().any(|of| scripts.contains_script(*of))
    };
    !punctuation
        && (SCRIPTS.contains(&script) || (matches!(script, Script::Common | Script::Inherited) && shared()))
}

/// Whether a word may begin or end between two folded characters.
pub(crate) fn is_boundary(before: Option<char>, behind: Option<char>) -> bool {
    let (Some(before), Some(behind)) = (before, behind) else { return true };
    !(class(before) == Class::Word && class(behind) == Class::Word)
}

/// R-SEARCH-01: a text without the differences that do not count: case, width, marks of letters, the form of quotes, dashes and
/// blanks, and what is not seen. `with` is told each character that is left, and which character of the text it comes from.
pub(crate) fn fold_each(text: &str, mut with: impl FnMut(char, usize)) {
    let mut blank = true;
    let mut put = |c: char, from: usize| {
        if c == ' ' {
            if !blank {
                with(' ', from);
            }
            blank = true;
        } else {
            with(c, from);
            blank = false;
        }
    };
    // A character with the marks that follow it: what they make together depends on nothing else.
    let mut cluster = String::new();
    let mut began = 0;
    for (n, c) in text.chars().enumerate() {
        if c.is_ascii() && cluster.is_empty() {
            // Marks that follow it are folded away, or stand for themselves.
            put(plain(c.to_ascii_lowercase()), n);
            continue;
        }
        if !cluster.is_empty() && !joins(c) {
            fold_cluster(&cluster, began, &mut put);
            cluster.clear();
            if c.is_ascii() {
                put(plain(c.to_ascii_lowercase()), n);
                continue;
            }
        }
        if cluster.is_empty() {
            began = n;
        }
        cluster.push(c);
    }
    if !cluster.is_empty() {
        fold_cluster(&cluster, began, &mut put);
    }
}

/// Whether a character may become one with what stands before it.
fn joins(c: char) -> bool {
    // Vowels and last consonants of Hangul too.
    is_combining_mark(c) || matches!(u32::from(c), 0x1160..=0x11ff)
}

fn fold_cluster(cluster: &str, from: usize, put: &mut impl FnMut(char, usize)) {
    let kept = cluster.nfkd().filter(|c| !is_dropped(*c));
    // By way of capitals: 'ß' and 'ſ' have other ones than themselves.
    let lower = kept.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    for c in lower.nfkd().filter(|c| !is_dropped(*c)).nfc() {
        put(plain(c), from);
    }
}

/// Marks that change no letter into another one, and what is not seen.
fn is_dropped(c: char) -> bool {
    matches!(u32::from(c),
        // Combining diacritical marks.
        0x300..=0x36f | 0x483..=0x487 | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f
        // Vowels of Hebrew and Arabic that are seldom written, and the line that stretches a word.
        | 0x591..=0x5bd | 0x5bf | 0x5c1..=0x5c2 | 0x5c4..=0x5c5 | 0x640 | 0x64b..=0x65f | 0x670
        // Soft hyphen, joiners, marks of direction, selectors of a form.
        | 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe01ef)
}

/// The form in which a sign is typed.
fn plain(c: char) -> char {
    match c {
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2bc}' | '`' | '\u{b4}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2033}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c if c.is_whitespace() || c.is_control() => ' ',
        c => c,
    }
}

/// Whether a term can go on within a text that has it as a whole word: of scripts without blanks nobody sees where a word ends.
pub(crate) fn goes_on(term: &str) -> bool {
    term.chars().next_back().is_some_and(|c| class(c) == Class::Unspaced)
}

/// A text without the differences that do not count. Blanks at its end stay one blank.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_each(text, |c, _| folded.push(c));
    folded
}

/// A piece of a folded text by which it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term<'t> {
    pub text: &'t str,
    /// Whether it ends where the text ends, so that more could follow.
    pub is_last: bool,
    /// Whether the terms before it say all that it says, if more follows.
    pub is_spare: bool,
}

/// The terms of a folded text, in its order: words, signs, and of scripts without blanks each two characters that follow each
/// other, and the last one of a run.
pub(crate) fn terms<'t>(folded: &'t str, mut with: impl FnMut(Term<'t>)) {
    let mut rest = folded;
    while let Some(first) = rest.chars().next() {
        let kind = class(first);
        let end = match kind {
            Class::Word | Class::Unspaced => {
                rest.char_indices().find(|(_, c)| class(*c) != kind).map_or(rest.len(), |(at, _)| at)
            }
            Class::Sign | Class::Gap => first.len_utf8(),
        };
        let Some((run, behind)) = rest.split_at_checked(end) else { return };
        rest = behind;
        let is_last = rest.is_empty();
        match kind {
            Class::Gap => {}
            Class::Sign => with(Term { text: run, is_last: false, is_spare: false }),
            Class::Word => {
                let kept = run.char_indices().nth(LONGEST).and_then(|(at, _)| run.get(..at));
                // Of a word that is longer nothing that follows is looked up.
                let is_last = is_last && kept.is_none();
                with(Term { text: kept.unwrap_or(run), is_last, is_spare: false });
            }
            Class::Unspaced => {
                let mut ends = run.char_indices().map(|(at, _)| at).skip(1).chain([run.len()]).peekable();
                let mut begin = 0;
                while let Some(middle) = ends.next() {
                    match ends.peek().and_then(|end| run.get(begin..*end)) {
                        Some(text) => with(Term { text, is_last: false, is_spare: false }),
                        None => {
                            let text = run.get(begin..).unwrap_or_default();
                            with(Term { text, is_last, is_spare: is_last && begin > 0 });
                        }
                    }
                    begin = middle;
                }
            }
        }
    }
}

/// All terms of a text, each once.
pub(crate) fn terms_of(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let mut found = BTreeSet::new();
    terms(&folded, |term| {
        if !found.contains(term.text) {
            found.insert(term.text.to_owned());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_search_01_what_does_not_count_is_folded_away() {
        for (text, folded) in [
            ("Deploy", "deploy"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("café", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("Ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
            ("don’t", "don't"),
            ("a – b", "a - b"),
            ("“so”", "\"so\""),
            ("a \n\t b\u{a0}c", "a b c"),
            ("  begins", "begins"),
            ("ΟΔΟΣ οδος οδός", "οδοσ οδοσ οδοσ"),
            ("İstanbul ılık", "istanbul ilik"),
            ("ﬁne", "fine"),
            ("soft\u{ad}ware", "software"),
            ("👍🏽\u{fe0f}", "👍🏽"),
            ("がぎ カ\u{3099}", "がぎ ガ"),
            ("한국", "한국"),
            ("Ёлка", "елка"),
        ] {
            assert_eq!(fold(text), folded.nfc().collect::<String>(), "{text}");
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_looked_up_by_its_words_signs_and_pairs() {
        for (text, expected) in [
            ("Deploy is done, don't wait", "deploy don done is t wait"),
            ("at 10:30 /var/log/nginx.log", "10 30 at log nginx var"),
            ("🎉 done", "done 🎉"),
            ("設計を見る", "る 計を 設計 を見 見る"),
            ("API設計", "api 計 設計"),
            ("好", "好"),
            ("สวัสดี", "ดี วั สว สด ัส ี"),
            ("हिन्दी", "हिन्दी"),
            ("... --- !?", ""),
        ] {
            let mut terms: Vec<String> = terms_of(text).into_iter().collect();
            let mut expected: Vec<String> = expected.split_whitespace().map(str::to_owned).collect();
            terms.sort();
            expected.sort();
            assert_eq!(terms, expected, "{text}");
        }
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(terms_of(&digits).into_iter().collect::<Vec<_>>(), [&digits[..24]]);
    }

    #[test]
    fn each_folded_character_knows_where_it_comes_from() {
        let mut from = Vec::new();
        fold_each("aße\u{301} x", |c, n| from.push((c, n)));
        assert_eq!(from, [('a', 0), ('s', 1), ('s', 1), ('e', 2), (' ', 4), ('x', 5)]);
    }
}
