//! [`dump`]: every living greenlet, where it waits, and the hubs and pools around it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use spinney_greenlet::{ContainerLimits, Report, State};
use spinney_hub::HubStats;
use spinney_sync::Wait;

use crate::hubs::{Delays, HubNote};
use crate::pools::PoolNote;
use crate::record::{self, Facts, Phase, since};
use crate::threads::ThreadNote;

/// How many greenlets of one group the text of a dump names.
const NAMED: usize = 5;

/// Returns every greenlet that lives now and was created after [`start`](crate::start), with the
/// hubs and pools around them.
///
/// It works while threads are blocked, from any thread. The program runs on meanwhile: each
/// greenlet is shown at a moment of its own. Times are exact to a poll: what a greenlet does in a
/// poll, for example a spawn or a wake-up, counts from the beginning of that poll. An item of a map
/// that has finished may be shown until its slot goes on with another item.
#[must_use]
pub fn dump() -> Dump {
    let living: Vec<Facts> = record::living();
    let mut greenlets: Vec<GreenletInfo> = living.iter().map(GreenletInfo::of).collect();
    greenlets.sort_by_key(|greenlet| greenlet.id);
    let polled: Vec<&Facts> = living.iter().filter(|facts| facts.phase == Phase::Polled).collect();
    let hubs = HubNote::all();
    let threads = ThreadNote::all();
    let hubs = hubs.iter().map(|hub| HubInfo::of(hub, &threads, &greenlets, &polled)).collect();
    let pools = PoolNote::all().iter().filter_map(|pool| PoolInfo::of(pool)).collect();
    Dump { greenlets, hubs, pools }
}

/// The result of [`dump`], as data. Its text groups the greenlets by pool and by the line at which
/// they wait: a hundred at one line are one entry with a count.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Dump {
    /// The greenlets, in the order of their ids.
    pub greenlets: Vec<GreenletInfo>,
    /// The hubs that have polled a greenlet.
    pub hubs: Vec<HubInfo>,
    /// The pools, groups and thread pools that have had a member.
    pub pools: Vec<PoolInfo>,
}

/// A greenlet in a [`Dump`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GreenletInfo {
    /// Its id.
    pub id: u64,
    /// Its name, if it was given one.
    pub name: Option<Arc<str>>,
    /// The id of the greenlet that created it.
    pub parent: Option<u64>,
    /// The line that spawned it.
    pub spawned_at: &'static Location<'static>,
    /// The [number](PoolInfo::number) of its pool.
    pub pool: Option<usize>,
    /// The index of the item, if it is an item of a map.
    pub item: Option<usize>,
    /// The [number](HubInfo::number) of its hub, once it was polled.
    pub hub: Option<usize>,
    /// The time since it was created.
    pub age: Duration,
    /// What it does.
    pub activity: Activity,
    /// For how long it has been doing that; a wait counts from the beginning of the poll that led to
    /// it.
    pub since: Duration,
    /// Where it waits, if it waits at an await of spinney's.
    pub wait: Option<Wait>,
    /// How many polls of it have begun.
    pub polls: u64,
}

/// What a greenlet does, in a [`Dump`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Activity {
    /// It was created, and not started.
    Unstarted,
    /// It was spawned or woken, and is about to be polled.
    Queued,
    /// A thread polls it.
    Polled,
    /// It waits.
    Waiting,
}

impl GreenletInfo {
    fn of(facts: &Facts) -> Self {
        let greenlet = facts.greenlet();
        let now = facts.now();
        let activity = match facts.phase {
            Phase::Queued if greenlet.state() == State::Unstarted => Activity::Unstarted,
            Phase::Queued => Activity::Queued,
            Phase::Polled => Activity::Polled,
            Phase::Waiting => Activity::Waiting,
        };
        Self {
            id: greenlet.id(),
            name: greenlet.name(),
            parent: greenlet.parent(),
            spawned_at: facts.spawned_at(),
            pool: Some(facts.pool).filter(|pool| *pool != 0),
            item: facts.item(),
            hub: facts.hub.as_ref().map(|hub| hub.number),
            age: since(facts.born, now),
            activity,
            since: since(facts.since, now),
            wait: facts.wait.filter(|_| activity == Activity::Waiting),
            polls: facts.polls,
        }
    }

    /// What it does, without how long.
    fn place(&self) -> Place {
        Place {
            pool: self.pool,
            activity: self.activity,
            wait: self.wait.map(|wait| (wait.what(), Line::of(wait.at()))),
            // A wait with a line is enough to find it.
            spawned_at: if self.wait.is_none() { Some(Line::of(self.spawned_at)) } else { None },
        }
    }

    /// `greenlet 17 "fetch"`.
    fn title(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        let item = self.item.map(|item| format!(" (item {item})")).unwrap_or_default();
        format!("greenlet {}{name}{item}", self.id)
    }
}

