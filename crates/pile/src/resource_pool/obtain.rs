//! [`Obtain`]: a caller with a slot takes an idle resource, creates one, or waits for one.
//!
//! Callers wait in a list. A resource that comes back, or that a task of the pool has finished,
//! goes to the first caller, even if that one is creating another resource: what it began continues
//! for the next caller. One resource is created for each caller in the list, as far as the
//! capacity, the number of creations and the delay after a failure allow.

use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use spinney_hub::{Sleep, drop_contained, now, sleep_until};
use spinney_sync::Wait;

use super::item::{LentResource, Resource};
use super::preparation::{Job, Preparation, Prepared, resume};
use super::state::{Given, State};
use super::{ResourceError, Shared};

/// Why a caller is in the wait list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To get a resource.
    Take,
    /// To create resources until there are this many.
    Fill(usize),
    /// To wait until there is no resource.
    Drain,
}

/// The wait for a resource; `None` when the purpose is reached without one. Dropping it leaves the
/// list, passes on a resource that it was given, and lets its creation continue.
pub(super) struct Obtain<'a, T: Send + 'static, E: Send + 'static> {
    shared: &'a Arc<Shared<T, E>>,
    purpose: Purpose,
    what: &'static str,
    at: &'static Location<'static>,
    /// Its place in the list.
    ticket: Option<u64>,
    preparation: Option<Preparation<T, E>>,
    delay: Option<Sleep>,
}

/// The result of the wait.
type Obtained<'a, T, E> = Result<Option<LentResource<'a, T, E>>, ResourceError<E>>;

/// The next action of a caller.
enum Next<T, E> {
    Have(Resource<T>),
    Fail(ResourceError<E>),
    /// The purpose is reached.
    Done,
    /// Create a resource, which is counted, in this generation.
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
        Self { shared, purpose, what, at, ticket: None, preparation: None, delay: None }
    }

    /// Joins the list with the waker, and looks for an available resource.
    fn next(&mut self, cx: &Context<'_>) -> Next<T, E> {
        let (waker, now) = (cx.waker().clone(), now());
        let before;
        let mut state = self.shared.lock();
        if let Some(given) = self.ticket.and_then(|ticket| state.waiters.fetch(ticket)) {
            self.ticket = None;
            return given.map_or_else(Next::Fail, Next::Have);
        }
        before = self.join(&mut state, waker);
        let next = self.decide(&mut state, now);
        drop(state);
        drop(before);
        next
    }

    /// Joins the list, or replaces the waker there. Returns the previous one.
    fn join(&mut self, state: &mut State<T, E>, waker: Waker) -> Option<Waker> {
        if let Some(ticket) = self.ticket {
            return state.waiters.update(ticket, waker);
        }
        self.ticket = Some(state.waiters.join(waker, self.purpose == Purpose::Take));
        None
    }

    /// The next action, for a caller in the list that was not given anything.
    fn decide(&self, state: &mut State<T, E>, now: Instant) -> Next<T, E> {
        if self.purpose == Purpose::Drain {
            return if state.size == 0 { Next::Done } else { Next::Wait(None) };
        }
        if state.is_closed {
            return Next::Fail(ResourceError::Closed);
        }
        if self.preparation.is_some() {
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
            Purpose::Take => state.creating < state.waiters.unserved(),
            Purpose::Fill(wanted) => state.size < wanted,
            Purpose::Drain => false,
        };
        let settings = &self.shared.settings;
        let has_room = state.size < self.shared.slots.capacity();
        is_wanted && has_room && state.creating < settings.max_creating
    }

    /// Performs the action; `None` if the caller looks again.
    fn follow(
        &mut self,
        next: Next<T, E>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Obtained<'a, T, E>>> {
        match next {
            Next::Have(resource) => {
                let lent = LentResource::new(self.shared, resource);
                self.leave();
                return Some(Poll::Ready(Ok(Some(lent))));
            }
            Next::Fail(error) => return Some(Poll::Ready(Err(error))),
            Next::Done => return Some(Poll::Ready(Ok(None))),
            Next::Create(generation) => {
                self.preparation = Some(Preparation::create(self.shared, generation));
            }
            Next::Adopt(job) => self.preparation = Some(Preparation::adopt(self.shared, job)),
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

    /// Leaves the list. What it was given goes to the next caller; its creation continues.
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let (_waker, given) = self.shared.lock().waiters.leave(ticket);
            self.pass_on(given);
        }
        if let Some(preparation) = self.preparation.take() {
            preparation.carry_on();
        }
    }

    fn pass_on(&self, given: Option<Given<T, E>>) {
        match given {
            Some(Ok(resource)) => self.shared.deliver(resource),
            // The failure of a create for which this caller no longer waits.
            Some(Err(error)) => drop_contained(error),
            None => {}
        }
    }

    /// Polls its creation; a panic of `create` continues here.
    fn poll_preparation(&mut self, cx: &mut Context<'_>) -> Poll<Obtained<'a, T, E>> {
        let Some(preparation) = &mut self.preparation else { return Poll::Pending };
        let Poll::Ready(prepared) = preparation.poll(cx) else { return Poll::Pending };
        self.preparation = None;
        match prepared {
            Prepared::Resource(resource) => {
                let lent = LentResource::new(self.shared, resource);
                let refusal = self.shared.refusal(&self.shared.lock(), lent.resource_ref());
                let Some(reason) = refusal else { return Poll::Ready(Ok(Some(lent))) };
                lent.discard(reason);
                Poll::Pending
            }
            Prepared::Failed(error) => Poll::Ready(Err(error)),
            Prepared::Panicked(failure) => resume(failure),
            Prepared::Nothing => Poll::Pending,
        }
    }
}

impl<'a, T: Send + 'static, E: Send + 'static> Future for Obtain<'a, T, E> {
    type Output = Obtained<'a, T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Poll::Ready(prepared) = this.poll_preparation(cx) {
                return Poll::Ready(prepared);
            }
            let next = this.next(cx);
            match this.follow(next, cx) {
                Some(Poll::Pending) => {
                    if this.preparation.is_none() {
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

/// No field is structurally pinned.
impl<T: Send + 'static, E: Send + 'static> Unpin for Obtain<'_, T, E> {}

impl<T: Send + 'static, E: Send + 'static> Drop for Obtain<'_, T, E> {
    fn drop(&mut self) {
        self.leave();
    }
}
