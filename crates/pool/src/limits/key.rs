//! [`Key`]: the hash of a caller's key; [`KeyMap`]: a map by keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::LazyLock;

/// The hash of a key: 128 bits of two hash functions with random seeds. Two of a million keys
/// collide with a probability of 10^-27. So no key is stored, and its `Hash` runs at the call,
/// under no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64, u64);

impl Key {
    pub(crate) fn of<K: Hash + ?Sized>(key: &K) -> Self {
        static SEEDS: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        Self(SEEDS[0].hash_one(key), SEEDS[1].hash_one(key))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0);
    }
}

/// A map by keys, which are not hashed again.
pub(crate) type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// The first half of a [`Key`].
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key writes a number");
    }
}
