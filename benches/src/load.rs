//! [`Load`]: the amount of work of a rival.

use serde::{Deserialize, Serialize};

/// How many times fewer items the warm-up has.
const WARM_UP: u32 = 100;

/// The number of items, and of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) items: u32,
    /// Slots of a pool, permits of a semaphore, room of a queue, threads of a thread pool.
    pub(crate) slots: usize,
}

impl Load {
    /// A hundredth of the items: the warm-up before the measured run.
    pub(crate) fn warm_up(self) -> Self {
        self.divided(WARM_UP)
    }

    /// This many times fewer items, but at least one.
    pub(crate) fn divided(self, by: u32) -> Self {
        Self { items: (self.items / by).max(1), ..self }
    }

    /// The numbers of the items, which are also the results of most of them.
    pub(crate) fn numbers(self) -> std::ops::Range<u64> {
        0..u64::from(self.items)
    }
}
