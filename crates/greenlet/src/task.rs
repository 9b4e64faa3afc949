//! [`Task`]: the part of a greenlet that an executor runs.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use spinney_hub::{cancel, drop_contained, label_task};
use spinney_sync::Budget;

use crate::control::Control;
use crate::current::{self, Frame};
use crate::greenlet::Outcome;
use crate::observe::{self, Announcement, Watch};
use crate::spawn_context::Origin;
use crate::{Failure, Greenlet, GreenletExit, Handle, in_place};

/// Creates a greenlet from `future`: the task to run, and the greenlet that owns the result.
///
/// For containers; other code calls [`spawn`](crate::spawn). `guard` is dropped when the greenlet
/// has finished: its result is there, and no waiter has been woken yet. A group removes the
/// greenlet from its members then.
///
/// ```
/// let (task, greenlet) = spinney_greenlet::pair(async { 6 * 7 }, ());
/// spinney_hub::block_on(task);
/// assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
/// ```
#[track_caller]
pub fn pair<F: Future, G>(future: F, guard: G) -> (Task<F, G>, Greenlet<F::Output>) {
    NewGreenlet::new(Location::caller()).pair(future, guard)
}

/// A greenlet without a task yet, for containers: it is allocated before the container locks its
/// list. Dropping it is a no-op, unless there is a handle: that never ends then.
///
/// ```
/// use std::panic::Location;
/// use spinney_greenlet::NewGreenlet;
///
/// let new = NewGreenlet::new(Location::caller());
/// let member = new.handle_at(7);
/// let (task, greenlet) = new.pair(async { 6 * 7 }, "the guard");
/// assert!(member == *greenlet.handle() && member.place() == Some(7));
/// spinney_hub::block_on(task);
/// assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
/// ```
pub struct NewGreenlet {
    control: Arc<Control>,
}

impl NewGreenlet {
    /// Creates a greenlet that was spawned on the line `at` by the current one.
    pub fn new(at: &'static Location<'static>) -> Self {
        Self { control: Arc::new(Control::new(Origin::new(at))) }
    }

    /// Returns a handle for the container's list, and sets its [`Handle::place`].
    pub fn handle_at(&self, place: u32) -> Handle {
        self.control.set_place(place);
        Handle::new(Arc::clone(&self.control))
    }

    /// Gives it a task, as [`pair`] does.
    #[inline]
    pub fn pair<F: Future, G>(self, future: F, guard: G) -> (Task<F, G>, Greenlet<F::Output>) {
        self.pair_member(future, guard, Announcement::default)
    }

    /// Like [`pair`](Self::pair); `about` announces it to the [observer](crate::Observer), if there
    /// is one. To be called under no lock.
    #[expect(clippy::inline_always, reason = "a call costs a spawn 2 %")]
    #[inline(always)]
    pub fn pair_member<F: Future, G>(
        self,
        future: F,
        guard: G,
        about: impl FnOnce() -> Announcement,
    ) -> (Task<F, G>, Greenlet<F::Output>) {
        let control = self.control;
        let watch = if observe::is_followed() { observe::born(&control, about) } else { None };
        let outcome = Outcome::default();
        let greenlet = Greenlet::of(Handle::new(Arc::clone(&control)), Arc::clone(&outcome));
        (Task::new(control, future, Some(outcome), guard, watch), greenlet)
    }
}

impl fmt::Debug for NewGreenlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewGreenlet").field("place", &self.control.place()).finish()
    }
}

pin_project! {
    /// The part of a greenlet that an executor runs to its end: it never panics, and completes once
    /// the greenlet has finished. Dropping it earlier kills the greenlet: for the reason of a
    /// pending kill, otherwise because its hub was shut down.
    #[must_use = "a greenlet does nothing unless its task is run"]
    pub struct Task<F: Future, G = ()> {
        #[pin]
        future: Option<F>,
        // `None` once the greenlet has finished.
        shared: Option<Shared<F::Output, G>>,
        // The waker that it stored in the control block with which it last waited.
        parked: Option<Waker>,
        // The observer's watch of the task.
        watch: Option<Arc<dyn Watch>>,
    }

    impl<F: Future, G> PinnedDrop for Task<F, G> {
        fn drop(this: Pin<&mut Self>) {
            let Some(shared) = &this.shared else { return };
            let exit = exit_of_dropped(shared.frame.control());
            this.end(Some(Err(Failure::Killed(exit))));
        }
    }
}

/// The kill of a greenlet whose task is dropped: by the greenlet that polls it in place, or by a
/// hub.
pub(crate) fn exit_of_dropped(control: &Control) -> GreenletExit {
    if control.is_in_place() {
        GreenletExit::new()
    } else {
        GreenletExit::because("its hub was shut down")
    }
}

struct Shared<T, G> {
    frame: Frame,
    /// `None` if the result is to be dropped.
    outcome: Option<Outcome<T>>,
    guard: G,
}

