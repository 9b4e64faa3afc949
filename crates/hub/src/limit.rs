//! [`Limit`]: a time limit that can be moved and lifted while it runs.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::sleep::Countdown;
use crate::{Clock, Timeout, contain};

/// A time limit that can be moved and lifted while it runs, for one future or for several:
/// [`within_limit`](crate::Within::within_limit).
///
/// A cheap handle; clones are the same limit. Its time runs from the first poll of a future that
/// it limits, on the clock of that future's hub, and only once: futures that follow, on hubs with
/// the same clock, have the rest of it. The limited futures, other tasks and other threads may
/// move it. Dropping a handle lifts nothing: the futures that it limits hold it.
///
/// ```
/// use std::time::Duration;
/// use spinney_hub::{Limit, Within, block_on, sleep};
///
/// # const MS: Duration = Duration::from_millis(1);
/// let limit = Limit::new(20 * MS);
/// let steps = async {
///     for _ in 0..3 {
///         sleep(15 * MS).await;
///         limit.reset(20 * MS); // each step has 20 ms
///     }
///     sleep(60_000 * MS).await;
/// };
/// let late = block_on(steps.within_limit(&limit)).unwrap_err();
/// assert!(late.is(&limit));
/// ```
///
/// Python: `gevent.Timeout`, `eventlet.Timeout`, as an object of one's own.
#[derive(Clone)]
pub struct Limit {
    shared: Arc<Shared>,
}

impl Limit {
    /// A limit of `duration` that has not started.
    pub fn new(duration: Duration) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let (clock, run, waiting) = (None, Run::Unstarted, Slab::new());
        let state = Mutex::new(State { duration, clock, run, moves: 0, waiting });
        Self { shared: Arc::new(Shared { id: NEXT_ID.fetch_add(1, Relaxed), state }) }
    }

    /// Moves the limit: it runs out `duration` from now, also after it was lifted or ran out. One
    /// that has not started begins with `duration` at the first poll.
    ///
    /// A future that has ended with [`Timeout`] stays ended.
    ///
    /// Python: `gevent.Timeout.start`.
    pub fn reset(&self, duration: Duration) {
        let clock = self.shared.lock().clock.clone();
        let now = clock.as_ref().map(Clock::now);
        self.shared.change(|state| {
            state.duration = duration;
            state.run = now.map_or(Run::Unstarted, |now| Run::Until(now.checked_add(duration)));
        });
    }

    /// Lifts the limit: it does not run out unless it is [reset](Self::reset).
    ///
    /// Python: `gevent.Timeout.cancel`, `gevent.Timeout.close`.
    pub fn lift(&self) {
        self.shared.change(|state| state.run = Run::Lifted);
    }

    /// When the limit runs out, or has run out; `None` if it has not started, was lifted, or
    /// reaches beyond what the clock can name.
    ///
    /// Python: `gevent.Timeout.pending`.
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.lock().deadline()
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Limit")
            .field("duration", &state.duration)
            .field("run", &state.run)
            .finish_non_exhaustive()
    }
}

/// The state of a [`Limit`], which its handles and the futures that it limits share.
struct Shared {
    id: u64,
    state: Mutex<State>,
}

struct State {
    duration: Duration,
    /// The clock on which it started.
    clock: Option<Clock>,
    run: Run,
    /// The number of times that `run` has changed since the start.
    moves: u64,
    /// The tasks whose futures it limits; empty places are woken already.
    waiting: Slab<Option<Waker>>,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    Unstarted,
    Until(Option<Instant>),
    Lifted,
}

impl State {
    fn deadline(&self) -> Option<Instant> {
        if let Run::Until(deadline) = self.run { deadline } else { None }
    }
}

impl Shared {
    /// Starts the time on the current clock, unless it has started.
    fn start(&self) {
        if !matches!(self.lock().run, Run::Unstarted) {
            return;
        }
        // A clock may be the program's own: it is not called, nor dropped, under the lock.
        let clock = Clock::current();
        let now = clock.now();
        let mut state = self.lock();
        if matches!(state.run, Run::Unstarted) {
            state.run = Run::Until(now.checked_add(state.duration));
            if state.clock.is_none() {
                state.clock = Some(clock);
            }
        }
    }

