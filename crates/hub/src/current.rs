//! [`Context`]: which hub and which clock this thread is on.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use spinney_sync::Budget;

use crate::clock::Clock;
use crate::hub::Away;
#[cfg(feature = "tokio")]
use crate::tokio::TokioHub;
use crate::within::Inside;
use crate::{BoxTask, Hub, Spawn};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
    /// Whether it has labels: each greenlet asks whenever it has been polled.
    static LABELLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `future` to its end on this thread, which runs nothing else meanwhile: as
/// [`Hub::block_on`] of the [current hub](Hub::current).
///
/// # Panics
///
/// As [`Hub::block_on`]; or if the [global hub](Hub::global) has to be started, and cannot be.
///
/// ```
/// assert_eq!(spinney_hub::block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    Hub::current().block_on(future)
}

/// Starts `future` in the background, on the [current hub](Hub::current).
///
/// # Panics
///
/// If the [global hub](Hub::global) has to be started, and cannot be.
pub fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) {
    Hub::current().spawn(future);
}

/// Tells the hub what the task that is being polled is called, if the hub wants to know.
#[inline]
pub fn label_task(label: impl FnOnce() -> String) {
    if !LABELLED.get() {
        return;
    }
    // Apart, and so compiled once.
    if let Some(labels) = labels() {
        labels(label());
    }
}

fn labels() -> Option<Rc<dyn Fn(String)>> {
    look(|context| context.labels.clone()).flatten()
}

/// What a hub tells its thread while it polls: its clock, and how to spawn on it.
///
/// Only the author of a hub needs this. A hub [enters](Self::enter) its context around its
/// polling, so that [`sleep`](crate::sleep) and [`spawn`] find it. Dropping one that was not entered
/// has no effect.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use spinney_hub::{BoxTask, Clock, Context, Spawn};
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
/// spinney_hub::spawn(async {}); // on that hub
/// drop(entered);
/// assert_eq!(queue.0.lock().unwrap().len(), 1);
/// ```
#[derive(Clone)]
pub struct Context {
    hub: Hub,
    stance: Stance,
    labels: Option<Rc<dyn Fn(String)>>,
    /// The runtime that this thread was in when the context was entered: another one that is found
    /// later was entered inside of the context.
    #[cfg(feature = "tokio")]
    runtime: Option<::tokio::runtime::Id>,
}

/// What the thread does in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stance {
    /// It may block: it runs no tasks of the hub, or others run them meanwhile.
    MayBlock,
    /// It polls the future of a `block_on`, and parks in between.
    Parks,
    /// It is the only one that can run the hub's tasks.
    Drives,
}

/// What decides how code may block here.
pub(crate) enum Around {
    /// It may.
    Nothing,
    /// It may not: the thread drives such a hub.
    Driven(&'static str),
    /// The innermost hub is a tokio runtime.
    #[cfg(feature = "tokio")]
    Tokio(::tokio::runtime::Handle),
}

impl Context {
    /// The context of a hub that keeps time by `clock` and runs what `hub` is given, as in
    /// [`Hub::custom`].
    pub fn new(clock: Clock, hub: Arc<dyn Spawn<BoxTask> + Send + Sync>) -> Self {
        Self::driving(Hub::custom(clock, hub))
    }

    /// The context of a thread that alone runs the tasks of `hub`.
    pub fn of_hub(hub: Hub) -> Self {
        Self::driving(hub)
    }

    /// Has `labels` called with what the task that is being polled is called, as often as it
    /// says so.
    #[must_use]
    pub fn with_labels(self, labels: Rc<dyn Fn(String)>) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// Of a hub whose tasks this thread alone runs.
    pub(crate) fn driving(hub: Hub) -> Self {
        Self::of(hub, Stance::Drives)
    }

    /// Of a hub whose tasks others may run while this thread blocks.
    pub(crate) fn blocking(hub: Hub) -> Self {
        Self::of(hub, Stance::MayBlock)
    }

    /// Of the future of a `block_on`.
    pub(crate) fn parked(hub: Hub) -> Self {
        Self::of(hub, Stance::Parks)
    }

    fn of(hub: Hub, stance: Stance) -> Self {
        Self {
            hub,
            stance,
            labels: None,
            #[cfg(feature = "tokio")]
            runtime: None,
        }
    }

    /// Makes this the current context until the guard is dropped; then the one before is back.
    ///
    /// Futures that are polled meanwhile are inside of no time limit and of no
    /// [budget](spinney_sync::Budget): the poll around can end them only when the hub is done. If
    /// the thread runs the tasks of a [`Hub`], another one does so meanwhile.
    pub fn enter(self) -> Entered {
        let away = Some(Away::begin());
        Entered { _away: away, ..self.enter_apart() }
    }

    /// As [`enter`](Self::enter), but the thread stays at the work it is at.
    pub(crate) fn enter_apart(self) -> Entered {
        Entered { _apart: Some((Inside::of_none(), Budget::none())), ..self.enter_within() }
    }

    /// As [`enter_apart`](Self::enter_apart), for a part of the task that is being polled: it
    /// stays inside of the time limits and the budget around it.
    #[cfg_attr(not(feature = "tokio"), expect(unused_mut, reason = "the runtime is noted in it"))]
    pub(crate) fn enter_within(mut self) -> Entered {
        #[cfg(feature = "tokio")]
        {
            self.runtime = runtime().map(|runtime| runtime.id());
        }
        let before = Before { context: replace(Some(self)), here: PhantomData };
        Entered { before, _apart: None, _away: None }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// The guard of [`Context::enter`]. Dropping it brings the context before it back.
#[must_use = "the context is left when the guard is dropped"]
pub struct Entered {
    /// Dropped first.
    before: Before,
    /// Brings back the time limits and the budget around, if they were left.
    _apart: Option<(Inside, Budget)>,
    /// Brings the thread back to its tasks, if it left them.
    _away: Option<Away>,
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("before", &self.before.context).finish()
    }
}

/// Brings back the context before.
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

/// Makes `context` the current one; returns the one before.
fn replace(context: Option<Context>) -> Option<Context> {
    LABELLED.set(context.as_ref().is_some_and(|context| context.labels.is_some()));
    CURRENT.replace(context)
}

/// Looks at the current context; `None` outside of any, and where the thread is about to end, and
/// its locals are gone.
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

/// Whether this code is inside of any hub.
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

/// Whether the thread parks when the future that it polls is pending, in a
/// [`block_on`](Hub::block_on).
pub(crate) fn is_parking() -> bool {
    look(|context| context.stance == Stance::Parks).unwrap_or(false)
}

/// What decides how code may block here.
pub(crate) fn around() -> Around {
    #[cfg(feature = "tokio")]
    if let Some(runtime) = inner_runtime() {
        return Around::Tokio(runtime);
    }
    let around = |context: &Context| match context.stance {
        Stance::Drives => Around::Driven(context.hub.kind_of_thread()),
        Stance::MayBlock | Stance::Parks => Around::Nothing,
    };
    look(around).unwrap_or(Around::Nothing)
}

#[cfg(feature = "tokio")]
fn runtime() -> Option<::tokio::runtime::Handle> {
    ::tokio::runtime::Handle::try_current().ok()
}

/// The runtime that this thread is in, if it was entered inside of the current context.
#[cfg(feature = "tokio")]
fn inner_runtime() -> Option<::tokio::runtime::Handle> {
    let runtime = runtime()?;
    let noted = look(|context| context.runtime).flatten();
    (noted != Some(runtime.id())).then_some(runtime)
}
