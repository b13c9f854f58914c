//! QR codes for terminals: two modules per character, by half blocks.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around a code: scanners want four, and find it with two on a terminal.
const MARGIN: i32 = 2;

/// The text as a QR code, one line per two rows; `None` when it is too long for one.
///
/// Lit parts are the light ones, so that the code is right on a dark terminal, and inverted on a light one, which
/// scanners read too.
pub fn half_blocks(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let end = code.size().checked_add(MARGIN)?;
    let light = |x: i32, y: i32| y < end && !code.get_module(x, y);
    let mut lines = Vec::new();
    let mut y = -MARGIN;
    while y < end {
        let line: String = (-MARGIN..end)
            .map(|x| match (light(x, y), light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        lines.push(line);
        y += 2;
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_has_its_three_corners_and_a_light_margin() {
        let shown = half_blocks("cipher-chat:link/abcd-efgh").expect("short enough");
        let rows: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
        let width = rows[0].len();
        assert!(rows.iter().all(|row| row.len() == width));
        assert_eq!(rows.len(), width.div_ceil(2));
        assert!(rows[0].iter().all(|&c| c == '█'), "the margin");
        // The dark frame of a finder pattern: seven modules, then a light one.
        let dark = |row: &[char], at: usize| row[at..at + 7].iter().all(|&c| c == ' ' || c == '▄');
        assert!(dark(&rows[1], 2) && dark(&rows[1], width - 9));
        assert_eq!(half_blocks(&"x".repeat(4000)), None);
    }
}
