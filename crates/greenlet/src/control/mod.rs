//! [`Control`]: the state that all handles of one greenlet share, whatever the type of its result.
//!
//! A greenlet finishes once, in three steps. Before them, result links are called while the task
//! still holds the result. First `ended` is set, for good, and sets that collect greenlets record
//! the greenlet's place in the order of ends. Then the greenlet leaves its groups. Then its links
//! are called, in the order in which they were added; when none remain it has `left`, and a later
//! link is called immediately. No waiter goes on before the links are called.
//!
//! A kill or an abort before the first poll performs the first step, except for the place; the task
//! takes the place and performs the other steps when it is polled or dropped.
//!
//! The steps are [flags](flags); the lock protects the data that some of them need. A greenlet that
//! succeeds without a waiter takes no lock.
//!
//! Wakers and callbacks are foreign code: none is woken, called or dropped under the lock.

mod flags;

use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::task::{Context, Poll, Waker};

use flags::{
    ABORTED, BEGUN, ENDED, FAILED, Flags, IN_PLACE, KILLED, LEFT, LINKED, NESTED, OBSERVED,
    PANICKED, TRACKED, UNSTARTED,
};
use spinney_hub::{contain, drop_contained};
use spinney_sync::wake_all;

use crate::collector::Collector;
use crate::kill::ScopeKind;
use crate::links::{Callback, Link, LinkKey, Links, ResultLink};
use crate::observe::Watch;
use crate::primitive::{self, AtomicU64, Mutex, MutexGuard};
use crate::scopes::{Kills, ROOT};
use crate::spawn::WeakSlot;
use crate::spawn_context::{Origin, SpawnContext, next_id};
use crate::{Failure, GreenletExit, Handle, Panic, State, current, spawn_tree};

/// The place of a greenlet that no container created.
const NO_PLACE: u32 = u32::MAX;

/// The order of the fields puts the words that each poll and each item read into one cache line.
#[repr(C)]
pub(crate) struct Control {
    flags: Flags,
    /// Code in the greenlet asked for the block. Only its own task reads this and the next field.
    asked_inside: AtomicBool,
    /// The task has stored a waker here.
    parked: AtomicBool,
    /// The greenlet's index in its container; `NO_PLACE` without a container.
    place: AtomicU32,
    /// 0 until it is first asked for. An item of a map whose id is still 0 at its end leaves the
    /// block to the next item: so the id is drawn before a handle is given out and before a local
    /// is set.
    id: AtomicU64,
    pub(crate) context: SpawnContext,
    state: Mutex<Inner>,
}

impl Control {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            id: AtomicU64::new(origin.id),
            context: origin.context,
            place: AtomicU32::new(NO_PLACE),
            flags: Flags::of(0),
            asked_inside: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Like [`new`](Self::new), for a greenlet that is about to be polled, whatever is sent to it
    /// first.
    pub(crate) fn begun(origin: Origin) -> Self {
        Self { flags: Flags::of(BEGUN), ..Self::new(origin) }
    }

    /// Like [`new`](Self::new), for a greenlet that has succeeded and left.
    pub(crate) fn succeeded(origin: Origin) -> Self {
        Self { flags: Flags::of(BEGUN | ENDED | LEFT), ..Self::new(origin) }
    }

    /// Whether it has succeeded and left without ever having another state: the block then equals a
    /// new one.
    pub(crate) fn is_plain_success(&self) -> bool {
        self.flags.get() == BEGUN | ENDED | LEFT
    }

    /// The block of the next item of the same task: nothing has been asked of it yet.
    pub(crate) fn of_next_item(&self) -> Self {
        let flags = Flags::of(BEGUN | self.flags.get() & IN_PLACE);
        let place = AtomicU32::new(self.place.load(Relaxed));
        Self { flags, place, ..Self::new(Origin::undrawn(self.context)) }
    }

    pub(crate) fn id(&self) -> u64 {
        match self.id.load(Relaxed) {
            0 => self.draw_id(),
            id => id,
        }
    }

    /// If two callers draw it at once, both get the same id.
    #[cold]
    fn draw_id(&self) -> u64 {
        let id = next_id();
        self.id.compare_exchange(0, id, Relaxed, Relaxed).map_or_else(|drawn| drawn, |_| id)
    }

