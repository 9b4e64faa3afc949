//! W12: a task for each item, through a pool without limits and through one whose every start is
//! checked: by a rate, a limit per key, and priorities.

use std::future::{Ready, ready};
use std::time::Duration;

use spinney::pool::{PoolBuilder, Runs};
use spinney::{Greenlet, Pool, Rate};

use crate::answers::sum_below;
use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

/// The number of keys.
pub(super) const KEYS: u64 = 1000;

pub(super) fn workload() -> Workload {
    let load = Load { items: 300_000, slots: 1000 };
    let title = "a pool of 1000 slots: spawn under a rate, a limit per key and priorities";
    Workload::new("W12", title, load, sum_below)
        .ours("LocalHub plain", |load| on::local_hub(|hub| plain(Pool::on(&hub, load.slots), load)))
        .ours("LocalHub limited", |load| {
            on::local_hub(|hub| limited(limits().pool_on(&hub, load.slots), load))
        })
        .on_hub("Hub plain", |load| on::hub(|hub| plain(Pool::on(&hub, load.slots), load)))
        .on_hub("Hub limited", |load| {
            on::hub(|hub| limited(limits().pool_on(&hub, load.slots), load))
        })
        .target(Target::wall("LocalHub limited").of("LocalHub plain").at_most(2.0))
        .target(Target::wall("Hub limited, 2 threads").of("Hub plain, 2 threads").at_most(2.0))
}

/// Limits that check each start and hold up none.
pub(super) fn limits() -> PoolBuilder {
    let rate = Rate::per(1_000_000_000, Duration::from_secs(1)).burst(1_000_000_000);
    Pool::builder().rate(rate).per_key(1_000_000)
}

/// The priority of an item.
pub(super) fn priority(n: u64) -> i32 {
    i32::try_from(n % 3).unwrap_or(0)
}

async fn plain<X: Runs<Ready<u64>>>(pool: Pool<X>, load: Load) -> u64 {
    let mut greenlets = Vec::new();
    for n in load.numbers() {
        greenlets.push(pool.spawn(ready(n)).await);
    }
    sum(greenlets).await
}

async fn limited<X: Runs<Ready<u64>>>(pool: Pool<X>, load: Load) -> u64 {
    let mut greenlets = Vec::new();
    for n in load.numbers() {
        let request = pool.slot().key(&(n % KEYS)).priority(priority(n));
        greenlets.push(request.spawn(ready(n)).await);
    }
    sum(greenlets).await
}

async fn sum(greenlets: Vec<Greenlet<u64>>) -> u64 {
    let mut sum = 0;
    for greenlet in greenlets {
        sum += greenlet.await.expect("a number is no panic");
    }
    sum
}
