//! [`Watchdog`]: reports tasks that hold their thread, and hubs that fall behind or stand still.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::mem::replace;
use std::panic::Location;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use spinney_sync::Wait;

use crate::hubs::{Delays, HubNote};
use crate::record::{self, Facts, Phase, since};
use crate::spans;
use crate::threads::ThreadNote;

/// The time for which a site, or a hub, is not reported again.
const QUIET: Duration = Duration::from_secs(60);

/// How long delays are counted before they are compared.
const WINDOW: Duration = Duration::from_secs(1);

/// How many polls a window needs to count.
const LEAST_POLLS: u64 = 50;

/// How many windows in a row must have a high delay.
const HIGH_WINDOWS: u32 = 3;

/// Checks the threads and hubs of the process, from a thread of its own and twice per threshold, and
/// reports what goes wrong. Dropping it stops and joins the thread.
///
/// It sees greenlets that were created after [`start`](crate::start), which building it calls.
/// Closures of thread pools may take as long as they like. Hubs of a virtual clock are not watched.
///
/// Python: `gevent.hub.Hub.start_periodic_monitoring_thread`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod trace { pub use spinney_trace::{Alarm, Watchdog}; }
/// # }
/// use std::sync::mpsc;
/// use std::time::{Duration, Instant};
/// use spinney::trace::{Alarm, Watchdog};
/// use spinney::{block_on, spawn};
///
/// let (alarms, reported) = mpsc::channel();
/// let _watchdog = Watchdog::builder()
///     .threshold(Duration::from_millis(10))
///     .on_alarm(move |alarm| drop(alarms.send(alarm.clone())))
///     .start()?;
/// block_on(spawn(async move {
///     // Holds the thread until the watchdog has noticed.
///     assert!(matches!(reported.recv(), Ok(Alarm::SlowPoll { .. })));
/// }))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watchdog {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// The settings of a watchdog, to be changed before it is started.
    pub fn builder() -> WatchdogBuilder {
        WatchdogBuilder {
            threshold: Duration::from_millis(100),
            queue_delay: Duration::from_millis(100),
            stuck_after: None,
            on_alarm: Box::new(|alarm| {
                // There is no reader of an error.
                let _ = writeln!(io::stderr(), "spinney: {alarm}");
            }),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.set();
        if let Some(thread) = self.thread.take() {
            // `on_alarm` may drop its own watchdog.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

/// Tells the thread to stop.
#[derive(Debug, Default)]
struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn set(&self) {
        *record::lock(&self.is_set) = true;
        self.changed.notify_all();
    }

    /// Waits for `time`, or until it is set. Returns whether it is.
    fn wait(&self, time: Duration) -> bool {
        let is_set = record::lock(&self.is_set);
        let waited = self.changed.wait_timeout_while(is_set, time, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

type OnAlarm = Box<dyn FnMut(&Alarm) + Send>;

/// The settings of a [`Watchdog`]. Dropping it starts nothing.
#[must_use = "a builder does nothing until `start`"]
pub struct WatchdogBuilder {
    threshold: Duration,
    queue_delay: Duration,
    stuck_after: Option<Duration>,
    on_alarm: OnAlarm,
}

impl WatchdogBuilder {
    /// Sets how long a poll may take. Default: 100 ms.
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets how long greenlets may be queued, at the 99th percentile, before the hub is reported as
    /// falling behind. Default: 100 ms.
    pub fn queue_delay(mut self, delay: Duration) -> Self {
        self.queue_delay = delay;
        self
    }

    /// Reports once when for `time` no greenlet of the process was polled, woken or spawned, and
    /// all wait for each other: at awaits of spinney's other than sleeps. Default: not reported,
    /// because workers that wait for jobs from outside look the same.
    ///
    /// Python: gevent raises `LoopExit` there.
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.stuck_after = Some(time);
        self
    }

    /// Calls `on_alarm`, on the thread of the watchdog, for each alarm. Default: the alarm is
    /// written to the standard error.
    ///
    /// If it panics, the panic hook reports it, and the watchdog goes on.
    pub fn on_alarm(mut self, on_alarm: impl FnMut(&Alarm) + Send + 'static) -> Self {
        self.on_alarm = Box::new(on_alarm);
        self
    }

    /// Starts the watchdog, and [observing](crate::start).
    ///
    /// # Errors
    ///
    /// The system's error if it refuses to start a thread; an error of the kind
    /// [`Other`](io::ErrorKind::Other) if something else observes greenlets.
    pub fn start(self) -> io::Result<Watchdog> {
        crate::start().map_err(io::Error::other)?;
        let stop = Arc::new(Stop::default());
        let (stopped, tick) = (Arc::clone(&stop), self.tick());
        let mut monitor = Monitor::new(self);
        let watch = move || {
            while !stopped.wait(tick.max(Duration::from_millis(1))) {
                monitor.check();
            }
        };
        let thread = thread::Builder::new().name("spinney-watchdog".to_owned()).spawn(watch)?;
        Ok(Watchdog { stop, thread: Some(thread) })
    }

    /// The time between two checks.
    fn tick(&self) -> Duration {
        let stuck_after = self.stuck_after.unwrap_or(Duration::MAX);
        (self.threshold.min(stuck_after) / 2).min(WINDOW)
    }
}

impl fmt::Debug for WatchdogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchdogBuilder")
            .field("threshold", &self.threshold)
            .field("queue_delay", &self.queue_delay)
            .field("stuck_after", &self.stuck_after)
            .finish_non_exhaustive()
    }
}

/// A report of a [`Watchdog`]. Its text is a sentence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Alarm {
    /// A greenlet holds its thread in one poll. Reported once a minute for each line that spawns
    /// such greenlets.
    #[non_exhaustive]
    SlowPoll {
        /// The greenlet, for example `greenlet 5 "fetch"`.
        greenlet: String,
        /// The line that spawned it.
        spawned_at: &'static Location<'static>,
        /// Where it waited last, before the poll.
        last_wait: Option<Wait>,
        /// The thread.
        thread: String,
        /// How long the poll has taken so far.
        time: Duration,
        /// How many other slow polls of that line's greenlets there were since the last report.
        others: u64,
    },
    /// Every thread of a hub is held by a slow poll.
    #[non_exhaustive]
    HubBlocked {
        /// The name of the hub.
        hub: String,
        /// How many threads it has.
        threads: usize,
    },
    /// Greenlets are queued for long before they are polled, and not for less and less time.
    #[non_exhaustive]
    SlowQueue {
        /// The name of the hub.
        hub: String,
        /// The 99th percentile of the time from wake-up to poll, in the last second.
        delay: Duration,
    },
    /// Nothing happened for a while, and all greenlets wait for each other, or for a wake-up from
    /// outside.
    #[non_exhaustive]
    Stuck {
        /// How many greenlets wait.
        greenlets: usize,
        /// For how long nothing has happened.
        time: Duration,
        /// Where they wait, as the text of a [`Dump`](crate::Dump).
        dump: String,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowPoll { greenlet, spawned_at, last_wait, thread, time, others } => {
                write!(
                    f,
                    "{greenlet}, spawned at {spawned_at}, has held the thread {thread:?} for \
                     {time:.1?} without an await"
                )?;
                if let Some(wait) = last_wait {
                    write!(f, "; its last wait was for {wait}")?;
                }
                if *others > 0 {
                    write!(f, "; {others} more slow polls of its line since the last report")?;
                }
                Ok(())
            }
            Self::HubBlocked { hub, threads } => {
                write!(f, "all {threads} threads of the hub {hub:?} are held by slow polls")
            }
            Self::SlowQueue { hub, delay } => write!(
                f,
                "the hub {hub:?} falls behind: of 100 greenlets that are woken one is polled after \
                 {delay:.1?} or later"
            ),
            Self::Stuck { greenlets, time, dump } => write!(
                f,
                "no greenlet has run for {time:.1?}: {greenlets} greenlets wait for each other, \
                 unless something outside, such as another thread or a main future, is to wake \
                 them\n{dump}"
            ),
        }
    }
}

