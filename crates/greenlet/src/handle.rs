//! [`Handle`]: control of a greenlet, without its result; [`State`]: how far it has come.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use spinney_hub::contain;
use spinney_sync::{GiveWay, Wait};

use crate::collector::Collector;
use crate::control::Control;
use crate::links::{Callback, LinkKey, ResultLink};
use crate::spawn::WeakSlot;
use crate::{Failure, GreenletExit, current};

/// Controls a greenlet: waits for its end, kills it, is told when it ends. What of
/// `gevent.Greenlet` has to do with the greenlet and not with its value.
///
/// A cheap handle, for any thread, even where the greenlet itself is bound to one. Dropping it is
/// of no effect.
///
/// ```
/// use spinney_greenlet::spawn;
///
/// spinney_hub::block_on(async {
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
    /// One that does not ask for the greenlet: for the entry of its container.
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }

    /// The control block, for a caller that changes it: it is this greenlet's from then on, and no
    /// next item's.
    fn asked_for(&self) -> &Arc<Control> {
        self.control.id();
        &self.control
    }

    /// For containers: a handle that asks for nothing, where an item of
    /// [`ItemGreenlets`](crate::ItemGreenlets) has yet to be asked for. A container may keep it, and
    /// gives out clones of it, which ask for the item.
    #[must_use]
    pub fn unasked(&self) -> Self {
        Self::new(Arc::clone(&self.control))
    }

    pub(crate) fn is_of(&self, control: &Arc<Control>) -> bool {
        Arc::ptr_eq(&self.control, control)
    }

    /// The greenlet that is running on this thread, if one is. `gevent.getcurrent`.
    pub fn current() -> Option<Self> {
        current::control().map(Self::new)
    }

    /// A number that no other greenlet of this process has.
    pub fn id(&self) -> u64 {
        self.control.id()
    }

    /// The id of the greenlet that made it; None if it was made outside of any. `spawning_greenlet`.
    pub fn parent(&self) -> Option<u64> {
        self.control.birth.parent()
    }

    /// The line that spawned it.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.control.birth.at()
    }

    /// For containers: the place that its container gave it when it [made](crate::pair_in) it. A
    /// hint, as every container counts its own places: whether the greenlet is there is to be
    /// looked up.
    pub fn place(&self) -> Option<u32> {
        self.control.place()
    }

    /// For containers: whether a greenlet around it polls its task, as [`InPlace`](crate::InPlace) has
    /// it. A task that goes on as a task of a hub opens a budget of its own.
    pub fn set_in_place(&self, in_place: bool) {
        self.control.set_in_place(in_place);
    }

    /// What it was [named](crate::Greenlet::named), if anything.
    pub fn name(&self) -> Option<Arc<str>> {
        self.control.name()
    }

    /// Names the greenlet, in place of the name that it had. Failures and dumps show the name.
    ///
    /// For code that runs in the greenlet and makes no future of its own to be
    /// [named](crate::named), such as a closure of a thread pool or an item of a map.
    ///
    /// Python: `gevent.Greenlet.name`.
    ///
    /// ```
    /// use spinney_greenlet::{Handle, spawn};
    ///
    /// spinney_hub::block_on(async {
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

    /// How far it has come.
    pub fn state(&self) -> State {
        self.control.state()
    }

    /// Whether it has ended, in whatever way. `ready`, `dead`.
    pub fn is_ready(&self) -> bool {
        self.control.is_ended()
    }

    pub(crate) fn ended(&self) -> Option<Result<(), Failure>> {
        self.control.ended()
    }

    /// Whether it has ended with a result. `successful`, but for a killed one, which gevent calls
    /// successful and we do not.
    pub fn is_successful(&self) -> bool {
        self.control.state() == State::Successful
    }

    /// Why it has no result; None while it lives, and after a success. `exception`.
    pub fn failure(&self) -> Option<Failure> {
        self.control.ended()?.err()
    }

    /// The kill that was sent to it and that it has not seen yet; an abort is none. Work that
    /// computes for long may ask for it now and then.
    pub fn exit(&self) -> Option<GreenletExit> {
        self.control.exit()
    }

    /// Waits until it has ended, in whatever way, and leaves the result to its owner. Any number
    /// may wait. `join`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the wait is dropped.
    #[track_caller]
    pub fn join(&self) -> Join {
        Join {
            handle: self.clone(),
            link: None,
            give_way: GiveWay::default(),
            at: Location::caller(),
        }
    }

    /// Kills it and waits until it has ended. `kill()`; see [`kill_with`](Self::kill_with).
    ///
    /// # Cancel safety
    ///
    /// As [`kill_with`](Self::kill_with).
    #[track_caller]
    pub fn kill(&self) -> Join {
        self.kill_with(GreenletExit::new())
    }

    /// Kills it without waiting. `kill(block=False)`; see [`kill_with`](Self::kill_with).
    pub fn kill_now(&self) {
        self.kill_now_with(GreenletExit::new());
    }

    /// Kills it for a reason, without waiting. `kill(exception, block=False)`; see
    /// [`kill_with`](Self::kill_with).
    pub fn kill_now_with(&self, exit: GreenletExit) {
        self.asked_for().kill(exit);
    }

    /// Kills it for a reason, and waits until it has ended. `kill(exception)`.
    ///
    /// The call itself sends the kill; the future only waits. The greenlet sees it at the next
    /// await point: its future is dropped there, its destructors run, and its owner gets
    /// [`Failure::Killed`]; or the innermost [`catch_exit`](crate::catch_exit) sees it, and decides
    /// what follows. One that has not run yet never does, and is [ready](Self::is_ready) with the
    /// call. While a kill is pending another one is a no-op, and so is one that comes after the end.
    /// A greenlet that finishes before it next waits keeps its result. One that catches or shields
    /// the kill may live on: [`abort`](Self::abort) ends it.
    ///
    /// # Cancel safety
    ///
    /// The kill goes ahead whether the wait is dropped or not.
    #[track_caller]
    pub fn kill_with(&self, exit: GreenletExit) -> Join {
        self.kill_now_with(exit);
        self.join()
    }

    /// Ends it at its next poll, whatever catches or shields. For a greenlet that refuses a
    /// [`kill`](Self::kill).
    ///
    /// The call returns immediately; [`join`](Self::join) waits for the end. The greenlet is woken,
    /// and its task drops the future where it waits; destructors run as parts of the greenlet. The
    /// owner gets [`Failure::Aborted`], also if a kill came before. A greenlet that is being polled
    /// ends when that poll is pending; if the poll finishes the future, its result counts. A
    /// greenlet that has not run yet never does, and is [ready](Self::is_ready) with the call. On a
    /// greenlet that has finished it is a no-op.
    ///
    /// A future that never returns from its poll cannot be stopped.
    ///
    /// ```
    /// use spinney_greenlet::{catch_exit, spawn};
    ///
    /// spinney_hub::block_on(async {
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
    pub fn abort(&self) {
        self.asked_for().abort();
    }

    /// Kills it, without waiting, if it has not run yet; false if it has, or has ended. `cancel`.
    pub fn cancel(&self) -> bool {
        self.asked_for().cancel(GreenletExit::new())
    }

    /// Has `callback` called with this handle when the greenlet has ended, once: by the task
    /// itself, before anyone who began to wait later is woken. After the end: by a task of the
    /// current hub. `link`.
    ///
    /// A callback that panics harms nobody; the panic hook reports it.
    ///
    /// # Panics
    ///
    /// After the end, if the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    pub fn link(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        let handle = self.clone();
        let linked = self.control.link(Box::new(move || callback(&handle)));
        let late = |callback: Callback| spinney_hub::spawn(async { contain(callback) });
        self.link_id(linked.map_err(late).ok())
    }

    /// As [`link`](Self::link), but calls `callback` only if the greenlet has ended with a result.
    /// `link_value`, but for a killed one, which gevent calls successful and we do not.
    ///
    /// # Panics
    ///
    /// As [`link`](Self::link).
    pub fn link_value(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        self.link_if(Self::is_successful, callback)
    }

    /// As [`link`](Self::link), but calls `callback` only if the greenlet was killed, or panicked.
    /// `link_exception`.
    ///
    /// # Panics
    ///
    /// As [`link`](Self::link).
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

    /// Takes a link back; false if its callback was called already, or is about to be, or if it is
    /// a link of another greenlet. `unlink`.
    #[expect(clippy::needless_pass_by_value, reason = "a link is taken back once")]
    pub fn unlink(&self, link: LinkId) -> bool {
        link.greenlet == self.id() && link.link.is_some_and(|key| self.control.unlink(key))
    }

    /// For containers: keeps `guard` until the greenlet has finished, and drops it before any
    /// waiter is woken. `key` tells it from the guards of other containers: the address of
    /// something that the container owns.
    ///
    /// # Errors
    ///
    /// Gives it back if the greenlet has finished.
    pub fn guard<G: Send + 'static>(&self, key: usize, guard: G) -> Result<(), G> {
        self.asked_for().guard(key, guard)
    }

    /// For containers: drops the [guard](Self::guard) that was kept under `key`. A no-op if there
    /// is none.
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

    pub(crate) fn give_up(&self, link: &mut Option<LinkKey>) {
        if let Some(link) = link.take() {
            self.control.unlink(link);
        }
    }
}

