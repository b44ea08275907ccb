//! The list of all traces of a run.

use super::document;
use crate::clean::clean;
use crate::schema::Trace;
use crate::text::title;
use maud::html;

/// One trace of the list, with its files beside the list.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The trace.
    pub trace: &'a Trace,
    /// The name of its JSON file.
    pub json: &'a str,
    /// The name of its page.
    pub page: &'a str,
}

/// The list as one HTML file, in the order given.
#[must_use]
pub fn index(entries: &[Entry<'_>]) -> String {
    let body = html! {
        header {
            h1 { "Counterexamples" }
            p { (entries.len()) " traces, each executed again before it was written." }
        }
        table.index {
            thead { tr {
                th scope="col" { "Trace" } th scope="col" { "Property" }
                th scope="col" { "Steps" } th scope="col" { "What it shows" }
                th scope="col" { "File" }
            } }
            tbody { @for entry in entries { tr {
                td { a href=(relative(entry.page)) { (title(entry.trace)) } }
                td { (clean(&entry.trace.question.property)) }
                td { (entry.trace.steps.len()) }
                td { (clean(&entry.trace.verdict.reason)) }
                td { a href=(relative(entry.json)) { "JSON" } }
            } } }
        }
    };
    document("Counterexamples", body, None)
}

/// A link to a file in the same directory, whatever its name.
fn relative(name: &str) -> String {
    let mut out = String::from("./");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_file_name_stays_a_file_name() {
        assert_eq!(relative("M06.tso.html"), "./M06.tso.html");
        assert_eq!(relative("javascript:x\"/<"), "./javascript%3Ax%22%2F%3C");
    }

    #[test]
    fn every_trace_is_listed_with_its_files() {
        let trace = fixtures::second_block_is_busy();
        let entry = Entry {
            trace: &trace,
            json: "a.json",
            page: "a.html",
        };
        let page = index(&[entry]);
        assert!(page.contains("href=\"./a.json\"") && page.contains("href=\"./a.html\""));
        assert!(page.contains("script-src 'none'"));
    }
}
