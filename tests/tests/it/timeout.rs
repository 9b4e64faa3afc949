//! The promises of sleeps and time limits; exact where time is virtual.

use std::future::{pending, ready};
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use spinney::task::spawn_on;
use spinney::time::{Clock, sleep_until, timeout};
use spinney::{Pool, Within, sleep, spawn, yield_now};
use spinney_tests::tools::{Log, gate, stuck};
use spinney_tests::{SEEDS, SimHub, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);

on_every_hub! {
    async fn sleep_of_zero_yields_once(_hub) {
        let mut asleep = sleep(Duration::ZERO);
        assert!(poll_once(&mut asleep).await.is_none());
        assert!(poll_once(&mut asleep).await.is_some());
    }

    async fn sleep_until_a_passed_time_is_ready(_hub) {
        assert!(poll_once(sleep_until(Clock::current().now())).await.is_some());
    }

    async fn sleep_beyond_the_clock_never_ends(_hub) {
        assert!(poll_once(sleep(Duration::MAX)).await.is_none());
    }

    async fn ready_future_wins_over_a_zero_limit(_hub) {
        assert_eq!(ready(42).within(Duration::ZERO).await, Ok(42));
    }

    async fn pending_future_loses_to_a_zero_limit(_hub) {
        let late = pending::<()>().within(Duration::ZERO).await.unwrap_err();
        assert_eq!(late.limit(), Duration::ZERO);
    }

    async fn future_in_time_returns_its_output(hub) {
        assert_eq!(spawn_on(hub, async { 42 }).within(Duration::MAX).await.unwrap().unwrap(), 42);
    }

    async fn limit_on_a_borrow_lets_the_future_go_on(hub) {
        let mut greenlet = spawn_on(hub, async { yield_now().await; 42 });
        if let Ok(result) = (&mut greenlet).within(Duration::ZERO).await {
            assert_eq!(result.unwrap(), 42);
            return;
        }
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn timed_out_spawn_leaves_the_queue(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        assert!(pool.spawn(async {}).within(Duration::ZERO).await.is_err());
        assert_eq!(pool.waiting(), 0);
    }

    async fn timeout_takes_the_limit_first(_hub) {
        assert_eq!(timeout(Duration::MAX, ready(42)).await, Ok(42));
    }
}

/// Runs a test on a FIFO simulated hub, and on seeded ones.
fn on_sim_hubs(test: &impl AsyncFn(&SimHub)) {
    for sim in std::iter::once(SimHub::new()).chain((0..SEEDS).map(SimHub::seeded)) {
        sim.block_on(test(&sim));
    }
}

#[test]
fn sleep_is_exact_in_virtual_time() {
    on_sim_hubs(&async |sim| {
        sleep(90 * SECOND).await;
        assert_eq!(sim.elapsed(), 90 * SECOND);
    });
}

#[test]
fn concurrent_sleeps_take_the_time_of_the_longest() {
    on_sim_hubs(&async |sim| {
        zip(sleep(SECOND), spawn_on(sim, sleep(3 * SECOND))).await.1.unwrap();
        assert_eq!(sim.elapsed(), 3 * SECOND);
    });
}

#[test]
fn consecutive_sleeps_add_up() {
    on_sim_hubs(&async |sim| {
        for _ in 0..10 {
            sleep(SECOND).await;
        }
        assert_eq!(sim.elapsed(), 10 * SECOND);
    });
}

#[test]
fn time_of_a_sleep_runs_from_its_first_poll() {
    on_sim_hubs(&async |sim| {
        let late = sleep(SECOND);
        sleep(SECOND).await;
        late.await;
        assert_eq!(sim.elapsed(), 2 * SECOND);
    });
}

#[test]
fn sleep_until_ends_at_its_instant() {
    on_sim_hubs(&async |sim| {
        let at = sim.now() + 5 * SECOND;
        sleep(SECOND).await;
        sleep_until(at).await;
        assert_eq!(sim.elapsed(), 5 * SECOND);
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_times() {
    on_sim_hubs(&async |sim| {
        let log = Log::default();
        for n in [3, 1, 2] {
            let log = log.clone();
            spawn(async move {
                sleep(n * SECOND).await;
                log.add(n);
            })
            .detach();
        }
        sleep(4 * SECOND).await;
        assert_eq!((log.take(), sim.elapsed()), (vec![1, 2, 3], 4 * SECOND));
    });
}

#[test]
fn limit_ends_a_wait_exactly() {
    on_sim_hubs(&async |sim| {
        let late = pending::<()>().within(3 * SECOND).await.unwrap_err();
        assert_eq!((late.limit(), sim.elapsed()), (3 * SECOND, 3 * SECOND));
    });
}

#[test]
fn limit_does_not_delay_a_finished_future() {
    on_sim_hubs(&async |sim| {
        sleep(SECOND).within(3 * SECOND).await.unwrap();
        assert_eq!(sim.elapsed(), SECOND);
    });
}

#[test]
fn first_nested_limit_to_expire_is_reported() {
    on_sim_hubs(&async |sim| {
        let inner = pending::<()>().within(SECOND).within(2 * SECOND).await;
        assert_eq!(inner.unwrap().unwrap_err().limit(), SECOND);
        let outer = pending::<()>().within(2 * SECOND).within(SECOND).await;
        assert_eq!((outer.unwrap_err().limit(), sim.elapsed()), (SECOND, 2 * SECOND));
    });
}

#[test]
fn dropped_sleep_leaves_no_timer_behind() {
    let sim = SimHub::new();
    sim.block_on(async { assert!(poll_once(sleep(SECOND)).await.is_none()) });
    assert!(sim.try_block_on(pending::<()>()).is_err());
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[test]
fn limit_on_a_join_leaves_the_members_running() {
    on_sim_hubs(&async |sim| {
        let pool = Pool::on(sim, 1);
        let member = pool.spawn(sleep(3 * SECOND)).await;
        assert!(pool.join().within(SECOND).await.is_err());
        member.await.unwrap();
        assert_eq!(sim.elapsed(), 3 * SECOND);
    });
}

#[test]
fn pool_of_two_slots_takes_half_the_time() {
    on_sim_hubs(&async |sim| {
        let pool = Pool::on(sim, 2);
        pool.map(|_| sleep(SECOND), 0..10).await.unwrap();
        assert_eq!(sim.elapsed(), 5 * SECOND);
    });
}
