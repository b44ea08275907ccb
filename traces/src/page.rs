//! The trace as one HTML file: no server, no request, opens from disk.
//!
//! What stands around the steps is built by maud, which escapes every string. The steps are data in
//! a block that no browser executes, drawn by a script of ours that never parses markup. A
//! content-security policy admits that script and that style sheet, by their hashes, and nothing
//! else. See docs/adr/0007-the-page.md.

mod data;
mod index;

use crate::brief::brief;
use crate::clean::clean;
use crate::format::Evidence;
use crate::race::race;
use crate::schema::Trace;
use crate::text::{question, title};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub use index::{Entry, index};

/// A longer trace is not written twice, for those without scripts.
const LONG: usize = 300;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// The trace as one self-contained HTML file.
#[must_use]
pub fn page(trace: &Trace, evidence: Evidence) -> String {
    let body = html! {
        header {
            h1 { (title(trace)) }
            @if let Some(warning) = evidence.warning() {
                p.warning role="alert" { strong { (warning) } }
            }
            p.reason { (clean(&trace.verdict.reason)) }
            details {
                summary { "What was asked" }
                dl { @for (name, value) in question(trace) { dt { (name) } dd { (value) } } }
            }
        }
        nav #brief aria-label="In brief" {
            h2 { "In brief" }
            ol {
                @for said in brief(trace) {
                    li { a href={ "#s=" (said.step) } { "step " (said.step) } " " (clean(&said.text)) }
                }
            }
        }
        (toolbar())
        main {
            section #lanes aria-label="Steps, time downwards" {
                div #heads {}
                ol #steps role="listbox" tabindex="0" aria-label="Steps" {}
            }
            aside #details aria-label="The selected step" {}
        }
        p #status role="status" aria-live="polite" {}
        (help())
        noscript {
            p { "The lanes need scripts." }
            @if trace.steps.len() <= LONG { p { "Here is the race:" } pre { (race(trace)) } }
        }
        script #trace type="application/json" { (PreEscaped(data::json(trace))) }
    };
    document(&title(trace), body, Some(SCRIPT))
}

fn toolbar() -> Markup {
    html! {
        div #toolbar role="toolbar" aria-label="Find and filter" {
            button #previous type="button" title="k" { "Previous" }
            button #next type="button" title="j" { "Next" }
            button #busy type="button" title="b" { "Next BUSY" }
            button #verdict type="button" title="v" { "Verdict" }
            label { input #all type="checkbox"; " every step" }
            label { "Search " input #search type="search" autocomplete="off" spellcheck="false"; }
            span #found {}
            label { "Field " select #field { option value="" { "any" } } }
            fieldset #agents { legend { "Agents" } }
            button #theme type="button" title="t" { "Light or dark" }
            button #keys type="button" title="?" { "Keys" }
        }
    }
}

/// Each key and what it does; the terminal viewer has the same.
const KEYS: [(&str, &str); 12] = [
    ("j k ↓ ↑", "next and previous step"),
    ("PgDn PgUp", "ten steps on and back"),
    ("g G", "first and last step"),
    ("b B", "next and previous BUSY"),
    ("v", "the step that decides the verdict"),
    ("l", "where the loop begins"),
    ("o", "the step this one follows from"),
    ("d", "every step, or the trace in short"),
    ("/ n N", "search, next and previous match"),
    ("f 1 … 9", "filter by field, show and hide an agent"),
    ("t", "light or dark"),
    ("? Esc", "these keys; close, clear the search"),
];

fn help() -> Markup {
    html! {
        dialog #help aria-label="Keys" {
            h2 { "Keys" }
            dl { @for (key, about) in KEYS { dt { kbd { (key) } } dd { (about) } } }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// A document that may run `script` and use our style sheet, and may do nothing else.
fn document(title: &str, body: Markup, script: Option<&str>) -> String {
    let script_source = script.map_or("'none'".to_owned(), hash);
    let policy = format!(
        "default-src 'none'; script-src {script_source}; style-src {}; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE)
    );
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) " - seamcheck" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    };
    whole.into_string() + "\n"
}

/// A source expression of the policy.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests;