/// What the watchdog remembers from one check to the next.
struct Monitor {
    settings: WatchdogBuilder,
    /// The last report of each line, and the slow polls since.
    sites: HashMap<(&'static str, u32, u32), Site>,
    /// The poll of each thread at the last check.
    seen: BTreeMap<usize, usize>,
    /// The poll of each thread that was slow at the last check.
    slow: BTreeMap<usize, Instant>,
    /// The hubs that were blocked at the last check.
    blocked: Vec<usize>,
    queues: BTreeMap<usize, QueueWatch>,
    last_window: Instant,
    /// All polls of the process and the time since when there were no more.
    quiet: Option<(u64, Instant)>,
    is_stuck_reported: bool,
}

struct Site {
    reported: Instant,
    others: u64,
}

/// The delays of a hub.
#[derive(Default)]
struct QueueWatch {
    before: Delays,
    /// The delay of the last window that was high, and how many there were in a row.
    high: Option<(Duration, u32)>,
    reported: Option<Instant>,
}

/// A poll that takes long.
struct SlowPoll {
    facts: Facts,
    thread: Arc<ThreadNote>,
    began: Instant,
}

impl Monitor {
    fn new(settings: WatchdogBuilder) -> Self {
        Self {
            settings,
            sites: HashMap::new(),
            seen: BTreeMap::new(),
            slow: BTreeMap::new(),
            blocked: Vec::new(),
            queues: BTreeMap::new(),
            last_window: Instant::now(),
            quiet: None,
            is_stuck_reported: false,
        }
    }

