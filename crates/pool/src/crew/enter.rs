//! [`Enter`]: how a task waits for its slot.

use std::pin::Pin;
use std::task::{Context, Poll};

use spinney_sync::{Acquire, Closed, Semaphore};

use crate::Reentry;
use crate::roster::Roster;

/// The wait for a slot. Dropping it gives up the place in the queue, and hands on a slot that had
/// been got.
pub(crate) struct Enter<'a> {
    roster: &'a Roster,
    /// None once it is done.
    slot: Option<Acquire<&'a Semaphore>>,
    /// What a member does; for others, to wait.
    reentry: Reentry,
    /// Its place among the members that wait to spawn.
    place: Option<usize>,
    has_waited: bool,
}

/// How a task may go ahead.
pub(crate) enum Entry {
    /// In a slot, which is out without a guard.
    Slot,
    /// In place of the member that waits, for there will be no slot.
    InPlace,
}

impl<'a> Enter<'a> {
    #[track_caller]
    pub(crate) fn new(roster: &'a Roster, reentry: Reentry) -> Self {
        let slot = Some(roster.slots.acquire());
        Self { roster, slot, reentry, place: None, has_waited: false }
    }
}

impl Future for Enter<'_> {
    type Output = Result<Entry, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let slot = this.slot.as_mut().expect("polled after it was done");
        let entry = match Pin::new(slot).poll(cx) {
            Poll::Ready(slot) => slot.map(|slot| {
                slot.forget();
                Entry::Slot
            }),
            Poll::Pending => {
                let first = !std::mem::replace(&mut this.has_waited, true);
                let may_ask = first && this.reentry != Reentry::Wait;
                if may_ask && !this.roster.is_inside() {
                    this.reentry = Reentry::Wait;
                }
                let goes_ahead = match this.reentry {
                    Reentry::Wait => false,
                    Reentry::WhenFull => true,
                    Reentry::WhenStuck => this.roster.block(&mut this.place, cx.waker()),
                };
                if !goes_ahead {
                    return Poll::Pending;
                }
                Ok(Entry::InPlace)
            }
        };
        this.slot = None;
        this.roster.unblock(&mut this.place);
        Poll::Ready(entry)
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        self.roster.unblock(&mut self.place);
        let given_up = self.slot.take();
        if given_up.is_some() && self.has_waited {
            drop(given_up);
            // The slot that was on its way here may now be nobody's.
            self.roster.recheck();
        }
    }
}
