//! Limits that are reset and lifted while they run.

use std::future::pending;
use std::time::Duration;

use spinney::task::spawn_on;
use spinney::time::Limit;
use spinney::{Failure, Pool, Within, sleep, yield_now};
use spinney_tests::{SimHub, on_every_hub};

const MS: Duration = Duration::from_millis(1);

on_every_hub! {
    async fn running_limit_can_be_reset_and_lifted(hub) {
        // Another task shortens it.
        let limit = Limit::new(Duration::MAX);
        let limited = limit.clone();
        let waiting = spawn_on(hub, async move { pending::<()>().within_limit(&limited).await });
        yield_now().await;
        limit.reset(MS);
        assert!(waiting.await.unwrap().unwrap_err().is(&limit));

        // The limited future extends it.
        let limit = Limit::new(60_000 * MS);
        let limited = limit.clone();
        let steps = async move {
            for _ in 0..3 {
                sleep(2 * MS).await;
                limited.reset(60_000 * MS);
            }
            limited.lift();
            sleep(MS).await;
            limited.reset(Duration::ZERO);
            pending::<()>().await;
        };
        let late = steps.within_limit(&limit).await.unwrap_err();
        assert!(late.is(&limit) && late.limit() == Duration::ZERO);
    }

    async fn limit_of_a_greenlet_is_reset_from_another_thread(hub) {
        let limit = Limit::new(Duration::MAX);
        let moved = limit.clone();
        let waiting = async {
            // A simulation does not wait for threads: the poll waits for this one.
            std::thread::spawn(move || moved.reset(Duration::ZERO)).join().unwrap();
            pending::<()>().await;
        };
        let limited = limit.clone();
        let greenlet = spawn_on(hub, async move { waiting.within_limit(&limited).await });
        assert!(greenlet.await.unwrap().unwrap_err().is(&limit));
    }

    async fn kill_ends_a_future_with_a_lifted_limit(hub) {
        let limit = Limit::new(60_000 * MS);
        let limited = limit.clone();
        let pool = Pool::on(hub, 1);
        let member = pool.spawn(async move { pending::<()>().within_limit(&limited).await }).await;
        yield_now().await;
        limit.lift();
        yield_now().await;
        assert!(!member.handle().is_ready());
        pool.kill().await;
        assert!(matches!(member.await, Err(Failure::Killed(_))));
    }
}

#[test]
fn reset_limit_expires_exactly() {
    const SECOND: Duration = Duration::from_secs(1);
    let sim = SimHub::new();
    sim.block_on(async {
        let limit = Limit::new(5 * SECOND);
        let moved = limit.clone();
        let task = spawn_on(&sim, async move {
            sleep(3 * SECOND).await;
            moved.reset(5 * SECOND);
            sleep(2 * SECOND).await;
            moved.lift();
            sleep(10 * SECOND).await;
            moved.reset(SECOND);
        });
        let late = pending::<()>().within_limit(&limit).await.unwrap_err();
        assert_eq!((late.limit(), sim.elapsed()), (SECOND, 16 * SECOND));
        task.await.unwrap();
    });
}

#[test]
fn lifted_limit_of_a_stuck_future_is_a_deadlock() {
    let sim = SimHub::new();
    let limit = Limit::new(60_000 * MS);
    let stuck = async {
        limit.lift();
        pending::<()>().await;
    };
    assert!(sim.try_block_on(stuck.within_limit(&limit)).is_err());
    assert_eq!(sim.elapsed(), Duration::ZERO, "no timer was left");
}
