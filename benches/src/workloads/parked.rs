//! W6: all tasks wait for one event (W6e), or sleep until one moment (W6t).
//!
//! Only the wake-ups are timed: from the event on, or the delay of the last sleeper. The memory is
//! that of the waiting tasks.

use std::time::{Duration, Instant};

use async_io::Timer;
use event_listener::Event;
use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use futures_util::stream::FuturesUnordered;
use spinney::Pool;
use spinney::time::sleep_until;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::load::Load;
use crate::on;
use crate::stopwatch::{Outcome, Stopwatch};
use crate::target::Target;
use crate::workload::Workload;
use crate::workloads::count::Count;

/// The time from the start to the wake-up, for each sleeper: all are asleep by then.
const ASLEEP: Duration = Duration::from_micros(10);

pub(super) fn on_an_event() -> Workload {
    let title = "tasks parked on one event: wake them all";
    workload::<spinney::Event, Event, Notify>("W6e", title)
}

pub(super) fn asleep() -> Workload {
    let title = "tasks asleep until one moment: how late is the last";
    workload::<Due<spinney::time::Sleep>, Due<Timer>, Due<tokio::time::Sleep>>("W6t", title)
}

/// Shared code for both hubs, whose bounds on the future differ.
macro_rules! pool {
    ($hub:expr, $load:expr, $place:ty) => {{
        let pool = Pool::on(&$hub, $load.slots);
        let parking = Parking::<$place>::new($load);
        for _ in $load.numbers() {
            pool.spawn(parking.park()).await.detach();
        }
        let stopwatch = parking.wake($load).await;
        pool.join().await.expect("this is not a member");
        stopwatch.stop(parking.awake.get())
    }};
}

/// Shared code for both executors, which have no trait in common.
macro_rules! all {
    ($executor:expr, $load:expr, $place:ty) => {{
        let parking = Parking::<$place>::new($load);
        let tasks: Vec<_> = $load.numbers().map(|_| $executor.spawn(parking.park())).collect();
        let stopwatch = parking.wake($load).await;
        for task in tasks {
            task.await;
        }
        stopwatch.stop(parking.awake.get())
    }};
}

fn workload<Ours: Place, Smol: Place, Tokio: Place>(
    id: &'static str,
    title: &'static str,
) -> Workload {
    let load = Load { items: 1_000_000, slots: usize::MAX };
    Workload::new(id, title, load, u64::from)
        .rival("async-executor", |load: Load| {
            on::executor_with_io(1, async |hub| all!(hub, load, Smol))
        })
        .rival("static executor", |load: Load| {
            on::static_executor_with_io(async |hub| all!(hub, load, Smol))
        })
        .rival("tokio", |load| on::tokio_with_io(tokio::<Tokio>(load)))
        .rival("futures in place", |load| {
            on::executor_with_io(1, async |_| in_place::<Smol>(load).await)
        })
        .ours("LocalHub", |load: Load| on::local_hub(async |hub| pool!(hub, load, Ours)))
        .ours("TokioHub", |load: Load| on::tokio_hub(async |hub| pool!(hub, load, Ours)))
        .on_hub("Hub", |load: Load| on::hub(|hub| async move { pool!(hub, load, Ours) }))
        .target(Target::wall("LocalHub").of("async-executor"))
        .target(Target::wall("Hub, 1 thread").of("async-executor"))
        .target(Target::bytes_an_item("LocalHub").at_most(400.0))
        .target(Target::bytes_an_item("Hub, 1 thread").at_most(400.0))
}

async fn tokio<P: Place>(load: Load) -> Outcome {
    let parking = Parking::<P>::new(load);
    let mut set = JoinSet::new();
    for _ in load.numbers() {
        set.spawn(parking.park());
    }
    let stopwatch = parking.wake(load).await;
    while set.join_next().await.is_some() {}
    stopwatch.stop(parking.awake.get())
}

async fn in_place<P: Place>(load: Load) -> Outcome {
    let parking = Parking::<P>::new(load);
    let mut parked: FuturesUnordered<_> = load.numbers().map(|_| parking.park()).collect();
    while parking.asleep.get() < u64::from(load.items) {
        poll_once(parked.next()).await;
    }
    let stopwatch = parking.wake(load).await;
    parked.for_each(drop).await;
    stopwatch.stop(parking.awake.get())
}

/// The place where tasks wait, and how many do.
struct Parking<P> {
    place: P,
    asleep: Count,
    awake: Count,
}

impl<P: Place> Parking<P> {
    /// Never freed, like its counts.
    fn new(load: Load) -> &'static Self {
        let parking = Self { place: P::new(load), asleep: Count::new(), awake: Count::new() };
        Box::leak(Box::new(parking))
    }

    /// A task that waits until it is woken.
    async fn park(&'static self) {
        self.asleep.add();
        self.place.wait().await;
        self.awake.add();
    }

    /// Wakes all when all wait, and measures from then on.
    async fn wake(&self, load: Load) -> Stopwatch {
        self.asleep.reaches(load.items).await;
        self.place.wake()
    }
}

/// The event or moment that tasks wait for.
trait Place: Send + Sync + 'static {
    fn new(load: Load) -> Self;
    fn wait(&self) -> impl Future<Output = ()> + Send;
    fn wake(&self) -> Stopwatch;
}

macro_rules! events {
    ($($event:ty, $wait:ident, $wake:expr;)*) => {$(
        impl Place for $event {
            fn new(_: Load) -> Self {
                Self::new()
            }

            async fn wait(&self) {
                self.$wait().await;
            }

            fn wake(&self) -> Stopwatch {
                let stopwatch = Stopwatch::start();
                $wake(self);
                stopwatch
            }
        }
    )*};
}

events! {
    spinney::Event, wait, spinney::Event::set;
    Event, listen, |event: &Event| event.notify(usize::MAX);
    Notify, notified, Notify::notify_waiters;
}

/// A moment, with the timer `T`.
struct Due<T> {
    at: Instant,
    timer: fn(Instant) -> T,
}

macro_rules! timers {
    ($($timer:ty, $until:expr;)*) => {$(
        impl Place for Due<$timer> {
            fn new(load: Load) -> Self {
                let asleep = (ASLEEP * load.items).max(Duration::from_millis(50));
                Self { at: Instant::now() + asleep, timer: $until }
            }

            async fn wait(&self) {
                (self.timer)(self.at).await;
            }

            fn wake(&self) -> Stopwatch {
                // It is later only if it took very long until all were asleep.
                Stopwatch::start_at(self.at.max(Instant::now()))
            }
        }
    )*};
}

timers! {
    spinney::time::Sleep, sleep_until;
    Timer, Timer::at;
    tokio::time::Sleep, |at| tokio::time::sleep_until(at.into());
}
