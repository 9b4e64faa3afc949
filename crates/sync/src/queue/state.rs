//! [`State`]: the items of a queue, and its waiters.
//!
//! After each change [`settle`](State::settle) serves every waiter that can be served; a waiter
//! finds its answer by its ticket. So between two changes
//!
//! * a getter waits only while there is no item, not even that of a waiting putter;
//! * a putter waits only while there is no room.
//!
//! Hence a new task that finds an item, or room, overtakes no waiter.
//!
//! With a capacity of 0 a waiting getter *meets* a putter: the getter is offered the item, and the
//! putter waits until the getter has taken it. If either leaves before, the other waits in its old
//! place again. Neither counts as waiting while they meet. A larger capacity ends all meetings.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;

use super::order::{Numbered, Order, Panic};
use super::{PutError, ShutDown};
use crate::Event;
use crate::waiters::{Waiter, Waiters, replace, wake_all};

pub(super) struct State<T, O: Order<T>> {
    items: O::Items,
    /// The number of the next item.
    next: u64,
    /// `None` without a limit.
    pub(super) capacity: Option<usize>,
    /// Items that were put and not reported done.
    pub(super) unfinished: usize,
    pub(super) shut_down: bool,
    /// Set when no item is unfinished; `Some` while a task waits for that.
    joined: Option<Arc<Event>>,

    getters: Waiters<Want<T>>,
    /// How many of the getters take items, rather than peek.
    getting: usize,
    /// The answers for getters that have not run yet, by ticket.
    answers: BTreeMap<u64, Answer<T>>,

    putters: Waiters<T>,
    /// The putters that meet a getter, with their tickets, by the getter's ticket.
    offers: BTreeMap<u64, (u64, Waiter<T>)>,
    /// The tickets of the getters that putters meet, by the putter's ticket.
    met: BTreeMap<u64, u64>,
    /// Why the items of putters were refused, by ticket.
    refusals: BTreeMap<u64, Refusal<T>>,

    /// `Some` while there is deferred work.
    deferred: Option<Deferred>,
}

/// The request of a getter.
pub(super) enum Want<T> {
    /// Takes the item.
    Get,
    /// Copies the item.
    Peek(fn(&T) -> T),
}

/// The answer to a getter.
pub(super) enum Answer<T> {
    Item(Numbered<T>),
    /// A copy, or the panic of the item's `Clone`.
    Copy(Result<T, Panic>),
}

