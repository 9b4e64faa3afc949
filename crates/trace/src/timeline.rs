//! [`Timeline`]: what happened to every greenlet, and when, for a viewer of traces.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::fs;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use slab::Slab;
use spinney_greenlet::{Failure, Handle, ObserverSet};
use spinney_sync::Wait;

use crate::record::{Facts, ITEM_TRACKS, lock};
use crate::threads::{ThisThread, ThreadNote};

/// How many timelines are being recorded; without one an event costs a load.
static RECORDING: AtomicUsize = AtomicUsize::new(0);

/// The events of each timeline. One lock for all: an event takes it once.
static LOGS: Mutex<Slab<Log>> = Mutex::new(Slab::new());

/// Records what happens to greenlets, in all threads, from its start until it is dropped.
///
/// It holds the last events, as many as it was given, each of at most 64 bytes. Greenlets that were
/// created before [`start`](crate::start) are not in it. In a simulation the times are virtual.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod trace { pub use spinney_trace::Timeline; }
/// # }
/// use spinney::trace::Timeline;
/// use spinney::{block_on, spawn};
///
/// let timeline = Timeline::start(10_000)?;
/// block_on(spawn(async { "done" }))?;
/// // For https://ui.perfetto.dev or chrome://tracing, and for any browser.
/// let (json, html) = (timeline.to_json(), timeline.to_html());
/// assert!(json.contains("\"traceEvents\"") && html.starts_with("<!doctype html>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Timeline {
    /// Its place in [`LOGS`].
    log: usize,
    /// Where it is saved if it is dropped by a panic.
    on_panic: Option<PathBuf>,
}

/// The events of a timeline.
struct Log {
    /// How many events it holds at most.
    capacity: usize,
    events: VecDeque<Event>,
}

/// An event: 64 bytes at most.
#[derive(Clone)]
struct Event {
    at: Instant,
    /// The [track](Facts::track) of its greenlet.
    track: u64,
    /// The number of the thread on which it happened.
    thread: u32,
    what: What,
}

#[derive(Clone)]
enum What {
    /// `place` is the index in the pool; `item` is `u32::MAX` for a greenlet that is no item.
    Spawned {
        pool: u32,
        place: u32,
        item: u32,
        at: &'static Location<'static>,
    },
    Began,
    Paused(Option<Wait>),
    Woken,
    /// The item has succeeded, and its poll goes on with the item of this index.
    NextItem(u32),
    Ended {
        how: End,
        id: u64,
        name: Option<Arc<str>>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Success,
    Killed,
    Aborted,
    Panicked,
}

const NONE: u32 = u32::MAX;

impl Timeline {
    /// Starts to record, with room for `events` events: when it is full, the oldest are dropped.
    ///
    /// # Errors
    ///
    /// [`ObserverSet`] if something else observes greenlets.
    pub fn start(events: usize) -> Result<Self, ObserverSet> {
        crate::start()?;
        let log = lock(&LOGS).insert(Log { capacity: events, events: VecDeque::new() });
        RECORDING.fetch_add(1, Relaxed);
        Ok(Self { log, on_panic: None })
    }

    /// Writes the timeline to the file `path`: as [JSON](Self::to_json) if the name ends in `.json`,
    /// otherwise as a [page](Self::to_html).
    ///
    /// # Errors
    ///
    /// The system's error if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        fs::write(path, if is_json { self.to_json() } else { self.to_html() })
    }

    /// Makes a panic that drops the timeline [save](Self::save) it to `path`. In the scenario of
    /// `SimHub::check` that is the timeline of the seed that failed.
    ///
    /// ```
    /// # mod spinney { pub mod trace { pub use spinney_trace::Timeline; } }
    /// use spinney::trace::Timeline;
    /// use spinney_sim::SimHub;
    ///
    /// SimHub::check(0..10, |sim| {
    ///     let _timeline = Timeline::start(100_000).unwrap().save_on_panic("failed.html");
    ///     sim.block_on(async { /* what is tested */ });
    /// });
    /// ```
    #[must_use = "the timeline ends when it is dropped"]
    pub fn save_on_panic(mut self, path: impl Into<PathBuf>) -> Self {
        self.on_panic = Some(path.into());
        self
    }

    /// How many events it holds now.
    pub fn len(&self) -> usize {
        lock(&LOGS)[self.log].events.len()
    }

