//! [`Context`]: which hub and which clock this thread is on.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use spinney_sync::Budget;

use crate::clock::Clock;
use crate::hub::WeakHub;
#[cfg(feature = "smol")]
use crate::smol::SmolHub;
#[cfg(feature = "tokio")]
use crate::tokio::TokioHub;
use crate::within::Inside;
use crate::{BoxFuture, Hub, Spawn};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
    /// Whether it has labels: each greenlet asks whenever it has been polled.
    static LABELLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `future` to its end on this thread, with the current [`Hub`], or else the global one, in
/// the background.
///
/// # Panics
///
/// If the [global hub](Hub::global) has to be started, and cannot be.
///
/// ```
/// assert_eq!(spinney_hub::block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    Hub::current().block_on(future)
}

/// Starts `future` in the background, on the current hub; outside of any hub, on
/// [`Hub::global`].
///
/// # Panics
///
/// If the [global hub](Hub::global) has to be started, and cannot be.
pub fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) {
    match look(|context| context.host.clone()) {
        Some(Host::Hub(hub)) => hub.spawn(future),
        #[cfg(feature = "smol")]
        Some(Host::Smol) => SmolHub.spawn(future),
        #[cfg(feature = "tokio")]
        Some(Host::Tokio(hub)) => hub.spawn(future),
        Some(Host::Other(hub)) => hub.spawn(Box::pin(future)),
        None => Hub::global().spawn(future),
    }
}

/// Tells the hub what the task that is being polled is called, if the hub wants to know.
pub fn label_task(label: impl FnOnce() -> String) {
    if !LABELLED.get() {
        return;
    }
    if let Some(labels) = look(|context| context.labels.clone()).flatten() {
        labels(label());
    }
}

/// What a hub tells its thread while it polls: its clock, and how to spawn on it.
///
/// Only those who write a hub need this. A hub [enters](Self::enter) its context around its
/// polling, so that [`sleep`](crate::sleep) and [`spawn`] find it. Dropping one that was not entered
/// is of no effect.
///
/// ```
/// use std::rc::Rc;
/// use spinney_hub::{Clock, Context, LocalHub};
///
/// let hub = LocalHub::new();
/// let entered = Context::new(Clock::default(), Rc::new(hub.clone())).enter();
/// spinney_hub::spawn(async {}); // on that hub
/// drop(entered);
/// # hub.block_on(async {});
/// ```
#[derive(Clone)]
pub struct Context {
    clock: Clock,
    host: Host,
    labels: Option<Rc<dyn Fn(String)>>,
}

#[derive(Clone)]
pub(crate) enum Host {
    Hub(WeakHub),
    #[cfg(feature = "smol")]
    Smol,
    #[cfg(feature = "tokio")]
    Tokio(TokioHub),
    Other(Rc<dyn Spawn<BoxFuture>>),
}

impl Context {
    /// The context of a hub that keeps time by `clock` and runs what `hub` is given.
    ///
    /// `hub` should not keep the real hub alive: the context is held for as long as its thread
    /// is inside.
    pub fn new(clock: Clock, hub: Rc<dyn Spawn<BoxFuture>>) -> Self {
        Self::of(clock, Host::Other(hub))
    }

    /// Has `labels` called with what the task that is being polled is called, as often as it
    /// says so.
    #[must_use]
    pub fn with_labels(self, labels: Rc<dyn Fn(String)>) -> Self {
        Self { labels: Some(labels), ..self }
    }

    pub(crate) fn of(clock: Clock, host: Host) -> Self {
        Self { clock, host, labels: None }
    }

    /// Makes this the current context until the guard is dropped; then the one before is back.
    ///
    /// Futures that are polled meanwhile are inside of no time limit and of no
    /// [budget](spinney_sync::Budget): the poll around can end them only when the hub is done.
    pub fn enter(self) -> Entered {
        let mut entered = self.enter_within();
        entered.apart = Some((Inside::of_none(), Budget::none()));
        entered
    }

    /// As [`enter`](Self::enter), for a part of the task that is being polled: it stays inside of
    /// the time limits and the budget around it.
    pub(crate) fn enter_within(self) -> Entered {
        Entered { before: replace(Some(self)), apart: None, here: PhantomData }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The guard of [`Context::enter`]. Dropping it brings the context before it back.
#[must_use = "the context is left when the guard is dropped"]
pub struct Entered {
    before: Option<Context>,
    /// Brings back the time limits and the budget around, if they were left.
    apart: Option<(Inside, Budget)>,
    /// Contexts belong to their thread.
    here: PhantomData<Rc<()>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        drop(replace(self.before.take()));
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("before", &self.before).finish()
    }
}

/// Makes `context` the current one; returns the one before.
fn replace(context: Option<Context>) -> Option<Context> {
    LABELLED.set(context.as_ref().is_some_and(|context| context.labels.is_some()));
    CURRENT.replace(context)
}

/// Looks at the current context; None outside of any, and where the thread is about to end, and
/// its locals are gone.
fn look<T>(look: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.try_with(|current| current.borrow().as_ref().map(look)).ok().flatten()
}

pub(crate) fn clock() -> Clock {
    look(|context| context.clock.clone()).unwrap_or_default()
}

pub(crate) fn hub() -> Option<Hub> {
    let of = |context: &Context| {
        if let Host::Hub(hub) = &context.host { hub.upgrade() } else { None }
    };
    look(of).flatten()
}