impl<F: Future, G> Future for Task<F, G> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if observe::is_observed() { self.poll_observed(cx) } else { self.poll_greenlet(cx) }
    }
}

impl<F: Future, G> Task<F, G> {
    pub(crate) fn new(
        control: Arc<Control>,
        future: F,
        outcome: Option<Outcome<F::Output>>,
        guard: G,
        watch: Option<Arc<dyn Watch>>,
    ) -> Self {
        let shared = Shared { frame: Frame::of(control), outcome, guard };
        Self { future: Some(future), shared: Some(shared), parked: None, watch }
    }

    #[cold]
    #[inline(never)]
    fn poll_observed(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let watch = self.as_mut().watch();
        let waker = watch.and_then(|watch| observe::poll_began(watch, cx.waker()));
        let mut noted = Context::from_waker(waker.as_ref().unwrap_or(cx.waker()));
        let polled = self.as_mut().poll_greenlet(&mut noted);
        // An item may have brought the watch.
        self.watch().inspect(|watch| observe::poll_ended(watch, polled.is_pending()));
        polled
    }

    /// The observer's watch of the task.
    fn watch(self: Pin<&mut Self>) -> Option<&Arc<dyn Watch>> {
        let this = self.project();
        if this.watch.is_none() {
            *this.watch = this.shared.as_ref()?.frame.control().watch();
        }
        this.watch.as_ref()
    }

    #[inline]
    fn poll_greenlet(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.as_mut().project();
        let (Some(future), Some(shared)) = (this.future.as_pin_mut(), this.shared) else {
            return Poll::Ready(());
        };
        let control = shared.frame.control();
        if !control.begin() {
            self.end(None);
            return Poll::Ready(());
        }
        // A task that is polled in place uses the budget of the greenlet around it.
        let _budget = (!control.is_in_place()).then(Budget::open);
        let poll = || catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
        match shared.frame.run(poll) {
            Ok(Poll::Pending) if shared.frame.control().park(this.parked, cx.waker()) => {
                label_task(|| in_place::label(shared.frame.control()));
                return Poll::Pending;
            }
            // A kill or an abort came during the poll, and the greenlet now waits: it ends here.
            Ok(Poll::Pending) => self.end(None),
            Ok(Poll::Ready(result)) => self.end(Some(Ok(result))),
            Err(payload) => self.end(Some(Err(Failure::panicked(payload)))),
        }
        Poll::Ready(())
    }

    /// Sets whether the greenlet around it polls it, rather than a hub. It then opens no budget of
    /// ready awaits, and dropping it counts as a kill by that greenlet.
    pub(crate) fn set_in_place(&self, in_place: bool) {
        self.control().into_iter().for_each(|control| control.set_in_place(in_place));
    }

    /// For containers that defer a task: whether it was killed or aborted, or has finished, and so
    /// is ready at its next poll. Otherwise a later kill or abort wakes `cx`.
    pub fn must_end(self: Pin<&mut Self>, cx: &Context<'_>) -> bool {
        let this = self.project();
        let control = this.shared.as_ref().map(|shared| shared.frame.control());
        control.is_none_or(|control| !control.park(this.parked, cx.waker()))
    }

    /// The control block of the greenlet that it runs now; `None` once it has finished.
    pub(crate) fn control(&self) -> Option<&Arc<Control>> {
        self.shared.as_ref().map(|shared| shared.frame.control())
    }

    /// Drops the future and the locals, then ends the greenlet; only the first call does. Without a
    /// result of its own it ends as aborted or killed, as was sent. A destructor that panics makes
    /// the end a panic.
    fn end(self: Pin<&mut Self>, ended: Option<Result<F::Output, Failure>>) {
        let mut this = self.project();
        let Some(Shared { mut frame, outcome, guard }) = this.shared.take() else { return };
        let finished = matches!(ended, Some(Ok(_)));
        let mut drop_future = || {
            let mut drop = || this.future.set(None);
            catch_unwind(AssertUnwindSafe(|| if finished { drop() } else { cancel(drop) }))
        };
        let dropped = frame.run(|| current::drop_locals(drop_future()));
        let control = frame.into_control();
        let ended = match (dropped, ended) {
            (Err(payload), _) => Err(Failure::panicked(payload)),
            (Ok(()), Some(ended)) => ended,
            // Or as aborted, or with the reason of the pending kill.
            (Ok(()), None) => Err(Failure::Killed(GreenletExit::new())),
        };
        let ended = ended.map(|result| match &outcome {
            Some(outcome) => {
                *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
            None => drop_contained(result),
        });
        // A result without an owner is dropped here. If that panics, only the panic hook can report
        // it.
        drop_contained(outcome);
        if this.watch.is_none() && observe::is_observed() {
            *this.watch = control.watch();
        }
        control.end(&ended, this.watch.as_ref(), || drop(guard));
    }
}

impl<F: Future, G> fmt::Debug for Task<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = self.control().map(|control| Handle::new(Arc::clone(control)));
        f.debug_tuple("Task").field(&handle).finish()
    }
}