    /// Whether the id was drawn.
    ///
    /// `Relaxed` is enough: a draw that this load misses comes after it in the modification order,
    /// so it belongs to the next item. A caller draws the id before anything else it does to the
    /// block.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.id.load(Relaxed) != 0
    }

    /// Like [`id`](Self::id), for code in the greenlet that keeps or changes the block.
    pub(crate) fn ask_inside(&self) {
        self.id();
        self.asked_inside.store(true, Relaxed);
    }

    pub(crate) fn is_asked_inside(&self) -> bool {
        self.asked_inside.load(Relaxed)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { id: self.id(), context: self.context }
    }

    pub(crate) fn place(&self) -> Option<u32> {
        Some(self.place.load(Relaxed)).filter(|place| *place != NO_PLACE)
    }

    /// Called before the second handle exists.
    pub(crate) fn set_place(&self, place: u32) {
        self.place.store(place, Relaxed);
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.lock().extras.as_ref()?.name.clone()
    }

    pub(crate) fn set_name(&self, name: Arc<str>) {
        let before = self.lock().extras().name.replace(name);
        drop(before);
    }

    pub(crate) fn set_tracked(&self) {
        self.flags.set(TRACKED);
    }

    pub(crate) fn is_tracked(&self) -> bool {
        self.flags.has(TRACKED)
    }

    /// Stores the observer's watch for the task, which looks for it here if it has none.
    pub(crate) fn set_watch(&self, watch: Arc<dyn Watch>) {
        let before = self.lock().extras().watch.replace(watch);
        drop(before);
    }

    pub(crate) fn watch(&self) -> Option<Arc<dyn Watch>> {
        self.lock().extras.as_ref()?.watch.clone()
    }

    /// The observer knows the greenlet, and is to see its end.
    pub(crate) fn set_observed(&self) {
        self.flags.set(OBSERVED);
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.flags.has(OBSERVED)
    }

    /// Tells the observer of the end.
    #[cold]
    #[inline(never)]
    fn watch_end(self: &Arc<Self>, watch: &dyn Watch) {
        let ended = self.ended();
        contain(|| watch.ended(ended.and_then(Result::err).as_ref()));
    }

    pub(crate) fn set_in_place(&self, in_place: bool) {
        if in_place {
            self.flags.set(IN_PLACE);
        } else {
            self.flags.clear(IN_PLACE);
        }
    }

    pub(crate) fn is_in_place(&self) -> bool {
        self.flags.has(IN_PLACE)
    }

    /// Records that the task is in `slot` and has not been started.
    pub(crate) fn set_unstarted(&self, slot: WeakSlot) {
        self.lock().extras().unstarted = slot;
        self.flags.set(UNSTARTED);
    }

    /// Returns the slot of the task, to start it; `None` if it was started or killed before.
    pub(crate) fn start(&self) -> Option<WeakSlot> {
        let unstarted = self.flags.clear(UNSTARTED) & (UNSTARTED | KILLED | ABORTED) == UNSTARTED;
        let slot = || self.lock().extras.as_ref().map(|extras| WeakSlot::clone(&extras.unstarted));
        if unstarted { slot() } else { None }
    }

    /// Marks the greenlet as about to be polled; `false` if it must end instead, by a kill or an
    /// abort.
    #[inline]
    pub(crate) fn begin(&self) -> bool {
        let goes_on = self.flags.get() & (BEGUN | KILLED | ABORTED) == BEGUN;
        goes_on || self.begin_slow()
    }

    /// Like [`begin`](Self::begin), at the first poll or after a kill or an abort.
    #[inline(never)]
    fn begin_slow(&self) -> bool {
        if !self.flags.has(BEGUN) {
            return self.flags.set_unless(BEGUN, KILLED | ABORTED).is_ok();
        }
        let goes_on = !self.must_end();
        if goes_on {
            self.kills(Kills::begin_round);
        }
        goes_on
    }

    pub(crate) fn state(&self) -> State {
        match self.flags.get() {
            flags if flags & PANICKED != 0 => State::Panicked,
            flags if flags & (FAILED | ABORTED) == FAILED | ABORTED => State::Aborted,
            flags if flags & FAILED != 0 => State::Killed,
            flags if flags & ENDED != 0 => State::Successful,
            flags if flags & UNSTARTED != 0 => State::Unstarted,
            flags if flags & BEGUN != 0 => State::Running,
            _ => State::Scheduled,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.flags.has(ENDED)
    }

    /// How it finished; `None` while it lives.
    pub(crate) fn ended(self: &Arc<Self>) -> Option<Result<(), Failure>> {
        match self.flags.get() {
            flags if flags & ENDED == 0 => None,
            flags if flags & FAILED == 0 => Some(Ok(())),
            _ => Some(Err(self.lock().failure(self))),
        }
    }

    /// Sends a kill, which the greenlet sees at its next poll; a greenlet that has not run yet ends
    /// with this call. A no-op while a kill is pending, and after the end.
    pub(crate) fn kill(&self, exit: GreenletExit) {
        self.kill_unless(0, exit);
    }

    /// Like [`kill`](Self::kill), but returns `false` and does nothing if the greenlet has run.
    pub(crate) fn cancel(&self, exit: GreenletExit) -> bool {
        self.kill_unless(BEGUN, exit)
    }

    fn kill_unless(&self, others: u16, exit: GreenletExit) -> bool {
        let exit = exit.unowned();
        let mut state = self.lock();
        // In one step: the greenlet may begin or finish meanwhile.
        let Ok(before) = self.flags.set_unless(KILLED, ENDED | others) else { return false };
        if !state.kills.send(exit.clone()) {
            return true;
        }
        if before & BEGUN == 0 {
            self.end_unbegun(state, Failure::Killed(exit));
            return true;
        }
        let wakers: Vec<Waker> = state.kills.wakers().chain(state.waker.clone()).collect();
        drop(state);
        wake_all(wakers);
        true
    }

    /// Makes the task drop its future at its next poll, whatever catches or shields a kill; a
    /// greenlet that has not run yet ends with this call. A no-op after the first, and after the
    /// end.
    pub(crate) fn abort(&self) {
        let state = self.lock();
        // In one step: the greenlet may begin or finish meanwhile.
        let Ok(before) = self.flags.set_unless(ABORTED, ENDED | ABORTED) else { return };
        if before & BEGUN == 0 {
            return self.end_unbegun(state, Failure::Aborted(None));
        }
        let waker = state.waker.clone();
        drop(state);
        wake_all(waker);
    }

    /// Ends a greenlet that has not run and never will. Its task performs the other steps.
    fn end_unbegun(&self, mut state: MutexGuard<'_, Inner>, failure: Failure) {
        state.end(self, &Err(failure));
        let slot = state.extras.as_ref().map(|extras| WeakSlot::clone(&extras.unstarted));
        let unbegun = state.extras.as_mut().and_then(|extras| extras.unbegun.take());
        let waker = state.waker.clone();
        drop(state);
        drop(slot.and_then(|slot| slot.take()));
        if let Some(unbegun) = unbegun {
            contain(unbegun);
        }
        wake_all(waker);
    }

    /// Calls `callback` if the greenlet ends before it has begun.
    pub(crate) fn set_unbegun(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        if !self.is_ended() {
            state.extras().unbegun = Some(callback);
        }
    }

    /// Makes the code around see a kill, from inside: that code is being polled, and checks for
    /// kills before it waits. `false` within a shield.
    pub(crate) fn resume(&self, exit: GreenletExit) -> bool {
        let scope = current::scope();
        let mut state = self.lock();
        if state.kills.is_shielded(scope) {
            return false;
        }
        let before = state.kills.resume(exit.unowned(), scope);
        self.flags.set(KILLED);
        drop(state);
        drop(before);
        true
    }

    /// Whether a kill is pending.
    pub(crate) fn is_killed(&self) -> bool {
        self.flags.has(KILLED)
    }

    /// The pending kill.
    pub(crate) fn exit(&self) -> Option<GreenletExit> {
        if self.is_killed() { self.kills(|kills| kills.pending().cloned()) } else { None }
    }

    /// Whether an abort is pending, or a kill that the greenlet as a whole sees.
    fn must_end(&self) -> bool {
        self.flags.has(ABORTED) || !self.flags.has(NESTED) || self.kills(|kills| kills.is_due(ROOT))
    }

    /// Takes the kill if it is due at `scope`.
    pub(crate) fn take_exit_at(&self, scope: u64) -> Option<GreenletExit> {
        if !self.is_killed() || self.is_ended() {
            return None;
        }
        let mut state = self.lock();
        let exit = state.kills.take_at(scope)?;
        self.flags.clear(KILLED);
        Some(exit)
    }

    /// Calls `ask`, which runs no foreign code, with the kills.
    pub(crate) fn kills<T>(&self, ask: impl FnOnce(&mut Kills) -> T) -> T {
        ask(&mut self.lock().kills)
    }

    /// Opens a scope inside `outer`.
    pub(crate) fn open_scope(&self, outer: u64, kind: ScopeKind) -> u64 {
        self.flags.set(NESTED);
        self.kills(|kills| match kind {
            ScopeKind::Catch => kills.open(outer, false),
            ScopeKind::Shield => kills.open(outer, true),
            ScopeKind::WaitInPlace => kills.open_wait(outer),
        })
    }

    /// Closes a scope. A kill may now be due at another scope, whose task may be waiting.
    pub(crate) fn close_scope(&self, scope: u64) {
        let mut state = self.lock();
        let closed = state.kills.close(scope);
        let mut wakers = Vec::new();
        for scope in state.kills.due_after(&closed) {
            let of_task = if scope == ROOT { state.waker.clone() } else { None };
            wakers.extend(of_task.or_else(|| state.kills.waker(scope)));
        }
        drop(state);
        drop(closed.waker);
        wake_all(wakers);
    }

    /// Records that the task now waits, and its waker; `false` if it must see a kill or an abort
    /// first. `left` belongs to the task: the last waker that it stored, here or for the item
    /// before.
    #[inline]
    pub(crate) fn park(&self, left: &mut Option<Waker>, waker: &Waker) -> bool {
        let is_here =
            self.parked.load(Relaxed) && left.as_ref().is_some_and(|left| left.will_wake(waker));
        // If it is stored here, a kill or an abort that comes now wakes it.
        (is_here && !self.flags.has(KILLED | ABORTED)) || self.park_slow(left, waker)
    }

    /// Like [`park`](Self::park), when `waker` is new or a kill or an abort has come.
    #[inline(never)]
    fn park_slow(&self, left: &mut Option<Waker>, waker: &Waker) -> bool {
        while self.is_killed() {
            let Some(lapsed) = self.kills(|kills| kills.lapsed_wait()) else { break };
            self.close_scope(lapsed);
        }
        let mut state = self.lock();
        if self.flags.has(ABORTED) || state.kills.is_due(ROOT) {
            return false;
        }
        let before = state.waker.replace(waker.clone());
        drop(state);
        self.parked.store(true, Relaxed);
        drop(before);
        drop(left.replace(waker.clone()));
        true
    }

    /// Finishes the greenlet: sets its end, calls `leave`, then wakes all waiters. No waiter goes
    /// on before `leave` has returned, not even one that comes in between. A greenlet that was
    /// killed ends with the reason of the pending kill, if there is one. `watch` is that of the task.
    pub(crate) fn end(
        self: &Arc<Self>,
        ended: &Result<(), Failure>,
        watch: Option<&Arc<dyn Watch>>,
        leave: impl FnOnce(),
    ) {
        let is_alone = ended.is_ok() && !self.parked.load(Relaxed);
        let known = if watch.is_some() { self.flags.get() & OBSERVED } else { 0 };
        let is_alone = is_alone && self.flags.advance(BEGUN | known, BEGUN | known | ENDED);
        let guards = if is_alone { None } else { self.begin_end(ended) };
        if let Some(watch) = watch.filter(|_| known != 0) {
            self.watch_end(&**watch);
        }
        contain(leave);
        if let Some(guards) = guards {
            drop_guards(guards);
        }
        while let Some(link) = self.next_link() {
            link.call(self.id());
        }
    }

    /// Marks the greenlet as finished. Returns its guards.
    fn begin_end(self: &Arc<Self>, ended: &Result<(), Failure>) -> Option<Guards> {
        let mut state = self.call_result_links(ended);
        if !self.is_ended() {
            state.end(self, ended);
        }
        state.take_place(self);
        let waker = state.waker.take();
        let guards = state.extras.as_mut().map(|extras| mem::take(&mut extras.guards));
        drop(state);
        drop_contained(waker);
        guards.filter(|guards| !guards.is_empty())
    }

    /// Performs the first step of an end without a result, unless a kill or an abort of an
    /// unstarted greenlet did so before. Returns the failure, which stays.
    pub(crate) fn fail(self: &Arc<Self>, failure: Failure) -> Failure {
        let mut state = self.lock();
        if !self.is_ended() {
            state.end(self, &Err(failure));
        }
        state.failure(self)
    }

    /// Calls the result links, and returns with the lock once none remain. A success does not count
    /// as an end before that; a failure does, and later kills cannot change it.
    fn call_result_links(self: &Arc<Self>, ended: &Result<(), Failure>) -> MutexGuard<'_, Inner> {
        let mut state = self.lock();
        if ended.is_err() && !self.is_ended() {
            state.end(self, ended);
        }
        loop {
            let links = state.extras.as_mut().map(|extras| mem::take(&mut extras.result_links));
            let Some(links) = links.filter(|links| !links.is_empty()) else { return state };
            let told = if self.is_ended() { Err(state.failure(self)) } else { Ok(()) };
            drop(state);
            for link in links {
                contain(|| link(told.clone()));
            }
            state = self.lock();
        }
    }

    /// The next link to call; `None` when there are none left, and never will be.
    fn next_link(&self) -> Option<Link> {
        if self.flags.set_unless(LEFT, LINKED).is_ok() {
            return None;
        }
        let mut state = self.lock();
        let next = state.links.as_mut().and_then(|links| links.pop());
        if next.is_none() {
            self.flags.set(LEFT);
        }
        drop(state);
        next
    }

    /// Stores `guard` under `key` until the greenlet leaves its groups.
    ///
    /// # Errors
    ///
    /// Returns the guard if the greenlet has finished.
    pub(crate) fn guard<G: Any + Send>(&self, key: usize, guard: G) -> Result<(), G> {
        let mut state = self.lock();
        if self.flags.set_unless(LINKED, ENDED).is_err() {
            return Err(guard);
        }
        let before = state.extras().guards.insert(key, Box::new(guard));
        drop(state);
        drop_contained(before);
        Ok(())
    }

    /// Removes the guard that is stored under `key`, and drops it.
    pub(crate) fn unguard(&self, key: usize) {
        let mut state = self.lock();
        let guard = state.extras.as_mut().and_then(|extras| extras.guards.remove(&key));
        drop(state);
        drop_contained(guard);
    }

    /// Waits for the end. `link` belongs to the caller and is `None` at first;
    /// [`unlink`](Self::unlink) cancels the wait.
    pub(crate) fn poll_ended(
        self: &Arc<Self>,
        cx: &Context<'_>,
        link: &mut Option<LinkKey>,
    ) -> Poll<Result<(), Failure>> {
        let mut before = None;
        let is_called = self.flags.has(LEFT) || {
            let mut state = self.lock();
            let is_called = link.is_some_and(|key| state.links().is_called(key))
                || self.flags.set_unless(LINKED, LEFT).is_err();
            if !is_called {
                before = state.links().set(link, Link::Wake(cx.waker().clone()));
            }
            is_called
        };
        drop(before);
        if !is_called {
            return Poll::Pending;
        }
        *link = None;
        Poll::Ready(self.ended().expect("a link is called after the end"))
    }

    /// Adds `callback`, which is called once, at the end.
    ///
    /// # Errors
    ///
    /// Returns the callback if the greenlet has finished.
    pub(crate) fn link(&self, callback: Callback) -> Result<LinkKey, Callback> {
        let mut state = self.lock();
        match self.flags.set_unless(LINKED, LEFT) {
            Ok(_) => Ok(state.links().push(Link::Call(callback))),
            Err(_) => Err(callback),
        }
    }

    /// Adds `link`, which is called once with the outcome, before the greenlet finishes.
    ///
    /// # Errors
    ///
    /// Returns the link if the greenlet has finished.
    pub(crate) fn link_result(&self, link: ResultLink) -> Result<(), ResultLink> {
        let mut state = self.lock();
        if self.flags.set_unless(LINKED, ENDED).is_err() {
            return Err(link);
        }
        state.extras().result_links.push(link);
        Ok(())
    }

    /// Records the end in `collector`, also if it came before this call.
    pub(crate) fn collect(&self, collector: Arc<Collector>) -> Option<LinkKey> {
        let mut state = self.lock();
        let Ok(before) = self.flags.set_unless(LINKED, LEFT) else {
            drop(state);
            collector.add(self.id());
            return None;
        };
        if before & (ENDED | BEGUN) == ENDED | BEGUN {
            collector.reserve(self.id());
        }
        Some(state.links().push(Link::Collect(collector)))
    }

    /// Removes a link; `false` if it is not there.
    pub(crate) fn unlink(&self, key: LinkKey) -> bool {
        let mut state = self.lock();
        let link = state.links.as_mut().and_then(|links| links.remove(key));
        drop(state);
        link.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        primitive::lock(&self.state)
    }
}

