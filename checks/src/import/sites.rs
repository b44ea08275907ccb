//! From what the lines of a diff do to the protocol's decisions.

use super::diff::{Act, Acted, Diff, Predicate, Side};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::kernel::decisions::BusyPredicate;

/// A decision that a diff shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Its name, as in kernel profiles.
    pub decision: &'static str,
    /// The SEAMCALL it is about, where the decision is made at each of them.
    pub leaf: Option<String>,
    /// As kernel profiles spell it.
    pub value: &'static str,
    /// The function it stands in.
    pub function: String,
    /// Number of its line in the text, from 1.
    pub line: usize,
    /// True for the code before the patch.
    pub is_before: bool,
}

/// The three SEAMCALLs of a page removal.
const ZAP: [&str; 3] = [
    "TDH.MEM.RANGE.BLOCK",
    "TDH.MEM.TRACK",
    "TDH.MEM.PAGE.REMOVE",
];

/// Every decision that a diff shows: first those of the code after the patch. What stood before is
/// reported only where the patch changes it.
#[must_use]
pub fn decided(diff: &Diff) -> Vec<Decided> {
    let after = on_side(diff, Side::New);
    let before = on_side(diff, Side::Old);
    let is_known = |found: &Decided| {
        after.iter().any(|other| {
            other.decision == found.decision
                && other.leaf == found.leaf
                && other.value == found.value
                && other.function == found.function
        })
    };
    let changed: Vec<Decided> = before
        .into_iter()
        .filter(|found| !is_known(found))
        .map(|found| Decided {
            is_before: true,
            ..found
        })
        .collect();
    [after.clone(), changed].concat()
}

/// The decisions of one side's code.
fn on_side(diff: &Diff, side: Side) -> Vec<Decided> {
    let acts: Vec<&Acted> = diff
        .acts
        .iter()
        .filter(|acted| acted.side == side || acted.side == Side::Both)
        .collect();
    let mut found = Vec::new();
    for body in acts.chunk_by(|one, other| one.function == other.function && one.file == other.file)
    {
        // What is there before and after alone shows nothing of the patch.
        if body.iter().any(|acted| acted.side == side) {
            for leaf in ZAP {
                site(body, leaf, &mut found);
            }
            flag(body, &mut found);
            vcpu(body, &mut found);
        }
    }
    let bodies =
        acts.chunk_by(|one, other| one.function == other.function && one.file == other.file);
    for body in bodies.filter(|body| body[0].function == MACRO) {
        for leaf in ZAP.into_iter().filter(|leaf| is_given(&acts, leaf)) {
            in_the_macro(body, leaf, &mut found);
        }
    }
    found
}

/// The macro that tries, kicks and tries again, from 6.19 on.
const MACRO: &str = "tdh_do_no_vcpus";

/// Whether the macro is called with a leaf.
fn is_given(acts: &[&Acted], leaf: &str) -> bool {
    let mut acts = acts.iter();
    acts.any(|acted| matches!(&acted.act, Act::Macro(Some(given)) if given == leaf))
}

/// What the macro's body decides for a leaf that it is called with, where the call does not say it.
fn in_the_macro(body: &[&Acted], leaf: &str, found: &mut Vec<Decided>) {
    let named: Vec<Acted> = body
        .iter()
        .map(|acted| match acted.act {
            Act::CallArgument => Acted {
                act: Act::Call(leaf.to_owned()),
                ..(*acted).clone()
            },
            _ => (*acted).clone(),
        })
        .collect();
    let named: Vec<&Acted> = named.iter().collect();
    let mut own = Vec::new();
    site(&named, leaf, &mut own);
    let is_new = |one: &Decided| {
        let same = |other: &Decided| other.decision == one.decision && other.leaf == one.leaf;
        // The kick in the macro is that of the retry.
        one.decision != "track_kick" && !found.iter().any(same)
    };
    own.retain(is_new);
    found.extend(own);
}

fn push(
    found: &mut Vec<Decided>,
    at: &Acted,
    leaf: Option<&str>,
    decision: &'static str,
    value: &'static str,
) {
    found.push(Decided {
        decision,
        leaf: leaf.map(str::to_owned),
        value,
        function: at.function.clone(),
        line: at.line,
        is_before: false,
    });
}

