//! Strings from a trace, safe to print: no character that moves a cursor, hides or reorders text.

/// The text with every control, formatting and line-breaking character spelt out as `\u{1b}`.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// False for controls, and for what Unicode calls format characters: bidirectional overrides,
/// zero-width marks, tags, line and paragraph separators.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_or_turns_text_round_is_spelt_out() {
        assert_eq!(clean("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(clean("a\nb\u{202e}c"), "a\\u{a}b\\u{202e}c");
        assert_eq!(clean("TDH.MEM.TRACK é → ✓"), "TDH.MEM.TRACK é → ✓");
    }
}
