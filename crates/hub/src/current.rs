//! [`Context`]: the hub and the clock of this thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use spinney_sync::Budget;

use crate::clock::Clock;
use crate::hub::BlockingGuard;
#[cfg(feature = "tokio")]
use crate::tokio::TokioHub;
use crate::within::Inside;
use crate::{BoxTask, Hub, Spawn};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
    /// Whether the context has labels: each greenlet checks this after every poll.
    static LABELLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `future` to its end on this thread, which runs nothing else meanwhile: [`Hub::block_on`] of
/// the [current hub](Hub::current).
///
/// # Panics
///
/// The same as [`Hub::block_on`]; also panics if the [global hub](Hub::global) has to be started
/// and cannot be.
///
/// ```
/// # use spinney_hub as spinney;
/// use spinney::block_on;
///
/// assert_eq!(block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    Hub::current().block_on(future)
}

/// Spawns `future` as a background task on the [current hub](Hub::current).
///
/// # Panics
///
/// Panics if the [global hub](Hub::global) has to be started and cannot be.
pub fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) {
    Hub::current().spawn(future);
}

/// The time on the current hub's clock; outside any hub, the system's. The same as
/// `Clock::current().now()`, but cheaper on a tokio runtime.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::{block_on, sleep}; pub mod time { pub use spinney_hub::now; }
/// # }
/// use std::time::Duration;
///
/// use spinney::time::now;
/// use spinney::{block_on, sleep};
///
/// block_on(async {
///     let start = now();
///     sleep(Duration::from_millis(1)).await;
///     assert!(now() - start >= Duration::from_millis(1));
/// });
/// ```
pub fn now() -> Instant {
    // Outside any context a runtime can only be tokio's; without one, tokio tells the system's time.
    #[cfg(feature = "tokio")]
    if look(|_| ()).is_none() {
        return ::tokio::time::Instant::now().into_std();
    }
    clock().now()
}

/// Reports the label of the task that is being polled, if the hub collects labels.
#[inline]
pub fn label_task(label: impl FnOnce() -> String) {
    if !LABELLED.get() {
        return;
    }
    // In a function of its own, and so compiled once.
    if let Some(labels) = labels() {
        labels(label());
    }
}

fn labels() -> Option<Rc<dyn Fn(String)>> {
    look(|context| context.labels.clone()).flatten()
}

/// The hub and the clock that a thread has while a hub polls on it.
///
/// Only authors of hubs need it. A hub [enters](Self::enter) its context around its polls, so that
/// [`sleep`](crate::sleep) and [`spawn`] find it. Dropping a context that was not entered is a
/// no-op.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::{Spawn, spawn};
/// #     pub mod hub { pub use spinney_hub::{BoxTask, Context}; }
/// #     pub mod time { pub use spinney_hub::Clock; }
/// # }
/// use std::sync::{Arc, Mutex};
/// use spinney::{Spawn, spawn};
/// use spinney::hub::{BoxTask, Context};
/// use spinney::time::Clock;
///
/// /// Keeps what is spawned, to be polled by this thread.
/// #[derive(Default)]
/// struct Queue(Mutex<Vec<BoxTask>>);
///
/// impl Spawn<BoxTask> for Queue {
///     fn spawn(&self, future: BoxTask) {
///         self.0.lock().unwrap().push(future);
///     }
/// }
///
/// let queue = Arc::new(Queue::default());
/// let entered = Context::new(Clock::default(), queue.clone()).enter();
/// spawn(async {}); // on that hub
/// drop(entered);
/// assert_eq!(queue.0.lock().unwrap().len(), 1);
/// ```
#[derive(Clone)]
pub struct Context {
    hub: Hub,
    role: ThreadRole,
    labels: Option<Rc<dyn Fn(String)>>,
    /// The runtime that this thread was in when the context was entered: a different runtime
    /// that is found later was entered inside the context.
    #[cfg(feature = "tokio")]
    runtime: Option<::tokio::runtime::Id>,
}

/// The role of the thread in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThreadRole {
    /// It may block: it runs no tasks of the hub, or other threads run them meanwhile.
    MayBlock,
    /// It polls the future of a `block_on`, and parks while that is pending.
    Parks,
    /// It is the only thread that can run the hub's tasks.
    Drives,
}

/// Determines how code may block here.
pub(crate) enum Blocking {
    /// It may block.
    Allowed,
    /// It may not block: this thread drives a hub of the given kind.
    Forbidden(&'static str),
    /// The innermost hub is a tokio runtime.
    #[cfg(feature = "tokio")]
    Tokio(::tokio::runtime::Handle),
}

impl Context {
    /// Creates the context of a hub that uses `clock` and spawns on `hub`, as in [`Hub::custom`].
    pub fn new(clock: Clock, hub: Arc<dyn Spawn<BoxTask> + Send + Sync>) -> Self {
        Self::driving(Hub::custom(clock, hub))
    }

    /// Creates the context of a thread that alone runs the tasks of `hub`.
    pub fn of_hub(hub: Hub) -> Self {
        Self::driving(hub)
    }

    /// Sets a callback for labels: each labelled task that is being polled passes its label to
    /// `labels`.
    #[must_use]
    pub fn with_labels(self, labels: Rc<dyn Fn(String)>) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// The context of a hub whose tasks only this thread runs.
    pub(crate) fn driving(hub: Hub) -> Self {
        Self::of(hub, ThreadRole::Drives)
    }

