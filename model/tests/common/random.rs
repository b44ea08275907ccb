//! Random states: every field over its whole range, threads standing wherever they are told to.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario::{MAX_PAGES, MAX_THREADS, MAX_VCPUS};
use seamcheck_model::system::State;
use seamcheck_model::system::state::{Control, Page, Shared, StoreBuffer, Vcpu};
use std::fmt::Debug;

/// A runner that tries the same `cases` each time: what is red here is red everywhere.
pub(crate) fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2025),
        ..Config::default()
    })
}

fn any_of<T: ClosedEnum + Debug>() -> impl Strategy<Value = T> {
    proptest::sample::select(T::ALL)
}

/// Any place that a key has room for.
pub(crate) fn any_control() -> BoxedStrategy<Control> {
    let places = (0..64_u8, any::<u8>(), 0..32_u8, 0..MAX_PAGES as u8);
    let control = |(line, op, status, page)| Control {
        line,
        op,
        status,
        page,
    };
    places.prop_map(control).boxed()
}

fn stores() -> impl Strategy<Value = StoreBuffer> {
    let values = vec(any::<bool>(), 0..=usize::from(StoreBuffer::CAPACITY));
    values.prop_map(|values| {
        let push = |buffer: StoreBuffer, value| buffer.push(value).unwrap_or(buffer);
        values.into_iter().fold(StoreBuffer::default(), push)
    })
}

fn page() -> impl Strategy<Value = Page> {
    let fields = (any_of(), any::<bool>(), any_of(), any_of());
    fields.prop_map(|(entry, host_priority, bepoch, mirror)| Page {
        entry,
        host_priority,
        bepoch,
        mirror,
    })
}

/// A vCPU that stands at one of `places`.
pub(crate) fn vcpu(places: BoxedStrategy<Control>) -> impl Strategy<Value = Vcpu> {
    let kick = (any_of(), stores(), any_of(), any_of());
    let module = (any_of(), 0..=MAX_PAGES as u8, any_of());
    let observed = (any::<bool>(), any::<bool>(), any::<bool>());
    let kick_cpu = (any::<bool>(), any::<bool>(), any::<[bool; 2]>());
    let second = (any_of(), any_of());
    let fields = (places, kick, module, observed, kick_cpu, second);
    fields.prop_map(|(control, kick, module, observed, kick_cpu, second)| Vcpu {
        control,
        mode: kick.0,
        stores: kick.1,
        kick: kick.2,
        ipi: kick.3,
        epoch: module.0,
        zero_step: module.1,
        exit: module.2,
        flag_seen_down: observed.0,
        entry_copy_hp: observed.1,
        request: observed.2,
        cpu_read: kick_cpu.0,
        cpu_stale: kick_cpu.1,
        offline: kick_cpu.2[0],
        hp_lock_busy: kick_cpu.2[1],
        second_kick: second.0,
        second_ipi: second.1,
    })
}

/// The singletons, zapper and ioctl threads at one of their places each.
pub(crate) fn shared(
    zapper: BoxedStrategy<Control>,
    threads: [BoxedStrategy<Control>; MAX_THREADS],
) -> impl Strategy<Value = Shared> {
    let flag = (any::<bool>(), stores(), any::<bool>(), [stores(), stores()]);
    let pages: [_; MAX_PAGES] = std::array::from_fn(|_| page());
    let td = (any_of(), any_of());
    (zapper, threads, flag, pages, td).prop_map(|(zapper, threads, flag, pages, td)| Shared {
        zapper,
        flag: flag.0,
        flag_stores: flag.1,
        bugged: flag.2,
        pages,
        threads,
        thread_stores: flag.3,
        op_state: td.0,
        kvm_state: td.1,
    })
}

/// A state of `vcpus` vCPUs; the others stay as they are at the start.
pub(crate) fn state(
    vcpus: usize,
    shared: impl Strategy<Value = Shared>,
    places: BoxedStrategy<Control>,
) -> impl Strategy<Value = State> {
    (shared, vec(vcpu(places), vcpus)).prop_map(|(shared, present)| {
        let mut vcpus = [Vcpu::default(); MAX_VCPUS];
        vcpus[..present.len()].copy_from_slice(&present);
        State { shared, vcpus }
    })
}
