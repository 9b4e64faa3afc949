//! [`Terms`]: how long each item of a map may take, and whether it is tried again.

use std::future::{Pending, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_greenlet::map::{Again, Decision, Schedule};
use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Sleep, Within, WithinFuture, sleep};

use super::worker::Seat;
use crate::slot::{AcquireSlot, AcquireStart};
use crate::task_set::refusal;

/// The terms of a map of `A` to `T`.
pub(crate) struct Terms<A, T> {
    pub(crate) limit: Option<Duration>,
    pub(crate) again: Option<Again<A, T>>,
}

impl<A, T> Terms<A, T> {
    /// None where there are none, which is the rule.
    pub(crate) fn of(limit: Option<Duration>, again: Option<Again<A, T>>) -> Option<Self> {
        let any = limit.is_some() || again.is_some();
        any.then_some(Self { limit, again })
    }

    fn limit(&self, schedule: Option<&Schedule>) -> Option<WithinFuture<Pending<()>>> {
        let of_try = schedule.and_then(Schedule::try_limit);
        let limit = self.limit.into_iter().chain(of_try).min();
        limit.map(|limit| pending().within(limit))
    }
}

/// The tries of one item.
pub(crate) struct Tries<A> {
    /// For the next one.
    spare: Option<A>,
    schedule: Option<Schedule>,
    limit: Option<WithinFuture<Pending<()>>>,
    rest: Option<Rest>,
}

/// The time between two tries.
struct Rest {
    pause: Option<Sleep>,
    turn: Turn,
}

/// What the next try waits for, after the delay.
enum Turn {
    /// The slot was kept, and starts are free.
    Free,
    /// The slot was kept.
    Start(AcquireStart),
    /// The slot was released.
    Slot(AcquireSlot),
}

impl<A> Tries<A> {
    pub(crate) fn new<T>(terms: &Terms<A, T>, index: usize, item: &A) -> Self {
        let schedule = terms.again.as_ref().map(|again| again.begin(index));
        let limit = terms.limit(schedule.as_ref());
        let mut tries = Self { spare: None, schedule, limit, rest: None };
        tries.spare = tries.spare_of(terms, item);
        tries
    }

    /// The item for one more try, if there may be one.
    fn spare_of<T>(&self, terms: &Terms<A, T>, item: &A) -> Option<A> {
        let is_last = self.schedule.as_ref().is_none_or(|schedule| schedule.left() == 0);
        terms.again.as_ref().filter(|_| !is_last).map(|again| again.clone_item(item))
    }

    /// Waits out the time before the next try; then the item to try, if this is one.
    pub(crate) fn poll_next<T>(
        &mut self,
        terms: &Terms<A, T>,
        seat: &dyn Seat,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<A>, Failure>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(Ok(None)) };
        if let Err(failure) = ready!(rest.poll(seat, cx)) {
            (self.rest, self.spare) = (None, None);
            return Poll::Ready(Err(failure));
        }
        self.rest = None;
        self.limit = terms.limit(self.schedule.as_ref());
        let next = self.spare.take();
        self.spare = next.as_ref().and_then(|item| self.spare_of(terms, item));
        Poll::Ready(Ok(next))
    }

    /// Ready when the try has taken too long.
    pub(crate) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let Some(limit) = &mut self.limit else { return Poll::Pending };
        match ready!(Pin::new(limit).poll(cx)) {
            Err(timeout) => Poll::Ready(Failure::Killed(GreenletExit::because(timeout))),
            Ok(()) => unreachable!("that which is limited never ends"),
        }
    }

    /// Whether the item is tried again after this; then its slot may be released. A predicate that
    /// panics fails the item.
    pub(crate) fn is_again<T>(
        &mut self,
        terms: &Terms<A, T>,
        seat: &dyn Seat,
        result: &mut Result<T, Failure>,
    ) -> bool {
        let (Some(again), Some(schedule), Some(_)) =
            (&terms.again, &mut self.schedule, &self.spare)
        else {
            return false;
        };
        // A kill would have dropped the task: what failed has panicked, or took too long.
        let next = || match again.decide(result) {
            Decision::GiveUp => None,
            decision => schedule.next_delay(decision),
        };
        let delay = match catch_unwind(AssertUnwindSafe(next)) {
            Ok(Some(delay)) => delay,
            Ok(None) => return false,
            Err(payload) => {
                *result = Err(Failure::panicked(payload));
                return false;
            }
        };
        self.limit = None;
        let gives_up = !again.keeps_slot() && !delay.is_zero();
        let slot = if gives_up { seat.leave() } else { None };
        let turn = match slot {
            Some(slot) => Turn::Slot(slot),
            None => seat.start().map_or(Turn::Free, Turn::Start),
        };
        self.rest = Some(Rest { pause: Some(sleep(delay)), turn });
        true
    }
}

impl Rest {
    fn poll(&mut self, seat: &dyn Seat, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(pause) = &mut self.pause {
            ready!(Pin::new(pause).poll(cx));
            self.pause = None;
        }
        let refused = |error| Failure::Killed(refusal(error));
        match &mut self.turn {
            Turn::Free => Poll::Ready(Ok(())),
            Turn::Start(start) => start.poll(cx).map_ok(drop).map_err(refused),
            Turn::Slot(slot) => {
                let permit = ready!(Pin::new(slot).poll(cx)).map_err(refused);
                Poll::Ready(permit.map(|permit| seat.take(permit)))
            }
        }
    }
}
