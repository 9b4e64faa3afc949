//! An idle hub: the CPU time of four waiting threads. An item is a millisecond.

use std::time::Duration;

use futures_lite::future;
use spinney::{Hub, sleep, yield_now};

use crate::load::Load;
use crate::stopwatch::{Outcome, Stopwatch};
use crate::workload::Workload;

pub(super) fn workload() -> Workload {
    let load = Load { items: 5000, slots: 4 };
    Workload::new("idle", "threads with nothing to do; an item is a millisecond", load, u64::from)
        .rival("tokio", tokio)
        .ours("Hub", hub)
}

fn tokio(load: Load) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(load.slots)
        .enable_all()
        .build()
        .expect("the system grants a few threads");
    runtime.block_on(tokio::task::yield_now());
    waited(load)
}

fn hub(load: Load) -> Outcome {
    let hub = Hub::builder().threads(load.slots).build();
    let hub = hub.expect("the system grants a few threads");
    hub.block_on(yield_now());
    waited(load)
}

/// The cost of waiting on a thread outside the hub.
fn waited(load: Load) -> Outcome {
    let stopwatch = Stopwatch::start();
    future::block_on(sleep(Duration::from_millis(load.items.into())));
    stopwatch.stop(load.items.into())
}
