//! [`Control`]: what all handles of one greenlet share, whatever its result's type.
//!
//! A greenlet ends once, in three steps. First `ended` is there, and stays; sets that collect
//! greenlets note its place in the order of ends. Then it leaves its groups. Then its links are
//! told, in the order they were made; once there are none it has `left`, and who comes later is
//! told at once. Nobody who waits goes on before they are told.
//!
//! A kill before the first poll is the first step; its task takes the others when it is polled or
//! dropped.
//!
//! Wakers and callbacks are other people's code, so none is woken, called or dropped under the
//! lock.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Context, Poll, Waker};

use spinney_hub::contain;

use crate::collector::Collector;
use crate::kills::{Kills, ROOT};
use crate::links::{Callback, Link, Links};
use crate::primitive::{self, AtomicU8, Mutex, MutexGuard};
use crate::unstarted::WeakSlot;
use crate::{Failure, GreenletExit, Home, State, current, spawn_tree};

pub(crate) struct Control {
    pub(crate) id: u64,
    /// The greenlet that made it; 0 if none did.
    parent: u64,
    pub(crate) home: Option<Home>,
    flags: AtomicU8,
    state: Mutex<Inner>,
}

/// It was polled.
const BEGUN: u8 = 1;
/// A kill was sent, and was not seen yet. Changes under the lock; looked at before each poll.
const KILLED: u8 = 2;
/// It has yet to be started.
const UNSTARTED: u8 = 4;
/// It is in the spawn tree.
const TRACKED: u8 = 8;

#[derive(Default)]
struct Inner {
    ended: Option<Result<(), Failure>>,
    /// It has ended, left its groups, and told all links: who comes now is told at once.
    left: bool,
    kills: Kills,
    /// Gets the task polled, so that it sees a kill; there once it has waited.
    waker: Option<Waker>,
    links: Links,
    /// What few have.
    extras: Option<Box<Extras>>,
}

#[derive(Default)]
struct Extras {
    name: Option<Arc<str>>,
    /// Dropped when it ends: its memberships in the groups that it came into later.
    guards: Vec<Box<dyn Any + Send>>,
    /// Where its task is before it is started.
    unstarted: WeakSlot,
}

impl Control {
    pub(crate) fn new(home: Option<Home>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            parent: current::id().unwrap_or(0),
            home,
            flags: AtomicU8::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) fn parent(&self) -> Option<u64> {
        (self.parent != 0).then_some(self.parent)
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.lock().extras.as_ref()?.name.clone()
    }

    pub(crate) fn set_name(&self, name: Arc<str>) {
        let before = self.lock().extras().name.replace(name);
        drop(before);
    }

    pub(crate) fn set_tracked(&self) {
        self.flags.fetch_or(TRACKED, Relaxed);
    }

    /// Says that its task is in `slot`, and has yet to be started.
    pub(crate) fn set_unstarted(&self, slot: WeakSlot) {
        self.lock().extras().unstarted = slot;
        self.flags.fetch_or(UNSTARTED, AcqRel);
    }

    /// Where its task is, for who is to start it; None if it was started or killed before.
    pub(crate) fn start(&self) -> Option<WeakSlot> {
        let flags = self.flags.fetch_and(!UNSTARTED, AcqRel);
        let unstarted = flags & (UNSTARTED | KILLED) == UNSTARTED;
        let slot = || self.lock().extras.as_ref().map(|extras| WeakSlot::clone(&extras.unstarted));
        if unstarted { slot() } else { None }
    }

    /// Says that it is being polled for the first time; false if it was killed before.
    pub(crate) fn begin(&self) -> bool {
        self.flags.fetch_or(BEGUN, AcqRel) & KILLED == 0
    }

    pub(crate) fn state(&self) -> State {
        let ended = self.ended(|ended| match ended? {
            Ok(()) => Some(State::Successful),
            Err(Failure::Killed(_)) => Some(State::Killed),
            Err(Failure::Panicked(_)) => Some(State::Panicked),
        });
        ended.unwrap_or_else(|| match self.flags.load(Acquire) {
            flags if flags & UNSTARTED != 0 => State::Unstarted,
            flags if flags & BEGUN != 0 => State::Running,
            _ => State::Scheduled,
        })
    }

