//! The verbs of eventlet's green threads: `wait`, `spawn_after_local` and `cancel`, by these names.

use std::time::Duration;

use spinney::Handle;
use spinney::eventlet::greenthread::{GreenThread, sleep, spawn, spawn_after, spawn_after_local};
use spinney::task::spawn_on;
use spinney_sim::SimHub;
use spinney_tests::tools::{Count, Why, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);
const NANOSECOND: Duration = Duration::from_nanos(1);

on_every_hub! {
    async fn wait_returns_the_result(hub) {
        assert_eq!(spawn_on(hub, async { 42 }).wait().await.unwrap(), 42);
    }

    async fn wait_returns_the_failure(hub) {
        let failed = spawn_on(hub, async { blow_up("no luck") }).wait().await;
        assert_eq!(failed.unwrap_err().why(), "panicked: no luck");
        let thread = spawn_on(hub, stuck(gate(), ()));
        thread.kill_now();
        assert!(thread.wait().await.unwrap_err().is_killed());
    }

    async fn cancelled_thread_never_runs(_hub) {
        let dropped = Dropped::default();
        let thread = spawn_after(3600 * SECOND, stuck(gate(), dropped.guard()));
        assert!(thread.cancel());
        assert_eq!(dropped.count(), 1);
        assert!(thread.wait().await.unwrap_err().is_killed());
    }

    async fn cancel_does_not_affect_a_running_thread(hub) {
        let (started, open) = (gate(), gate());
        let (start, opened) = (started.clone(), open.clone());
        let thread = spawn_on(hub, async move { start.set(); opened.wait().await; 42 });
        started.wait().await;
        assert!(!thread.cancel());
        open.set();
        assert_eq!(thread.wait().await.unwrap(), 42);
    }

    async fn local_thread_without_a_spawner_runs(_hub) {
        assert!(Handle::current().is_none());
        assert_eq!(spawn_after_local(Duration::ZERO, async { 42 }).wait().await.unwrap(), 42);
    }

    async fn local_thread_runs_while_its_spawner_lives(hub) {
        let spawner = spawn_on(hub, async {
            spawn_after_local(Duration::from_millis(1), async { 42 }).wait().await.unwrap()
        });
        assert_eq!(spawner.wait().await.unwrap(), 42);
    }
}

/// A local thread, due in a second, of a spawner that lives for `life`, and whether it ran.
async fn outlived(life: Duration) -> bool {
    let spawner = spawn(async move {
        let ran = Count::to(1);
        let one = ran.clone();
        let local = spawn_after_local(SECOND, async move { one.add() });
        sleep(life).await;
        (local, ran)
    });
    let (local, ran): (GreenThread<()>, Count) = spawner.wait().await.unwrap();
    let waited = local.wait().await;
    assert_eq!(waited.is_ok(), ran.get() == 1);
    ran.get() == 1
}

#[test]
fn local_thread_of_a_finished_spawner_never_runs() {
    for seed in 0..20 {
        let sim = SimHub::seeded(seed);
        assert!(!sim.block_on(outlived(Duration::ZERO)));
        assert!(!sim.block_on(outlived(Duration::from_nanos(999_999_999))));
        assert!(sim.block_on(outlived(SECOND + NANOSECOND)));
        assert_eq!((sim.pending(), sim.elapsed()), (0, 3 * SECOND + NANOSECOND));
    }
}

#[test]
fn killed_spawner_kills_its_local_threads() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let guard = dropped.guard();
        let spawner = spawn(async move {
            spawn_after_local(SECOND, stuck(gate(), guard)).detach();
            std::future::pending::<()>().await;
        });
        let_others_run().await;
        spawner.kill().await;
        sleep(SECOND).await;
        let_others_run().await;
        assert_eq!(dropped.count(), 1);
    });
    assert_eq!(sim.pending(), 0);
}

#[test]
fn running_local_thread_outlives_its_spawner() {
    let (sim, ended) = (SimHub::new(), Count::to(1));
    let one = ended.clone();
    sim.block_on(async {
        let spawner = spawn(async move {
            let local = async move {
                sleep(SECOND).await;
                one.add();
            };
            spawn_after_local(SECOND, local).detach();
            sleep(SECOND + SECOND / 2).await;
        });
        spawner.wait().await.unwrap();
        ended.reached().await;
    });
    assert_eq!((sim.pending(), sim.elapsed()), (0, 2 * SECOND));
}