    /// Whether it holds no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the recorded events in the JSON format of Chrome's traces, which
    /// <https://ui.perfetto.dev> shows as well.
    ///
    /// There is a track for each thread, with the polls, and one for each slot of a pool, with the
    /// members that were in it one after the other; arrows lead from wake-ups to polls, and counters
    /// show how many greenlets run and wait.
    pub fn to_json(&self) -> String {
        let events = self.history().trace_events();
        json!({ "traceEvents": events, "displayTimeUnit": "ms" }).to_string()
    }

    /// Draws the recorded events as a picture: a page for a browser, in one file. A bar of a thread
    /// is a poll; a bar of a slot is the life of a member, and the thinner bars in it are the
    /// member's waits, those at one line in one colour. The wheel zooms, dragging moves, and the
    /// pointer shows the details of the bar below it.
    pub fn to_html(&self) -> String {
        let data = json!(self.history().rows()).to_string();
        // `</` would end the script, and `<!--` hide its end.
        include_str!("timeline.html").replace("[/* rows */]", &data.replace('<', "\\u003c"))
    }

    fn history(&self) -> History {
        let events: Vec<Event> = lock(&LOGS)[self.log].events.iter().cloned().collect();
        History::of(&events)
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        RECORDING.fetch_sub(1, Relaxed);
        if let Some(path) = self.on_panic.take().filter(|_| thread::panicking()) {
            // The panic is reported already; an error here has no reader.
            let _ = self.save(path);
        }
        let log = lock(&LOGS).remove(self.log);
        drop(log);
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = lock(&LOGS)[self.log].capacity;
        f.debug_struct("Timeline").field("capacity", &capacity).finish_non_exhaustive()
    }
}

/// Whether there is a timeline: then times are read from the clock for each event.
#[inline]
pub(crate) fn is_recording() -> bool {
    RECORDING.load(Relaxed) > 0
}

/// Adds an event to the timelines that are being recorded.
#[inline]
fn note(facts: &Facts, at: impl FnOnce() -> Instant, what: impl FnOnce() -> What) {
    let track = if is_recording() { facts.track() } else { None };
    if let Some(track) = track {
        add(track, at(), what());
    }
}

#[cold]
fn add(track: u64, at: Instant, what: What) {
    let thread = ThisThread::with(ThisThread::number).unwrap_or_default();
    let event = Event { at, track, thread: narrow(thread), what };
    for (_, log) in &mut *lock(&LOGS) {
        if log.events.len() >= log.capacity {
            log.events.pop_front();
        }
        if log.capacity > 0 {
            log.events.push_back(event.clone());
        }
    }
}

pub(crate) fn spawned(facts: &Facts, at: Instant) {
    note(
        facts,
        || at,
        || What::Spawned {
            pool: narrow(facts.pool),
            place: facts.greenlet().place().unwrap_or(NONE),
            item: facts.item().map_or(NONE, narrow),
            at: facts.spawned_at(),
        },
    );
}

pub(crate) fn next_item(facts: &Facts, index: usize) {
    note(facts, || facts.now(), || What::NextItem(narrow(index)));
}

pub(crate) fn began(facts: &Facts, at: Instant) {
    note(facts, || at, || What::Began);
}

pub(crate) fn paused(facts: &Facts, wait: Option<Wait>) {
    note(facts, || facts.now(), || What::Paused(wait));
}

pub(crate) fn woken(facts: &Facts, at: Instant) {
    note(facts, || at, || What::Woken);
}