/// A hub in a [`Dump`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubInfo {
    /// Counts the hubs, from 1, in the order of their first polls.
    pub number: usize,
    /// Its threads and tasks.
    pub hub: HubStats,
    /// How many of its greenlets are about to be polled; new ones count from their first poll on.
    pub queued: usize,
    /// How many of its greenlets wait.
    pub waiting: usize,
    /// The times from wake-ups to the polls that followed.
    pub delays: Delays,
    /// The threads that have polled for it last.
    pub threads: Vec<ThreadInfo>,
}

impl HubInfo {
    fn of(
        hub: &Arc<HubNote>,
        threads: &[Arc<ThreadNote>],
        greenlets: &[GreenletInfo],
        polled: &[&Facts],
    ) -> Self {
        let number = Some(hub.number);
        let count = |activity| {
            let here = greenlets.iter().filter(|greenlet| greenlet.hub == number);
            here.filter(|greenlet| greenlet.activity == activity).count()
        };
        let is_here = |thread: &&Arc<ThreadNote>| {
            thread.last_hub().is_some_and(|last| Arc::ptr_eq(&last, hub))
        };
        Self {
            number: hub.number,
            hub: hub.stats(),
            queued: count(Activity::Queued),
            waiting: count(Activity::Waiting),
            delays: hub.delays(),
            threads: threads
                .iter()
                .filter(is_here)
                .map(|thread| ThreadInfo::of(thread, hub, polled))
                .collect(),
        }
    }
}

/// A thread in a [`Dump`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadInfo {
    /// Its name.
    pub name: String,
    /// The ids of the greenlets that it polls, and for how long: the innermost, which is polled in
    /// place of the one before it, is last.
    pub polls: Vec<(u64, Duration)>,
    /// Whether it waits in a `block_on` within the poll.
    pub is_parked: bool,
}

impl ThreadInfo {
    fn of(thread: &ThreadNote, hub: &HubNote, polled: &[&Facts]) -> Self {
        let now = hub.now();
        let mut polls = polled.to_vec();
        polls.retain(|facts| facts.thread == thread.number());
        polls.sort_by_key(|facts| facts.depth);
        let polls = polls.into_iter().map(|facts| (facts.greenlet().id(), since(facts.since, now)));
        Self {
            name: thread.name().to_owned(),
            polls: polls.collect(),
            is_parked: thread.is_parked(),
        }
    }
}

/// A pool, a group or a thread pool in a [`Dump`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolInfo {
    /// Counts the pools, from 1, in the order of their first members.
    pub number: usize,
    /// The noun for it: `pool`, `group`, `scope` or `thread pool`.
    pub kind: &'static str,
    /// The line that created it.
    pub created_at: &'static Location<'static>,
    /// How many tasks it runs at once; `None` without a limit.
    pub capacity: Option<usize>,
    /// The outcomes of everything that was started in it.
    pub report: Report,
    /// Its limits besides the capacity.
    pub limits: ContainerLimits,
}

impl PoolInfo {
    /// `None` if the pool is gone.
    fn of(note: &PoolNote) -> Option<Self> {
        let pool = note.container()?;
        Some(Self {
            number: note.number,
            kind: pool.kind(),
            created_at: pool.created_at(),
            capacity: pool.capacity(),
            report: pool.report(),
            limits: pool.limits(),
        })
    }
}

/// A line of the program, which can be ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line(&'static str, u32, u32);

impl Line {
    fn of(at: &'static Location<'static>) -> Self {
        Self(at.file(), at.line(), at.column())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.0, self.1, self.2)
    }
}

/// What greenlets of one entry of the text have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    pool: Option<usize>,
    activity: Activity,
    wait: Option<(&'static str, Line)>,
    spawned_at: Option<Line>,
}

impl Place {
    /// `4 greenlets wait for Event::wait at src/main.rs:3:5`.
    fn title(&self, count: usize) -> String {
        let is_one = count == 1;
        let verb = match (self.activity, is_one) {
            (Activity::Unstarted, true) => "has not been started",
            (Activity::Unstarted, false) => "have not been started",
            (Activity::Queued, true) => "is queued",
            (Activity::Queued, false) => "are queued",
            (Activity::Polled, true) => "is being polled",
            (Activity::Polled, false) => "are being polled",
            (Activity::Waiting, true) => "waits",
            (Activity::Waiting, false) => "wait",
        };
        let of_what = match (self.activity, self.wait) {
            (Activity::Waiting, Some((what, line))) => format!(" for {what} at {line}"),
            (Activity::Waiting, None) => " for something that is not spinney's".to_owned(),
            _ => String::new(),
        };
        let spawned = self.spawned_at.map(|line| format!(", spawned at {line}"));
        let noun = if is_one { "greenlet" } else { "greenlets" };
        format!("{count} {noun} {verb}{of_what}{}", spawned.unwrap_or_default())
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} greenlets, {} pools, {} hubs",
            self.greenlets.len(),
            self.pools.len(),
            self.hubs.len()
        )?;
        let known: HashMap<u64, &GreenletInfo> =
            self.greenlets.iter().map(|greenlet| (greenlet.id, greenlet)).collect();
        self.hubs.iter().try_for_each(|hub| write_hub(f, hub, &known))?;
        let mut places: BTreeMap<Place, Vec<&GreenletInfo>> = BTreeMap::new();
        for greenlet in &self.greenlets {
            places.entry(greenlet.place()).or_default().push(greenlet);
        }
        writeln!(f, "\nin no pool")?;
        write_places(f, &places, None, &known)?;
        for pool in &self.pools {
            write_pool(f, pool)?;
            write_places(f, &places, Some(pool.number), &known)?;
        }
        Ok(())
    }
}

