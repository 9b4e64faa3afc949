//! [`Task`]: the half of a greenlet that an executor runs.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use spinney_hub::label_task;

use crate::control::Control;
use crate::greenlet::Outcome;
use crate::{Failure, Greenlet, GreenletExit, Handle, current};

/// Makes a greenlet of `future`: the half to run, and the half to hold.
///
/// For those who build their own containers; all others spawn. `guard` is dropped when the
/// greenlet has ended: its result is there, and nobody who waits for it has been woken yet. That
/// is when a group takes it off its list.
///
/// ```
/// let (task, greenlet) = spinney_greenlet::pair(async { 6 * 7 }, ());
/// spinney_hub::block_on(task);
/// assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
/// ```
#[track_caller]
pub fn pair<F: Future, G>(future: F, guard: G) -> (Task<F, G>, Greenlet<F::Output>) {
    let control = Arc::new(Control::new());
    let outcome = Outcome::default();
    let greenlet = Greenlet::new(Handle::new(Arc::clone(&control)), Arc::clone(&outcome));
    let task = Task { future: Some(future), shared: Some(Shared { control, outcome, guard }) };
    (task, greenlet)
}

pin_project! {
    /// The half of a greenlet that an executor runs to its end: it never panics, and is ready
    /// once the greenlet has ended. Dropping it earlier kills the greenlet, for the reason of the
    /// kill that was sent to it, if there was one.
    #[must_use = "a greenlet does nothing unless its task is run"]
    pub struct Task<F: Future, G = ()> {
        #[pin]
        future: Option<F>,
        // None once the greenlet has ended.
        shared: Option<Shared<F::Output, G>>,
    }

    impl<F: Future, G> PinnedDrop for Task<F, G> {
        fn drop(this: Pin<&mut Self>) {
            let sent = this.shared.as_ref().and_then(|shared| shared.control.exit());
            this.kill(sent.unwrap_or_default());
        }
    }
}

struct Shared<T, G> {
    control: Arc<Control>,
    outcome: Outcome<T>,
    guard: G,
}

impl<F: Future, G> Future for Task<F, G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.as_mut().project();
        let (Some(future), Some(shared)) = (this.future.as_pin_mut(), this.shared) else {
            return Poll::Ready(());
        };
        if let Some(exit) = shared.control.exit() {
            self.kill(exit);
            return Poll::Ready(());
        }
        let polled = {
            let _entered = current::enter(&shared.control);
            catch_unwind(AssertUnwindSafe(|| future.poll(cx)))
        };
        match polled {
            Ok(Poll::Ready(result)) => self.end(Ok(result)),
            Ok(Poll::Pending) if shared.control.park(cx.waker()) => {
                let control = &shared.control;
                label_task(|| Handle::new(Arc::clone(control)).to_string());
                return Poll::Pending;
            }
            Ok(Poll::Pending) => {
                let exit = shared.control.exit().unwrap_or_default();
                self.kill(exit);
            }
            Err(payload) => self.end(Err(Failure::panicked(payload))),
        }
        Poll::Ready(())
    }
}

impl<F: Future, G> Task<F, G> {
    fn kill(self: Pin<&mut Self>, exit: GreenletExit) {
        self.end(Err(Failure::Killed(exit)));
    }

    /// Drops the future, then ends the greenlet; the first time only. A destructor that panics
    /// makes the end a panic.
    fn end(self: Pin<&mut Self>, ended: Result<F::Output, Failure>) {
        let mut this = self.project();
        let Some(Shared { control, outcome, guard }) = this.shared.take() else { return };
        let dropped = {
            let _entered = current::enter(&control);
            catch_unwind(AssertUnwindSafe(|| this.future.set(None)))
        };
        let ended = match dropped {
            Ok(()) => ended,
            Err(payload) => Err(Failure::panicked(payload)),
        };
        let ended = ended.map(|result| {
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        control.end(ended, guard);
    }
}

impl<F: Future, G> fmt::Debug for Task<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = self.shared.as_ref().map(|shared| Handle::new(Arc::clone(&shared.control)));
        f.debug_tuple("Task").field(&handle).finish()
    }
}
