//! [`Obtain`]: a caller that holds a slot gets an idle resource, creates one, or waits for one.
//!
//! Callers stand in a line. A resource that comes back, or that a task of the pool has finished, goes
//! to the first of them, also while that one creates another: what it began goes on, for the next
//! caller. One resource is created for each caller in the line, as far as the capacity, the number
//! of creations and the delay after a failure allow.

use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use spinney_hub::{Clock, Sleep, drop_contained, sleep_until};
use spinney_sync::Wait;

use super::item::{Held, Resource};
use super::making::{Job, Made, Making, resume};
use super::state::{Given, State};
use super::{ResourceError, Shared};

/// What a caller is in the line for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be given a resource.
    Take,
    /// To create resources until there are so many.
    Fill(usize),
    /// To see the last one go.
    Drain,
}

/// The wait for a resource; None when the purpose is reached without one. Dropping it leaves the
/// line, passes on what it was given, and lets what it creates go on.
pub(super) struct Obtain<'a, T: Send + 'static, E: Send + 'static> {
    shared: &'a Arc<Shared<T, E>>,
    purpose: Purpose,
    what: &'static str,
    at: &'static Location<'static>,
    /// Its place in the line.
    ticket: Option<u64>,
    making: Option<Making<T, E>>,
    delay: Option<Sleep>,
}

/// What a caller obtains.
type Obtained<'a, T, E> = Result<Option<Held<'a, T, E>>, ResourceError<E>>;

/// What a caller does next.
enum Next<T, E> {
    Have(Resource<T>),
    Fail(ResourceError<E>),
    /// The purpose is reached.
    Done,
    /// It creates a resource, which is counted, in this generation.
    Create(u64),
    Adopt(Job<T, E>),
    Wait(Option<Instant>),
}

impl<'a, T: Send + 'static, E: Send + 'static> Obtain<'a, T, E> {
    pub(super) fn new(
        shared: &'a Arc<Shared<T, E>>,
        purpose: Purpose,
        at: &'static Location<'static>,
    ) -> Self {
        let what = match purpose {
            Purpose::Take => "ResourcePool::item",
            Purpose::Fill(_) => "ResourcePool::fill",
            Purpose::Drain => "ResourcePool::drain",
        };
        Self { shared, purpose, what, at, ticket: None, making: None, delay: None }
    }

    /// Looks for a resource that is there, then joins the line with the waker.
    fn next(&mut self, cx: &Context<'_>) -> Next<T, E> {
        if self.ticket.is_none() && self.purpose == Purpose::Take {
            let mut state = self.shared.lock();
            if let Some(resource) = state.lend_idle(self.shared.settings.order_as_stack) {
                return Next::Have(resource);
            }
        }
        let (waker, now) = (cx.waker().clone(), Clock::current().now());
        let before;
        let mut state = self.shared.lock();
        if let Some(given) = self.ticket.and_then(|ticket| state.line.fetch(ticket)) {
            self.ticket = None;
            return given.map_or_else(Next::Fail, Next::Have);
        }
        before = self.join(&mut state, waker);
        let next = self.decide(&mut state, now);
        drop(state);
        drop(before);
        next
    }

    /// Joins the line, or leaves another waker there. Returns the one before.
    fn join(&mut self, state: &mut State<T, E>, waker: Waker) -> Option<Waker> {
        if let Some(ticket) = self.ticket {
            return state.line.update(ticket, waker);
        }
        self.ticket = Some(state.line.join(waker, self.purpose == Purpose::Take));
        None
    }

    /// What it does, as one that stands in the line and was not given anything.
    fn decide(&self, state: &mut State<T, E>, now: Instant) -> Next<T, E> {
        if self.purpose == Purpose::Drain {
            return if state.size == 0 { Next::Done } else { Next::Wait(None) };
        }
        if state.is_closed {
            return Next::Fail(ResourceError::Closed);
        }
        if self.making.is_some() {
            return Next::Wait(None);
        }
        match self.purpose {
            Purpose::Take => {
                if let Some(resource) = state.lend_idle(self.shared.settings.order_as_stack) {
                    return Next::Have(resource);
                }
            }
            Purpose::Fill(wanted) if state.size >= wanted && state.creating == 0 => {
                return Next::Done;
            }
            _ => {}
        }
        if let Some(orphan) = state.orphans.pop() {
            return Next::Adopt(orphan);
        }
        if self.may_create(state) {
            match state.failures.delayed_until(now) {
                Some(until) => return Next::Wait(Some(until)),
                None if state.failures.in_a_row > 0 && state.creating > 0 => {}
                None => {
                    state.creating += 1;
                    state.size += 1;
                    return Next::Create(state.generation);
                }
            }
        }
        Next::Wait(None)
    }

