//! What a process remembers from one message to the next, so that most messages read and write less.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded map, shared by its clones. When it is full, everything is forgotten, and learned again as it is needed.
pub(crate) struct Memory<K, V> {
    capacity: usize,
    values: Arc<Mutex<HashMap<K, V>>>,
}

impl<K, V> Clone for Memory<K, V> {
    fn clone(&self) -> Self {
        Self { capacity: self.capacity, values: Arc::clone(&self.values) }
    }
}

impl<K: Hash + Eq, V: Clone> Memory<K, V> {
    /// A memory of at most `capacity` values.
    pub(crate) fn of(capacity: usize) -> Self {
        Self { capacity, values: Arc::default() }
    }

    /// The value of a key, if it is remembered.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Remembers the value of a key.
    pub(crate) fn put(&self, key: K, value: V) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= self.capacity && !values.contains_key(&key) {
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
        let memory = Memory::of(2);
        for (key, value) in [(1, 'a'), (2, 'b'), (2, 'c')] {
            memory.put(key, value);
        }
        assert_eq!((memory.get(&1), memory.clone().get(&2), memory.get(&3)), (Some('a'), Some('c'), None));
        memory.put(3, 'd');
        assert_eq!((memory.get(&1), memory.get(&2), memory.get(&3)), (None, None, Some('d')));
    }
}
