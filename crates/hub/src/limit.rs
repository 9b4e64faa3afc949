//! [`Limit`]: a time limit that can be changed and lifted while it runs.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::sleep::Countdown;
use crate::{Clock, Timeout, contain};

/// A time limit that can be changed and lifted while it runs, for one future or several:
/// [`within_limit`](crate::Within::within_limit).
///
/// Clones are cheap and share the limit. Its time runs from the first poll of a future that it
/// limits, on the clock of that future's hub, and only once: later futures, on hubs with the same
/// clock, get the remaining time. The limited futures, other tasks and other threads may change it.
/// Dropping a handle does not lift the limit: the limited futures hold it.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::{Within, block_on, sleep};
/// #     pub mod time { pub use spinney_hub::Limit; }
/// # }
/// use std::time::Duration;
/// use spinney::{Within, block_on, sleep};
/// use spinney::time::Limit;
///
/// const MS: Duration = Duration::from_millis(1);
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
/// Python: `gevent.Timeout`, `eventlet.Timeout`, as an object.
#[derive(Clone)]
pub struct Limit {
    shared: Arc<Shared>,
}

impl Limit {
    /// Creates a limit of `duration`, which has not started.
    pub fn new(duration: Duration) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let (clock, run, waiting) = (None, Run::Unstarted, Slab::new());
        let state = Mutex::new(State { duration, clock, run, moves: 0, waiting });
        Self { shared: Arc::new(Shared { id: NEXT_ID.fetch_add(1, Relaxed), state }) }
    }

    /// Changes the limit: it expires `duration` from now, also after it was lifted or has expired.
    /// A limit that has not started begins with `duration` at the first poll.
    ///
    /// A future that has finished with [`Timeout`] stays finished.
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

    /// Lifts the limit: it does not expire unless it is [reset](Self::reset).
    ///
    /// Python: `gevent.Timeout.cancel`, `gevent.Timeout.close`.
    #[doc(alias = "cancel")]
    pub fn lift(&self) {
        self.shared.change(|state| state.run = Run::Lifted);
    }

    /// When the limit expires, or has expired; `None` if it has not started, was lifted, or exceeds
    /// the range of the clock.
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

/// The state of a [`Limit`], which its handles and the limited futures share.
struct Shared {
    id: u64,
    state: Mutex<State>,
}

struct State {
    duration: Duration,
    /// The clock on which it started.
    clock: Option<Clock>,
    run: Run,
    /// How many times `run` has changed since the start.
    moves: u64,
    /// The tasks of the limited futures; `None` for a task that was woken already.
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
        // A clock may be foreign code: it is neither called nor dropped under the lock.
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
            // A waker that panics does not keep the others from being woken.
            contain(|| waker.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit of one future, fixed or shared. It starts at its first poll, and is never deferred.
pub(crate) struct LimitTimer {
    limit: Kind,
    /// `None` before the start.
    countdown: Option<Countdown>,
    /// When it expired, once that is known.
    over: Option<Instant>,
}

enum Kind {
    Fixed(Duration),
    /// Boxed: a future with a fixed limit, the common case, stays small.
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

    /// When the limit expired, if it has; otherwise `cx` is woken when it expires or is changed.
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

    /// Like [`poll`](Self::poll), after a poll of the limited future, which may have changed the
    /// limit.
    pub(crate) fn poll_again(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        match self.limit {
            Kind::Fixed(_) if self.has_started() => self.over,
            Kind::Fixed(_) | Kind::Shared(_) => self.poll(cx),
        }
    }

    /// The error of this limit, after it has expired.
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

/// One limited future's view of its [`Limit`]. Dropping it removes its waker.
struct Watch {
    limit: Limit,
    /// Its key in `waiting`.
    key: Option<usize>,
    /// The value of `moves` at the last check; `None` before the first.
    seen: Option<u64>,
    /// The deadline at the last check.
    deadline: Option<Instant>,
}

impl Watch {
    /// Whether the limit was started or changed since the last check. A later change wakes `waker`.
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
    /// Whether `limit` is the one that expired.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_hub::{Within, block_on};
    /// #     pub mod time { pub use spinney_hub::Limit; }
    /// # }
    /// use std::time::Duration;
    /// use spinney::{Within, block_on};
    /// use spinney::time::Limit;
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