    /// Sends a kill, which the greenlet sees when it is next polled; one that has not run yet has
    /// ended with this. Of no effect while one is on its way, and after the end.
    pub(crate) fn kill(&self, exit: GreenletExit) {
        self.kill_if(exit, |_| true);
    }

    /// As [`kill`](Self::kill), if it has not run yet; false if it has.
    pub(crate) fn cancel(&self, exit: GreenletExit) -> bool {
        self.kill_if(exit, |flags| flags & BEGUN == 0)
    }

    fn kill_if(&self, exit: GreenletExit, wanted: fn(u8) -> bool) -> bool {
        let mut state = self.lock();
        if state.ended.is_some() {
            return false;
        }
        // At once: it may begin meanwhile.
        let killed = |flags| wanted(flags).then_some(flags | KILLED);
        let Ok(before) = self.flags.fetch_update(AcqRel, Acquire, killed) else { return false };
        if !state.kills.send(exit.clone()) {
            return true;
        }
        if before & BEGUN == 0 {
            state.end(self, Err(Failure::Killed(exit)));
            let slot = state.extras.as_ref().map(|extras| WeakSlot::clone(&extras.unstarted));
            let waker = state.waker.clone();
            drop(state);
            drop(slot.and_then(|slot| slot.take()));
            waker.into_iter().for_each(Waker::wake);
            return true;
        }
        let waker = state.waker.clone();
        let scopes: Vec<Waker> = state.kills.wakers().collect();
        drop(state);
        scopes.into_iter().chain(waker).for_each(Waker::wake);
        true
    }

    /// Lets whatever is around see a kill, from inside: that is being polled, and looks when it is
    /// to wait. False where a shield is around.
    pub(crate) fn resume(&self, exit: GreenletExit) -> bool {
        let scope = current::scope();
        let mut state = self.lock();
        if state.kills.is_shielded(scope) {
            return false;
        }
        let before = state.kills.resume(exit, scope);
        self.flags.fetch_or(KILLED, AcqRel);
        drop(state);
        drop(before);
        true
    }

    /// Whether a kill was sent that nobody has seen yet.
    pub(crate) fn is_killed(&self) -> bool {
        self.flags.load(Acquire) & KILLED != 0
    }

    /// The kill that nobody has seen yet.
    pub(crate) fn exit(&self) -> Option<GreenletExit> {
        if self.is_killed() { self.kills(|kills| kills.pending().cloned()) } else { None }
    }

    /// Whether there is a kill that the greenlet as a whole is to see.
    pub(crate) fn is_to_end(&self) -> bool {
        self.is_killed() && self.kills(|kills| kills.is_due(ROOT))
    }

    /// Takes the kill if it is to be seen at `scope`.
    pub(crate) fn take_exit_at(&self, scope: u64) -> Option<GreenletExit> {
        if !self.is_killed() {
            return None;
        }
        let mut state = self.lock();
        let exit = state.kills.take_at(scope)?;
        self.flags.fetch_and(!KILLED, AcqRel);
        Some(exit)
    }

    /// Asks the kills something that runs nobody else's code.
    pub(crate) fn kills<T>(&self, ask: impl FnOnce(&mut Kills) -> T) -> T {
        ask(&mut self.lock().kills)
    }

