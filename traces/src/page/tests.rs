use super::*;
use crate::fixtures::{self, Script, generated};

/// Everything a browser may be led astray by.
const EVIL: &str = "</script><script>alert(1)</script><!--\" onload='x' &amp; \u{2028}\u{202e}";

/// A trace all of whose strings are `text`.
fn full_of(text: &str) -> Trace {
    let mut trace = fixtures::second_block_is_busy();
    trace.tool = text.into();
    trace.check = Some(text.into());
    trace.question.kernel.name = text.into();
    trace.question.property_text = text.into();
    trace.verdict.reason = text.into();
    trace.agents[0].name = text.into();
    for step in &mut trace.steps {
        (step.name, step.anchor.function, step.anchor.file) =
            (text.into(), text.into(), text.into());
        (step.status, step.status_name) = (Some(text.into()), Some(text.into()));
    }
    trace
}

#[test]
fn no_string_of_a_trace_becomes_markup() {
    let (plain, page) = (
        page(&full_of("harmless"), Evidence::Executed),
        page(&full_of(EVIL), Evidence::Executed),
    );
    for tag in ["<script", "</script", "<!--", "<"] {
        let count = |page: &str| page.matches(tag).count();
        assert_eq!(count(&plain), count(&page), "{tag}");
    }
    assert!(!page.contains(['\u{2028}', '\u{202e}']));
}

#[test]
fn the_policy_admits_our_script_and_style_and_nothing_else() {
    let page = page(&full_of(EVIL), Evidence::Executed);
    let (_, policy) = page
        .split_once("Content-Security-Policy\" content=\"")
        .unwrap();
    let (policy, _) = policy.split_once('"').unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("script-src {};", hash(SCRIPT))));
    assert!(policy.contains(&format!("style-src {};", hash(STYLE))));
    assert!(!policy.contains("-inline") && !policy.contains("-eval") && !policy.contains('*'));
    // What the policy would refuse is not there in the first place.
    assert!(
        !page.contains(" style=\"") && !page.contains(" src=") && !page.contains("href=\"http")
    );
}

#[test]
fn the_script_never_parses_markup_and_never_asks_for_anything() {
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "XMLHttpRequest",
        "import(",
        "setTimeout(\"",
        "setAttribute(\"style",
    ] {
        assert!(!SCRIPT.contains(word), "{word}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    assert!(!STYLE.contains("animation") && !STYLE.contains("transition"));
}

#[test]
fn a_page_of_a_thousand_steps_is_at_most_150_kilobytes() {
    let mut script = Script::new(&["zapper", "vcpu0", "vcpu1", "ioctl0"]);
    let agents = ["zapper", "vcpu0", "vcpu1", "ioctl0"];
    for number in 0..1000 {
        let (agent, round) = (agents[number % 4], number / 4);
        let lock = format!("LOCK_{}", (round / 3 + number) % 23);
        script.under(agent, &format!("TDH.FUNCTION.{}", number % 37));
        script.step(&format!("acquire LOCK_{} exclusive", number % 23));
        let mode = format!("{agent}.mode");
        match round % 3 {
            0 => drop(script.hold(&lock, "exclusive")),
            1 => script.change(&mode, "IN_GUEST_MODE", "OUTSIDE_GUEST_MODE"),
            _ => drop(script.release_all(agent)),
        }
        script.guard(&format!("a vCPU holds {lock} against exclusive"), false);
    }
    let length = page(&script.finish("End."), Evidence::Executed).len();
    assert!(length <= 150_000, "{length} bytes");
}

#[test]
fn a_page_says_whether_its_trace_was_executed() {
    let trace = fixtures::second_block_is_busy();
    let warns = |evidence| page(&trace, evidence).contains("Not executed again");
    assert!(warns(Evidence::NotExecuted) && !warns(Evidence::Executed));
}

#[test]
fn every_trace_makes_a_page_whose_data_is_json() {
    for seed in 0..50 {
        let page = page(&generated(seed), Evidence::Executed);
        let (_, data) = page.split_once("type=\"application/json\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert!(data["steps"].is_array());
    }
}
