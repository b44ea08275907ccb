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
}