#[derive(Default)]
struct Inner {
    /// Wakes the task, so that it sees a kill; `Some` once it has waited.
    waker: Option<Waker>,
    kills: Kills,
    /// `Some` once there was a link.
    links: Option<Box<Links>>,
    /// Data that few greenlets need.
    extras: Option<Box<Extras>>,
}

/// Values that are dropped when a greenlet finishes, by the keys of its containers.
type Guards = BTreeMap<usize, Box<dyn Any + Send>>;

fn drop_guards(guards: Guards) {
    guards.into_values().for_each(drop_contained);
}

#[derive(Default)]
struct Extras {
    name: Option<Arc<str>>,
    /// Dropped at the end: memberships in the groups that the greenlet joined later.
    guards: Guards,
    /// Holds the task before it is started.
    unstarted: WeakSlot,
    /// Called if the greenlet ends before it has begun, for its container.
    unbegun: Option<Box<dyn FnOnce() + Send>>,
    /// Called with the outcome, before the end.
    result_links: Vec<ResultLink>,
    /// The panic that ended it, if there was one.
    panic: Option<Panic>,
    /// The observer's watch of the task, if the task was created without one.
    watch: Option<Arc<dyn Watch>>,
}

impl Inner {
    /// Performs the first step of the end.
    fn end(&mut self, control: &Control, ended: &Result<(), Failure>) {
        let flags = match ended {
            Ok(()) => ENDED,
            Err(Failure::Aborted(_)) => ENDED | FAILED | ABORTED,
            Err(Failure::Killed(exit)) => {
                self.kills.send(exit.clone().unowned());
                ENDED | FAILED
            }
            Err(Failure::Panicked(panic)) => {
                self.extras().panic = Some(panic.clone().unowned());
                ENDED | FAILED | PANICKED
            }
        };
        control.flags.set(flags);
        if control.flags.has(TRACKED) {
            spawn_tree::forget(control.id());
        }
    }

    /// Reserves the greenlet's places in the order of ends. Only its task does so, at its end:
    /// links are called only then, and a place reserved earlier would hold up the greenlets behind
    /// it.
    fn take_place(&self, control: &Control) {
        control.flags.set(BEGUN);
        let collectors = self.links.iter().flat_map(|links| links.collectors());
        collectors.for_each(|collector| collector.reserve(control.id()));
    }

    /// How it finished, which was no success. An abort replaces a kill that came before it.
    fn failure(&self, control: &Arc<Control>) -> Failure {
        let failure = match self.extras.as_ref().and_then(|extras| extras.panic.clone()) {
            Some(panic) => Failure::Panicked(panic),
            None if control.flags.has(ABORTED) => Failure::Aborted(None),
            None => Failure::Killed(self.kills.pending().cloned().unwrap_or_default()),
        };
        // Added here rather than stored: a stored handle would keep the control block alive for
        // ever.
        failure.of(&Handle::new(Arc::clone(control)))
    }

    fn links(&mut self) -> &mut Links {
        self.links.get_or_insert_default()
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}
