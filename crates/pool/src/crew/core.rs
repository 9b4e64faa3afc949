//! [`Core`]: what all handles of a crew share.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use spinney_greenlet::{Greenlet, GreenletExit, InPlace, pair};
use spinney_hub::Spawn;
use spinney_sync::Closed;

use super::enter::{Enter, Entry};
use crate::Runs;
use crate::builder::Settings;
use crate::hook::Hooked;
use crate::map::{MapWorker, Source, Worker};
use crate::roster::{InPlace as Within, Place, Roster};

/// What the handles of a crew share that run its work on the same hub.
pub(crate) struct Core<X> {
    pub(crate) hub: X,
    shared: Arc<Shared>,
}

/// What all handles of a crew share. Dropping it kills the members, unless they were detached.
pub(crate) struct Shared {
    pub(crate) roster: Arc<Roster>,
    pub(crate) settings: Settings,
    pub(super) detached: AtomicBool,
}

impl<X> Core<X> {
    pub(super) fn new(hub: X, capacity: usize, settings: Settings) -> Self {
        let roster = Arc::new(Roster::new(capacity, settings.kept_failures));
        let detached = AtomicBool::new(false);
        Self { hub, shared: Arc::new(Shared { roster, settings, detached }) }
    }

    /// The same crew, whose work runs on another `hub`.
    pub(super) fn with_hub<Y>(&self, hub: Y) -> Core<Y> {
        Core { hub, shared: Arc::clone(&self.shared) }
    }

    /// Waits for a slot, or until a member is to run its work itself.
    #[track_caller]
    pub(crate) fn enter(&self) -> Enter<'_> {
        Enter::new(&self.roster, self.settings.reentry)
    }

    /// Starts `future` in a slot that is out without a guard.
    ///
    /// # Errors
    ///
    /// Gives it back if the crew was closed meanwhile.
    pub(crate) fn start<F>(&self, future: F) -> Result<Greenlet<F::Output>, F>
    where
        F: Future,
        X: Runs<F>,
    {
        let future = Hooked::new(&self.settings.hook, future);
        let entered = self.roster.enter(future, None, |_, membership| membership);
        let (task, greenlet) = entered.map_err(Hooked::into_inner)?;
        self.hub.spawn(task);
        Ok(greenlet)
    }

    /// Runs `future` as its wait for a slot came out.
    #[expect(clippy::async_yields_async, reason = "what comes out is a greenlet, to be awaited")]
    pub(crate) fn go_ahead<F>(
        &self,
        entry: Result<Entry<'_>, Closed>,
        future: F,
    ) -> impl Future<Output = Greenlet<F::Output>>
    where
        F: Future,
        X: Runs<F>,
    {
        // Decided here rather than in the block, which would have the size of `future` otherwise.
        let running = match entry {
            Ok(Entry::Slot) => Ok(self.start(future).unwrap_or_else(refused)),
            Ok(Entry::InPlace(in_place)) => Err(run_in_place(future, in_place)),
            Err(Closed) => Ok(refused(future)),
        };
        async move {
            match running {
                Ok(greenlet) => greenlet,
                Err(in_place) => in_place.await,
            }
        }
    }

    /// Starts a map's `worker`, in a slot that is out without a guard, or was lent by `lender`.
    ///
    /// # Errors
    ///
    /// Gives it back if the crew was closed meanwhile.
    pub(crate) fn start_worker<S, F, Fut>(
        &self,
        worker: Worker<S, F, Fut, X>,
        lender: Option<Place>,
    ) -> Result<(), Worker<S, F, Fut, X>>
    where
        S: Source,
        F: Fn(S::Item) -> Fut,
        Fut: Future,
        X: Spawn<MapWorker<S, F, Fut, X>>,
    {
        let (task, greenlet) = self.roster.enter(worker, lender, Worker::seat)?;
        greenlet.detach();
        self.hub.spawn(task);
        Ok(())
    }
}

impl<X> Deref for Core<X> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.roster.close();
        if !self.detached.load(Relaxed) {
            self.roster
                .kill_again(&GreenletExit::because("the last handle of its group was dropped"));
        }
    }
}

/// Runs `future` here and now, in the place of the current greenlet; what comes out has ended.
#[expect(clippy::async_yields_async, reason = "what comes out is a greenlet, to be awaited")]
fn run_in_place<F: Future>(
    future: F,
    in_place: Option<Within<'_>>,
) -> impl Future<Output = Greenlet<F::Output>> {
    // In a box, or the size of futures would grow by a multiple for each that is in another.
    let (task, greenlet) = pair(Box::pin(future), ());
    let mut task = InPlace::new(task, greenlet.handle());
    async move {
        poll_fn(|cx| match &in_place {
            Some(in_place) => in_place.run(|| Pin::new(&mut task).poll(cx)),
            None => Pin::new(&mut task).poll(cx),
        })
        .await;
        greenlet
    }
}

/// A greenlet that never started, because its crew is closed.
pub(crate) fn refused<F: Future>(future: F) -> Greenlet<F::Output> {
    let (task, greenlet) = pair(future, ());
    greenlet.kill_now_with(GreenletExit::because(Closed));
    drop(task);
    greenlet
}
