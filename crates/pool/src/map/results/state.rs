//! [`State`]: the results of a map, its reader, its feeder and its workers.

use std::task::Waker;

use slab::Slab;
use spinney_greenlet::results::{Order, ResultBuffer, Room};
use spinney_greenlet::{Failure, Handle};
use spinney_hub::Executor;

use super::Indexed;
use super::in_place::InPlace;
use crate::TaskSet;

pub(super) struct State<T, X: Executor> {
    pub(super) buffer: ResultBuffer<Indexed<T>>,
    wanted: Wanted,
    /// The reader that waits comes back by itself before long.
    pub(super) delays: bool,
    /// The failure of the item after the last one, until no item is running.
    pub(super) last: Option<(usize, Failure)>,
    /// The feeder has not ended; it may have a slot.
    pub(super) feeding: bool,
    pub(super) reader: Reader<X>,
    /// Wakes the reader; there while it waits.
    pub(super) waiting: Option<Waker>,
    /// Wakes the feeder, which may be in the queue for a slot.
    pub(super) feeder: Option<Waker>,
    pub(super) in_place: InPlace<X>,
    pub(super) workers: Slab<Enlisted>,
    /// How many of them have slots of their own.
    pub(super) seated: usize,
}

/// A worker of the map.
pub(super) struct Enlisted {
    /// Of the item that it is at; None until its task is made.
    pub(super) handle: Option<Handle>,
    /// Whether it has a slot of its own.
    pub(super) seated: bool,
}

/// What the reader is woken for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// All results together.
    All,
    /// Each result, unless the reader comes back by itself before long.
    Each,
    /// Each, since one has failed.
    AtOnce,
}

/// Who reads the results.
pub(super) enum Reader<X> {
    Present,
    /// There is no reader, but the map goes on. It may keep its group alive for that.
    Detached(Option<TaskSet<X>>),
    /// Nobody, and the map is over.
    Gone,
}

impl<T, X: Executor> State<T, X> {
    pub(super) fn new(order: Order, maxsize: usize, whole: bool) -> Self {
        Self {
            buffer: ResultBuffer::new(order, maxsize),
            wanted: if whole { Wanted::All } else { Wanted::Each },
            delays: false,
            last: None,
            feeding: true,
            reader: Reader::Present,
            waiting: None,
            feeder: None,
            in_place: InPlace::None,
            workers: Slab::new(),
            seated: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.buffer.room(self.lets_one_more()) > 0
    }

    /// Opens up to `most` items.
    pub(super) fn open(&mut self, most: usize) -> Room {
        self.buffer.open(most, self.lets_one_more())
    }

    /// Whether the reader waits. Without a reader no result is kept, so it counts as waiting.
    fn lets_one_more(&self) -> bool {
        self.waiting.is_some() || !matches!(self.reader, Reader::Present)
    }

    /// Puts the result of an item, which the reader will read.
    pub(super) fn put(&mut self, done: Indexed<T>) {
        if done.1.is_err() {
            self.wanted = Wanted::AtOnce;
        }
        self.buffer.put(done.0, done);
    }

    /// The reader waits for the item in place. Returns the waker that is to be dropped under no lock.
    #[must_use]
    pub(super) fn wait(&mut self, reader: &Waker) -> Option<Waker> {
        self.delays = false;
        self.waiting.replace(reader.clone())
    }

    /// Whether there is something that is worth waking the reader. All results together, and those
    /// that the reader comes for by itself, are read by the handful, long before there is no room
    /// for more; a failure at once.
    fn has_news(&self) -> bool {
        let readable = self.buffer.readable();
        let each = match self.wanted {
            Wanted::All => false,
            Wanted::Each => !self.delays,
            Wanted::AtOnce => true,
        };
        let handful = each || readable >= self.buffer.maxsize() / 4;
        // Once the input is over, the last worker wakes the reader of a list.
        let is_full = !self.has_room() && (!self.buffer.is_exhausted() || self.is_idle());
        readable > 0 && (handful || is_full)
    }

    /// Whether a change may concern the reader, or a feeder that is not stalled.
    pub(super) fn may_concern_others(&self) -> bool {
        self.is_reader_due() || self.buffer.is_exhausted() || self.in_place.is_wished()
    }

    /// Whether the reader waits for what there is now.
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

    /// The failure after the last item, if no item is running.
    pub(super) fn take_last(&mut self) -> Option<(usize, Failure)> {
        if self.workers.is_empty() { self.last.take() } else { None }
    }

    /// What a map without a reader has kept alive.
    pub(super) fn take_tasks(&mut self) -> Option<TaskSet<X>> {
        match &mut self.reader {
            Reader::Detached(tasks) => tasks.take(),
            Reader::Present | Reader::Gone => None,
        }
    }
}
