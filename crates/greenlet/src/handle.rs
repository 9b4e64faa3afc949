//! [`Handle`]: control of a greenlet, without its result; [`State`]: its progress.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use spinney_hub::contain;
use spinney_sync::{BudgetedAwait, Wait};

use crate::collector::Collector;
use crate::control::Control;
use crate::links::{Callback, LinkKey, ResultLink};
use crate::observe::{self, Announcement};
use crate::spawn::WeakSlot;
use crate::{Failure, GreenletExit, current};

/// Controls a greenlet: joins it, links to it, kills it. It offers the part of `gevent.Greenlet`
/// that does not depend on the type of the result.
///
/// Cloning is cheap, and a handle works on any thread, even if the greenlet is bound to one.
/// Dropping a handle does not affect the greenlet.
///
/// Python: `gevent.Greenlet`.
///
/// ```
/// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
/// use spinney::{block_on, spawn};
///
/// block_on(async {
///     let handle = spawn(std::future::pending::<()>()).handle().clone();
///     assert!(!handle.is_ready());
///     handle.kill().await;
///     assert!(handle.failure().unwrap().is_killed());
/// });
/// ```
pub struct Handle {
    control: Arc<Control>,
}

impl Handle {
    /// A handle that does not draw the greenlet's id: for the entry of its container.
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }

    /// The control block, for a caller that changes it: from then on it belongs to this greenlet,
    /// and no later item reuses it.
    fn asked_for(&self) -> &Arc<Control> {
        self.control.id();
        &self.control
    }

    /// For containers: a handle that draws no id while the item of an
    /// [`ItemGreenlets`](crate::ItemGreenlets) has none. A container may keep it and give out
    /// clones of it; a clone draws the id.
    #[must_use]
    pub fn unasked(&self) -> Self {
        Self::new(Arc::clone(&self.control))
    }

    pub(crate) fn is_of(&self, control: &Arc<Control>) -> bool {
        Arc::ptr_eq(&self.control, control)
    }

    /// The greenlet that is running on this thread, if there is one.
    ///
    /// Python: `gevent.getcurrent`.
    #[doc(alias = "getcurrent")]
    pub fn current() -> Option<Self> {
        current::control().map(Self::new)
    }

    /// A number that no other greenlet of this process has.
    ///
    /// Python: `gevent.Greenlet.minimal_ident`.
    pub fn id(&self) -> u64 {
        self.control.id()
    }

    /// The id of the greenlet that created it; `None` if it was created outside any greenlet.
    ///
    /// Python: `gevent.Greenlet.spawning_greenlet`.
    #[doc(alias = "spawning_greenlet")]
    pub fn parent(&self) -> Option<u64> {
        self.control.context.parent()
    }

    /// The line that spawned it.
    ///
    /// Python: `gevent.Greenlet.spawning_stack`.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.control.context.at()
    }

    /// For containers: the index that its container gave it when it
    /// [created](crate::NewGreenlet::handle_at) it. A hint, as each container counts its own
    /// indices: look up whether the greenlet is there.
    pub fn place(&self) -> Option<u32> {
        self.control.place()
    }

    /// For containers: sets whether a greenlet around it polls its task, as
    /// [`InPlace`](crate::InPlace) does. A task that goes on as a task of a hub opens a budget of
    /// its own.
    pub fn set_in_place(&self, in_place: bool) {
        self.control.set_in_place(in_place);
    }

    /// For containers: announces a greenlet that the container created to the
    /// [observer](crate::Observer), if there is one. To be called once, before its task runs, and
    /// under no lock.
    #[inline]
    pub fn announce(&self, about: impl FnOnce() -> Announcement) {
        observe::announce(&self.control, about);
    }

    /// The name it was [given](crate::Greenlet::named), if any.
    pub fn name(&self) -> Option<Arc<str>> {
        self.control.name()
    }

    /// Names the greenlet; a later name replaces an earlier one. Failures and dumps show the name.
    ///
    /// For code that runs in the greenlet and creates no future of its own to be
    /// [named](crate::named), for example a closure of a thread pool or an item of a map.
    ///
    /// Python: `gevent.Greenlet.name`.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::{Handle, spawn}; pub use spinney_hub::block_on; }
    /// use spinney::{Handle, block_on, spawn};
    ///
    /// block_on(async {
    ///     let fetch = spawn(async {
    ///         Handle::current().unwrap().set_name("fetch 17");
    ///         panic!("no luck")
    ///     });
    ///     assert!(fetch.await.map(|()| ()).unwrap_err().to_string().contains("\"fetch 17\""));
    /// });
    /// ```
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        self.asked_for().set_name(name.into());
    }

    /// Its progress.
    pub fn state(&self) -> State {
        self.control.state()
    }

    /// Whether it has finished: with a result, by a panic, or by a kill or abort.
    ///
    /// Python: `gevent.Greenlet.ready`, `dead`.
    #[doc(alias("ready", "dead", "is_finished"))]
    pub fn is_ready(&self) -> bool {
        self.control.is_ended()
    }

    pub(crate) fn ended(&self) -> Option<Result<(), Failure>> {
        self.control.ended()
    }

    /// Whether it has finished with a result. Unlike in gevent, a killed greenlet is not
    /// successful.
    ///
    /// Python: `gevent.Greenlet.successful`.
    #[doc(alias = "successful")]
    pub fn is_successful(&self) -> bool {
        self.control.state() == State::Successful
    }

    /// Why it has no result; `None` while it lives, and after a success.
    ///
    /// Python: `gevent.Greenlet.exception`.
    #[doc(alias = "exception")]
    pub fn failure(&self) -> Option<Failure> {
        self.control.ended()?.err()
    }

    /// The pending kill: sent, and not seen yet. An abort is not a kill. Code that computes for
    /// long may check it from time to time.
    pub fn exit(&self) -> Option<GreenletExit> {
        self.control.exit()
    }

    /// Waits until the greenlet has finished, and leaves the result to its owner. Any number of
    /// tasks may wait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the wait is dropped.
    ///
    /// Python: `gevent.Greenlet.join`.
    #[track_caller]
    pub fn join(&self) -> Join {
        Join {
            handle: self.clone(),
            link: None,
            budgeted: BudgetedAwait::default(),
            at: Location::caller(),
        }
    }

    /// Kills the greenlet and waits until it has finished; see [`kill_with`](Self::kill_with).
    ///
    /// # Cancel safety
    ///
    /// The kill goes ahead even if the wait is dropped.
    ///
    /// Python: `gevent.Greenlet.kill()`.
    #[doc(alias = "cancel")]
    #[track_caller]
    pub fn kill(&self) -> Join {
        self.kill_with(GreenletExit::new())
    }

    /// Kills the greenlet without waiting; see [`kill_with`](Self::kill_with).
    ///
    /// Python: `gevent.Greenlet.kill(block=False)`.
    pub fn kill_now(&self) {
        self.kill_now_with(GreenletExit::new());
    }

    /// Kills the greenlet for a reason, without waiting; see [`kill_with`](Self::kill_with).
    ///
    /// Python: `gevent.Greenlet.kill(exception, block=False)`.
    pub fn kill_now_with(&self, exit: GreenletExit) {
        self.asked_for().kill(exit);
    }

    /// Kills the greenlet for a reason, and waits until it has finished.
    ///
    /// The call itself sends the kill; the future only waits. The greenlet sees the kill at its
    /// next await: its future is dropped there, its destructors run, and its owner gets
    /// [`Failure::Killed`]; or the innermost [`catch_exit`](crate::catch_exit) sees it and decides
    /// how to go on. A greenlet that has not run yet never runs, and is [ready](Self::is_ready)
    /// when the call returns. While a kill is pending another one is a no-op, and so is a kill
    /// after the end. A greenlet that finishes before its next wait keeps its result. A greenlet
    /// that catches or shields the kill may live on: [`abort`](Self::abort) ends it.
    ///
    /// # Cancel safety
    ///
    /// The kill goes ahead even if the wait is dropped.
    ///
    /// Python: `gevent.Greenlet.kill(exception)`.
    #[track_caller]
    pub fn kill_with(&self, exit: GreenletExit) -> Join {
        self.kill_now_with(exit);
        self.join()
    }

    /// Ends the greenlet at its next poll, even if it catches or shields its kills. For a greenlet
    /// that does not end after a [`kill`](Self::kill).
    ///
    /// The call returns immediately; [`join`](Self::join) waits for the end. The greenlet is woken,
    /// and its task drops the future where it waits; destructors run as parts of the greenlet. The
    /// owner gets [`Failure::Aborted`], even after an earlier kill. A greenlet that is being polled
    /// ends when that poll returns pending; if the poll finishes the future, its result counts. A
    /// greenlet that has not run yet never runs, and is [ready](Self::is_ready) when the call
    /// returns. On a finished greenlet it is a no-op.
    ///
    /// A future that never returns from its poll cannot be stopped.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::{catch_exit, spawn}; pub use spinney_hub::block_on; }
    /// use spinney::{block_on, catch_exit, spawn};
    ///
    /// block_on(async {
    ///     let refuses = spawn(async {
    ///         loop {
    ///             let _kill = catch_exit(std::future::pending::<()>()).await;
    ///         }
    ///     });
    ///     refuses.kill_now();
    ///     refuses.abort();
    ///     assert!(refuses.await.is_err());
    /// });
    /// ```
    #[doc(alias = "cancel")]
    pub fn abort(&self) {
        self.asked_for().abort();
    }

    /// Kills the greenlet without waiting if it has not run yet; returns `false` and does nothing
    /// if it has.
    ///
    /// Python: `eventlet.greenthread.GreenThread.cancel`.
    pub fn cancel(&self) -> bool {
        self.asked_for().cancel(GreenletExit::new())
    }

    /// Calls `callback` with this handle when the greenlet has finished, once: in the task itself,
    /// before any later waiter is woken. After the end a task of the current hub calls it.
    ///
    /// A callback that panics affects nothing else; the panic hook reports it.
    ///
    /// # Panics
    ///
    /// Panics after the end if the [global hub](spinney_hub::Hub::global) has to be started and
    /// cannot be.
    ///
    /// Python: `gevent.Greenlet.link`.
    pub fn link(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        let handle = self.clone();
        let linked = self.control.link(Box::new(move || callback(&handle)));
        let late = |callback: Callback| spinney_hub::spawn(async { contain(callback) });
        self.link_id(linked.map_err(late).ok())
    }

    /// Like [`link`](Self::link), but calls `callback` only if the greenlet has finished with a
    /// result. Unlike in gevent, a killed greenlet has none.
    ///
    /// # Panics
    ///
    /// The same as [`link`](Self::link).
    ///
    /// Python: `gevent.Greenlet.link_value`.
    pub fn link_value(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        self.link_if(Self::is_successful, callback)
    }

    /// Like [`link`](Self::link), but calls `callback` only if the greenlet has finished without a
    /// result: killed, aborted or panicked.
    ///
    /// # Panics
    ///
    /// The same as [`link`](Self::link).
    ///
    /// Python: `gevent.Greenlet.link_exception`.
    pub fn link_exception(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        self.link_if(|handle| !handle.is_successful(), callback)
    }

    fn link_if(
        &self,
        wanted: fn(&Handle) -> bool,
        callback: impl FnOnce(&Handle) + Send + 'static,
    ) -> LinkId {
        self.link(move |handle| {
            if wanted(handle) {
                callback(handle);
            }
        })
    }

    /// Removes a link; `false` if its callback was called already, or is about to be, or if the
    /// link belongs to another greenlet.
    ///
    /// Python: `gevent.Greenlet.unlink`.
    #[expect(clippy::needless_pass_by_value, reason = "a link is removed once")]
    pub fn unlink(&self, link: LinkId) -> bool {
        link.greenlet == self.id() && link.link.is_some_and(|key| self.control.unlink(key))
    }

    /// For containers: stores `guard` until the greenlet has finished, and drops it before any
    /// waiter is woken. `key` distinguishes it from the guards of other containers: the address of
    /// an object that the container owns.
    ///
    /// # Errors
    ///
    /// Returns the guard if the greenlet has finished.
    pub fn guard<G: Send + 'static>(&self, key: usize, guard: G) -> Result<(), G> {
        self.asked_for().guard(key, guard)
    }

    /// For containers: drops the [guard](Self::guard) stored under `key`. A no-op if there is none.
    pub fn unguard(&self, key: usize) {
        self.control.unguard(key);
    }

    pub(crate) fn set_unstarted(&self, slot: WeakSlot) {
        self.control.set_unstarted(slot);
    }

    pub(crate) fn start_slot(&self) -> Option<WeakSlot> {
        self.control.start()
    }

    pub(crate) fn link_outcome(&self, link: ResultLink) -> Result<(), ResultLink> {
        self.control.link_result(link)
    }

    pub(crate) fn collect(&self, collector: Arc<Collector>) -> LinkId {
        self.link_id(self.asked_for().collect(collector))
    }

    fn link_id(&self, link: Option<LinkKey>) -> LinkId {
        LinkId { greenlet: self.id(), link }
    }

    pub(crate) fn poll_ended(
        &self,
        cx: &Context<'_>,
        link: &mut Option<LinkKey>,
    ) -> Poll<Result<(), Failure>> {
        self.control.poll_ended(cx, link)
    }

    pub(crate) fn cancel_wait(&self, link: &mut Option<LinkKey>) {
        if let Some(link) = link.take() {
            self.control.unlink(link);
        }
    }
}

