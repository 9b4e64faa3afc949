//! The plain [`Model`] of a pool: what it is after each thing that it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Panic,
    Killed,
    Refused,
    /// It was dropped before it had a slot, and nobody has a greenlet of it.
    Dropped,
}

/// Who waits for a slot.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A task that starts when it has one, and its driver.
    Task(usize, usize),
    /// One that runs already, and its driver.
    Add(usize, usize),
    /// One whose greenlet there is already.
    Late(usize),
    /// A map, with so many items left.
    Map(usize, usize),
}

/// The plain model.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) capacity: usize,
    pub(crate) closed: bool,
    pub(crate) running: BTreeSet<usize>,
    /// Those that run and are no members.
    pub(crate) strangers: BTreeSet<usize>,
    /// How many slots are held, and have no task.
    pub(crate) held: usize,
    pub(crate) queue: VecDeque<Waiter>,
    /// How many calls were refused.
    pub(crate) refused_calls: usize,
    pub(crate) started: BTreeSet<usize>,
    pub(crate) ended: BTreeMap<usize, End>,
    /// How many members have panicked.
    pub(crate) failed: usize,
    /// The maps that have been refused.
    pub(crate) refused: BTreeSet<usize>,
}

impl Model {
    pub(crate) fn has_slot(&self) -> bool {
        !self.closed && self.queue.is_empty() && self.taken() < self.capacity
    }

    /// How many slots are taken.
    pub(crate) fn taken(&self) -> usize {
        self.running.len() + self.held
    }

    pub(crate) fn start(&mut self, task: usize) {
        self.started.insert(task);
        self.running.insert(task);
    }

    pub(crate) fn end(&mut self, task: usize, end: End) {
        self.strangers.remove(&task);
        if self.running.remove(&task) && end == End::Panic {
            self.failed += 1;
        }
        assert!(self.ended.insert(task, end).is_none());
    }

    /// Lets in who can come in.
    pub(crate) fn settle(&mut self) {
        while self.closed || self.taken() < self.capacity {
            let Some(waiter) = self.queue.pop_front() else { return };
            match waiter {
                Waiter::Task(task, _) | Waiter::Late(task) if self.closed => {
                    self.end(task, End::Refused);
                }
                Waiter::Map(map, left) if self.closed => {
                    if left > 0 {
                        self.refused.insert(map);
                    }
                }
                Waiter::Add(..) if self.closed => {}
                Waiter::Task(task, _) | Waiter::Late(task) => self.start(task),
                Waiter::Add(task, _) => {
                    if self.strangers.remove(&task) {
                        self.running.insert(task);
                    }
                }
                // It runs one item, and all others if nobody else waits.
                Waiter::Map(map, left) => {
                    let free = self.capacity - self.taken() - 1;
                    if left > 0 && self.queue.len() > free {
                        self.queue.push_back(Waiter::Map(map, left - 1));
                    }
                }
            }
        }
    }
}
