//! The page, used as a person uses it: in a real browser, from a file, with a keyboard.

#[path = "common/chromium.rs"]
mod chromium;
mod common;

use chromium::Browser;
use common::{LONG, ended_in, recorded, scratch, trace};
use seamcheck_traces::{Evidence, Trace, page};
use std::path::{Path, PathBuf};

const NO_COMPLAINTS: [String; 0] = [];

/// A page that the program wrote, and its trace.
fn written(name: &str) -> (PathBuf, Trace) {
    let (directory, text) = recorded(name, LONG);
    let ended = trace(&directory, &["trace.json", "--html", "page.html"]);
    assert_eq!(
        (ended.status, ended.out.as_str()),
        (Some(0), ""),
        "{}",
        ended.err
    );
    let trace = Trace::from_json(&text).expect("a trace");
    (directory.join("page.html"), trace)
}

fn selected(browser: &mut Browser) -> u64 {
    let rows = browser.value("document.querySelectorAll('[aria-selected=true]').length");
    assert_eq!(rows, 1, "one step is selected");
    let step = browser.text("document.querySelector('[aria-selected=true]').dataset.step");
    let heading = browser.text("document.querySelector('#details h2').textContent");
    assert!(
        heading.starts_with(&format!("Step {step} of ")),
        "{heading}"
    );
    step.parse().expect("a number")
}

fn rows(browser: &mut Browser) -> u64 {
    let count = browser.value("document.querySelectorAll('.row').length");
    count.as_u64().expect("a number")
}

#[test]
fn the_page_is_read_with_the_keyboard_and_asks_nobody_for_anything() {
    let Some(mut browser) = Browser::start("page-keys-browser") else {
        return;
    };
    let (path, trace) = written("page-keys");
    let steps = trace.steps.len() as u64;
    let busy = seamcheck_traces::moment::busy_steps(&trace);
    let (first, last) = (busy[0] as u64, busy[busy.len() - 1] as u64);
    browser.resize(1400, 1000);
    browser.open(&path, "");
    assert_eq!(selected(&mut browser), last);
    assert_eq!(
        browser.value("scrollY"),
        0,
        "what it comes to is read first"
    );
    let short = rows(&mut browser);
    assert!(short < steps);
    for (key, step) in [
        ("v", steps),
        ("g", 4),
        ("b", first),
        ("b", last),
        ("B", first),
    ] {
        browser.press(key);
        assert_eq!(selected(&mut browser), step, "{key}");
        assert_eq!(browser.text("location.hash"), format!("#s={step}"), "{key}");
    }
    // From the BUSY to the step that took the lock.
    browser.press("o");
    assert_eq!(selected(&mut browser), 13);
    browser.press("ArrowDown");
    assert_eq!(selected(&mut browser), 14);
    browser.press("k");
    assert_eq!(selected(&mut browser), 13);
    browser.press("d");
    assert_eq!(rows(&mut browser), steps);
    browser.press("d");
    assert_eq!(rows(&mut browser), short);
    browser.press("?");
    assert_eq!(browser.value("document.getElementById('help').open"), true);
    browser.press("Escape");
    browser.wait_for("!document.getElementById('help').open");
    assert_eq!(browser.complaints(), NO_COMPLAINTS);
}

