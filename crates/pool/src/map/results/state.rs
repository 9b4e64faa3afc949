//! [`State`]: the results of a map, its reader, its feeder and its workers.

use std::task::Waker;

use slab::Slab;
use spinney_greenlet::results::{Order, ResultBuffer, Room};
use spinney_greenlet::{Failure, Handle};

use super::Indexed;
use super::loan::Loan;
use crate::TaskSet;

pub(super) struct State<T, X> {
    pub(super) buffer: ResultBuffer<Result<T, Failure>>,
    wanted: Wanted,
    /// The reader that waits comes back by itself before long.
    pub(super) delays: bool,
    /// The feeder has not ended; it may have a slot.
    pub(super) feeding: bool,
    pub(super) reader: Reader<X>,
    /// Wakes the reader; there while it waits.
    pub(super) waiting: Option<Waker>,
    /// Wakes the feeder, which may be in the queue for a slot.
    pub(super) feeder: Option<Waker>,
    pub(super) loan: Loan,
    /// The workers that hold a slot; each is there by name from its first poll on.
    pub(super) workers: Slab<Option<Handle>>,
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

impl<T, X> State<T, X> {
    pub(super) fn new(order: Order, maxsize: usize, whole: bool) -> Self {
        Self {
            buffer: ResultBuffer::new(order, maxsize),
            wanted: if whole { Wanted::All } else { Wanted::Each },
            delays: false,
            feeding: true,
            reader: Reader::Present,
            waiting: None,
            feeder: None,
            loan: Loan::None,
            workers: Slab::new(),
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
    pub(super) fn put(&mut self, (index, result): Indexed<T>) {
        if result.is_err() {
            self.wanted = Wanted::AtOnce;
        }
        self.buffer.put(index, result);
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
        readable > 0 && (handful || !self.has_room())
    }

    /// The worker that shared the reader's slot has left.
    pub(super) fn return_slot(&mut self) {
        let waits = self.waiting.is_some() && !self.has_news();
        self.loan.give_back(waits);
    }

    /// False if there is nobody to be told of any change, but for a feeder that is stalled.
    pub(super) fn may_concern_others(&self) -> bool {
        self.is_reader_due() || self.buffer.is_exhausted() || !self.loan.is_none()
    }

    /// Whether the reader waits for what there is now.
    pub(super) fn is_reader_due(&self) -> bool {
        let has_reason = self.has_news() || self.is_over();
        self.waiting.is_some() && self.loan.lender().is_none() && has_reason
    }

    pub(super) fn is_over(&self) -> bool {
        self.buffer.is_finished() && self.workers.is_empty() && !self.feeding
    }

    /// What a map without a reader has kept alive.
    pub(super) fn take_tasks(&mut self) -> Option<TaskSet<X>> {
        match &mut self.reader {
            Reader::Detached(tasks) => tasks.take(),
            Reader::Present | Reader::Gone => None,
        }
    }
}
