//! The plain [`Model`] of a pool: its state after each operation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a task finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Panic,
    Killed,
    Refused,
    /// It was dropped before it had a slot, and has no greenlet.
    Dropped,
}

/// A pool, and its scopes.
pub(crate) const SETS: usize = 3;

/// A call that waits for a slot.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// The pool or the scope of the call: 0 is the pool.
    pub(crate) set: usize,
    pub(crate) call: Call,
}

impl Waiter {
    fn is_map(&self) -> bool {
        matches!(self.call, Call::Map(..))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// A task that starts when it has a slot, and its driver.
    Task(usize, usize),
    /// A running task to be added, and its driver.
    Add(usize, usize),
    /// A task whose greenlet exists already.
    Late(usize),
    /// A map with this many items left.
    Map(usize, usize),
}

/// The plain model.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) capacity: usize,
    pub(crate) closed: [bool; SETS],
    /// The running tasks, members or not.
    pub(crate) alive: BTreeSet<usize>,
    /// The sets in which each task is a member. It holds a slot in each of them.
    pub(crate) members: BTreeSet<(usize, usize)>,
    /// The number of held slots without a task.
    pub(crate) held: usize,
    pub(crate) queue: VecDeque<Waiter>,
    /// How many calls were refused.
    pub(crate) refused_calls: [usize; SETS],
    pub(crate) started: BTreeSet<usize>,
    pub(crate) ended: BTreeMap<usize, End>,
    /// How many members have panicked.
    pub(crate) failed: [usize; SETS],
    /// The maps that were refused.
    pub(crate) refused: BTreeSet<usize>,
}

impl Model {
    pub(crate) fn has_slot(&self, set: usize) -> bool {
        !self.is_closed(set) && self.queue.is_empty() && self.taken() < self.capacity
    }

    /// How many slots are taken.
    pub(crate) fn taken(&self) -> usize {
        self.members.len() + self.held
    }

    pub(crate) fn is_closed(&self, set: usize) -> bool {
        self.closed[0] || self.closed[set]
    }

    pub(crate) fn close(&mut self, set: usize) {
        if !self.is_closed(set) {
            let is_refused = |waiter: &&Waiter| !waiter.is_map() && (set == 0 || waiter.set == set);
            self.refused_calls[set] += self.queue.iter().filter(is_refused).count();
        }
        self.closed[set] = true;
    }

    /// The number of waiters; for the pool, including those of its scopes.
    pub(crate) fn waiting(&self, set: usize) -> usize {
        self.queue.iter().filter(|waiter| set == 0 || waiter.set == set).count()
    }

    pub(crate) fn members_of(&self, set: usize) -> impl Iterator<Item = usize> {
        self.members.iter().filter(move |(_, of)| *of == set).map(|(task, _)| *task)
    }

    pub(crate) fn is_member(&self, task: usize, set: usize) -> bool {
        self.members.contains(&(task, set))
    }

    /// Removes a member; returns whether it was one.
    pub(crate) fn discard(&mut self, task: usize, set: usize) -> bool {
        self.members.remove(&(task, set))
    }

    pub(crate) fn start(&mut self, task: usize, set: usize) {
        self.started.insert(task);
        self.alive.insert(task);
        self.members.insert((task, set));
    }

    pub(crate) fn end(&mut self, task: usize, end: End) {
        self.alive.remove(&task);
        for set in 0..SETS {
            if self.discard(task, set) && end == End::Panic {
                self.failed[set] += 1;
            }
        }
        assert!(self.ended.insert(task, end).is_none());
    }

    /// A started map goes on in a closed pool.
    pub(crate) fn map(&mut self, set: usize, map: usize, items: usize) {
        let call = Call::Map(map, items);
        match items {
            0 => {}
            _ if self.is_closed(set) => self.refuse(&call),
            _ => self.queue.push_back(Waiter { set, call }),
        }
    }

    /// Kills the members, and ends the maps of the closed set.
    pub(crate) fn kill(&mut self, set: usize) {
        for task in self.members_of(set).collect::<Vec<_>>() {
            self.end(task, End::Killed);
        }
        if self.is_closed(set) {
            self.refuse_if(|_, waiter| waiter.is_map() && waiter.set == set);
        }
    }

    /// Refuses the waiters of the closed set, and admits as many of the others as fit.
    pub(crate) fn settle(&mut self) {
        self.refuse_if(|model, waiter| !waiter.is_map() && model.is_closed(waiter.set));
        while self.taken() < self.capacity {
            let Some(waiter) = self.queue.pop_front() else { return };
            self.admit(waiter);
        }
    }

    fn refuse_if(&mut self, is_refused: impl Fn(&Self, &Waiter) -> bool) {
        for waiter in std::mem::take(&mut self.queue) {
            if is_refused(self, &waiter) {
                self.refuse(&waiter.call);
            } else {
                self.queue.push_back(waiter);
            }
        }
    }

    fn refuse(&mut self, call: &Call) {
        match *call {
            Call::Task(task, _) | Call::Late(task) => self.end(task, End::Refused),
            Call::Map(map, _) => _ = self.refused.insert(map),
            Call::Add(..) => {}
        }
    }

    fn admit(&mut self, Waiter { set, call }: Waiter) {
        match call {
            Call::Task(task, _) | Call::Late(task) => self.start(task, set),
            Call::Add(task, _) => {
                if self.alive.contains(&task) {
                    self.members.insert((task, set));
                }
            }
            // It runs one item, and all others if no other task waits.
            Call::Map(map, left) => {
                let free = self.capacity - self.taken() - 1;
                if left > 1 && self.queue.len() > free {
                    self.queue.push_back(Waiter { set, call: Call::Map(map, left - 1) });
                }
            }
        }
    }
}
