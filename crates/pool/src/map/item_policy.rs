//! [`ItemPolicy`]: the time limit and the retries of a map's items.

use std::future::{Pending, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_greenlet::map::{Again, Decision, Schedule};
use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Sleep, Within, WithinFuture, sleep};

use super::worker::ItemSlot;
use crate::slot::{AcquireSlot, AcquireStart};

/// The time limit and the retries of a map from `A` to `T`.
pub(crate) struct ItemPolicy<A, T> {
    pub(crate) limit: Option<Duration>,
    pub(crate) again: Option<Again<A, T>>,
}

impl<A, T> ItemPolicy<A, T> {
    /// `None` without a limit and retries, the usual case.
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
    /// The item for the next try.
    spare: Option<A>,
    schedule: Option<Schedule>,
    limit: Option<WithinFuture<Pending<()>>>,
    delay: Option<Delay>,
}

/// The time between two tries.
struct Delay {
    sleep: Option<Sleep>,
    start: NextStart,
}

/// The wait of the next try after its delay.
enum NextStart {
    /// None: the slot was kept, and starts are not limited.
    Free,
    /// For a start: the slot was kept.
    Start(AcquireStart),
    /// For a slot: the slot was freed.
    Slot(AcquireSlot),
}

impl NextStart {
    /// The wait of a try whose worker has a slot.
    fn of(item_slot: &dyn ItemSlot) -> Self {
        item_slot.acquire_start().map_or(Self::Free, Self::Start)
    }
}

impl<A> Tries<A> {
    pub(crate) fn new<T>(policy: &ItemPolicy<A, T>, index: usize, item: &A) -> Self {
        let schedule = policy.again.as_ref().map(|again| again.begin(index));
        let limit = policy.limit(schedule.as_ref());
        let mut tries = Self { spare: None, schedule, limit, delay: None };
        tries.spare = tries.spare_of(policy, item);
        tries
    }

    /// Clones the item for one more try, if there may be one.
    fn spare_of<T>(&self, policy: &ItemPolicy<A, T>, item: &A) -> Option<A> {
        let is_last = self.schedule.as_ref().is_none_or(|schedule| schedule.left() == 0);
        policy.again.as_ref().filter(|_| !is_last).map(|again| again.clone_item(item))
    }

    /// Waits until the next try may start. Returns its item; `None` if there is no delay.
    pub(crate) fn poll_next<T>(
        &mut self,
        policy: &ItemPolicy<A, T>,
        item_slot: &dyn ItemSlot,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<A>, Failure>> {
        let Some(delay) = &mut self.delay else { return Poll::Ready(Ok(None)) };
        if let Err(failure) = ready!(delay.poll(item_slot, cx)) {
            (self.delay, self.spare) = (None, None);
            return Poll::Ready(Err(failure));
        }
        self.delay = None;
        self.limit = policy.limit(self.schedule.as_ref());
        let next = self.spare.take();
        self.spare = next.as_ref().and_then(|item| self.spare_of(policy, item));
        Poll::Ready(Ok(next))
    }

    /// Ready when the try has exceeded its time limit.
    pub(crate) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let Some(limit) = &mut self.limit else { return Poll::Pending };
        match ready!(Pin::new(limit).poll(cx)) {
            Err(timeout) => Poll::Ready(Failure::Killed(GreenletExit::because(timeout))),
            Ok(()) => unreachable!("a pending future never finishes"),
        }
    }

    /// Prepares another try after `result`, and returns its delay; `None` if there is no further
    /// try. The slot may be freed during the delay. A panic of the predicate fails the item.
    pub(crate) fn try_again<T>(
        &mut self,
        policy: &ItemPolicy<A, T>,
        item_slot: &dyn ItemSlot,
        result: &mut Result<T, Failure>,
    ) -> Option<Duration> {
        let (Some(again), Some(schedule), Some(_)) =
            (&policy.again, &mut self.schedule, &self.spare)
        else {
            return None;
        };
        // A kill drops the task, so the try has panicked or exceeded its limit.
        let next = || match again.decide(result) {
            Decision::GiveUp => None,
            decision => schedule.next_delay(decision),
        };
        let delay = match catch_unwind(AssertUnwindSafe(next)) {
            Ok(delay) => delay?,
            Err(payload) => {
                *result = Err(Failure::panicked(payload));
                return None;
            }
        };
        self.limit = None;
        let gives_up = !again.keeps_slot() && !delay.is_zero();
        let slot = if gives_up { item_slot.release() } else { None };
        let start = slot.map_or_else(|| NextStart::of(item_slot), NextStart::Slot);
        self.delay = Some(Delay { sleep: Some(sleep(delay)), start });
        Some(delay)
    }
}

impl Delay {
    fn poll(
        &mut self,
        item_slot: &dyn ItemSlot,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if let Some(sleep) = &mut self.sleep {
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
        }
        let refused = |error| Failure::Killed(GreenletExit::because(error));
        if let NextStart::Slot(slot) = &mut self.start {
            if let Poll::Ready(permit) = Pin::new(slot).poll(cx) {
                return Poll::Ready(
                    permit.map(|permit| item_slot.restore(permit)).map_err(refused),
                );
            }
            // The slot may never be free if the reader is a member: it waits for this item.
            if !item_slot.share_with_reader(cx.waker()) {
                return Poll::Pending;
            }
            self.start = NextStart::of(item_slot);
        }
        match &mut self.start {
            NextStart::Start(start) => {
                let started = ready!(start.poll(cx));
                Poll::Ready(started.map(|key| item_slot.take_key(key)).map_err(refused))
            }
            NextStart::Free | NextStart::Slot(_) => Poll::Ready(Ok(())),
        }
    }
}
