//! What a process remembers from one message to the next, so that most messages read and write less.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// A map of at most `CAPACITY` values, shared by its clones. When it is full, everything is forgotten, and learned again
/// as it is needed.
pub(crate) struct Memory<K, V, const CAPACITY: usize>(Arc<Mutex<HashMap<K, V>>>);

impl<K, V, const CAPACITY: usize> Clone for Memory<K, V, CAPACITY> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V, const CAPACITY: usize> Default for Memory<K, V, CAPACITY> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq, V: Clone, const CAPACITY: usize> Memory<K, V, CAPACITY> {
    /// The value of a key, if it is remembered.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Remembers the value of a key.
    pub(crate) fn put(&self, key: K, value: V) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= CAPACITY && !values.contains_key(&key) {
            values.clear();
        }
        values.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_forgets_everything_and_goes_on() {
        let memory = Memory::<_, _, 2>::default();
        for (key, value) in [(1, 'a'), (2, 'b'), (2, 'c')] {
            memory.put(key, value);
        }
        assert_eq!((memory.get(&1), memory.clone().get(&2), memory.get(&3)), (Some('a'), Some('c'), None));
        memory.put(3, 'd');
        assert_eq!((memory.get(&1), memory.get(&2), memory.get(&3)), (None, None, Some('d')));
    }
}