impl<T, O: Order<T>> State<T, O> {
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            items: O::Items::default(),
            next: 0,
            capacity,
            unfinished: 0,
            shut_down: false,
            joined: None,
            getters: Waiters::default(),
            getting: 0,
            answers: BTreeMap::new(),
            putters: Waiters::default(),
            offers: BTreeMap::new(),
            met: BTreeMap::new(),
            refusals: BTreeMap::new(),
            deferred: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        O::len(&self.items)
    }

    pub(super) fn has_room(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.len() < capacity)
    }

    pub(super) fn getting(&self) -> usize {
        self.getting
    }

    pub(super) fn putting(&self) -> usize {
        self.putters.len()
    }

    /// Puts an item of a new putter if there is room.
    pub(super) fn put(&mut self, item: T) -> Result<(), PutError<T>> {
        let has_room = self.has_room();
        self.put_if(has_room, item)
    }

    /// Puts an item of a new putter if there is room, or a waiting getter.
    pub(super) fn put_nowait(&mut self, item: T) -> Result<(), PutError<T>> {
        let has_room = self.has_room() || self.getting > 0;
        self.put_if(has_room, item)
    }

    fn put_if(&mut self, has_room: bool, item: T) -> Result<(), PutError<T>> {
        if self.shut_down {
            return Err(PutError::ShutDown(item));
        }
        if !has_room {
            return Err(PutError::Full(item));
        }
        if let Err(panic) = self.admit(item) {
            self.deferred().resume(panic);
        }
        Ok(())
    }

    pub(super) fn wait_to_put(&mut self, item: T, waker: &Waker) -> u64 {
        self.putters.push(waker.clone(), item)
    }

    /// Ready if the putter with this ticket was served or refused.
    pub(super) fn poll_put(&mut self, ticket: u64, waker: &Waker) -> Poll<Result<(), Refusal<T>>> {
        if let Some(refusal) = self.refusals.remove(&ticket) {
            return Poll::Ready(Err(refusal));
        }
        let Some(waiting) = self.putter_waker(ticket) else { return Poll::Ready(Ok(())) };
        let stale = replace(waiting, waker);
        self.discard(stale);
        Poll::Pending
    }

    fn putter_waker(&mut self, ticket: u64) -> Option<&mut Waker> {
        match self.met.get(&ticket) {
            Some(getter) => self.offers.get_mut(getter).map(|(_, putter)| &mut putter.waker),
            None => self.putters.waker(ticket),
        }
    }

    /// Removes the putter with this ticket. Returns its item, unless that was put.
    pub(super) fn leave_put(&mut self, ticket: u64) -> Option<Refusal<T>> {
        let refusal = self.refusals.remove(&ticket);
        if refusal.is_some() {
            return refusal;
        }
        let putter = self.end_meeting(ticket).or_else(|| self.putters.remove(ticket))?;
        self.discard(Some(putter.waker));
        Some(Ok(putter.want))
    }

    /// Removes the putter with this ticket from its meeting. The getter waits again; it was woken,
    /// and stores a waker when it runs.
    fn end_meeting(&mut self, ticket: u64) -> Option<Waiter<T>> {
        let getter = self.met.remove(&ticket)?;
        let (_, putter) = self.offers.remove(&getter)?;
        if !self.shut_down {
            let waker = Waker::noop().clone();
            self.getters.put_back(getter, Waiter { waker, want: Want::Get });
            self.getting += 1;
        }
        Some(putter)
    }

    /// Serves a new getter with the next item; `None` if there is none.
    pub(super) fn serve(&mut self, want: Want<T>) -> Option<Answer<T>> {
        match want {
            Want::Get => self.take().map(Answer::Item),
            Want::Peek(look) => {
                let next = match O::first(&self.items) {
                    Some(next) => next,
                    None => self.putters.first()?,
                };
                Some(Answer::Copy(catch_unwind(AssertUnwindSafe(|| look(next)))))
            }
        }
    }

    pub(super) fn wait_to_get(&mut self, want: Want<T>, waker: &Waker) -> u64 {
        self.getting += usize::from(want.gets());
        self.getters.push(waker.clone(), want)
    }

    /// Ready if the getter with this ticket, which wants `want`, was served or refused.
    pub(super) fn poll_get(
        &mut self,
        ticket: u64,
        want: Want<T>,
        waker: &Waker,
    ) -> Poll<Result<Answer<T>, ShutDown>> {
        if let Some(answer) = self.answers.remove(&ticket) {
            return Poll::Ready(Ok(answer));
        }
        if let Some((_, putter)) = self.accept(ticket) {
            return Poll::Ready(Ok(Answer::Item(self.take_from(putter))));
        }
        if self.shut_down {
            // It was refused while there was no item; one may have been returned since.
            return Poll::Ready(self.serve(want).ok_or(ShutDown(())));
        }
        let stale = self.getters.update(ticket, waker);
        self.discard(stale);
        Poll::Pending
    }

    /// Removes the getter with this ticket. Its item goes back to its old place, as if it had never
    /// been given; the putter that it meets waits again. The result is dropped by the caller.
    pub(super) fn leave_get(&mut self, ticket: u64) -> Option<Answer<T>> {
        match self.answers.remove(&ticket) {
            Some(Answer::Item(item)) => {
                if let Err(panic) = O::insert(&mut self.items, item) {
                    self.finish(1);
                    self.deferred().resume(panic);
                }
                None
            }
            Some(copy @ Answer::Copy(_)) => Some(copy),
            None => {
                if let Some((ticket, putter)) = self.accept(ticket) {
                    if self.shut_down {
                        self.refuse(ticket, putter);
                    } else {
                        self.putters.put_back(ticket, putter);
                    }
                    return None;
                }
                let waiter = self.getters.remove(ticket)?;
                self.getting -= usize::from(waiter.want.gets());
                self.discard(Some(waiter.waker));
                None
            }
        }
    }

    /// Changes the capacity. With room for items no put waits for its getter, so each item of a
    /// meeting is put now, before those of later putters.
    pub(super) fn resize(&mut self, capacity: Option<usize>) {
        self.capacity = capacity;
        if capacity == Some(0) {
            return;
        }
        self.met.clear();
        for (getter, (_, putter)) in std::mem::take(&mut self.offers) {
            let item = self.take_from(putter);
            self.answers.insert(getter, Answer::Item(item));
        }
    }

    /// Removes the putter that the getter with this ticket meets, and its ticket.
    fn accept(&mut self, getter: u64) -> Option<(u64, Waiter<T>)> {
        let (ticket, putter) = self.offers.remove(&getter)?;
        self.met.remove(&ticket);
        Some((ticket, putter))
    }

    /// Counts items as done.
    pub(super) fn finish(&mut self, items: usize) {
        self.unfinished = self.unfinished.saturating_sub(items);
        if self.unfinished > 0 {
            return;
        }
        if let Some(joined) = self.joined.take() {
            self.deferred().wake_joiners(joined);
        }
    }

    /// The event that is set when no item is unfinished; `None` if none is now.
    pub(super) fn joined(&mut self) -> Option<Arc<Event>> {
        (self.unfinished > 0).then(|| Arc::clone(self.joined.get_or_insert_default()))
    }

    /// Refuses all waiters, and all later putters. Getters and putters that meet may finish.
    pub(super) fn shut_down(&mut self) {
        self.shut_down = true;
        self.getting = 0;
        for (_, getter) in self.getters.dismiss() {
            self.deferred().wake(getter.waker);
        }
        for (ticket, putter) in self.putters.dismiss() {
            self.refuse(ticket, putter);
        }
    }

    fn refuse(&mut self, ticket: u64, putter: Waiter<T>) {
        self.refusals.insert(ticket, Ok(putter.want));
        self.deferred().wake(putter.waker);
    }

    /// Takes out all items, including those of getters that have not run yet. An item that a getter
    /// was offered stays with its putter.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.met.clear();
        for (ticket, putter) in std::mem::take(&mut self.offers).into_values() {
            self.refuse(ticket, putter);
        }
        let mut drained = Vec::with_capacity(self.answers.len() + self.len());
        for (ticket, answer) in std::mem::take(&mut self.answers) {
            match answer {
                Answer::Item(item) => drained.push(item.item),
                copy @ Answer::Copy(_) => {
                    self.answers.insert(ticket, copy);
                }
            }
        }
        while let Some(item) = O::take(&mut self.items) {
            drained.push(item.item);
        }
        self.finish(drained.len());
        drained
    }

    /// Whether there is no waiter and no deferred work: the common case.
    pub(super) fn is_settled(&self) -> bool {
        self.getters.is_empty() && self.putters.is_empty() && self.deferred.is_none()
    }

    /// Serves all waiters that can be served, and returns the work that the caller does after
    /// unlocking.
    pub(super) fn settle(&mut self) -> Option<Deferred> {
        self.fill();
        while let Some(&mut want) = self.getters.first() {
            let meets = want.gets() && self.len() == 0;
            let served = if meets { self.meet() } else { self.answer(want) };
            if served.is_none() {
                break;
            }
            self.fill();
        }
        self.deferred.take()
    }

    /// Makes the first getter meet the first putter; `None` if there is no putter.
    fn meet(&mut self) -> Option<()> {
        let (ticket, putter) = self.putters.pop()?;
        let (getter_ticket, getter) = self.getters.pop()?;
        self.getting -= 1;
        // Where tasks run in FIFO order, the putter runs right after the getter.
        let waker = putter.waker.clone();
        self.deferred().wake(getter.waker);
        self.deferred().wake(waker);
        self.met.insert(ticket, getter_ticket);
        self.offers.insert(getter_ticket, (ticket, putter));
        Some(())
    }

    /// Answers the first getter, which wants `want`; `None` if there is no item.
    fn answer(&mut self, want: Want<T>) -> Option<()> {
        let answer = self.serve(want)?;
        let (ticket, getter) = self.getters.pop()?;
        self.getting -= usize::from(want.gets());
        self.answers.insert(ticket, answer);
        self.deferred().wake(getter.waker);
        Some(())
    }

    /// Admits the items of waiting putters while there is room.
    fn fill(&mut self) {
        while !self.putters.is_empty() && self.has_room() {
            let Some((ticket, putter)) = self.putters.pop() else { return };
            // The item belongs to the putter, so the panic is the putter's.
            if let Err(panic) = self.admit(putter.want) {
                self.refusals.insert(ticket, Err(panic));
            }
            self.deferred().wake(putter.waker);
        }
    }

    /// Inserts a new item.
    fn admit(&mut self, item: T) -> Result<(), Panic> {
        let item = self.number(item);
        O::insert(&mut self.items, item)?;
        self.unfinished += 1;
        Ok(())
    }

    /// Takes the next item: with a capacity of 0, directly from the first putter.
    fn take(&mut self) -> Option<Numbered<T>> {
        if let Some(item) = O::take(&mut self.items) {
            return Some(item);
        }
        let (_, putter) = self.putters.pop()?;
        Some(self.take_from(putter))
    }

    fn take_from(&mut self, putter: Waiter<T>) -> Numbered<T> {
        self.deferred().wake(putter.waker);
        self.unfinished += 1;
        self.number(putter.want)
    }

    fn deferred(&mut self) -> &mut Deferred {
        self.deferred.get_or_insert_default()
    }

    fn discard(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.deferred().discard(waker);
        }
    }

    fn number(&mut self, item: T) -> Numbered<T> {
        let number = self.next;
        self.next += 1;
        Numbered { item, number }
    }
}

