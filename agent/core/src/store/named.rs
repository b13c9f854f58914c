//! Rows that are found by a name: their key has the keyed hash of it, and the name itself lies sealed with the row.

/// A row with its name in front.
pub(crate) fn join(name: &str, row: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &[0], row].concat()
}

/// The name of a row, and the row. `None` for what has none.
pub(crate) fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (name, row) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(name).ok()?, row.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_with_its_name() {
        for (name, row) in [("clerk", b"row\0s".as_slice()), ("", b""), ("ä b", b"\0")] {
            assert_eq!(split(&join(name, row)), Some((name, row)));
        }
        assert_eq!(split(b"none"), None);
    }
}