    /// Closes a scope. A kill may now be due at another, which may be waiting.
    pub(crate) fn close_scope(&self, scope: u64) {
        let mut state = self.lock();
        let waker = state.kills.close(scope);
        let mut wakers = Vec::new();
        if state.kills.pending().is_some() {
            let of_task = state.waker.clone();
            wakers.extend(state.kills.wakers().chain(of_task));
        }
        drop(state);
        drop(waker);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says that the task now waits, and how to get it polled; false if there is a kill that it
    /// must see first. `left` is the task's own: the waker that it has left here before.
    pub(crate) fn park(&self, left: &mut Option<Waker>, waker: &Waker) -> bool {
        let is_here = left.as_ref().is_some_and(|left| left.will_wake(waker));
        if is_here && !self.is_killed() {
            // A kill that comes now wakes it.
            return true;
        }
        let mut state = self.lock();
        if state.kills.is_due(ROOT) {
            return false;
        }
        let before = state.waker.replace(waker.clone());
        drop(state);
        drop(before);
        drop(left.replace(waker.clone()));
        true
    }

    /// The greenlet has ended: says so, lets `leave` go, then tells all who wait. Nobody who waits
    /// goes on before `leave` is gone, not even one that asks in between.
    pub(crate) fn end(&self, ended: Result<(), Failure>, leave: impl Sized) {
        let mut state = self.lock();
        if state.ended.is_none() {
            state.end(self, ended);
        }
        let waker = state.waker.take();
        let guards = state.extras.as_mut().map(|extras| std::mem::take(&mut extras.guards));
        drop(state);
        contain(|| drop(waker));
        contain(|| drop(leave));
        guards.into_iter().flatten().for_each(|guard| contain(|| drop(guard)));
        while let Some(link) = self.next_link() {
            link.tell(self.id);
        }
    }

    /// The next link to tell of the end; None when there are no more, and never will be.
    fn next_link(&self) -> Option<Link> {
        let mut state = self.lock();
        let next = state.links.pop();
        state.left |= next.is_none();
        drop(state);
        next
    }

    /// Looks at how it ended; None while it lives.
    pub(crate) fn ended<T>(&self, look: impl FnOnce(Option<&Result<(), Failure>>) -> T) -> T {
        look(self.lock().ended.as_ref())
    }

    /// Keeps `guard` until the greenlet leaves its groups.
    ///
    /// # Errors
    ///
    /// Gives it back if the greenlet has ended.
    pub(crate) fn guard<G: Any + Send>(&self, guard: G) -> Result<(), G> {
        let mut state = self.lock();
        if state.ended.is_some() {
            return Err(guard);
        }
        state.extras().guards.push(Box::new(guard));
        Ok(())
    }

    /// Waits for the end. `link` is the caller's, None at first; the wait is given up with
    /// [`unlink`](Self::unlink).
    pub(crate) fn poll_ended(
        &self,
        cx: &Context<'_>,
        link: &mut Option<u64>,
    ) -> Poll<Result<(), Failure>> {
        let mut state = self.lock();
        if state.left || link.is_some_and(|id| state.links.is_told(id)) {
            *link = None;
            return Poll::Ready(state.ended.clone().expect("who is told, is told of an end"));
        }
        let before = state.links.set(link, Link::Wake(cx.waker().clone()));
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Has `callback` called at the end, once.
    ///
    /// # Errors
    ///
    /// Gives it back if the greenlet has ended.
    pub(crate) fn link(&self, callback: Callback) -> Result<u64, Callback> {
        let mut state = self.lock();
        if state.left { Err(callback) } else { Ok(state.links.push(Link::Call(callback))) }
    }

    /// Has the end noted in `collector`, also if it is over.
    pub(crate) fn collect(&self, collector: Arc<Collector>) -> Option<u64> {
        let mut state = self.lock();
        if state.left {
            drop(state);
            collector.add(self.id);
            return None;
        }
        if state.ended.is_some() {
            collector.reserve(self.id);
        }
        Some(state.links.push(Link::Collect(collector)))
    }

    /// Takes a link back; false if it is not there, or no more.
    pub(crate) fn unlink(&self, id: u64) -> bool {
        let mut state = self.lock();
        let link = state.links.remove(id);
        drop(state);
        link.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        primitive::lock(&self.state)
    }
}

impl Inner {
    /// The first step of the end.
    fn end(&mut self, control: &Control, ended: Result<(), Failure>) {
        self.ended = Some(ended);
        if control.flags.load(Relaxed) & TRACKED != 0 {
            spawn_tree::forget(control.id);
        }
        self.links.collectors().for_each(|collector| collector.reserve(control.id));
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}