/// Why an item was refused: the queue was shut down, or comparing the item panicked.
pub(super) type Refusal<T> = Result<T, Panic>;

impl<T> Want<T> {
    fn gets(self) -> bool {
        matches!(self, Self::Get)
    }
}

impl<T> Clone for Want<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Want<T> {}

impl<T> Answer<T> {
    /// # Panics
    ///
    /// Panics with the payload of the item's `Clone`.
    pub(super) fn into_item(self) -> T {
        match self {
            Self::Item(item) => item.item,
            Self::Copy(Ok(item)) => item,
            Self::Copy(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

/// The foreign code that a change of the state defers until the lock is released.
#[derive(Default)]
pub(super) struct Deferred {
    /// Most changes wake at most one waiter, which needs no allocation.
    wake: Option<Waker>,
    wake_too: Vec<Waker>,
    /// A waker to drop.
    stale: Option<Waker>,
    joined: Option<Arc<Event>>,
    panic: Option<Panic>,
}

impl Deferred {
    pub(super) fn wake(&mut self, waker: Waker) {
        match &self.wake {
            None => self.wake = Some(waker),
            Some(_) => self.wake_too.push(waker),
        }
    }

    pub(super) fn discard(&mut self, waker: Waker) {
        self.stale = Some(waker);
    }

    pub(super) fn wake_joiners(&mut self, joined: Arc<Event>) {
        self.joined = Some(joined);
    }

    /// Resumes the panic of an item in its caller.
    pub(super) fn resume(&mut self, panic: Panic) {
        self.panic = Some(panic);
    }

    pub(super) fn run(self) {
        wake_all(self.wake.into_iter().chain(self.wake_too));
        if let Some(joined) = self.joined {
            joined.set();
        }
        match self.panic {
            // A second panic would abort the process.
            Some(panic) if !thread::panicking() => resume_unwind(panic),
            _ => {}
        }
    }
}