#[test]
fn a_step_is_found_by_its_link_by_search_by_agent_and_by_field() {
    let Some(mut browser) = Browser::start("page-find-browser") else {
        return;
    };
    let (path, trace) = written("page-find");
    browser.resize(1400, 1000);
    // A step that the trace in short leaves out.
    browser.open(&path, "#s=12");
    assert_eq!(selected(&mut browser), 12);
    assert_eq!(rows(&mut browser), trace.steps.len() as u64);
    browser.value("location.hash = '#s=42'");
    browser.wait_for("document.querySelector('#details h2').textContent.startsWith('Step 42 ')");
    assert_eq!(selected(&mut browser), 42);
    browser.open(&path, "#s=9999");
    assert_eq!(selected(&mut browser), trace.steps.len() as u64);
    browser.open(&path, "#s=1&q=%00&f=no.such&hide=nobody");
    assert_eq!(
        rows(&mut browser),
        0,
        "no step changes a field that does not exist"
    );

    browser.open(&path, "#s=4");
    browser.typed("/cmpxchg");
    browser.press("Enter");
    assert_eq!(selected(&mut browser), 67);
    assert_eq!(
        browser.text("document.getElementById('found').textContent"),
        "1 of 1"
    );
    assert_eq!(browser.text("location.hash"), "#s=67&q=cmpxchg");
    browser.press("Escape");
    assert_eq!(browser.text("location.hash"), "#s=67");

    // The second agent's steps hidden: only the zapper's are left.
    browser.press("2");
    let others = "[...document.querySelectorAll('.row')].filter((row) => !row.ariaLabel.includes(', zapper,')).length";
    assert_eq!(browser.value(others), 0);
    assert!(rows(&mut browser) > 5);
    browser.press("2");
    // The history of one field.
    browser.value(
        "const f = document.getElementById('field'); f.value = 'wait_for_sept_zap'; \
         f.dispatchEvent(new Event('change'))",
    );
    assert_eq!(rows(&mut browser), 1);
    assert_eq!(selected(&mut browser), 66);
    assert_eq!(browser.complaints(), NO_COMPLAINTS);
}

#[test]
fn the_panel_says_what_changed_what_was_asked_who_holds_what_and_who_waits() {
    let Some(mut browser) = Browser::start("page-panel-browser") else {
        return;
    };
    let (path, trace) = written("page-panel");
    browser.open(&path, "#s=82");
    let panel = browser.text("document.getElementById('details').innerText");
    for said in [
        "TDH.MEM.TRACK",
        "tdh_mem_track.c",
        "0x80000200000000a9 = TDX_OPERAND_BUSY | TD_EPOCH",
        "✓ true: a vCPU holds TD_EPOCH against exclusive",
        "held since step 80",
        "vCPU 0: release TD_EPOCH",
    ] {
        assert!(panel.contains(said), "{said}: {panel}");
    }
    let row = "document.querySelector('#details tr.against').innerText";
    assert!(browser.text(row).starts_with("✗\tTD_EPOCH\tshared\tvCPU 0"));
    browser.open(&path, "#s=66");
    let panel = browser.text("document.getElementById('details').innerText");
    assert!(
        panel.contains("− false") && panel.contains("+ true"),
        "{panel}"
    );
    // Every link between steps is an arrow of two strokes.
    let arrows = browser.value("document.querySelectorAll('#arrows path').length");
    assert_eq!(arrows, 2 * seamcheck_traces::links(&trace).len());
    assert_eq!(browser.complaints(), NO_COMPLAINTS);
}

#[test]
fn the_page_can_be_read_in_the_dark_on_a_phone_on_paper_and_by_a_screen_reader() {
    let Some(mut browser) = Browser::start("page-looks-browser") else {
        return;
    };
    let (path, trace) = written("page-looks");
    let pictures = scratch("page-pictures");
    let keep = |name: &str, bytes: &[u8]| {
        std::fs::write(pictures.join(name), bytes).expect("it can be written");
    };
    browser.resize(1400, 1000);
    browser.open(&path, "");
    let light = browser.screenshot();
    keep("light.png", &light);
    let paper = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.text(paper), "rgb(255, 255, 255)");
    browser.press("t");
    assert_ne!(browser.text(paper), "rgb(255, 255, 255)");
    let dark = browser.screenshot();
    keep("dark.png", &dark);
    assert!(light != dark && light.starts_with(b"\x89PNG"));

    browser.resize(360, 740);
    browser.open(&path, "#s=66");
    keep("360.png", &browser.screenshot());
    assert_eq!(browser.value("document.documentElement.scrollWidth"), 360);
    let hidden = "const r = document.querySelector('[aria-selected=true]').getBoundingClientRect(); \
                  r.bottom > document.getElementById('details').getBoundingClientRect().top";
    assert_eq!(
        browser.value(hidden),
        false,
        "the panel covers the selected step"
    );

    browser.resize(1400, 1000);
    let printed = browser.printed();
    keep("printed.pdf", &printed);
    assert!(printed.starts_with(b"%PDF"));

    // Every step is an option with a label of its own, and no control is without a name.
    let labels = browser.value(
        "new Set([...document.querySelectorAll('[role=option]')].map((row) => row.ariaLabel)).size",
    );
    assert_eq!(labels, rows(&mut browser));
    let nameless = "[...document.querySelectorAll('button, input, select')].filter((control) => \
                    !control.textContent.trim() && !control.closest('label')).length";
    assert_eq!(browser.value(nameless), 0);
    assert!(
        browser
            .text("document.getElementById('status').textContent")
            .starts_with("Step 66")
    );
    assert!(trace.steps.len() > 80);
    assert_eq!(browser.complaints(), NO_COMPLAINTS);
}

