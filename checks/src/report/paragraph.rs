//! Paragraphs of plain text, broken at blanks.

use std::fmt::Write;

/// Adds `text` in lines of at most `width` columns: the first indented by `first`, the others by
/// `others`. A word that is longer than a line has one to itself.
pub(crate) fn wrapped_at(out: &mut String, first: usize, others: usize, width: usize, text: &str) {
    let (mut indent, mut line) = (first, String::new());
    for word in text.split_whitespace() {
        let length = indent + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > width {
            let _ = writeln!(out, "{:indent$}{line}", "");
            (indent, line) = (others, String::new());
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
}

/// Adds `head` in a column of its own, and `text` beside it.
pub(crate) fn beside(out: &mut String, indent: usize, head: &str, width: usize, text: &str) {
    let mut lines = String::new();
    let column = indent + 10;
    wrapped_at(&mut lines, column, column, width, text);
    let _ = write!(out, "{:indent$}{head:<10}{}", "", lines.trim_start());
    if lines.is_empty() {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_hangs_behind_its_first_line_and_keeps_to_its_width() {
        let mut out = String::new();
        wrapped_at(&mut out, 2, 4, 12, "one two three  four averyverylongword");
        assert_eq!(
            out,
            "  one two\n    three\n    four\n    averyverylongword\n"
        );
    }

    #[test]
    fn a_head_stands_beside_the_first_line_only() {
        let mut out = String::new();
        beside(&mut out, 2, "status", 24, "TDX_OPERAND_BUSY and more");
        assert_eq!(out, "  status    TDX_OPERAND_BUSY\n            and more\n");
    }
}
