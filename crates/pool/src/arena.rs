//! [`Arena`]: values at stable places, in memory that is released; [`forget`]: the same for maps.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use slab::Slab;

/// The number of places in a chunk. Memory is allocated and released by the chunk. With 512 places,
/// glibc's allocator, which merges its free lists at each large allocation, took 7 % of the
/// instructions of a group of 100,000 tasks.
const CHUNK: usize = 4096;

/// For at most this many places an empty arena keeps its memory.
const KEPT: usize = 512;

/// Values at stable places.
///
/// All operations take constant time. Iteration is in the order of the places, so it is the same in
/// each run of a simulation. After a peak it costs one step for each chunk of the peak, until the
/// arena is empty.
pub(crate) struct Arena<T> {
    chunks: Vec<Slab<T>>,
    /// The chunks with a free place.
    vacant: Vec<usize>,
    len: usize,
}

impl<T> Arena<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), vacant: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts the value that `make` creates from its place, and returns what it returns besides.
    pub(crate) fn insert_with<R>(&mut self, make: impl FnOnce(u32) -> (T, R)) -> R {
        if self.vacant.is_empty() {
            self.vacant.push(self.chunks.len());
            self.chunks.push(Slab::new());
        }
        let chunk = self.vacant[self.vacant.len() - 1];
        let values = &mut self.chunks[chunk];
        if chunk > 0 && values.is_empty() {
            // Allocated whole: growing chunks leave gaps between the tasks of the values.
            values.reserve_exact(CHUNK);
        }
        let entry = values.vacant_entry();
        let (value, other) = make(place(chunk, entry.key()));
        entry.insert(value);
        self.len += 1;
        if values.len() == CHUNK {
            self.vacant.pop();
        }
        other
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        let (chunk, key) = split(place);
        self.chunks.get(chunk)?.get(key)
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (chunk, key) = split(place);
        self.chunks.get_mut(chunk)?.get_mut(key)
    }

    /// Removes the value at `place`, which must exist.
    pub(crate) fn remove(&mut self, place: u32) -> T {
        let (chunk, key) = split(place);
        let values = &mut self.chunks[chunk];
        let value = values.remove(key);
        self.len -= 1;
        if values.len() == CHUNK - 1 {
            self.vacant.push(chunk);
        }
        if values.is_empty() && chunk > 0 {
            *values = Slab::new();
        }
        if self.len == 0 && (self.chunks.len() > 1 || self.chunks[0].capacity() > KEPT) {
            *self = Self::new();
        }
        value
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().map(|(_, value)| value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten().map(|(_, value)| value)
    }
}

/// Removes a key. A map releases its memory after a peak, in amortized constant time.
pub(crate) fn forget<K: Eq + Hash, V>(map: &mut HashMap<K, V, impl BuildHasher>, key: &K) {
    map.remove(key);
    if map.capacity() / 8 > map.len().max(8) {
        map.shrink_to(2 * map.len());
    }
}

fn place(chunk: usize, key: usize) -> u32 {
    u32::try_from(chunk * CHUNK + key).expect("a group has fewer than 2^32 members")
}

fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / CHUNK, place % CHUNK)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::{Arena, CHUNK, KEPT, forget};

    #[test]
    fn arena_matches_a_map_on_random_values() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut arena, mut map) = (Arena::new(), BTreeMap::new());
        for n in 0..100_000 {
            // Grows to some 2,000 values and shrinks to none, repeatedly.
            if random.usize(..4000) >= map.len() && n % 7000 < 4000 {
                let place = arena.insert_with(|place| (n, place));
                assert_eq!(map.insert(place, n), None);
            } else if let Some((&place, _)) = map.iter().nth(random.usize(..map.len().max(1))) {
                assert_eq!(arena.get(place), map.get(&place));
                assert_eq!(Some(arena.remove(place)), map.remove(&place));
                assert_eq!(arena.get(place), None);
            }
            assert_eq!(arena.len(), map.len());
        }
        assert!(arena.iter().eq(map.values()));
    }

    #[test]
    fn arena_releases_its_chunks_after_a_peak() {
        let mut arena = Arena::new();
        let places: Vec<u32> =
            (0..100 * CHUNK).map(|n| arena.insert_with(|place| (n, place))).collect();
        // One value stays in the last chunk.
        places[..=99 * CHUNK].iter().for_each(|place| assert!(arena.remove(*place) < 100 * CHUNK));
        let kept = arena.chunks.iter().filter(|chunk| chunk.capacity() > 0).count();
        assert_eq!(kept, 2);
        places[99 * CHUNK + 1..]
            .iter()
            .for_each(|place| assert!(arena.remove(*place) < 100 * CHUNK));
        assert!(arena.chunks.is_empty() && arena.is_empty());
    }

    #[test]
    fn empty_arena_keeps_little_memory() {
        for (most, is_kept) in [(KEPT, true), (2 * KEPT, false)] {
            let mut arena = Arena::new();
            let places: Vec<u32> =
                (0..most).map(|n| arena.insert_with(|place| (n, place))).collect();
            for place in places {
                assert!(arena.remove(place) < most);
            }
            assert_eq!(!arena.chunks.is_empty(), is_kept);
        }
    }

    #[test]
    fn map_releases_its_memory_after_a_peak() {
        let mut map: HashMap<usize, usize> = (0..100_000).map(|n| (n, n)).collect();
        let most = map.capacity();
        for n in 0..100_000 {
            forget(&mut map, &n);
        }
        assert!(most >= 100_000 && map.capacity() <= 128, "{most}, then {}", map.capacity());
    }
}
