//! [`Late`]: a greenlet that enters its group when there is a slot for it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use spinney_greenlet::{GreenletExit, Handle, Task};
use spinney_sync::{Acquire, Closed};

use crate::hook::Hooked;
use crate::roster::{Roster, Slots};

pin_project! {
    /// The task of [`apply_async`](crate::Crew::apply_async) on a full pool: it waits for a slot,
    /// and its greenlet is a member from then on. Dropping it kills the greenlet.
    pub struct Late<F: Future> {
        handle: Handle,
        roster: Arc<Roster>,
        // None once it has entered, or is not to.
        slot: Option<Acquire<Slots>>,
        #[pin]
        task: Task<Hooked<F>>,
    }
}

impl<F: Future> Late<F> {
    #[track_caller]
    pub(crate) fn new(roster: &Arc<Roster>, handle: Handle, task: Task<Hooked<F>>) -> Self {
        let slot = Some(Acquire::of(Slots(Arc::clone(roster))));
        Self { handle, roster: Arc::clone(roster), slot, task }
    }
}

impl<F: Future> Future for Late<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(slot) = this.slot {
            if !this.task.as_mut().is_killed(cx) {
                match Pin::new(&mut *slot).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(Closed)) => {
                        this.handle.kill_now_with(GreenletExit::because(Closed));
                    }
                    Poll::Ready(Ok(slot)) => {
                        slot.forget();
                        if !this.roster.add(this.handle) && this.roster.is_shut_to(this.handle) {
                            this.handle.kill_now_with(GreenletExit::because(Closed));
                        }
                    }
                }
            }
            *this.slot = None;
        }
        this.task.poll(cx)
    }
}

impl<F: Future> fmt::Debug for Late<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Late").field(&self.handle).finish()
    }
}
