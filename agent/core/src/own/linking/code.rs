//! The code of a link, as a machine shows it and a person types or scans it.

use cipher_api::view::LinkCodeView;
use cipher_api::{Advice, ErrorKind, Result};

use crate::state::LinkingRow;

/// Letters of a code: base32 as by Crockford, which leaves out what looks like something else.
pub(super) const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SCHEME: &str = "cipher-chat:link/";

/// Reads a code as a person types or scans it.
pub(super) fn read_code(text: &str) -> Result<String> {
    let text = text.trim();
    let text = text.strip_prefix(SCHEME).unwrap_or(text);
    let letters: Option<Vec<char>> = text
        .chars()
        .filter(|letter| !matches!(letter, '-' | ' '))
        .map(|letter| match letter.to_ascii_lowercase() {
            'o' => Some('0'),
            'i' | 'l' => Some('1'),
            letter => u8::try_from(letter).ok().filter(|byte| LETTERS.contains(byte)).map(char::from),
        })
        .collect();
    match letters.as_deref() {
        Some(letters @ [_, _, _, _, _, _, _, _]) => {
            let (first, last) = letters.split_at(4);
            Ok(format!("{}-{}", first.iter().collect::<String>(), last.iter().collect::<String>()))
        }
        _ => Err(ErrorKind::Misuse
            .because("this is not a code for linking a device: it has eight letters and digits")
            .hint(Advice::LinkCodeForm)),
    }
}

pub(super) fn code_view(row: &LinkingRow) -> LinkCodeView {
    LinkCodeView { code: row.code.clone(), uri: format!("{SCHEME}{}", row.code), expires: row.expires }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for text in ["4k7x-m2pq", "4K7XM2PQ", " 4k7x m2pq ", "cipher-chat:link/4k7x-m2pq"] {
            assert_eq!(read_code(text).unwrap(), "4k7x-m2pq", "{text}");
        }
        assert_eq!(read_code("OIL0-1111").unwrap(), "0110-1111");
        for text in ["", "4k7x", "4k7x-m2pqq", "4k7x-m2pu", "4k7x-m2p\u{442}", "cipher-chat:join/4k7x-m2pq"] {
            assert_eq!(read_code(text).unwrap_err().kind, ErrorKind::Misuse, "{text}");
        }
    }
}