/// `greenlet 17`, and its name if it has one.
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

/// Handles are equal if they are of the same greenlet.
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

/// Names one [`Handle::link`], to take it back. Dropping it leaves the link in place.
#[derive(Debug)]
pub struct LinkId {
    greenlet: u64,
    /// None if the callback was called at once.
    link: Option<LinkKey>,
}

/// The future of [`Handle::join`] and of the kills: ready when the greenlet has ended.
/// Dropping it ends the wait, and takes no kill back.
#[must_use = "nothing is waited for unless it is awaited"]
pub struct Join {
    handle: Handle,
    link: Option<LinkKey>,
    give_way: GiveWay,
    /// The line that waits.
    at: &'static Location<'static>,
}

impl Future for Join {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let ended =
            this.give_way.poll(cx, |cx| this.handle.poll_ended(cx, &mut this.link).map(drop));
        if ended.is_pending() {
            Wait::note("Greenlet::join", this.at);
        }
        ended
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        self.handle.give_up(&mut self.link);
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Join").field(&self.handle).finish()
    }
}

/// How far a greenlet has come.
///
/// ```
/// use spinney_greenlet::{Greenlet, State};
///
/// let greenlet = Greenlet::new(async {});
/// assert_eq!(greenlet.state(), State::Unstarted);
/// greenlet.kill_now();
/// assert_eq!(greenlet.state(), State::Killed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Made, and not started.
    Unstarted,
    /// Started, but it has not run yet.
    Scheduled,
    /// It runs, or waits for something.
    Running,
    /// It has ended with a result.
    Successful,
    /// It was killed, or dropped by its hub.
    Killed,
    /// It was [aborted](crate::Handle::abort).
    Aborted,
    /// It has ended with a panic.
    Panicked,
}

impl State {
    /// Whether it was started and has not ended. gevent's `started`.
    pub fn is_started(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running)
    }
}
