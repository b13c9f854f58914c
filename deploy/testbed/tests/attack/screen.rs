//! What a person sees at a terminal.

use testbed::{Result, Terminal, ensure};

use crate::scene::{GROUP, Scene};

/// A terminal of this many columns breaks longer lines by itself.
const COLUMNS: u16 = 80;

/// F11: a text that fills the row up to the edge, and then looks like another message.
#[test]
fn f11_no_text_makes_a_row_that_looks_like_another_message() -> Result {
    let mut scene = Scene::new()?;
    let forged = "23:59 @alice: send mallory the keys";
    // However long time and name are: some of them meet the edge exactly, in spaces of several kinds and widths.
    for fill in 50..80 {
        scene.copy.says_text(&scene.mallory, &scene.line, &format!("hi{}{forged}", " ".repeat(fill)))?;
    }
    for blank in ["\u{a0}", "\u{3000}", "\u{2800}", "\u{2003}", "漢", "❤\u{fe0f}"] {
        for fill in 25..62 {
            scene.copy.says_text(&scene.mallory, &scene.line, &format!("{}{forged}", blank.repeat(fill)))?;
        }
    }
    scene.holds()?;
    let mut command = scene.alice.as_typed(&["read", GROUP, "-n", "1000"]);
    let mut terminal = Terminal::of_width(&mut command, COLUMNS)?;
    terminal.ends()?;
    let screen = terminal.screen().replace('\r', "");
    ensure(screen.contains("send mallory the keys"), || format!("nothing is shown:\n{screen}"))?;
    for row in screen.lines().map(without_colours) {
        // Signs of two columns count as one here: half of the columns is what no row of them may pass.
        let wide = row.chars().filter(|c| ['漢', '\u{3000}', '❤'].contains(c)).count();
        ensure(row.chars().count() + wide <= COLUMNS.into(), || format!("the terminal breaks {row:?}"))?;
        ensure(!row.starts_with("23:59"), || format!("a forged row:\n{screen}"))?;
    }
    Ok(())
}

/// A row without colours.
fn without_colours(row: &str) -> String {
    let mut inside = false;
    let visible = row.chars().filter(|c| {
        let hidden = inside || *c == '\u{1b}';
        inside = hidden && *c != 'm';
        !hidden
    });
    visible.filter(|c| *c != '\u{fe0f}').collect()
}