    fn may_create(&self, state: &State<T, E>) -> bool {
        let is_wanted = match self.purpose {
            Purpose::Take => state.creating < state.line.unserved(),
            Purpose::Fill(wanted) => state.size < wanted,
            Purpose::Drain => false,
        };
        let settings = &self.shared.settings;
        let has_room = state.size < self.shared.slots.capacity();
        is_wanted && has_room && state.creating < settings.max_creating
    }

    /// Leaves the line with what it has or is to do; None if it waits on.
    fn follow(
        &mut self,
        next: Next<T, E>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Obtained<'a, T, E>>> {
        match next {
            Next::Have(resource) => {
                let held = Held::new(self.shared, resource);
                self.leave();
                return Some(Poll::Ready(Ok(Some(held))));
            }
            Next::Fail(error) => return Some(Poll::Ready(Err(error))),
            Next::Done => return Some(Poll::Ready(Ok(None))),
            Next::Create(generation) => {
                self.making = Some(Making::create(self.shared, generation));
            }
            Next::Adopt(job) => self.making = Some(Making::adopt(self.shared, job)),
            Next::Wait(None) => {
                self.delay = None;
                return Some(Poll::Pending);
            }
            Next::Wait(Some(until)) => {
                let delay = self.delay.insert(sleep_until(until));
                if Pin::new(delay).poll(cx).is_pending() {
                    return Some(Poll::Pending);
                }
            }
        }
        None
    }

    /// Leaves the line. What it was given goes to the next one, what it creates goes on.
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let (_waker, given) = self.shared.lock().line.leave(ticket);
            self.pass_on(given);
        }
        if let Some(making) = self.making.take() {
            making.carry_on();
        }
    }

    fn pass_on(&self, given: Option<Given<T, E>>) {
        match given {
            Some(Ok(resource)) => self.shared.deliver(resource),
            // The failure of a create that this caller has given up waiting for.
            Some(Err(error)) => drop_contained(error),
            None => {}
        }
    }

    /// Polls what it creates; the panic of a `create` goes on here.
    fn poll_making(&mut self, cx: &mut Context<'_>) -> Poll<Obtained<'a, T, E>> {
        let Some(making) = &mut self.making else { return Poll::Pending };
        let Poll::Ready(made) = making.poll(cx) else { return Poll::Pending };
        self.making = None;
        match made {
            Made::Resource(resource) => {
                let held = Held::new(self.shared, resource);
                let refusal = self.shared.refusal(&self.shared.lock(), held.look());
                let Some(reason) = refusal else { return Poll::Ready(Ok(Some(held))) };
                held.discard(reason);
                Poll::Pending
            }
            Made::Failed(error) => Poll::Ready(Err(error)),
            Made::Panicked(failure) => resume(failure),
            Made::Nothing => Poll::Pending,
        }
    }
}

impl<'a, T: Send + 'static, E: Send + 'static> Future for Obtain<'a, T, E> {
    type Output = Obtained<'a, T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Poll::Ready(made) = this.poll_making(cx) {
                return Poll::Ready(made);
            }
            let next = this.next(cx);
            match this.follow(next, cx) {
                Some(Poll::Pending) => {
                    if this.making.is_none() {
                        Wait::note(this.what, this.at);
                    }
                    return Poll::Pending;
                }
                Some(ready) => return ready,
                None => {}
            }
        }
    }
}

/// Nothing in it is pinned in place.
impl<T: Send + 'static, E: Send + 'static> Unpin for Obtain<'_, T, E> {}

impl<T: Send + 'static, E: Send + 'static> Drop for Obtain<'_, T, E> {
    fn drop(&mut self) {
        self.leave();
    }
}
