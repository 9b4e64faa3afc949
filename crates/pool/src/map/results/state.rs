//! [`State`]: the results of a map, its reader, its feeder and its workers.

use std::task::Waker;

use slab::Slab;
use spinney_greenlet::results::{Capacity, Order, ResultBuffer};
use spinney_greenlet::{Failure, Handle};
use spinney_hub::Executor;

use super::Indexed;
use super::in_place::InPlace;
use crate::TaskSet;

pub(super) struct State<T, X: Executor> {
    pub(super) buffer: ResultBuffer<Indexed<T>>,
    wanted: WakePolicy,
    /// The waiting reader wakes itself shortly.
    pub(super) delays: bool,
    /// The failure of the item after the last one, until no item is running.
    pub(super) last: Option<(usize, Failure)>,
    /// The feeder has not finished; it may have a slot.
    pub(super) feeding: bool,
    pub(super) reader: Reader<X>,
    /// Wakes the reader; `Some` while it waits.
    pub(super) waiting: Option<Waker>,
    /// Wakes the feeder, which may be in the queue for a slot.
    pub(super) feeder: Option<Waker>,
    pub(super) in_place: InPlace<X>,
    pub(super) workers: Slab<WorkerEntry>,
    /// How many workers have their own slots.
    pub(super) holders: usize,
}

/// A worker of the map.
pub(super) struct WorkerEntry {
    /// The handle of its current item; `None` until its task is created.
    pub(super) handle: Option<Handle>,
    /// Whether it has its own slot.
    pub(super) has_slot: bool,
    /// Wakes it when the reader requests an item; `Some` while it waits for a slot after a delay.
    pub(super) waits: Option<Waker>,
}

/// The results for which the reader is woken.
#[derive(Clone, Copy, Debug)]
enum WakePolicy {
    /// All results together.
    All,
    /// Each result, unless the reader wakes itself shortly.
    Each,
    /// Each result, because an item has failed.
    Immediate,
}

/// The state of the reader.
pub(super) enum Reader<X> {
    Present,
    /// The reader has left, and the map goes on. It may keep its group alive.
    Detached(Option<TaskSet<X>>),
    /// The reader has left, and the map was stopped.
    Gone,
}

impl<T, X: Executor> State<T, X> {
    pub(super) fn new(order: Order, maxsize: usize, whole: bool) -> Self {
        Self {
            buffer: ResultBuffer::new(order, maxsize),
            wanted: if whole { WakePolicy::All } else { WakePolicy::Each },
            delays: false,
            last: None,
            feeding: true,
            reader: Reader::Present,
            waiting: None,
            feeder: None,
            in_place: InPlace::None,
            workers: Slab::new(),
            holders: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.buffer.room(self.lets_one_more()) > 0
    }

    /// Opens at most `most` items.
    pub(super) fn open(&mut self, most: usize) -> Capacity {
        self.buffer.open(most, self.lets_one_more())
    }

    /// Whether the reader waits. Without a reader results are dropped, so it counts as waiting.
    fn lets_one_more(&self) -> bool {
        self.waiting.is_some() || !matches!(self.reader, Reader::Present)
    }

    /// Puts the result of an item, for the reader.
    pub(super) fn put(&mut self, done: Indexed<T>) {
        if done.1.is_err() {
            self.wanted = WakePolicy::Immediate;
        }
        self.buffer.put(done.0, done);
    }

    /// Records that the reader waits for the item in place. Returns the waker that must be dropped
    /// under no lock.
    #[must_use]
    pub(super) fn wait(&mut self, reader: &Waker) -> Option<Waker> {
        self.delays = false;
        self.waiting.replace(reader.clone())
    }

    /// Whether the reader should be woken. Results that are read together, or by a reader that
    /// wakes itself, are read in batches, long before there is no room; a failure is read
    /// immediately.
    fn has_news(&self) -> bool {
        let readable = self.buffer.readable();
        let each = match self.wanted {
            WakePolicy::All => false,
            WakePolicy::Each => !self.delays,
            WakePolicy::Immediate => true,
        };
        let handful = each || readable >= self.buffer.maxsize() / 4;
        // Once the input is exhausted, the last worker wakes the reader of a list.
        let is_full = !self.has_room() && (!self.buffer.is_exhausted() || self.is_idle());
        readable > 0 && (handful || is_full)
    }

    /// Whether a change may affect the reader, or a feeder that is not stalled.
    pub(super) fn may_concern_others(&self) -> bool {
        self.is_reader_due() || self.buffer.is_exhausted() || self.in_place.is_requested()
    }

    /// Whether the reader waits for the current results.
    pub(super) fn is_reader_due(&self) -> bool {
        let has_reason = self.has_news() || self.is_over();
        self.waiting.is_some() && has_reason
    }

    pub(super) fn is_over(&self) -> bool {
        self.buffer.is_finished() && self.is_idle()
    }

    /// Whether no item is running, and none will start.
    fn is_idle(&self) -> bool {
        self.workers.is_empty() && !self.feeding
    }

    /// Takes the wakers of the workers whose items wait for a slot after a delay.
    pub(super) fn take_waiters(&mut self) -> Vec<Waker> {
        self.workers.iter_mut().filter_map(|(_, worker)| worker.waits.take()).collect()
    }

    /// The failure after the last item, if no item is running.
    pub(super) fn take_last(&mut self) -> Option<(usize, Failure)> {
        if self.workers.is_empty() { self.last.take() } else { None }
    }

    /// Takes the group that a map without a reader keeps alive.
    pub(super) fn take_tasks(&mut self) -> Option<TaskSet<X>> {
        match &mut self.reader {
            Reader::Detached(tasks) => tasks.take(),
            Reader::Present | Reader::Gone => None,
        }
    }
}
