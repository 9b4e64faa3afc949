//! [`Control`]: what all handles of one greenlet share, whatever its result's type.
//!
//! A greenlet ends once, in three steps. First `ended` is there, and stays; sets that collect
//! greenlets note its place in the order of ends. Then it leaves its group. Then its links are
//! told, in the order they were made; once there are none it has `left`, and who comes later is
//! told at once. Nobody who waits goes on before they are told.
//!
//! Wakers and callbacks are other people's code, so none is woken, called or dropped under the
//! lock.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_hub::contain;

use crate::collector::Collector;
use crate::{Failure, GreenletExit};

/// Called at a greenlet's end.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

pub(crate) struct Control {
    pub(crate) id: u64,
    /// Set with `State::exit`, and looked at before each poll.
    killed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: Option<Result<(), Failure>>,
    /// It has ended, left its group, and told all links: who comes now is told at once.
    left: bool,
    /// The kill that was sent. Only the first counts.
    exit: Option<GreenletExit>,
    /// Gets the task polled, so that it sees a kill; there while it waits.
    waker: Option<Waker>,
    name: Option<Arc<str>>,
    links: VecDeque<(u64, Link)>,
    next_link: u64,
    /// Links below this one have been told of the end, or are being told.
    told_below: u64,
}

enum Link {
    Wake(Waker),
    Call(Callback),
    Collect(Arc<Collector>),
}

impl Control {
    pub(crate) fn new() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            killed: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.lock().name.clone()
    }

    pub(crate) fn set_name(&self, name: Arc<str>) {
        let before = self.lock().name.replace(name);
        drop(before);
    }

    /// Sends a kill, which the task sees when it is next polled. Of no effect after the first
    /// one, and after the end.
    pub(crate) fn kill(&self, exit: GreenletExit) {
        let mut state = self.lock();
        if state.ended.is_some() || state.exit.is_some() {
            return;
        }
        state.exit = Some(exit);
        self.killed.store(true, Release);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The kill that was sent, if any.
    pub(crate) fn exit(&self) -> Option<GreenletExit> {
        if !self.killed.load(Acquire) {
            return None;
        }
        self.lock().exit.clone()
    }

    /// Says that the task now waits, and how to get it polled; false if a kill has come, which it
    /// must see first.
    pub(crate) fn park(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        if state.exit.is_some() {
            return false;
        }
        let before = match &mut state.waker {
            Some(parked) if parked.will_wake(waker) => None,
            parked => parked.replace(waker.clone()),
        };
        drop(state);
        drop(before);
        true
    }

    /// The greenlet has ended: says so, lets `leave` go, then tells all who wait. Nobody who waits
    /// goes on before `leave` is gone, not even one that asks in between.
    pub(crate) fn end(&self, ended: Result<(), Failure>, leave: impl Sized) {
        let mut state = self.lock();
        state.ended = Some(ended);
        for (_, link) in &state.links {
            if let Link::Collect(collector) = link {
                collector.reserve(self.id);
            }
        }
        let waker = state.waker.take();
        drop(state);
        contain(|| drop(waker));
        contain(|| drop(leave));
        while let Some(link) = self.next_link() {
            match link {
                Link::Wake(waker) => contain(|| waker.wake()),
                Link::Call(callback) => contain(callback),
                Link::Collect(collector) => contain(|| collector.publish(self.id)),
            }
        }
    }

    /// The next link to tell of the end; None when there are no more, and never will be.
    fn next_link(&self) -> Option<Link> {
        let mut state = self.lock();
        let next = state.links.pop_front();
        match &next {
            Some((id, _)) => state.told_below = id + 1,
            None => state.left = true,
        }
        drop(state);
        next.map(|(_, link)| link)
    }

    /// Looks at how it ended; None while it lives.
    pub(crate) fn ended<T>(&self, look: impl FnOnce(Option<&Result<(), Failure>>) -> T) -> T {
        look(self.lock().ended.as_ref())
    }

    /// Waits for the end. `link` is the caller's, None at first; the wait is given up with
    /// [`unlink`](Self::unlink).
    pub(crate) fn poll_ended(
        &self,
        cx: &Context<'_>,
        link: &mut Option<u64>,
    ) -> Poll<Result<(), Failure>> {
        let mut state = self.lock();
        if state.left || link.is_some_and(|id| id < state.told_below) {
            *link = None;
            return Poll::Ready(state.ended.clone().expect("who is told, is told of an end"));
        }
        let wake = Link::Wake(cx.waker().clone());
        let mut before = None;
        if let Some(place) = link.and_then(|id| state.find(id)) {
            before = Some(std::mem::replace(&mut state.links[place].1, wake));
        } else {
            *link = Some(state.push(wake));
        }
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
        if state.left { Err(callback) } else { Ok(state.push(Link::Call(callback))) }
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
        Some(state.push(Link::Collect(collector)))
    }

    /// Takes a link back; false if it is not there, or no more.
    pub(crate) fn unlink(&self, id: u64) -> bool {
        let mut state = self.lock();
        let link = state.find(id).and_then(|place| state.links.remove(place));
        drop(state);
        link.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, link: Link) -> u64 {
        let id = self.next_link;
        self.next_link += 1;
        self.links.push_back((id, link));
        id
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.links.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}
