//! [`Arena`]: values at places that stay the same, in memory that is given back.

use slab::Slab;

/// How many places a chunk has. Memory comes and goes by the chunk.
const CHUNK: usize = 512;

/// Values at places that stay the same while they are there.
///
/// All operations take constant time. Iteration is in the order of the places, so it is the same in
/// each run of a simulation; after a peak, it costs one step for each chunk that there was, until
/// the arena is empty.
pub(crate) struct Arena<T> {
    chunks: Vec<Slab<T>>,
    /// The chunks that have a free place.
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

    /// The place of the value that is inserted next.
    pub(crate) fn next_place(&mut self) -> u32 {
        if self.vacant.is_empty() {
            self.vacant.push(self.chunks.len());
            self.chunks.push(Slab::new());
        }
        let chunk = self.vacant[self.vacant.len() - 1];
        place(chunk, self.chunks[chunk].vacant_key())
    }

    /// Inserts `value` at the [next place](Self::next_place).
    pub(crate) fn insert(&mut self, value: T) {
        let (chunk, _) = split(self.next_place());
        let values = &mut self.chunks[chunk];
        if chunk > 0 && values.is_empty() {
            // All at once: memory that grows leaves gaps between the values' tasks.
            values.reserve_exact(CHUNK);
        }
        values.insert(value);
        self.len += 1;
        if values.len() == CHUNK {
            self.vacant.pop();
        }
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        let (chunk, key) = split(place);
        self.chunks.get(chunk)?.get(key)
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (chunk, key) = split(place);
        self.chunks.get_mut(chunk)?.get_mut(key)
    }

    /// Removes the value at `place`, which there has to be.
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
        if self.len == 0 && self.chunks.len() > 1 {
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

fn place(chunk: usize, key: usize) -> u32 {
    u32::try_from(chunk * CHUNK + key).expect("a group has fewer than 2^32 members")
}

fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / CHUNK, place % CHUNK)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Arena, CHUNK};

    #[test]
    fn random_values_are_found_as_in_a_map() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut arena, mut map) = (Arena::new(), BTreeMap::new());
        for n in 0..100_000 {
            // Grows to some 2,000 values and shrinks to none, again and again.
            if random.usize(..4000) >= map.len() && n % 7000 < 4000 {
                let place = arena.next_place();
                arena.insert(n);
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
    fn chunks_are_given_back_after_a_peak() {
        let mut arena = Arena::new();
        let places: Vec<u32> = (0..100 * CHUNK)
            .map(|n| {
                let place = arena.next_place();
                arena.insert(n);
                place
            })
            .collect();
        // One value stays in the last chunk.
        places[..=99 * CHUNK].iter().for_each(|place| assert!(arena.remove(*place) < 100 * CHUNK));
        let kept = arena.chunks.iter().filter(|chunk| chunk.capacity() > 0).count();
        assert_eq!(kept, 2);
        places[99 * CHUNK + 1..]
            .iter()
            .for_each(|place| assert!(arena.remove(*place) < 100 * CHUNK));
        assert!(arena.chunks.is_empty() && arena.is_empty());
    }
}
