//! The model is inside the code: each transition of the packed model, driven through the code.

mod common;

use common::Outcome;
use common::code::{Edge, Graph, Scope, drive, is_ipi_on_its_way, listed, model};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::system::Agent;
use seamcheck_model::threads::{Entry, Event};
use std::collections::BTreeMap;

/// A transition of the model's that has an event.
struct Visible {
    from: u32,
    entry: Entry,
}

fn whole(decisions: Decisions, zaps: u8) -> Outcome<Graph> {
    let scope = Scope {
        zaps,
        ipis_arrive: false,
        shortened: false,
    };
    Ok(Graph::of(model("1.5.05", decisions, 1)?, scope))
}

fn visible(graph: &Graph) -> Vec<Visible> {
    let of = |from: u32| {
        let edges = graph.edges(from);
        edges.filter_map(move |Edge { entry, .. }| entry.map(|entry| Visible { from, entry }))
    };
    (0..graph.len()).flat_map(of).collect()
}

/// What the code can not do of a transition, in words: what was wanted, and what it did.
type Unfollowed = BTreeMap<(String, String), usize>;

/// Drives the code through every transition, each on the shortest way to it.
fn drive_through(graph: &Graph, decisions: Decisions) -> (usize, usize, Unfollowed) {
    let transitions = visible(graph);
    let (mut followed, mut unfollowed) = (0, Unfollowed::new());
    for some in transitions.chunks(20_000) {
        let path = |transition: &Visible| {
            let mut path = graph.path(transition.from);
            path.push(transition.entry);
            path
        };
        let paths: Vec<_> = some.iter().map(path).collect();
        let driven = drive(decisions, 1, &paths);
        for ((transition, path), driven) in some.iter().zip(&paths).zip(driven) {
            let Some((wanted, made)) = driven.instead else {
                assert!(
                    driven.ended && driven.events == path.len(),
                    "{}",
                    listed(path)
                );
                followed += 1;
                continue;
            };
            let explained = driven.events + 1 == path.len()
                && is_ipi_on_its_way(&graph.state(transition.from), wanted, made);
            assert!(
                explained,
                "after {} events: {wanted} wanted, {made:?} made:\n{}",
                driven.events,
                listed(path)
            );
            let text = |entry: Entry| entry.event.to_string();
            let class = (text(wanted), made.map(text).unwrap_or_default());
            *unfollowed.entry(class).or_default() += 1;
        }
    }
    (transitions.len(), followed, unfollowed)
}

/// What is not followed is one thing: an interrupt that ends the guest while the kick's IPI is on its way.
fn on_its_way(times: usize) -> Unfollowed {
    let wanted = "the guest exits: an interrupt".to_owned();
    let made = "the guest exits: the kick's IPI".to_owned();
    Unfollowed::from([((wanted, made), times)])
}

#[test]
fn the_code_can_take_every_transition_of_the_model_within_one_removal() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let graph = whole(decisions, 1)?;
    let (transitions, followed, unfollowed) = drive_through(&graph, decisions);
    assert_eq!((graph.len(), transitions), (22_989, 31_516));
    assert_eq!(unfollowed, on_its_way(transitions - followed));
    assert_eq!(followed, 31_492);
    Ok(())
}

#[test]
fn the_code_can_take_every_transition_of_the_model_within_two_removals() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let graph = whole(decisions, 2)?;
    let (transitions, followed, unfollowed) = drive_through(&graph, decisions);
    assert_eq!((graph.len(), transitions), (94_151, 129_336));
    assert_eq!(unfollowed, on_its_way(transitions - followed));
    assert_eq!(followed, 129_236);
    Ok(())
}

/// The check can fail: the code of another protocol does not follow.
#[test]
fn the_code_of_another_protocol_can_not_take_every_transition() -> Outcome<()> {
    let mut other = common::profile("6.16")?.decisions;
    other.set("kick", "request-no-wait")?;
    let graph = whole(common::profile("6.16")?.decisions, 1)?;
    let waits = visible(&graph)
        .into_iter()
        .find(|transition| transition.entry.event == Event::AllAcknowledged);
    let waits = waits.ok_or("no kick")?;
    let mut path = graph.path(waits.from);
    path.push(waits.entry);
    let driven = drive(other, 1, &[path.clone()]);
    assert!(driven[0].events < path.len());
    Ok(())
}

/// The shortest path to a second call that is busy.
fn counterexample(graph: &Graph) -> Option<Vec<Entry>> {
    visible(graph).iter().find_map(|Visible { from, entry }| {
        let Event::Returned(status) = entry.event else {
            return None;
        };
        if entry.agent != Agent::Zapper || !status.is_operand_busy() {
            return None;
        }
        let mut path = graph.path(*from);
        let is_call = |entry: &&Entry| {
            entry.agent == Agent::Zapper && matches!(entry.event, Event::Call { .. })
        };
        let call = path.iter().rev().find(is_call)?;
        let no_fail = matches!(call.event, Event::Call { no_fail: true, .. });
        path.push(*entry);
        no_fail.then_some(path)
    })
}

#[test]
fn a_counterexample_of_the_model_is_a_failing_run_of_the_code() -> Outcome<()> {
    for (decision, value) in [
        ("flag_raise", "after-kick"),
        ("flag_raise", "never"),
        ("flag_clear", "before-retry"),
        ("kick", "none"),
        ("kick", "request-no-wait"),
        ("vcpu_flag_test", "absent"),
        ("vcpu_flag_test", "before-mode-store"),
        ("mode_outside", "before-vp-enter"),
        ("irq_disable", "after-flag-test"),
    ] {
        let mut decisions = common::profile("6.16")?.decisions;
        decisions.set(decision, value)?;
        let graph = whole(decisions, 1)?;
        let path = counterexample(&graph).ok_or(decision)?;
        let driven = drive(decisions, 1, &[path]);
        assert_eq!(driven[0].instead, None, "{decision} = {value}");
        let violated = driven[0].met.violates(Property::NoSecondBusy);
        assert!(violated, "{decision} = {value}");
    }
    Ok(())
}