/// The trace's steps over and over, until there are a thousand.
fn thousand(trace: &Trace) -> Trace {
    let mut long = trace.clone();
    long.steps = trace.steps.iter().cycle().take(1000).cloned().collect();
    long
}

fn open_page(browser: &mut Browser, name: &str, trace: &Trace) {
    let path = scratch(name).join("page.html");
    std::fs::write(&path, page(trace, Evidence::NotExecuted)).expect("it can be written");
    browser.open(Path::new(&path), "");
}

#[test]
fn a_thousand_steps_are_all_there_at_once_and_keys_still_work() {
    let Some(mut browser) = Browser::start("page-thousand-browser") else {
        return;
    };
    let long = thousand(&written("page-thousand-source").1);
    assert!(page(&long, Evidence::Executed).len() <= 150_000);
    open_page(&mut browser, "page-thousand", &long);
    browser.press("d");
    assert_eq!(rows(&mut browser), 1000);
    browser.press("G");
    assert_eq!(selected(&mut browser), 1000);
    let visible = "const r = document.querySelector('[aria-selected=true]').getBoundingClientRect(); \
                   r.top >= 0 && r.bottom <= innerHeight";
    assert_eq!(browser.value(visible), true);
    assert!(
        browser
            .text("document.body.innerText")
            .contains("Not executed again")
    );
    assert_eq!(browser.complaints(), NO_COMPLAINTS);
}

#[test]
fn a_trace_full_of_markup_is_shown_as_text_and_nothing_of_it_runs() {
    let Some(mut browser) = Browser::start("page-hostile-browser") else {
        return;
    };
    let mut hostile = written("page-hostile-source").1;
    let evil =
        "</script><img src=x onerror=alert(1)><script>document.title='owned'</script>{{7*7}}";
    hostile.check = Some(evil.into());
    hostile.verdict.reason = evil.into();
    hostile.agents[0].name = evil.into();
    for step in &mut hostile.steps {
        (step.name, step.anchor.function) = (evil.into(), evil.into());
        step.status_name = Some(evil.into());
    }
    open_page(&mut browser, "page-hostile", &hostile);
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.value("document.scripts.length"), 2);
    assert!(
        browser
            .text("document.querySelector('h1').textContent")
            .contains("<img src=x")
    );
    assert!(
        browser
            .text("document.querySelector('.row').textContent")
            .contains(evil)
    );
    assert_ne!(browser.text("document.title"), "owned");
    assert_eq!(browser.complaints(), NO_COMPLAINTS);
    // And what is put there by other means does not run either.
    browser.value("document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = \"owned\"' }))");
    assert_ne!(browser.text("document.title"), "owned");
    assert_ne!(
        browser.complaints(),
        NO_COMPLAINTS,
        "the policy refuses it aloud"
    );
}

#[test]
fn the_list_of_a_runs_traces_leads_to_each_of_them() {
    let Some(mut browser) = Browser::start("page-index-browser") else {
        return;
    };
    let directory = scratch("page-index");
    let run = ["run", "claim-init-vcpu", "M06/tso", "--traces", "traces"];
    assert_eq!(ended_in(&directory, &run).status, Some(0));
    browser.open(&directory.join("traces/index.html"), "");
    assert_eq!(
        browser.value("document.querySelectorAll('tbody tr').length"),
        3
    );
    browser.value("document.querySelector('tbody a').click()");
    browser.wait_for("document.querySelectorAll('.row').length > 5");
    assert!(browser.text("location.pathname").ends_with(".html"));
    assert_eq!(
        browser.complaints().len(),
        1,
        "the page that the link leads to"
    );
}