/// One SEAMCALL that must succeed: how it is tried, what counts as busy, what follows.
fn site(body: &[&Acted], leaf: &str, found: &mut Vec<Decided>) {
    let is_call = |acted: &&Acted| matches!(&acted.act, Act::Call(called) if called == leaf);
    let in_macro = body
        .iter()
        .find(|acted| matches!(&acted.act, Act::Macro(Some(called)) if called == leaf));
    if let Some(at) = in_macro {
        push(found, at, Some(leaf), "on_busy", "kick-and-retry");
        return;
    }
    let calls: Vec<usize> = (0..body.len()).filter(|at| is_call(&body[*at])).collect();
    let Some(first) = calls.first().copied() else {
        return;
    };
    // Up to the next SEAMCALL of another kind.
    let other = |acted: &&Acted| matches!(&acted.act, Act::Call(called) if called != leaf);
    let end = body[first..]
        .iter()
        .position(other)
        .map_or(body.len(), |at| first + at);
    let own = &body[first..end];
    let test = own.iter().find_map(|acted| match acted.act {
        Act::Test(predicate) => Some((acted, predicate)),
        _ => None,
    });
    if let Some((at, predicate)) = test {
        push(found, at, Some(leaf), "busy_predicate", predicate.key());
    }
    let is = |wanted: &[Act]| own.iter().position(|acted| wanted.contains(&acted.act));
    let start = is(&[Act::Start, Act::StoreFlag(true)]);
    let stop = is(&[Act::Stop, Act::StoreFlag(false)]);
    let again = calls
        .get(1)
        .map(|at| at - first)
        .filter(|at| *at < own.len());
    match (start, again) {
        (Some(start), Some(again)) if start < again => {
            push(found, own[start], Some(leaf), "on_busy", "kick-and-retry");
            match stop {
                Some(stop) if stop > again => {
                    push(found, own[stop], Some(leaf), "flag_clear", "after-retry");
                }
                Some(stop) if stop > start => {
                    push(found, own[stop], Some(leaf), "flag_clear", "before-retry");
                }
                _ => {}
            }
        }
        _ => {
            let loops = own.iter().find(|acted| acted.act == Act::While);
            let gives_up = own
                .iter()
                .find(|acted| matches!(acted.act, Act::ReturnError(_)));
            if let (Some(at), Some(_)) = (loops, test) {
                push(found, at, Some(leaf), "on_busy", "retry-without-kick");
            } else if let (Some(at), Some(_)) = (gives_up, test) {
                push(found, at, Some(leaf), "on_busy", "give-up");
            }
        }
    }
    if leaf == "TDH.MEM.TRACK" {
        let last = calls.last().copied().unwrap_or(first);
        let kick = body[last..].iter().find(|acted| acted.act == Act::KickAll);
        if let Some(at) = kick {
            push(found, at, None, "track_kick", "after-track");
        }
    }
}

/// Where the flag is raised: before or after the kick, and which kick it is.
fn flag(body: &[&Acted], found: &mut Vec<Decided>) {
    let position = |act: &Act| body.iter().position(|acted| acted.act == *act);
    let Some(raise) = position(&Act::StoreFlag(true)) else {
        return;
    };
    let (all, one) = (position(&Act::KickAll), position(&Act::KickOne));
    if let Some(kick) = all.or(one) {
        let when = if raise < kick {
            "before-kick"
        } else {
            "after-kick"
        };
        push(found, body[raise], None, "flag_raise", when);
        let which = if all.is_some() {
            "request-wait"
        } else {
            "vcpu-kick"
        };
        push(found, body[kick], None, "kick", which);
    }
}

/// What a vCPU does at the flag, and with a busy TDH.VP.ENTER.
fn vcpu(body: &[&Acted], found: &mut Vec<Decided>) {
    let value = |name: &str| match name {
        "EXIT_HANDLED" => Some("exit-handled"),
        "REENTER_GUEST" => Some("reenter-guest"),
        _ => None,
    };
    let returns = |from: usize| {
        body[from..].iter().find_map(|acted| match &acted.act {
            Act::ReturnFastpath(name) => Some((*acted, value(name)?)),
            _ => None,
        })
    };
    if let Some(load) = body.iter().position(|acted| acted.act == Act::LoadFlag) {
        if body[load].function == "tdx_vcpu_run" {
            push(found, body[load], None, "vcpu_flag_test", "in-tdx-vcpu-run");
        }
        if let Some((at, value)) = returns(load) {
            push(found, at, None, "flag_return", value);
        }
    }
    // A busy status beside a fastpath return, in a function that issues no other SEAMCALL.
    let test = body
        .iter()
        .position(|acted| matches!(acted.act, Act::Test(_)));
    let calls = body.iter().any(|acted| {
        matches!(&acted.act, Act::Call(leaf) if leaf != "TDH.VP.ENTER")
            || matches!(acted.act, Act::Macro(_))
    });
    if let Some(test) = test.filter(|_| !calls)
        && let Some((at, value)) = returns(test)
    {
        push(found, at, Some("TDH.VP.ENTER"), "vp_enter_busy", value);
    }
}

/// What a profile decides, as far as it can be held against what a diff shows.
#[must_use]
pub fn of_profile(decisions: &Decisions, found: &Decided) -> &'static str {
    let value = decisions.get(found.decision).unwrap_or("?");
    let leaf = found.leaf.as_deref();
    if found.decision != "busy_predicate" {
        return value;
    }
    match decisions.busy_predicate {
        // As `System::is_called_busy` has it: TRACK was compared under the mask.
        BusyPredicate::BitTest if leaf == Some("TDH.MEM.TRACK") => Predicate::Masked.key(),
        other => other.key(),
    }
}
