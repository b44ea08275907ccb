//! A set of states: for each beginning of a key, 64 of its ends in a word.
//!
//! Numbers of vCPUs are given in the order they are met, and states met together share most of
//! their key: a word holds many states, and a state takes a byte or two.

use super::Key;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The set.
pub(super) struct Visited<const W: usize> {
    words: HashTable<(Key<W>, u64)>,
    /// The position in a key that the words are over.
    last: usize,
}

impl<const W: usize> Visited<W> {
    /// An empty set of keys of which `last + 1` numbers are in use.
    pub(super) fn new(last: usize) -> Self {
        Self {
            words: HashTable::new(),
            last,
        }
    }

    /// Adds a state; true when it is new.
    pub(super) fn insert(&mut self, key: &Key<W>) -> bool {
        let bit = 1 << (key[self.last] & 63);
        let beginning = beginning(key, self.last);
        let entry = self.words.entry(
            hash(&beginning),
            |(known, _)| *known == beginning,
            |(known, _)| hash(known),
        );
        match entry {
            Entry::Occupied(mut word) => {
                let (_, word) = word.get_mut();
                let is_new = *word & bit == 0;
                *word |= bit;
                is_new
            }
            Entry::Vacant(word) => {
                word.insert((beginning, bit));
                true
            }
        }
    }

    /// What it takes, room to grow included.
    pub(super) fn bytes(&self) -> usize {
        self.words.allocation_size()
    }

    /// What it would take in addition with this many states more, none of which share a word.
    pub(super) fn growth(&self, more: usize) -> usize {
        if self.words.len() + more <= self.words.capacity() {
            return 0;
        }
        // The new table stands beside the old one until everything has moved.
        let each = size_of::<(Key<W>, u64)>() + 1;
        (self.words.len() + more).next_power_of_two() * 2 * each
    }
}

/// What all states of a word have in common.
fn beginning<const W: usize>(key: &Key<W>, last: usize) -> Key<W> {
    let mut beginning = *key;
    beginning[last] >>= 6;
    beginning
}

/// Which of `shards` sets a state belongs to; all states of a word to the same.
pub(super) fn shard<const W: usize>(key: &Key<W>, last: usize, shards: usize) -> usize {
    if shards == 1 {
        return 0;
    }
    // Bits in the middle: a table looks at those at both ends.
    (hash(&beginning(key, last)) >> 32) as usize % shards
}

/// Two numbers at a time, multiplied into 128 bits and folded: short keys, well mixed.
fn hash<const W: usize>(key: &Key<W>) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    key.chunks(2).fold(0, |hash, pair| {
        let high = pair.get(1).copied().unwrap_or(0);
        let word = u64::from(pair[0]) | u64::from(high) << 32;
        let product = u128::from(hash ^ word ^ ODD) * u128::from(ODD);
        (product as u64) ^ (product >> 64) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_new_once() {
        let mut visited = Visited::<3>::new(2);
        for key in [[0, 1, 63], [0, 1, 64], [0, 1, 0], [1, 0, 63], [0, 2, 63]] {
            assert!(visited.insert(&key), "{key:?}");
            assert!(!visited.insert(&key), "{key:?}");
        }
    }
}
