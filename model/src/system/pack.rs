//! States as keys: one 64-bit word for the singletons, one per vCPU, and one for ioctl threads
//! where the scenario has any.

use super::state::{
    BlockEpoch, Control, EntryState, ExitReason, Ipi, KickPhase, MirrorSpte, Page, Shared, State,
    StoreBuffer, TdState, Vcpu, VcpuEpoch, VcpuMode,
};
use crate::closed_enum::ClosedEnum;
use crate::scenario::MAX_VCPUS;

/// The most words a key can have.
pub const MAX_WORDS: usize = 2 + MAX_VCPUS;

/// Writes fields into a word, lowest bits first.
#[derive(Default)]
struct Writer {
    word: u64,
    at: u32,
}

impl Writer {
    fn put(&mut self, value: u64, bits: u32) {
        debug_assert!(value < 1 << bits, "{value} does not fit {bits} bits");
        self.word |= value << self.at;
        self.at += bits;
    }

    fn control(&mut self, control: Control) {
        self.put(control.line.into(), 6);
        self.put(control.op.into(), 8);
        self.put(control.status.into(), 5);
        self.put(control.page.into(), 1);
    }
}

/// Reads them back.
struct Words {
    word: u64,
}

impl Words {
    fn get(&mut self, bits: u32) -> u64 {
        let value = self.word & ((1 << bits) - 1);
        self.word >>= bits;
        value
    }

    fn byte(&mut self, bits: u32) -> u8 {
        self.get(bits) as u8
    }

    fn flag(&mut self) -> bool {
        self.get(1) == 1
    }

    /// Keys are only made by `pack`, so an index out of range does not occur; it would read as the first.
    fn choice<T: ClosedEnum>(&mut self, bits: u32) -> T {
        T::from_index(self.byte(bits)).unwrap_or(T::ALL[0])
    }

    fn control(&mut self) -> Control {
        Control {
            line: self.byte(6),
            op: self.byte(8),
            status: self.byte(5),
            page: self.byte(1),
        }
    }
}

/// A vCPU as a word.
#[must_use]
pub fn pack_vcpu(vcpu: &Vcpu) -> u64 {
    let mut out = Writer::default();
    out.control(vcpu.control);
    out.put(vcpu.mode as u64, 2);
    out.put(vcpu.stores.to_bits(), 4);
    out.put(vcpu.kick as u64, 2);
    out.put(vcpu.ipi as u64, 2);
    out.put(vcpu.epoch as u64, 1);
    out.put(vcpu.zero_step.into(), 2);
    out.put(vcpu.exit as u64, 3);
    out.put(vcpu.flag_seen_down.into(), 1);
    out.put(vcpu.entry_copy_hp.into(), 1);
    out.put(vcpu.request.into(), 1);
    out.put(vcpu.cpu_read.into(), 1);
    out.put(vcpu.cpu_stale.into(), 1);
    out.put(vcpu.offline.into(), 1);
    out.put(vcpu.hp_lock_busy.into(), 1);
    out.put(vcpu.second_kick as u64, 2);
    out.put(vcpu.second_ipi as u64, 2);
    out.word
}

/// The vCPU that [`pack_vcpu`] made the word of.
#[must_use]
pub fn unpack_vcpu(word: u64) -> Vcpu {
    let mut words = Words { word };
    Vcpu {
        control: words.control(),
        mode: words.choice::<VcpuMode>(2),
        stores: StoreBuffer::from_bits(words.get(4)),
        kick: words.choice::<KickPhase>(2),
        ipi: words.choice::<Ipi>(2),
        epoch: words.choice::<VcpuEpoch>(1),
        zero_step: words.byte(2),
        exit: words.choice::<ExitReason>(3),
        flag_seen_down: words.flag(),
        entry_copy_hp: words.flag(),
        request: words.flag(),
        cpu_read: words.flag(),
        cpu_stale: words.flag(),
        offline: words.flag(),
        hp_lock_busy: words.flag(),
        second_kick: words.choice::<KickPhase>(2),
        second_ipi: words.choice::<Ipi>(2),
    }
}

/// The singletons but ioctl threads as a word.
#[must_use]
pub fn pack_shared(shared: &Shared) -> u64 {
    let mut out = Writer::default();
    out.control(shared.zapper);
    out.put(shared.flag.into(), 1);
    out.put(shared.flag_stores.to_bits(), 4);
    out.put(shared.bugged.into(), 1);
    for page in shared.pages {
        out.put(page.entry as u64, 3);
        out.put(page.host_priority.into(), 1);
        out.put(page.bepoch as u64, 2);
        out.put(page.mirror as u64, 2);
    }
    out.put(shared.op_state as u64, 1);
    out.put(shared.kvm_state as u64, 1);
    out.word
}

/// The ioctl threads as a word.
#[must_use]
pub fn pack_threads(shared: &Shared) -> u64 {
    let mut out = Writer::default();
    for thread in shared.threads {
        out.control(thread);
    }
    for stores in shared.thread_stores {
        out.put(stores.to_bits(), 4);
    }
    out.word
}

/// The singletons that [`pack_shared`] and [`pack_threads`] made the words of.
#[must_use]
pub fn unpack_shared(word: u64, threads: u64) -> Shared {
    let mut words = Words { word };
    let (zapper, flag) = (words.control(), words.flag());
    let (flag_stores, bugged) = (StoreBuffer::from_bits(words.get(4)), words.flag());
    let pages = std::array::from_fn(|_| Page {
        entry: words.choice::<EntryState>(3),
        host_priority: words.flag(),
        bepoch: words.choice::<BlockEpoch>(2),
        mirror: words.choice::<MirrorSpte>(2),
    });
    let (op_state, kvm_state) = (words.choice::<TdState>(1), words.choice::<TdState>(1));
    let mut words = Words { word: threads };
    Shared {
        zapper,
        flag,
        flag_stores,
        bugged,
        pages,
        threads: std::array::from_fn(|_| words.control()),
        thread_stores: std::array::from_fn(|_| StoreBuffer::from_bits(words.get(4))),
        op_state,
        kvm_state,
    }
}

/// How many words a key has.
#[must_use]
pub const fn words(vcpus: usize, threads: usize) -> usize {
    1 + vcpus + (threads > 0) as usize
}

/// Packs `state` into `key`, vCPUs sorted when `sort` is set: they are interchangeable.
///
/// `key` has the length that [`words`] gives.
pub fn pack(state: &State, vcpus: usize, threads: usize, sort: bool, key: &mut [u64]) {
    key[0] = pack_shared(&state.shared);
    for (word, vcpu) in key[1..=vcpus].iter_mut().zip(&state.vcpus) {
        *word = pack_vcpu(vcpu);
    }
    if sort {
        key[1..=vcpus].sort_unstable();
    }
    if threads > 0 {
        key[1 + vcpus] = pack_threads(&state.shared);
    }
}

/// The state a key stands for, vCPUs in key order.
#[must_use]
pub fn unpack(key: &[u64], vcpus: usize, threads: usize) -> State {
    let thread_word = if threads > 0 { key[1 + vcpus] } else { 0 };
    let mut state = State {
        shared: unpack_shared(key[0], thread_word),
        vcpus: [Vcpu::default(); MAX_VCPUS],
    };
    for (vcpu, word) in state.vcpus.iter_mut().zip(&key[1..=vcpus]) {
        *vcpu = unpack_vcpu(*word);
    }
    state
}