/// `greenlet 17`, followed by its name if it has one.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "greenlet {}", self.id())?;
        self.name().map_or(Ok(()), |name| write!(f, " {name:?}"))
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(self.asked_for()))
    }
}

/// Handles are equal if they belong to the same greenlet.
impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(&other.control)
    }
}

impl Eq for Handle {}

impl std::hash::Hash for Handle {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl AsRef<Handle> for Handle {
    fn as_ref(&self) -> &Handle {
        self
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Handle");
        text.field("id", &self.id());
        if let Some(name) = self.name() {
            text.field("name", &name);
        }
        text.field("state", &self.state()).finish()
    }
}

/// Identifies a link of [`Handle::link`], to remove it. Dropping it leaves the link in place.
#[derive(Debug)]
pub struct LinkId {
    greenlet: u64,
    /// `None` if the callback was called immediately.
    link: Option<LinkKey>,
}

/// The future of [`Handle::join`] and of the kills: completes when the greenlet has finished.
/// Dropping it cancels the wait, but no kill.
#[must_use = "nothing is waited for unless it is awaited"]
pub struct Join {
    handle: Handle,
    link: Option<LinkKey>,
    budgeted: BudgetedAwait,
    /// The line that waits.
    at: &'static Location<'static>,
}

impl Future for Join {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let ended =
            this.budgeted.poll(cx, |cx| this.handle.poll_ended(cx, &mut this.link).map(drop));
        if ended.is_pending() {
            Wait::note("Greenlet::join", this.at);
        }
        ended
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        self.handle.cancel_wait(&mut self.link);
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Join").field(&self.handle).finish()
    }
}

/// The progress of a greenlet.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::Greenlet;
/// #     pub mod task { pub use spinney_greenlet::State; }
/// # }
/// use spinney::Greenlet;
/// use spinney::task::State;
///
/// let greenlet = Greenlet::new(async {});
/// assert_eq!(greenlet.state(), State::Unstarted);
/// greenlet.kill_now();
/// assert_eq!(greenlet.state(), State::Killed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Created, and not started.
    Unstarted,
    /// Started, but it has not run yet.
    Scheduled,
    /// It runs, or waits.
    Running,
    /// It has finished with a result.
    Successful,
    /// It was killed, or dropped by its hub.
    Killed,
    /// It was [aborted](crate::Handle::abort).
    Aborted,
    /// It has panicked.
    Panicked,
}

impl State {
    /// Whether it was started and has not finished.
    ///
    /// Python: `gevent.Greenlet.started`.
    pub fn is_started(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running)
    }
}
