//! [`Enter`]: how a task waits for its slot.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use spinney_sync::{Acquire, Closed, GiveWay, Semaphore, Wait as WaitNote};

use crate::Reentry;
use crate::roster::{InPlace, Roster, Wait};

/// The wait for a slot. Dropping it gives up the place in the queue, and hands on a slot that had
/// been got.
pub(crate) struct Enter<'a> {
    roster: &'a Roster,
    /// None once it is done.
    slot: Option<Acquire<&'a Semaphore>>,
    /// What a member does that cannot have a slot now; None if it has nothing to run.
    reentry: Option<Reentry>,
    /// Where the member waits, if it is one.
    wait: Option<Wait>,
    /// Its place among the members that wait to spawn.
    place: Option<usize>,
    has_waited: bool,
    give_way: GiveWay,
    /// The line of the caller.
    at: &'static Location<'static>,
}

/// How a task may go ahead.
pub(crate) enum Entry<'a> {
    /// In a slot, which is out without a guard.
    Slot,
    /// In place of the member that asks: because there will be no slot for it, or because it
    /// wants that.
    InPlace(Option<InPlace<'a>>),
}

impl<'a> Enter<'a> {
    #[track_caller]
    pub(crate) fn new(roster: &'a Roster, reentry: Reentry) -> Self {
        Self::with(roster, Some(reentry))
    }

    /// For who has nothing to run. A member is counted as waiting, so that others know.
    #[track_caller]
    pub(crate) fn to_wait(roster: &'a Roster) -> Self {
        Self::with(roster, None)
    }

    #[track_caller]
    fn with(roster: &'a Roster, reentry: Option<Reentry>) -> Self {
        let slot = Some(roster.slots.acquire());
        let at = Location::caller();
        let give_way = GiveWay::default();
        Self { roster, slot, reentry, wait: None, place: None, has_waited: false, give_way, at }
    }

    /// It waits among the members that do, if it is one and that is wanted.
    fn block(&mut self) {
        if self.reentry != Some(Reentry::Wait) {
            self.wait = self.roster.wait_inside();
        }
        if self.reentry.is_none() {
            self.roster.set_waiting(None, self.wait);
        }
    }

    /// It does not wait among the members that do, any more.
    fn unblock(&mut self) {
        if self.reentry.is_none() && self.wait.is_some() {
            self.roster.set_waiting(self.wait.take(), None);
        }
        if let Some(place) = self.place.take() {
            self.roster.unblock(place);
        }
    }
}

impl<'a> Enter<'a> {
    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Result<Entry<'a>, Closed>> {
        let this = self;
        let slot = this.slot.as_mut().expect("polled after it was done");
        let entry = match Pin::new(slot).poll(cx) {
            Poll::Ready(slot) => slot.map(|slot| {
                slot.forget();
                Entry::Slot
            }),
            Poll::Pending => {
                WaitNote::note("a slot of a pool", this.at);
                if !std::mem::replace(&mut this.has_waited, true) {
                    this.block();
                }
                let Some(wait) = this.wait else { return Poll::Pending };
                let in_place = match this.reentry {
                    None | Some(Reentry::Wait) => return Poll::Pending,
                    Some(Reentry::WhenFull) => None,
                    Some(Reentry::WhenStuck) => {
                        let runs = this.roster.block(wait, &mut this.place, cx.waker());
                        let Some(in_place) = runs else { return Poll::Pending };
                        Some(in_place)
                    }
                };
                Ok(Entry::InPlace(in_place))
            }
        };
        this.slot = None;
        this.unblock();
        Poll::Ready(entry)
    }
}

impl<'a> Future for Enter<'a> {
    type Output = Result<Entry<'a>, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut give_way = std::mem::take(&mut self.give_way);
        let polled = give_way.poll_whole(cx, |cx| self.poll_entry(cx));
        self.give_way = give_way;
        polled
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        self.unblock();
        let given_up = self.slot.take();
        if given_up.is_some() && self.has_waited {
            drop(given_up);
            // The slot that was on its way here may now be nobody's.
            self.roster.recheck();
        }
    }
}