    fn check(&mut self) {
        let now = Instant::now();
        let slow = self.slow_polls(now);
        let mut alarms: Vec<Alarm> =
            slow.iter().filter_map(|poll| self.slow_poll(poll, now)).collect();
        alarms.extend(self.blocked_hubs(&slow));
        self.slow = slow.iter().map(|poll| (poll.thread.number(), poll.began)).collect();
        if since(self.last_window, now) >= WINDOW {
            self.last_window = now;
            alarms.extend(HubNote::all().iter().filter_map(|hub| self.slow_queue(hub, now)));
        }
        alarms.extend(self.stuck(now));
        for alarm in alarms {
            spans::alarm(&alarm);
            spinney_hub::contain(|| (self.settings.on_alarm)(&alarm));
        }
    }

    /// The polls that take longer than the threshold. There are two checks in that time: a poll that
    /// the last check has not seen is short.
    fn slow_polls(&mut self, now: Instant) -> Vec<SlowPoll> {
        let mut threads = ThreadNote::all();
        threads.retain(|thread| {
            !thread.is_parked() && thread.last_hub().is_none_or(|hub| hub.is_real())
        });
        let polls = threads.iter().filter_map(|thread| Some((thread.number(), thread.poll()?)));
        let before = replace(&mut self.seen, polls.collect());
        threads.retain(|thread| {
            let number = &thread.number();
            before.contains_key(number) && before.get(number) == self.seen.get(number)
        });
        if threads.is_empty() {
            return Vec::new();
        }
        let mut polled: Vec<Facts> = record::living();
        polled.retain(|facts| facts.phase == Phase::Polled);
        let slow = threads.into_iter().filter_map(|thread| {
            let polls = polled.iter().filter(|facts| facts.thread == thread.number());
            // The outermost poll holds the thread; the innermost is the code that runs.
            let began = polls.clone().min_by_key(|facts| facts.depth)?.since;
            let facts =
                polls.max_by_key(|facts| facts.depth).filter(|facts| !facts.may_block)?.clone();
            let is_slow = since(began, now) >= self.settings.threshold;
            is_slow.then_some(SlowPoll { facts, thread, began })
        });
        slow.collect()
    }

