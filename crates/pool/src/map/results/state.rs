//! [`State`]: the results of a map, and what becomes of the rest.

use std::collections::VecDeque;
use std::task::Waker;

use slab::Slab;
use spinney_greenlet::{Failure, Handle};

use super::loan::Loan;
use super::{Indexed, Order, Room};
use crate::Crew;

pub(super) struct State<T, X> {
    pub(super) order: Order,
    /// What can be read. In the order of the input, with places for what is still running.
    pub(super) done: VecDeque<Option<Indexed<T>>>,
    /// The index of the first place of `done`, in the order of the input.
    pub(super) first: usize,
    pub(super) open: usize,
    pub(super) maxsize: usize,
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

/// Who reads the results.
pub(super) enum Reader<X> {
    Present,
    /// Nobody, but the map goes on. It may keep its crew alive for that.
    Detached(Option<Crew<X>>),
    /// Nobody, and the map is over.
    Gone,
}

impl<T, X> State<T, X> {
    pub(super) fn new(order: Order, maxsize: usize) -> Self {
        Self {
            order,
            done: VecDeque::new(),
            first: 0,
            open: 0,
            maxsize,
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
        let limit = self.maxsize.saturating_add(usize::from(self.waiting.is_some()));
        !self.exhausted && self.open < limit
    }

    pub(super) fn open(&mut self) -> Room {
        if self.exhausted {
            return Room::Over;
        }
        if !self.has_room() {
            return Room::Full;
        }
        self.open += 1;
        Room::Opened
    }

    pub(super) fn put(&mut self, index: usize, result: Result<T, Failure>) {
        match self.order {
            Order::Completion => self.done.push_back(Some((index, result))),
            Order::Input => {
                let place = index - self.first;
                while self.done.len() <= place {
                    self.done.push_back(None);
                }
                self.done[place] = Some((index, result));
            }
        }
    }

    /// Takes what can be read; it is open until it has been.
    pub(super) fn take(&mut self, hand: &mut VecDeque<Indexed<T>>) {
        while let Some(result) = self.done.front_mut().and_then(Option::take) {
            self.done.pop_front();
            self.first += 1;
            hand.push_back(result);
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        matches!(self.done.front(), Some(Some(_)))
    }

    /// The reader has its slot back: to read, or else to lend it again.
    pub(super) fn return_slot(&mut self) {
        let waits = self.waiting.is_some() && !self.is_readable();
        self.loan = self.loan.returned(waits);
    }

    pub(super) fn is_over(&self) -> bool {
        self.exhausted && self.open == 0 && self.workers.is_empty() && !self.feeding
    }

    /// Closes what was done and will not be read.
    pub(super) fn forget_done(&mut self) -> VecDeque<Option<Indexed<T>>> {
        self.open -= self.done.iter().flatten().count();
        std::mem::take(&mut self.done)
    }
}