    /// The context of a hub whose tasks other threads may run while this one blocks.
    pub(crate) fn blocking(hub: Hub) -> Self {
        Self::of(hub, ThreadRole::MayBlock)
    }

    /// The context of the future of a `block_on`.
    pub(crate) fn parked(hub: Hub) -> Self {
        Self::of(hub, ThreadRole::Parks)
    }

    fn of(hub: Hub, role: ThreadRole) -> Self {
        Self {
            hub,
            role,
            labels: None,
            #[cfg(feature = "tokio")]
            runtime: None,
        }
    }

    /// Makes this the current context until the guard is dropped; the previous context is then
    /// restored.
    ///
    /// Futures that are polled meanwhile are outside the time limits and the
    /// [budget](spinney_sync::Budget) of the poll around, which ends only when the hub returns. If
    /// the thread runs the tasks of a [`Hub`], another thread does so meanwhile.
    pub fn enter(self) -> Entered {
        let blocking = Some(BlockingGuard::begin());
        Entered { _blocking: blocking, ..self.enter_apart() }
    }

    /// Like [`enter`](Self::enter), but the thread keeps running the tasks that it runs.
    pub(crate) fn enter_apart(self) -> Entered {
        Entered { _apart: Some((Inside::of_none(), Budget::none())), ..self.enter_within() }
    }

    /// Like [`enter_apart`](Self::enter_apart), for a part of the task that is being polled: it
    /// stays inside the time limits and the budget of the poll around.
    #[cfg_attr(not(feature = "tokio"), expect(unused_mut, reason = "the runtime is noted in it"))]
    pub(crate) fn enter_within(mut self) -> Entered {
        #[cfg(feature = "tokio")]
        {
            self.runtime = runtime().map(|runtime| runtime.id());
        }
        let before = Before { context: replace(Some(self)), here: PhantomData };
        Entered { before, _apart: None, _blocking: None }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// The guard of [`Context::enter`]. Dropping it restores the previous context.
#[must_use = "the context is left when the guard is dropped"]
pub struct Entered {
    /// Dropped first.
    before: Before,
    /// Restores the time limits and the budget of the poll around, if they were left.
    _apart: Option<(Inside, Budget)>,
    /// Returns the thread to its tasks, if it left them.
    _blocking: Option<BlockingGuard>,
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("before", &self.before.context).finish()
    }
}

/// Restores the previous context.
struct Before {
    context: Option<Context>,
    /// Contexts belong to their thread.
    here: PhantomData<Rc<()>>,
}

impl Drop for Before {
    fn drop(&mut self) {
        drop(replace(self.context.take()));
    }
}

/// Replaces the current context; returns the previous one.
fn replace(context: Option<Context>) -> Option<Context> {
    LABELLED.set(context.as_ref().is_some_and(|context| context.labels.is_some()));
    CURRENT.replace(context)
}

/// Calls `look` with the current context; `None` outside any context, and while the thread exits
/// and its locals have been destroyed.
fn look<T>(look: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.try_with(|current| current.borrow().as_ref().map(look)).ok().flatten()
}

/// The innermost hub.
pub(crate) fn hub() -> Option<Hub> {
    #[cfg(feature = "tokio")]
    if let Some(runtime) = inner_runtime() {
        return Some(TokioHub::new(runtime).into());
    }
    look(|context| context.hub.clone())
}

/// Whether this code runs inside a hub.
pub(crate) fn is_inside() -> bool {
    #[cfg(feature = "tokio")]
    if runtime().is_some() {
        return true;
    }
    look(|_| ()).is_some()
}

/// The clock of the innermost hub.
pub(crate) fn clock() -> Clock {
    #[cfg(feature = "tokio")]
    if inner_runtime().is_some() {
        return Clock::tokio();
    }
    look(|context| context.hub.clock()).unwrap_or_default()
}

/// Whether the thread parks while the future that it polls is pending, in a
/// [`block_on`](Hub::block_on).
pub(crate) fn is_parking() -> bool {
    look(|context| context.role == ThreadRole::Parks).unwrap_or(false)
}

/// Determines how code may block here.
pub(crate) fn blocking() -> Blocking {
    #[cfg(feature = "tokio")]
    if let Some(runtime) = inner_runtime() {
        return Blocking::Tokio(runtime);
    }
    let blocking = |context: &Context| match context.role {
        ThreadRole::Drives => Blocking::Forbidden(context.hub.kind_of_thread()),
        ThreadRole::MayBlock | ThreadRole::Parks => Blocking::Allowed,
    };
    look(blocking).unwrap_or(Blocking::Allowed)
}

#[cfg(feature = "tokio")]
fn runtime() -> Option<::tokio::runtime::Handle> {
    ::tokio::runtime::Handle::try_current().ok()
}

/// The runtime that this thread is in, if it was entered inside the current context.
#[cfg(feature = "tokio")]
fn inner_runtime() -> Option<::tokio::runtime::Handle> {
    let runtime = runtime()?;
    let noted = look(|context| context.runtime).flatten();
    (noted != Some(runtime.id())).then_some(runtime)
}
