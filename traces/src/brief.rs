//! The counterexample in a few sentences: where BUSY first came up, which stores were late, which
//! interrupts were sent, who held what in the end.

use crate::links::{Link, LinkKind, links};
use crate::moment::{agent_name, busy_steps};
use crate::schema::{Step, Trace};

/// At most so many late stores, and so many interrupts, are told of.
const MOST: usize = 3;

/// One sentence, and the step it is about, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The step to look at.
    pub step: usize,
    /// What to see there.
    pub text: String,
}

/// The sentences in the order of their steps; the verdict is the last.
#[must_use]
pub fn brief(trace: &Trace) -> Vec<Sentence> {
    let links = links(trace);
    let mut all = busy(trace, &links);
    all.extend(late_stores(trace, &links));
    all.extend(kicks(trace, &links));
    all.extend(cycle(trace));
    all.sort_by_key(|sentence| sentence.step);
    all.push(Sentence {
        step: trace.steps.len(),
        text: trace.verdict.reason.clone(),
    });
    all
}

/// The first BUSY and the last one.
fn busy(trace: &Trace, links: &[Link]) -> Vec<Sentence> {
    let steps = busy_steps(trace);
    let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else {
        return Vec::new();
    };
    let mut all = vec![Sentence {
        step: first,
        text: format!("The first BUSY: {}", found_held(trace, links, first)),
    }];
    if last != first {
        all.push(Sentence {
            step: last,
            text: format!("The last BUSY: {}", found_held(trace, links, last)),
        });
    }
    all
}

/// Who found what held, and by whom since when.
fn found_held(trace: &Trace, links: &[Link], number: usize) -> String {
    let step = &trace.steps[number - 1];
    let who = agent_name(trace, &step.agent);
    let what = step.name.strip_suffix(": BUSY").unwrap_or(&step.name);
    let mut text = format!("{who} in {} can not {what}", step.anchor.function);
    let holders = links
        .iter()
        .filter(|link| link.to == number && link.kind == LinkKind::Busy);
    let holders: Vec<String> = holders
        .map(|link| {
            let holder = &trace.steps[link.from - 1];
            let name = agent_name(trace, &holder.agent);
            format!(
                "{name} holds {} since step {}, in {}",
                link.what, link.from, holder.anchor.function
            )
        })
        .collect();
    if !holders.is_empty() {
        text = format!("{text}: {}", holders.join("; "));
    }
    text + "."
}

/// The stores that others overtook, the most overtaken ones.
fn late_stores(trace: &Trace, links: &[Link]) -> Vec<Sentence> {
    let stores = links.iter().filter(|link| link.kind == LinkKind::Store);
    let mut late: Vec<(usize, &Link)> = stores
        .map(|link| (steps_of_others(trace, link), link))
        .filter(|(others, _)| *others > 0)
        .collect();
    late.sort_by_key(|(others, _)| std::cmp::Reverse(*others));
    late.truncate(MOST);
    let sentence = |(others, link): (usize, &Link)| {
        let step = &trace.steps[link.from - 1];
        Sentence {
            step: link.from,
            text: format!(
                "{}'s store of {} reaches memory only at step {}, {others} {} of others later: {}.",
                agent_name(trace, &step.agent),
                link.what,
                link.to,
                if others == 1 { "step" } else { "steps" },
                step.name
            ),
        }
    };
    late.into_iter().map(sentence).collect()
}

fn steps_of_others(trace: &Trace, link: &Link) -> usize {
    let mover = &trace.steps[link.from - 1].agent;
    let between = &trace.steps[link.from..link.to - 1];
    between.iter().filter(|step| step.agent != *mover).count()
}

fn kicks(trace: &Trace, links: &[Link]) -> Vec<Sentence> {
    let kicks = links.iter().filter(|link| link.kind == LinkKind::Kick);
    let sentence = |link: &Link| {
        let step: &Step = &trace.steps[link.from - 1];
        Sentence {
            step: link.from,
            text: format!(
                "{} sends the {}; it is acknowledged at step {}.",
                agent_name(trace, &step.agent),
                link.what,
                link.to
            ),
        }
    };
    kicks.take(MOST).map(sentence).collect()
}

/// Where an execution without end goes round.
fn cycle(trace: &Trace) -> Option<Sentence> {
    let start = trace.loop_starts_at?;
    let steps = trace.steps.len();
    (start <= steps).then(|| Sentence {
        step: start,
        text: format!("The loop begins: steps {start} to {steps} repeat for ever."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Script, generated, second_block_is_busy};

    fn told(trace: &Trace) -> Vec<String> {
        let sentence = |sentence: Sentence| format!("{} {}", sentence.step, sentence.text);
        brief(trace).into_iter().map(sentence).collect()
    }

    #[test]
    fn the_holder_is_named_with_the_step_it_holds_since() {
        let told = told(&second_block_is_busy());
        assert_eq!(
            told[0],
            "6 The first BUSY: zapper in TDH.MEM.RANGE.BLOCK can not SEPT_TREE: try exclusive: \
             vCPU 0 holds SEPT_TREE exclusive since step 4, in TDH.VP.ENTER."
        );
        assert!(told[1].starts_with("20 The last BUSY: "), "{told:?}");
    }

    #[test]
    fn only_a_store_that_others_overtook_is_late() {
        let mut script = Script::new(&["zapper", "vcpu0"]);
        script.under("zapper", "f").step("WRITE_ONCE(flag, true)");
        script.change("zapper.store_buffer", "empty", "true");
        script.step("the store reaches memory");
        script.change("zapper.store_buffer", "true", "empty");
        assert_eq!(told(&script.clone().finish("End.")), ["2 End."]);
        script.step("WRITE_ONCE(flag, false)");
        script.change("zapper.store_buffer", "empty", "false");
        script.under("vcpu0", "g").step("READ_ONCE(flag)? up");
        script.under("zapper", "").step("the store reaches memory");
        script.change("zapper.store_buffer", "false", "empty");
        assert_eq!(
            told(&script.finish("End.")),
            [
                "3 zapper's store of false reaches memory only at step 5, 1 step of others later: \
                 WRITE_ONCE(flag, false).",
                "5 End."
            ]
        );
    }

    #[test]
    fn every_sentence_is_about_a_step_that_exists() {
        for seed in 0..100 {
            let trace = generated(seed);
            let steps = 1..=trace.steps.len();
            assert!(brief(&trace).iter().all(|said| steps.contains(&said.step)));
        }
    }
}
