//! W8c and W8d: tasks take resources from a pool and give them back, alone and a hundred at once.

use std::convert::Infallible;
use std::future::ready;

use async_channel::Sender;
use bb8::ManageConnection;
use deadpool::managed::{Manager, Metrics, RecycleResult};
use futures_lite::future::yield_now;
use spinney::{ResourcePool, Spawn};

use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

const TASKS: u32 = 100;

/// One task, and always an idle resource.
pub(super) fn alone() -> Workload {
    let load = Load { items: 3_000_000, slots: 10 };
    Workload::new("W8c", "one task takes a resource and gives it back", load, u64::from)
        .rival("deadpool", |load| on::tokio_with_io(turns::<Deadpool>(load, false)))
        .rival("bb8", |load| on::tokio_with_io(turns::<Bb8>(load, false)))
        .ours("spinney on tokio", |load| on::tokio_with_io(turns::<Spinney>(load, false)))
        .ours("LocalHub", |load| on::local_hub(|_| turns::<Spinney>(load, false)))
        .target(Target::wall("spinney on tokio").of("deadpool"))
        .target(Target::wall("spinney on tokio").of("bb8"))
}

/// Each holds its resource while the others have a turn, so most of them wait.
pub(super) fn contended() -> Workload {
    let load = Load { items: 1_000_000, slots: 10 };
    Workload::new("W8d", "100 tasks take turns with ten resources", load, u64::from)
        .rival("deadpool", |load| on::tokio_with_io(all::<Deadpool>(load, spawn_on_tokio)))
        .rival("bb8", |load| on::tokio_with_io(all::<Bb8>(load, spawn_on_tokio)))
        .ours("spinney on tokio", |load| on::tokio_with_io(all::<Spinney>(load, spawn_on_tokio)))
        .ours("LocalHub", |load| {
            on::local_hub(|hub| all::<Spinney>(load, move |task| hub.spawn(task.run())))
        })
        .target(Target::wall("spinney on tokio").of("deadpool"))
        .target(Target::wall("spinney on tokio").of("bb8"))
}

fn spawn_on_tokio<P: Resources>(task: Task<P>) {
    drop(tokio::spawn(task.run()));
}

/// Shares the turns out among the tasks, and counts those that were taken.
async fn all<P: Resources>(load: Load, spawn: impl Fn(Task<P>)) -> u64 {
    let pool = P::new(load.slots).await;
    let (done, all_done) = async_channel::unbounded();
    for n in 0..TASKS {
        let turns = load.items / TASKS + u32::from(n < load.items % TASKS);
        spawn(Task { pool: pool.clone(), turns, done: done.clone() });
    }
    drop(done);
    let mut taken = 0;
    while let Ok(turns) = all_done.recv().await {
        taken += u64::from(turns);
    }
    taken
}

struct Task<P> {
    pool: P,
    turns: u32,
    done: Sender<u32>,
}

impl<P: Resources> Task<P> {
    async fn run(self) {
        for _ in 0..self.turns {
            self.pool.take_turn(true).await;
        }
        self.done.try_send(self.turns).expect("the main task waits for all");
    }
}

async fn turns<P: Resources>(load: Load, yields: bool) -> u64 {
    let pool = P::new(load.slots).await;
    for _ in 0..load.items {
        pool.take_turn(yields).await;
    }
    load.items.into()
}

/// A pool of numbers, without checks.
trait Resources: Clone + Send + Sync + 'static {
    fn new(size: usize) -> impl Future<Output = Self>;
    fn take_turn(&self, yields: bool) -> impl Future<Output = ()> + Send;
}

type Spinney = ResourcePool<u64, Infallible>;

impl Resources for Spinney {
    async fn new(size: usize) -> Self {
        Self::builder(|| ready(Ok(1))).max_size(size).build()
    }

    async fn take_turn(&self, yields: bool) {
        let _item = self.item().await.expect("no create fails");
        if yields {
            yield_now().await;
        }
    }
}

/// Makes the numbers of the rivals.
#[derive(Debug)]
struct Numbers;

type Deadpool = deadpool::managed::Pool<Numbers>;

impl Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(1)
    }

    async fn recycle(&self, _: &mut u64, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

impl Resources for Deadpool {
    async fn new(size: usize) -> Self {
        Self::builder(Numbers).max_size(size).build().expect("no time limit asks for a runtime")
    }

    async fn take_turn(&self, yields: bool) {
        let _item = self.get().await.expect("no create fails");
        if yields {
            yield_now().await;
        }
    }
}

type Bb8 = bb8::Pool<Numbers>;

impl ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(1)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl Resources for Bb8 {
    async fn new(size: usize) -> Self {
        let size = u32::try_from(size).expect("a small pool");
        let builder = Self::builder().max_size(size).test_on_check_out(false);
        let builder = builder.idle_timeout(None).max_lifetime(None);
        builder.build(Numbers).await.expect("no create fails")
    }

    async fn take_turn(&self, yields: bool) {
        let _item = self.get().await.expect("no create fails");
        if yields {
            yield_now().await;
        }
    }
}