    /// Changes the state, then wakes the tasks whose futures are limited.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.moves += 1;
        let waiting: Vec<_> =
            state.waiting.iter_mut().filter_map(|(_, waker)| waker.take()).collect();
        drop(state);
        for waker in waiting {
            // A waker that panics keeps no other from being woken.
            contain(|| waker.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit of one future, fixed or shared. It starts at its first poll, and is never put off.
pub(crate) struct LimitTimer {
    limit: Kind,
    /// `None` before the start.
    countdown: Option<Countdown>,
    /// When it ran out, once that is known.
    over: Option<Instant>,
}

enum Kind {
    Fixed(Duration),
    /// Boxed: a future with a fixed limit, the usual one, has no room to spare for it.
    Shared(Box<Watch>),
}

impl LimitTimer {
    pub(crate) fn fixed(limit: Duration) -> Self {
        Self { limit: Kind::Fixed(limit), countdown: None, over: None }
    }

    pub(crate) fn shared(limit: &Limit) -> Self {
        let watch = Watch { limit: limit.clone(), key: None, seen: None, deadline: None };
        Self { limit: Kind::Shared(Box::new(watch)), countdown: None, over: None }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.countdown.is_some()
    }

    /// When the limit ran out, if it has; else `cx` is woken when it does, or is moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        let countdown = match &mut self.limit {
            Kind::Fixed(limit) => self
                .countdown
                .get_or_insert_with(|| Countdown::begin(|now| now.checked_add(*limit))),
            Kind::Shared(watch) => {
                if watch.has_moved(cx.waker()) {
                    self.countdown = None;
                    self.over = None;
                }
                let deadline = watch.deadline;
                self.countdown.get_or_insert_with(|| Countdown::begin(|_| deadline))
            }
        };
        if self.over.is_none() && countdown.poll(cx).is_ready() {
            self.over = countdown.deadline();
        }
        self.over
    }

    /// As [`poll`](Self::poll), after the limited future was polled, which may have moved it.
    pub(crate) fn poll_again(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        match self.limit {
            Kind::Fixed(_) if self.has_started() => self.over,
            Kind::Fixed(_) | Kind::Shared(_) => self.poll(cx),
        }
    }

    /// The error that says that this limit ran out.
    pub(crate) fn timeout(&self) -> Timeout {
        match &self.limit {
            Kind::Fixed(limit) => Timeout::new(*limit, None),
            Kind::Shared(watch) => {
                let shared = &watch.limit.shared;
                let limit = shared.lock().duration;
                Timeout::new(limit, Some(shared.id))
            }
        }
    }
}

impl fmt::Debug for LimitTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.limit {
            Kind::Fixed(limit) => limit.fmt(f),
            Kind::Shared(watch) => watch.limit.fmt(f),
        }
    }
}

/// What one limited future knows of its [`Limit`]. Dropping it takes its waker along.
struct Watch {
    limit: Limit,
    /// Its place among the waiting.
    key: Option<usize>,
    /// The number of moves when it looked last; `None` before the first look.
    seen: Option<u64>,
    /// The deadline that it saw then.
    deadline: Option<Instant>,
}

impl Watch {
    /// Whether the limit was started or moved since the last look. If it is moved after this one,
    /// `waker` is woken.
    fn has_moved(&mut self, waker: &Waker) -> bool {
        let shared = &self.limit.shared;
        shared.start();
        let mut state = shared.lock();
        let key = *self.key.get_or_insert_with(|| state.waiting.insert(None));
        let place = &mut state.waiting[key];
        let before = match place {
            Some(before) if before.will_wake(waker) => None,
            _ => place.replace(waker.clone()),
        };
        let moved = self.seen.replace(state.moves) != Some(state.moves);
        self.deadline = state.deadline();
        drop(state);
        drop(before);
        moved
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.limit.shared.lock().waiting.remove(key);
            drop(waker);
        }
    }
}

impl Timeout {
    /// Whether this is the limit that ran out.
    ///
    /// ```
    /// use std::time::Duration;
    /// use spinney_hub::{Limit, Within, block_on};
    ///
    /// let (all, one) = (Limit::new(Duration::MAX), Limit::new(Duration::ZERO));
    /// let never = std::future::pending::<()>();
    /// let late = block_on(never.within_limit(&one).within_limit(&all)).unwrap().unwrap_err();
    /// assert!(late.is(&one) && !late.is(&all));
    /// ```
    ///
    /// Python: `except gevent.Timeout as t: t is timeout`.
    pub fn is(&self, limit: &Limit) -> bool {
        self.id() == Some(limit.shared.id)
    }
}
