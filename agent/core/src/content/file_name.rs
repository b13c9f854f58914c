//! What of a sender's name of a file is harmless: a pure function.

use cipher_broker::limit;

/// Longest name that is made, bytes: behind it there is room for what tells two files of one name apart.
const BYTES: usize = 200;
/// Longest ending that is kept when a name is too long, bytes, with its dot.
const ENDING_BYTES: usize = 16;
/// What a name is when nothing of it is left.
const NAMELESS: &str = "file";
/// Names of devices, whatever their ending and case, for the systems that have them.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// The same, with a digit behind them.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// R-FILE-01: a name of a file in no folder, which hides nothing, steers no terminal, is no option of a command and no
/// device. A harmless name stays what it is.
pub(super) fn harmless(said: &str) -> String {
    // Whoever sends longer names sends no names.
    let said =
        said.get(..said.floor_char_boundary(limit::FILE_NAME_BYTES.saturating_mul(4))).unwrap_or_default();
    let last = said.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    let mut name = String::with_capacity(last.len());
    for c in last.chars().filter(|c| c.is_whitespace() || !is_hidden(*c)) {
        match c {
            c if c.is_whitespace() => {
                if !name.ends_with(' ') {
                    name.push(' ');
                }
            }
            '<' | '>' | ':' | '"' | '|' | '?' | '*' => name.push('_'),
            c => name.push(c),
        }
    }
    let name = shortened(trimmed(&name));
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = NUMBERED_DEVICES.iter().any(|device| {
        stem.strip_prefix(device).is_some_and(|rest| matches!(rest.chars().collect::<Vec<_>>().as_slice(), [c] if c.is_ascii_digit() || "¹²³".contains(*c)))
    });
    if name.is_empty() {
        NAMELESS.to_owned()
    } else if numbered || DEVICES.contains(&stem.as_str()) {
        shortened(&format!("_{name}"))
    } else {
        name
    }
}

/// Without what hides a file, makes it an option, or that some systems drop.
fn trimmed(name: &str) -> &str {
    name.trim_start_matches(['.', '-', '~', ' ']).trim_end_matches(['.', ' '])
}

/// A name that is not too long: its ending stays, if it has one.
fn shortened(name: &str) -> String {
    if name.len() <= BYTES {
        return name.to_owned();
    }
    let ending =
        name.rfind('.').and_then(|dot| name.get(dot..)).filter(|ending| ending.len() <= ENDING_BYTES);
    let ending = ending.unwrap_or_default();
    let room = name.floor_char_boundary(BYTES.saturating_sub(ending.len()));
    format!("{}{ending}", trimmed(name.get(..room).unwrap_or_default()))
}

/// Characters that are not seen, or change how others are seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
                | '\u{f0000}'..='\u{10ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_file_01_of_a_senders_name_only_what_is_harmless_is_left() {
        for (said, name) in [
            ("notes.txt", "notes.txt"),
            ("Bericht 2026 (1).pdf", "Bericht 2026 (1).pdf"),
            ("写真.jpg", "写真.jpg"),
            ("naïve-file_name+1.tar.gz", "naïve-file_name+1.tar.gz"),
            // In no folder.
            ("/etc/passwd", "passwd"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"),
            ("folder/", "folder"),
            ("..", "file"),
            ("../..", "file"),
            (".", "file"),
            ("/", "file"),
            ("", "file"),
            ("   ", "file"),
            // It hides nothing.
            (".bashrc", "bashrc"),
            ("...x", "x"),
            ("~root", "root"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("in\u{200b}visible\u{feff}.txt", "invisible.txt"),
            ("a\u{e0041}b", "ab"),
            ("\u{2066}x\u{2069}", "x"),
            // It steers no terminal, and is one line.
            ("a\x1b[2Jb", "a[2Jb"),
            ("a\nb\tc", "a b c"),
            ("a\u{2028}b", "a b"),
            ("nul\0byte", "nulbyte"),
            ("a\u{9b}b", "ab"),
            // It is no option.
            ("-rf", "rf"),
            ("--output=x", "output=x"),
            (" -rf ", "rf"),
            // It is no device, no stream, and every system can write it.
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("com1.log", "_com1.log"),
            ("lpt\u{b9}", "_lpt\u{b9}"),
            ("aux .txt", "_aux .txt"),
            ("com10", "com10"),
            ("console.log", "console.log"),
            ("a:b", "a_b"),
            ("what?.txt", "what_.txt"),
            ("a<b>|\"*", "a_b____"),
            ("trailing. . ", "trailing"),
        ] {
            assert_eq!(harmless(said), name, "{said:?}");
        }
    }

    #[test]
    fn r_file_01_a_long_name_is_cut_and_keeps_its_ending() {
        let long = harmless(&format!("{}.tar.gz", "ä".repeat(300)));
        assert!(long.len() <= BYTES && long.ends_with(".gz"), "{long}");
        let all = harmless(&"x".repeat(10_000));
        assert_eq!(all, "x".repeat(BYTES));
        let endless = harmless(&format!("a.{}", "y".repeat(900)));
        assert!(endless.len() <= BYTES, "{endless}");
        let spaces = harmless(&format!("{}{}.pdf", "x".repeat(150), " .".repeat(60)));
        assert!(spaces.len() <= BYTES && !spaces.contains(". .pdf"), "{spaces}");
    }

    /// Whatever is said, the name is one part of a path, and made harmless again it stays the same.
    #[test]
    fn t05_r_file_01_whatever_is_said_the_name_is_one_part_of_a_path() {
        let pieces = [
            "a",
            ".",
            "..",
            "/",
            "\\",
            "-",
            "~",
            " ",
            "\n",
            "\0",
            "\u{202e}",
            "CON",
            "nul",
            "com1",
            ":",
            "*",
            "é",
            "\u{200d}",
            "日",
            ".txt",
            "\u{1b}]0;",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ];
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            let mut said = String::new();
            for _ in 0..=(seed >> 60) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                said.push_str(pieces[usize::try_from(seed >> 33).unwrap() % pieces.len()]);
            }
            let name = harmless(&said);
            let path = std::path::Path::new(&name);
            assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(name.as_str()), "{said:?}");
            assert!(!name.starts_with(['.', '-', '~', ' ']) && !name.contains(['/', '\\', '\0']), "{said:?}");
            assert!(!name.is_empty() && name.len() <= BYTES && !name.chars().any(char::is_control));
            assert_eq!(harmless(&name), name, "{said:?}");
        }
    }
}
