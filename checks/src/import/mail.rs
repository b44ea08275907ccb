//! From a file to lines of text: mailboxes, MIME, and what archives and mailers do to a patch.

use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use regex::Regex;

/// More is refused: no patch mail is as large.
pub const MAX_BYTES: usize = 16 << 20;

/// A text that was found: a mail's body, an attachment, or a whole file that is no mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The mail's subject, if it is one.
    pub subject: Option<String>,
    /// The mail's Message-ID, if it is one.
    pub message_id: Option<String>,
    /// Its lines.
    pub lines: Vec<TextLine>,
    /// Of a text that says it is format=flowed: its lines as they came. Some mailers say so of a patch
    /// that they left alone.
    pub unflowed_from: Option<Vec<TextLine>>,
    /// What had to be undone, or could have done harm, in words.
    pub notes: Vec<&'static str>,
}

/// A line, taken out of its quotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextLine {
    /// How often it is quoted.
    pub quoted: usize,
    /// What is left of it.
    pub text: String,
}

/// The texts in a file: every mail of a mailbox, every text part of a mail, or the file itself.
#[must_use]
pub fn texts(bytes: &[u8]) -> Vec<Text> {
    if bytes.starts_with(b"From ") {
        let mails = MessageIterator::new(bytes).filter_map(Result::ok);
        return mails
            .flat_map(|mail| of_mail(&mail.unwrap_contents()))
            .collect();
    }
    if looks_like_mail(bytes) {
        return of_mail(bytes);
    }
    vec![of_text(&String::from_utf8_lossy(bytes), Text::default())]
}

/// Header fields up to an empty line, one of them that every mail has.
fn looks_like_mail(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]);
    let fields: Vec<&str> = head
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .collect();
    let is_field = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        line.starts_with([' ', '\t']) || (is_name && line.contains(':'))
    };
    let named = |name: &str| {
        fields.iter().any(|line| {
            let start = line.get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        })
    };
    let known = [
        "from:",
        "subject:",
        "message-id:",
        "content-type:",
        "mime-version:",
    ];
    fields.iter().all(is_field) && known.iter().any(|name| named(name))
}

fn of_mail(bytes: &[u8]) -> Vec<Text> {
    let Some(mail) = MessageParser::default().parse(bytes) else {
        return vec![of_text(&String::from_utf8_lossy(bytes), Text::default())];
    };
    let mut found = Vec::new();
    parts(&mail, 0, &mut found);
    found
}

/// Every part that is text; the HTML twin of a plain text is left out.
fn parts(mail: &Message<'_>, depth: usize, found: &mut Vec<Text>) {
    const DEEPEST: usize = 8;
    let about = || Text {
        subject: mail.subject().map(str::to_owned),
        message_id: mail.message_id().map(str::to_owned),
        ..Text::default()
    };
    let has_plain = mail
        .parts
        .iter()
        .any(|part| matches!(part.body, PartType::Text(_)));
    for part in &mail.parts {
        match &part.body {
            PartType::Text(text) => {
                let mut about = about();
                let kind = part.content_type();
                let flowed = kind.and_then(|kind| kind.attribute("format"));
                if flowed.is_some_and(|format| format.eq_ignore_ascii_case("flowed")) {
                    about
                        .notes
                        .push("format=flowed: soft line breaks were undone");
                    let mut joined = of_text(&unflowed(text), about);
                    joined.unflowed_from = Some(of_text(text, Text::default()).lines);
                    found.push(joined);
                } else {
                    found.push(of_text(text, about));
                }
            }
            PartType::Html(html) if !has_plain => {
                found.push(of_text(html, about()));
            }
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                // A patch attached as application/octet-stream.
                if let Ok(text) = std::str::from_utf8(bytes) {
                    found.push(of_text(text, about()));
                }
            }
            PartType::Message(inner) if depth < DEEPEST => parts(inner, depth + 1, found),
            _ => {}
        }
    }
}

/// RFC 3676: a line that ends in a blank goes on in the next; a line's first blank is stuffing.
fn unflowed(text: &str) -> String {
    let mut out = String::new();
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let quoted = line.bytes().take_while(|byte| *byte == b'>').count();
        let body = &line[quoted..];
        let body = body.strip_prefix(' ').unwrap_or(body);
        if open == Some(quoted) {
            out.push_str(body);
        } else {
            if open.is_some() {
                out.push('\n');
            }
            out.push_str(&">".repeat(quoted));
            if quoted > 0 {
                out.push(' ');
            }
            out.push_str(body);
        }
        // "-- " is the signature's, not a soft break.
        open = (body.ends_with(' ') && body != "-- ").then_some(quoted);
        if open.is_none() {
            out.push('\n');
        }
    }
    out
}

