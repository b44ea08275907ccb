//! Singletons and vCPUs by number, in the order they are met.

use super::moves::Answers;
use arrayvec::ArrayVec;
use rustc_hash::FxHashMap;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::others::Predicate;
use seamcheck_model::system::state::{Shared, Vcpu};
use seamcheck_model::system::{System, pack};

/// The number of a valuation of the singletons.
pub(super) type SharedId = u32;
/// The number of a vCPU's state.
pub(super) type VcpuId = u32;

/// One zapper, or two.
type Kickers = ArrayVec<Part, 2>;

/// Valuations of the singletons.
#[derive(Default)]
pub(super) struct Singletons {
    ids: FxHashMap<[u64; 2], SharedId>,
    all: Vec<Shared>,
    /// The zappers whose next step is about one vCPU.
    kickers: Vec<Kickers>,
}

impl Singletons {
    pub(super) fn number(&mut self, system: &System, shared: &Shared) -> SharedId {
        let threads = pack::pack_threads(shared);
        let key = [pack::pack_shared(shared), threads];
        *self.ids.entry(key).or_insert_with(|| {
            self.all.push(*shared);
            self.kickers.push(system.kickers(shared).collect());
            self.all.len() as SharedId - 1
        })
    }

    pub(super) fn get(&self, id: SharedId) -> Shared {
        self.all[id as usize]
    }

    pub(super) fn kickers(&self, id: SharedId) -> &[Part] {
        &self.kickers[id as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.capacity()
            * (size_of::<Shared>() + size_of::<([u64; 2], SharedId)>() + size_of::<Kickers>())
    }
}

/// States of a vCPU.
#[derive(Default)]
pub(super) struct Vcpus {
    ids: FxHashMap<u64, VcpuId>,
    all: Vec<Vcpu>,
    words: Vec<u64>,
    answers: Vec<Answers>,
}

impl Vcpus {
    pub(super) fn number(
        &mut self,
        system: &System,
        vcpu: &Vcpu,
        questions: &[Predicate],
    ) -> VcpuId {
        let word = pack::pack_vcpu(vcpu);
        *self.ids.entry(word).or_insert_with(|| {
            let bits = questions.iter().enumerate();
            let held = bits.filter(|(_, question)| question.holds(system, vcpu));
            self.answers
                .push(held.fold(0, |set, (bit, _)| set | 1 << bit));
            self.all.push(*vcpu);
            self.words.push(word);
            self.all.len() as VcpuId - 1
        })
    }

    /// The number of a vCPU that was met before.
    pub(super) fn find(&self, vcpu: &Vcpu) -> Option<VcpuId> {
        self.ids.get(&pack::pack_vcpu(vcpu)).copied()
    }

    /// A question that was not asked before.
    pub(super) fn ask(&mut self, system: &System, question: Predicate, bit: Answers) {
        for (vcpu, answers) in self.all.iter().zip(&mut self.answers) {
            if question.holds(system, vcpu) {
                *answers |= bit;
            }
        }
    }

    pub(super) fn get(&self, id: VcpuId) -> Vcpu {
        self.all[id as usize]
    }

    /// The packed vCPU, by which they are sorted.
    pub(super) fn word(&self, id: VcpuId) -> u64 {
        self.words[id as usize]
    }

    pub(super) fn answers(&self, id: VcpuId) -> Answers {
        self.answers[id as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        let map = size_of::<(u64, VcpuId)>();
        self.all.capacity() * (size_of::<Vcpu>() + 8 + size_of::<Answers>() + map)
    }
}
