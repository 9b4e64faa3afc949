//! The memory that a peak leaves behind, counted by an allocator of the whole process.

use std::rc::Rc;

use peak_alloc::PeakAlloc;
use spinney::task::spawn_on;
use spinney::{Event, LocalHub, Pool, yield_now};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MANY: usize = 20_000;

/// The largest number of bytes left behind by a peak of `MANY`: 10 MB for a million.
const KEPT: usize = 200_000;

/// Runs `MANY` members concurrently.
async fn spawned(_: &LocalHub, pool: &Pool<LocalHub>) {
    let open = Rc::new(Event::new());
    for _ in 0..MANY {
        let open = Rc::clone(&open);
        pool.spawn(async move { open.wait().await }).await.detach();
    }
    yield_now().await;
    open.set();
}

/// Adds `MANY` greenlets that run elsewhere.
async fn added(hub: &LocalHub, pool: &Pool<LocalHub>) {
    let open = Rc::new(Event::new());
    for _ in 0..MANY {
        let open = Rc::clone(&open);
        let greenlet = spawn_on(hub, async move { open.wait().await });
        assert!(pool.add(&greenlet).await);
        greenlet.detach();
    }
    open.set();
}

/// Runs `MANY` members, each of which runs a child in place, and so stands in the queue.
async fn in_place(_: &LocalHub, pool: &Pool<LocalHub>) {
    let [full, open] = [(); 2].map(|()| Rc::new(Event::new()));
    for _ in 0..MANY {
        let (inside, full, open) = (pool.clone(), Rc::clone(&full), Rc::clone(&open));
        let member = async move {
            full.wait().await;
            inside.spawn(async move { open.wait().await }).await.detach();
        };
        pool.spawn(member).await.detach();
    }
    yield_now().await;
    full.set();
    while pool.waiting() < MANY {
        yield_now().await;
    }
    open.set();
}

/// The bytes that `peak` leaves behind in a living pool, or in a living pool and its scope.
fn kept(scoped: bool, peak: &impl AsyncFn(&LocalHub, &Pool<LocalHub>)) -> usize {
    let hub = LocalHub::new();
    let run = async || {
        let pool = Pool::on(&hub, MANY);
        let set = if scoped { pool.scope() } else { pool.clone() };
        let start = ALLOCATED.current_usage();
        peak(&hub, &set).await;
        pool.wait_idle().await.unwrap();
        ALLOCATED.current_usage().saturating_sub(start)
    };
    hub.block_on(async {
        // The hub keeps the memory of its own peak.
        run().await;
        run().await
    })
}

#[test]
fn pools_and_scopes_release_memory_after_a_peak() {
    for scoped in [false, true] {
        let kept = [kept(scoped, &spawned), kept(scoped, &added), kept(scoped, &in_place)];
        println!("spawned, added, in place: {kept:?} bytes kept; in a scope: {scoped}");
        assert!(kept.iter().all(|bytes| *bytes < KEPT), "{kept:?}");
    }
}
