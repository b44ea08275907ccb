//! `kvm->mmu_lock`, a rwlock: one word, and a wait that lets others run.

use crate::threads::runtime::{Bits, Order, Runtime};

const WRITER: u64 = 1;
const READER: u64 = 2;

pub(super) struct MmuLock<R: Runtime>(R::Word);

impl<R: Runtime> MmuLock<R> {
    pub(super) fn new() -> Self {
        Self(R::Word::new(0))
    }

    pub(super) fn write_lock(&self) {
        while self.0.cmpxchg(0, WRITER, Order::AcqRel) != 0 {
            R::cpu_relax();
        }
    }

    pub(super) fn write_unlock(&self) {
        self.0.fetch_and(!WRITER, Order::AcqRel);
    }

    pub(super) fn read_lock(&self) {
        loop {
            let readers = self.0.read(Order::AcqRel) & !WRITER;
            if self.0.cmpxchg(readers, readers + READER, Order::AcqRel) == readers {
                return;
            }
            R::cpu_relax();
        }
    }

    pub(super) fn read_unlock(&self) {
        self.0.fetch_add(READER.wrapping_neg(), Order::AcqRel);
    }
}