fn of_text(text: &str, mut about: Text) -> Text {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    if is_page(&text) {
        about.notes.push("HTML: tags were taken out");
        text = without_tags(&text);
    }
    if has_entities(&text) {
        about.notes.push("HTML entities were decoded");
        text = html_escape::decode_html_entities(&text).into_owned();
    }
    if text.contains('\u{a0}') {
        about
            .notes
            .push("non-breaking blanks were taken for blanks");
        text = text.replace('\u{a0}', " ");
    }
    about.lines = text.split('\n').map(unquoted).collect();
    about
}

fn is_page(text: &str) -> bool {
    let head: String = text
        .chars()
        .take(1 << 12)
        .collect::<String>()
        .to_ascii_lowercase();
    ["<html", "<!doctype html", "<pre", "<body"]
        .iter()
        .any(|tag| head.contains(tag))
}

/// Only names that HTML has: `a < b` stays what it is.
fn without_tags(text: &str) -> String {
    let pattern = r"(?is)<(script|style)\b.*?</(script|style)>|</?(!doctype|html|head|body|title|meta|link|pre|a|b|i|u|p|div|span|br|hr|h[1-6]|font|table|tr|td|th|tbody|ul|ol|li|tt|code|em|strong|form|input|blockquote)\b[^>]*>";
    let Ok(tags) = Regex::new(pattern) else {
        unreachable!("the pattern is fixed")
    };
    tags.replace_all(text, "").into_owned()
}

/// Escaped at least twice: one may stand in the C of a patch.
fn has_entities(text: &str) -> bool {
    let all = [
        "&gt;", "&lt;", "&amp;", "&quot;", "&#39;", "&#34;", "&nbsp;",
    ];
    all.iter()
        .map(|entity| text.matches(entity).count())
        .sum::<usize>()
        > 1
}

fn unquoted(line: &str) -> TextLine {
    let (mut rest, mut quoted) = (line, 0);
    // A mailer's mark is `>`, and one blank behind it.
    while let Some(inner) = rest.strip_prefix('>') {
        quoted += 1;
        rest = match inner.strip_prefix(' ') {
            Some(after) if after.starts_with('>') => after,
            _ => inner,
        };
    }
    if quoted > 0 {
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    TextLine {
        quoted,
        text: rest.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(texts: &[Text]) -> Vec<String> {
        let lines = texts.iter().flat_map(|text| &text.lines);
        lines.map(|line| line.text.clone()).collect()
    }

    #[test]
    fn a_file_that_is_no_mail_is_one_text() {
        let found = texts(b"just\r\ntext: with a colon\n");
        assert_eq!(found.len(), 1);
        assert_eq!(plain(&found), ["just", "text: with a colon", ""]);
        assert_eq!(found[0].subject, None);
    }

    #[test]
    fn encodings_are_undone() {
        let head = "From: a@b.c\nSubject: one\nMessage-ID: <x@y>\nMIME-Version: 1.0\n";
        let printable = format!(
            "{head}Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\na =3D b=20\nlong =\nline\n"
        );
        let found = texts(printable.as_bytes());
        assert_eq!(plain(&found)[..2], ["a = b", "long line"]);
        assert_eq!(found[0].message_id.as_deref(), Some("x@y"));
        let base64 = format!(
            "{head}Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nYSA9IGIKYyA9IGQK\n"
        );
        assert_eq!(plain(&texts(base64.as_bytes()))[..2], ["a = b", "c = d"]);
    }

    #[test]
    fn flowed_lines_are_joined_and_their_stuffing_removed() {
        let mail = "From: a@b.c\nContent-Type: text/plain; format=flowed\n\none \ntwo\n  three\n> four \n> five\n-- \nsix\n";
        let found = texts(mail.as_bytes());
        assert_eq!(plain(&found)[..4], ["one two", " three", "four five", "--"]);
        assert_eq!(found[0].lines[2].quoted, 1);
    }

    #[test]
    fn a_mailbox_is_taken_apart() {
        let mbox = "From x Mon Jan 1 00:00:00 2025\nSubject: one\n\nbody one\n\nFrom x Mon Jan 1 00:00:00 2025\nSubject: two\n\nbody two\n";
        let found = texts(mbox.as_bytes());
        let subjects: Vec<_> = found.iter().map(|text| text.subject.as_deref()).collect();
        assert_eq!(subjects, [Some("one"), Some("two")]);
    }

    #[test]
    fn a_page_of_an_archive_loses_its_tags_and_entities_and_keeps_its_columns() {
        let page = "<html><body><pre>&gt; a   &lt;b&gt;\nif (a < b && c)</pre>";
        let found = texts(page.as_bytes());
        assert_eq!(plain(&found), ["a   <b>", "if (a < b && c)"]);
        assert_eq!(found[0].lines[0].quoted, 1);
    }

    #[test]
    fn quotation_is_counted_and_taken_off() {
        for (line, quoted, text) in [
            ("> > +\tfoo", 2, "+\tfoo"),
            (">>  context", 2, " context"),
            (">", 1, ""),
            ("a > b", 0, "a > b"),
        ] {
            assert_eq!(
                unquoted(line),
                TextLine {
                    quoted,
                    text: text.into()
                },
                "{line}"
            );
        }
    }
}
