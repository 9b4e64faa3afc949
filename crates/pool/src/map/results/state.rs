//! [`State`]: the results of a map, and what becomes of the rest.

use std::collections::VecDeque;
use std::task::Waker;

use slab::Slab;
use spinney_greenlet::{Failure, Handle};

use super::loan::Loan;
use super::{Hand, Indexed, Order, Room};
use crate::TaskSet;

pub(super) struct State<T, X> {
    pub(super) order: Order,
    /// What can be read.
    pub(super) ready: VecDeque<Indexed<T>>,
    /// In the order of the input: what is done but not its turn, with places for what is before it.
    pub(super) early: VecDeque<Option<Result<T, Failure>>>,
    /// The index of the first of those places; in the order of completion, how many are done.
    pub(super) first: usize,
    pub(super) open: usize,
    pub(super) maxsize: usize,
    wanted: Wanted,
    /// The reader that waits comes back by itself before long.
    pub(super) delays: bool,
    /// No further item will be opened.
    pub(super) exhausted: bool,
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
            order,
            ready: VecDeque::new(),
            early: VecDeque::new(),
            first: 0,
            open: 0,
            maxsize,
            wanted: if whole { Wanted::All } else { Wanted::Each },
            delays: false,
            exhausted: false,
            feeding: true,
            reader: Reader::Present,
            waiting: None,
            feeder: None,
            loan: Loan::None,
            workers: Slab::new(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// How many more may be open.
    fn room(&self) -> usize {
        // Where nobody reads, nothing is kept.
        let waits = self.waiting.is_some() || !matches!(self.reader, Reader::Present);
        let limit = self.maxsize.saturating_add(usize::from(waits));
        if self.exhausted { 0 } else { limit.saturating_sub(self.open) }
    }

    /// Opens up to `most` items.
    pub(super) fn open(&mut self, most: usize) -> Room {
        if self.exhausted {
            return Room::Over;
        }
        match self.room().min(most) {
            0 => Room::Full,
            more => {
                self.open += more;
                Room::Opened(more)
            }
        }
    }

    /// Puts the result of an item, which somebody will read.
    pub(super) fn put(&mut self, done: Indexed<T>) {
        if done.1.is_err() {
            self.wanted = Wanted::AtOnce;
        }
        let in_turn = done.0 == self.first && self.early.is_empty();
        if in_turn || self.order == Order::Completion {
            self.ready.push_back(done);
            self.first += 1;
        } else {
            self.put_in_place(done.0 - self.first, done.1);
        }
    }

    /// Puts a result that came early, or before one that did.
    #[inline(never)]
    fn put_in_place(&mut self, place: usize, result: Result<T, Failure>) {
        while self.early.len() <= place {
            self.early.push_back(None);
        }
        self.early[place] = Some(result);
        let turns = self.early.iter().take_while(|early| early.is_some()).count();
        self.ready.extend((self.first..).zip(self.early.drain(..turns).flatten()));
        self.first += turns;
    }

    /// Takes what can be read, all of it, into an empty `hand`; it is open until it has been.
    pub(super) fn take(&mut self, hand: &mut VecDeque<Indexed<T>>) {
        std::mem::swap(&mut self.ready, hand);
    }

    /// Whether there is something that is worth waking the reader. All results together, and those
    /// that the reader comes for by itself, are read by the handful, long before there is no room
    /// for more; a failure at once.
    fn has_news(&self) -> bool {
        let readable = self.ready.len();
        let each = match self.wanted {
            Wanted::All => false,
            Wanted::Each => !self.delays,
            Wanted::AtOnce => true,
        };
        let handful = each || readable >= self.maxsize / 4;
        readable > 0 && (handful || !self.has_room())
    }

    /// The worker that shared the reader's slot has left.
    pub(super) fn return_slot(&mut self) {
        let waits = self.waiting.is_some() && !self.has_news();
        self.loan.give_back(waits);
    }

    /// False if there is nobody to be told of any change, but for a feeder that is stalled.
    pub(super) fn may_concern_others(&self) -> bool {
        self.is_reader_due() || self.exhausted || !self.loan.is_none()
    }

    /// Whether the reader waits for what there is now.
    pub(super) fn is_reader_due(&self) -> bool {
        let has_reason = self.has_news() || self.is_over();
        self.waiting.is_some() && self.loan.lender().is_none() && has_reason
    }

    pub(super) fn is_over(&self) -> bool {
        self.exhausted && self.open == 0 && self.workers.is_empty() && !self.feeding
    }

    /// What a map without a reader has kept alive.
    pub(super) fn take_tasks(&mut self) -> Option<TaskSet<X>> {
        match &mut self.reader {
            Reader::Detached(tasks) => tasks.take(),
            Reader::Present | Reader::Gone => None,
        }
    }

    /// Closes what is done and will not be read, and returns it.
    pub(super) fn forget_done(&mut self) -> Hand<T> {
        let mut results = std::mem::take(&mut self.ready);
        let early = std::mem::take(&mut self.early).into_iter().zip(self.first..);
        results.extend(early.filter_map(|(result, index)| Some((index, result?))));
        self.open -= results.len();
        Hand { results }
    }
}