/// `greenlet` is that of `facts`.
pub(crate) fn ended(facts: &Facts, greenlet: &Handle, failure: Option<&Failure>) {
    let how = match failure {
        None => End::Success,
        Some(Failure::Killed(_)) => End::Killed,
        Some(Failure::Aborted(_)) => End::Aborted,
        Some(Failure::Panicked(_)) => End::Panicked,
    };
    let what = || What::Ended { how, id: greenlet.id(), name: greenlet.name() };
    note(facts, || facts.now(), what);
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

/// What happened to one greenlet.
#[derive(Default)]
struct Life {
    /// `None` for an item whose greenlet nothing has asked for.
    id: Option<u64>,
    name: Option<Arc<str>>,
    spawned: Option<(f64, u32, u32, u32, &'static Location<'static>)>,
    /// Begin, end and thread of each poll, and where it waited after it.
    polls: Vec<(f64, Option<f64>, u32, Option<Wait>)>,
    /// When and on which thread it was woken.
    wakes: Vec<(f64, u32)>,
    ended: Option<(f64, End)>,
}

impl Life {
    /// `greenlet 17 fetch`, or `item 3 fetch`.
    fn title(&self) -> String {
        let item = self.spawned.map(|(_, _, _, item, _)| item).filter(|item| *item != NONE);
        let subject = match (item, self.id) {
            (Some(item), _) => format!("item {item}"),
            (None, Some(id)) => format!("greenlet {id}"),
            // Its beginning is lost.
            (None, None) => "item".to_owned(),
        };
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        subject + &name
    }

    /// Ends the life of an item. Returns that of the item with the index `next`, which begins in the
    /// same poll.
    fn go_on(&mut self, at: f64, next: u32) -> Self {
        self.ended = Some((at, End::Success));
        let poll = self.polls.last_mut().filter(|poll| poll.1.is_none());
        let polls = poll.map(|poll| {
            poll.1 = Some(at);
            (at, None, poll.2, None)
        });
        let spawned = self.spawned.map(|(_, pool, place, _, line)| (at, pool, place, next, line));
        Self { spawned, polls: polls.into_iter().collect(), ..Self::default() }
    }

    fn details(&self) -> Value {
        let at = self.spawned.map(|(.., at)| at.to_string());
        let end = self.ended.map(|(_, end)| match end {
            End::Success => "success",
            End::Killed => "killed",
            End::Aborted => "aborted",
            End::Panicked => "panicked",
        });
        json!({ "spawned at": at, "end": end })
    }

    /// From when to when it waited, and where; the last wait lasts until `end`.
    fn waits(&self, end: f64) -> impl Iterator<Item = (f64, f64, Wait)> {
        let next = self.polls.iter().skip(1).map(|poll| poll.0).chain([end]);
        let waits = self.polls.iter().zip(next);
        waits.filter_map(|(poll, next)| Some((poll.1?, next, poll.3?)))
    }

    fn began(&self) -> Option<f64> {
        let first_poll = self.polls.first().map(|poll| poll.0);
        self.spawned.map(|spawned| spawned.0).or(first_poll)
    }
}

/// The events of a timeline, by greenlet. Times are in microseconds from the first event.
struct History {
    lives: Vec<Life>,
    threads: BTreeMap<u32, String>,
    end: f64,
}

impl History {
    fn of(events: &[Event]) -> Self {
        let start = events.iter().map(|event| event.at).min();
        let micros = |at: Instant| {
            start.map_or(0.0, |start| at.saturating_duration_since(start).as_secs_f64() * 1e6)
        };
        let mut lives: Vec<Life> = Vec::new();
        let mut current: HashMap<u64, usize> = HashMap::new();
        for event in events {
            let at = micros(event.at);
            let number = *current.entry(event.track).or_insert_with(|| {
                let id = Some(event.track).filter(|track| *track < ITEM_TRACKS);
                lives.push(Life { id, ..Life::default() });
                lives.len() - 1
            });
            let life = &mut lives[number];
            match &event.what {
                What::Spawned { pool, place, item, at: spawned_at } => {
                    life.spawned = Some((at, *pool, *place, *item, spawned_at));
                }
                What::Began => life.polls.push((at, None, event.thread, None)),
                What::Paused(wait) => {
                    if let Some(poll) = life.polls.last_mut() {
                        (poll.1, poll.3) = (Some(at), *wait);
                    }
                }
                What::Woken => life.wakes.push((at, event.thread)),
                What::NextItem(index) => {
                    let next = life.go_on(at, *index);
                    current.insert(event.track, lives.len());
                    lives.push(next);
                }
                What::Ended { how, id, name } => {
                    (life.ended, life.id) = (Some((at, *how)), Some(*id));
                    life.name.clone_from(name);
                }
            }
        }
        let threads = ThreadNote::all();
        let mut names: BTreeMap<u32, String> =
            events.iter().map(|event| (event.thread, format!("thread {}", event.thread))).collect();
        for thread in threads {
            names.insert(narrow(thread.number()), thread.name().to_owned());
        }
        let end = events.iter().map(|event| micros(event.at)).fold(0.0, f64::max);
        Self { lives, threads: names, end }
    }

    fn trace_events(&self) -> Vec<Value> {
        let mut out = vec![name_of(1, None, "threads")];
        for (thread, name) in &self.threads {
            out.push(name_of(1, Some(*thread), name));
        }
        let mut counts: Vec<(f64, i32, i32)> = Vec::new();
        let mut pools = BTreeSet::new();
        for (number, life) in self.lives.iter().enumerate() {
            let (title, details) = (life.title(), life.details());
            for (from, to, thread, wait) in &life.polls {
                let to = to.unwrap_or(self.end);
                let then = wait.map(|wait| wait.to_string());
                out.push(json!({
                    "ph": "X", "cat": "poll", "name": title, "pid": 1, "tid": thread,
                    "ts": from, "dur": to - from,
                    "args": { "greenlet": life.id, "then waits for": then, "spawned": details },
                }));
                counts.extend([(*from, 1, 0), (to, -1, 0)]);
            }
            let end = life.ended.map_or(self.end, |(end, _)| end);
            let began = life.began().unwrap_or(end);
            counts.extend([(began, 0, 1), (end, 0, -1)]);
            if let Some((_, pool, place, ..)) = life.spawned.filter(|life| life.1 != 0) {
                pools.insert(pool);
                out.push(json!({
                    "ph": "X", "cat": "slot", "name": title, "pid": 100 + pool,
                    "tid": if place == NONE { 0 } else { place + 1 },
                    "ts": began, "dur": end - began, "args": details,
                }));
            }
            out.extend(flows(number, life));
        }
        for pool in pools {
            out.push(name_of(100 + pool, None, &format!("slots of pool {pool}")));
        }
        counts.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (mut running, mut living) = (0, 0);
        for (at, run, live) in counts {
            running += run;
            living += live;
            out.push(json!({
                "ph": "C", "name": "greenlets", "pid": 1, "ts": at,
                "args": { "running": running, "waiting": (living - running).max(0) },
            }));
        }
        out
    }

    /// The rows of the picture: a title and its bars.
    fn rows(&self) -> Vec<Value> {
        let mut rows: BTreeMap<(u32, u32), Vec<Value>> = BTreeMap::new();
        for (number, life) in self.lives.iter().enumerate() {
            let title = life.title();
            let at = life.spawned.map(|(.., at)| format!("spawned at {at}")).unwrap_or_default();
            for (from, to, thread, wait) in &life.polls {
                let then = wait.map(|wait| format!("then waits for {wait}")).unwrap_or_default();
                let bar =
                    json!([from, to.unwrap_or(self.end), title, format!("{at}\n{then}"), number]);
                rows.entry((0, *thread)).or_default().push(bar);
            }
            if let Some((_, pool, place, ..)) = life.spawned.filter(|life| life.1 != 0) {
                let end = life.ended.map_or(self.end, |(end, _)| end);
                let bar = json!([life.began().unwrap_or(end), end, title, at, number]);
                let row = rows.entry((pool, place)).or_default();
                row.push(bar);
                row.extend(life.waits(end).map(|(from, to, wait)| {
                    json!([from, to, wait.to_string(), title, wait.at().line(), "wait"])
                }));
            }
        }
        let rows = rows.into_iter().map(|((pool, track), bars)| {
            let title = match pool {
                0 => self.threads.get(&track).cloned().unwrap_or_default(),
                _ if track == NONE => format!("pool {pool}"),
                _ => format!("pool {pool}, slot {}", track + 1),
            };
            json!({ "title": title, "bars": bars })
        });
        rows.collect()
    }
}

/// An event that names a process, or a thread of it.
fn name_of(pid: u32, thread: Option<u32>, name: &str) -> Value {
    let what = if thread.is_some() { "thread_name" } else { "process_name" };
    json!({ "ph": "M", "name": what, "pid": pid, "tid": thread.unwrap_or(0), "args": { "name": name } })
}

/// An arrow from each wake-up to the poll that followed.
fn flows(number: usize, life: &Life) -> Vec<Value> {
    let mut out = Vec::new();
    for (n, (at, thread)) in life.wakes.iter().enumerate() {
        // The polls are in the order of time.
        let next = life.polls.partition_point(|poll| poll.0 < *at);
        let Some(poll) = life.polls.get(next) else { continue };
        let flow = format!("{number}.{n}");
        let part = |phase: &str, ts: f64, tid: u32| {
            json!({
                "ph": phase, "cat": "wake", "name": "wake", "id": flow, "pid": 1, "tid": tid,
                "ts": ts, "bp": "e", "args": { "greenlet": life.id },
            })
        };
        out.extend([part("s", *at, *thread), part("f", poll.0, poll.2)]);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn event_takes_64_bytes_at_most() {
        assert!(size_of::<super::Event>() <= 64, "{}", size_of::<super::Event>());
    }
}