fn write_hub(
    f: &mut fmt::Formatter<'_>,
    info: &HubInfo,
    known: &HashMap<u64, &GreenletInfo>,
) -> fmt::Result {
    write!(f, "\nhub {} {:?}: ", info.number, info.hub.name)?;
    if let Some(threads) = info.hub.threads {
        let HubStats { running, spares, .. } = info.hub;
        write!(f, "{threads} threads, {running} run tasks, {spares} are spare; ")?;
    }
    let [p50, p99] = [0.5, 0.99].map(|share| info.delays.percentile(share));
    write!(f, "{} greenlets queued, {} waiting; ", info.queued, info.waiting)?;
    writeln!(f, "from wake-up to poll {p50:.1?} (p50), {p99:.1?} (p99)")?;
    for thread in &info.threads {
        write!(f, "  thread {:?} ", thread.name)?;
        let Some((id, time)) = thread.polls.last() else {
            writeln!(f, "polls no greenlet")?;
            continue;
        };
        let greenlet = known
            .get(id)
            .map(|greenlet| format!("{}, spawned at {}", greenlet.title(), greenlet.spawned_at));
        let greenlet = greenlet.unwrap_or_else(|| format!("greenlet {id}, which has finished"));
        let parked = if thread.is_parked { ", which waits in a `block_on`" } else { "" };
        writeln!(f, "polls {greenlet}{parked}, for {time:.1?}")?;
    }
    Ok(())
}

fn write_pool(f: &mut fmt::Formatter<'_>, info: &PoolInfo) -> fmt::Result {
    let Report { running, waiting, succeeded, failed, killed, aborted, .. } = info.report;
    let capacity = info.capacity.map(|capacity| format!(" of {capacity}")).unwrap_or_default();
    writeln!(
        f,
        "\n{} {}, created at {}: {running}{capacity} running, {waiting} calls wait; {succeeded} \
         succeeded, {failed} failed, {killed} killed, {aborted} aborted",
        info.kind, info.number, info.created_at
    )?;
    let limits = limits(&info.limits);
    if limits.is_empty() { Ok(()) } else { writeln!(f, "  {}", limits.join("; ")) }
}

/// The limits that are set: `at most 10 wait`, for example.
fn limits(limits: &ContainerLimits) -> Vec<String> {
    let mut text: Vec<String> = limits.rates.iter().map(|rate| format!("starts {rate}")).collect();
    text.extend(limits.key_rates.iter().map(|rate| format!("starts of a key {rate}")));
    text.extend(limits.per_key.map(|most| format!("{most} of a key at once")));
    text.extend((limits.keys > 0).then(|| format!("{} keys in use", limits.keys)));
    text.extend(limits.max_waiting.map(|most| format!("at most {most} wait")));
    let count = |(priority, count): &(i32, usize)| format!("{count} wait with priority {priority}");
    text.extend(limits.waiting.iter().map(count));
    text.extend(limits.is_paused.then(|| match limits.pause_left {
        Some(left) => format!("paused for {left:.1?} more"),
        None => "paused".to_owned(),
    }));
    text
}

fn write_places(
    f: &mut fmt::Formatter<'_>,
    places: &BTreeMap<Place, Vec<&GreenletInfo>>,
    pool: Option<usize>,
    known: &HashMap<u64, &GreenletInfo>,
) -> fmt::Result {
    for (place, members) in places.iter().filter(|(place, _)| place.pool == pool) {
        let times = members.iter().map(|member| member.since);
        let (least, most) = (times.clone().min(), times.max());
        write!(f, "  {}", place.title(members.len()))?;
        match least.zip(most) {
            Some((least, most)) if members.len() > 1 => {
                writeln!(f, ", for {least:.1?} to {most:.1?}")?;
            }
            _ => writeln!(f, ", for {:.1?}", most.unwrap_or_default())?,
        }
        for member in members.iter().take(NAMED) {
            write!(f, "    {}, {:.1?} old", member.title(), member.age)?;
            writeln!(f, "{}", parents(member, known))?;
        }
        if members.len() > NAMED {
            writeln!(f, "    and {} more", members.len() - NAMED)?;
        }
    }
    Ok(())
}

/// The chain of the parents that live.
fn parents(greenlet: &GreenletInfo, known: &HashMap<u64, &GreenletInfo>) -> String {
    let mut text = String::new();
    let mut next = greenlet.parent;
    while let Some(parent) = next {
        let info = known.get(&parent);
        text += ", of ";
        text += &info.map_or_else(|| format!("greenlet {parent}"), |info| info.title());
        next = info.and_then(|info| info.parent);
    }
    text
}
