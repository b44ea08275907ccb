//! Sets of views: for each valuation of the singletons, the vCPUs seen beside it.

use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::system::pack;
use seamcheck_model::system::state::{Shared, Vcpu};

/// The singletons, packed.
pub type SharedKey = [u64; 2];

/// A view, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// The singletons.
    pub shared: SharedKey,
    /// The vCPU.
    pub vcpu: u64,
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [singletons, threads] = self.shared;
        write!(
            f,
            "{singletons:016x} {threads:016x} beside {:016x}",
            self.vcpu
        )
    }
}

impl View {
    /// The view of `vcpu` beside `shared`.
    #[must_use]
    pub fn of(shared: &Shared, vcpu: &Vcpu) -> Self {
        Self {
            shared: key(shared),
            vcpu: pack::pack_vcpu(vcpu),
        }
    }
}

/// The singletons as a key.
#[must_use]
pub fn key(shared: &Shared) -> SharedKey {
    [pack::pack_shared(shared), pack::pack_threads(shared)]
}

/// The singletons that [`key`] made the key of.
#[must_use]
pub fn shared(key: SharedKey) -> Shared {
    pack::unpack_shared(key[0], key[1])
}

/// The vCPUs seen beside one valuation of the singletons.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// In order of discovery.
    pub vcpus: Vec<Vcpu>,
    members: FxHashSet<u64>,
}

/// A set of views.
#[derive(Clone, Debug, Default)]
pub struct Views {
    beside: FxHashMap<SharedKey, Beside>,
    count: u64,
}

impl Views {
    /// Adds a view; true when it is new.
    pub fn insert(&mut self, view: View) -> bool {
        let beside = self.beside.entry(view.shared).or_default();
        let is_new = beside.members.insert(view.vcpu);
        if is_new {
            beside.vcpus.push(pack::unpack_vcpu(view.vcpu));
            self.count += 1;
        }
        is_new
    }

    /// Whether the set has this view.
    #[must_use]
    pub fn contains(&self, view: View) -> bool {
        self.beside
            .get(&view.shared)
            .is_some_and(|beside| beside.members.contains(&view.vcpu))
    }

    /// The vCPUs seen beside these singletons.
    #[must_use]
    pub fn vcpus(&self, shared: SharedKey) -> &[Vcpu] {
        self.beside
            .get(&shared)
            .map_or(&[], |beside| beside.vcpus.as_slice())
    }

    /// The same vCPUs, packed, in ascending order.
    #[must_use]
    pub fn words(&self, shared: SharedKey) -> Vec<u64> {
        let mut words: Vec<u64> = self.vcpus(shared).iter().map(pack::pack_vcpu).collect();
        words.sort_unstable();
        words
    }

    /// Every valuation of the singletons, in ascending order of its key.
    #[must_use]
    pub fn shareds(&self) -> Vec<SharedKey> {
        let mut keys: Vec<SharedKey> = self.beside.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// How many views there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}