    /// The alarm for a slow poll, unless it was seen before or its line was reported a short time
    /// ago.
    fn slow_poll(&mut self, poll: &SlowPoll, now: Instant) -> Option<Alarm> {
        if self.slow.get(&poll.thread.number()) == Some(&poll.began) {
            return None;
        }
        let spawned_at = poll.facts.spawned_at();
        let line = (spawned_at.file(), spawned_at.line(), spawned_at.column());
        if let Some(site) = self.sites.get_mut(&line) {
            if since(site.reported, now) < QUIET {
                site.others += 1;
                return None;
            }
        }
        let before = self.sites.insert(line, Site { reported: now, others: 0 });
        Some(Alarm::SlowPoll {
            greenlet: poll.facts.greenlet().to_string(),
            spawned_at,
            last_wait: poll.facts.wait,
            thread: poll.thread.name().to_owned(),
            time: since(poll.began, now),
            others: before.map_or(0, |site| site.others),
        })
    }

    /// The hubs of which every thread is held, that were not at the last check.
    fn blocked_hubs(&mut self, slow: &[SlowPoll]) -> Vec<Alarm> {
        let is_of = |poll: &&SlowPoll, hub: &Arc<HubNote>| {
            poll.thread.last_hub().is_some_and(|last| Arc::ptr_eq(&last, hub))
        };
        let mut alarms = Vec::new();
        let mut blocked = Vec::new();
        for hub in HubNote::all() {
            let held = slow.iter().filter(|poll| is_of(poll, &hub)).count();
            let stats = hub.stats();
            let Some(threads) = stats.threads.filter(|threads| held > 0 && held >= *threads) else {
                continue;
            };
            blocked.push(hub.number);
            if !self.blocked.contains(&hub.number) {
                alarms.push(Alarm::HubBlocked { hub: stats.name, threads });
            }
        }
        self.blocked = blocked;
        alarms
    }

    /// Whether the delays of a hub are high, several windows in a row, and do not fall.
    fn slow_queue(&mut self, hub: &HubNote, now: Instant) -> Option<Alarm> {
        let queue = self.queues.entry(hub.number).or_default();
        let delays = hub.delays();
        let window = delays.since(&queue.before);
        queue.before = delays;
        let delay = window.percentile(0.99);
        let is_high = hub.is_real()
            && window.count() >= LEAST_POLLS
            && delay >= self.settings.queue_delay
            && queue.high.is_none_or(|(before, _)| delay >= before / 2);
        queue.high = is_high.then(|| (delay, queue.high.map_or(1, |(_, windows)| windows + 1)));
        let is_due = queue.high.is_some_and(|(_, windows)| windows >= HIGH_WINDOWS)
            && queue.reported.is_none_or(|reported| since(reported, now) >= QUIET);
        if !is_due {
            return None;
        }
        queue.reported = Some(now);
        Some(Alarm::SlowQueue { hub: hub.stats().name, delay })
    }

    /// Whether nothing has happened for long, and all greenlets wait for each other.
    fn stuck(&mut self, now: Instant) -> Option<Alarm> {
        let limit = self.settings.stuck_after?;
        let (polls, began) = self.quiet.unwrap_or((0, now));
        let seen = HubNote::all().iter().map(|hub| hub.polls()).sum();
        if seen != polls || self.quiet.is_none() {
            self.quiet = Some((seen, now));
            self.is_stuck_reported = false;
            return None;
        }
        let time = since(began, now);
        if time < limit || self.is_stuck_reported {
            return None;
        }
        let living: Vec<Facts> = record::living();
        if living.is_empty() || !living.iter().all(waits_for_others) {
            return None;
        }
        self.is_stuck_reported = true;
        Some(Alarm::Stuck { greenlets: living.len(), time, dump: crate::dump().to_string() })
    }
}

/// Whether a greenlet waits at an await of spinney's that is no sleep.
fn waits_for_others(facts: &Facts) -> bool {
    let waits = facts.wait.is_some_and(|wait| wait.what() != "sleep");
    facts.phase == Phase::Waiting && waits
}
