//! [`Pct`]: random priorities, as in probabilistic concurrency testing (Burckhardt and others,
//! 2010).
//!
//! Each task has its own priority, and the ready task with the highest priority runs. At `depth -
//! 1` steps, which are drawn beforehand, the priority of the task that would run falls below all
//! others; so does that of a task that has run for long, because it may wait for another task by
//! yielding. A bug that needs `depth` ordered events in a program of `n` tasks and `k` steps is
//! found with a probability of at least `1 / (n * k ^ (depth - 1))` per run.

use std::collections::BTreeMap;

use fastrand::Rng;

pub(crate) struct Pct {
    rng: Rng,
    priorities: BTreeMap<u64, u64>,
    /// The steps at which a priority falls, the next one last.
    falls: Vec<usize>,
    /// The next priority of a task that falls.
    low: u64,
    /// The task that was picked last, and how many times in a row.
    last: (u64, usize),
}

/// How many times in a row a task is picked before its priority falls.
const ROW: usize = 64;

/// Fallen priorities are below this, the others above.
const HIGH: u64 = 1 << 32;

impl Pct {
    /// Creates the priorities for a program of about `steps` steps.
    pub(crate) fn new(depth: usize, seed: u64, steps: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let falls = (1..depth).take(steps).map(|_| rng.usize(1..=steps));
        let mut falls: Vec<usize> = falls.collect();
        falls.sort_unstable_by(|a, b| b.cmp(a));
        Self { rng, priorities: BTreeMap::new(), falls, low: HIGH, last: (0, 0) }
    }

    /// The index in `ids` of the task that runs at `step`.
    pub(crate) fn pick(&mut self, ids: &(impl Iterator<Item = u64> + Clone), step: usize) -> usize {
        loop {
            let ranked = ids.clone().enumerate().map(|(place, id)| (self.priority(id), place, id));
            let (_, place, id) = ranked.max().unwrap_or_default();
            let row = if self.last.0 == id { self.last.1 + 1 } else { 1 };
            let falls = self.falls.last().is_some_and(|fall| *fall <= step);
            if !falls && row <= ROW {
                self.last = (id, row);
                return place;
            }
            if falls {
                self.falls.pop();
            }
            self.last = (id, 0);
            self.low -= 1;
            self.priorities.insert(id, self.low);
        }
    }

    pub(crate) fn any(&mut self, options: usize) -> usize {
        self.rng.usize(..options)
    }

    fn priority(&mut self, id: u64) -> u64 {
        *self.priorities.entry(id).or_insert_with(|| self.rng.u64(HIGH..))
    }
}
