//! The promises of maps of tasks that return a `Result`, and of their policies.

use std::cell::RefCell;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{StreamExt, stream};
use spinney::gevent::GroupExt as _;
use spinney::map::TaskError;
use spinney::map::from_stream;
use spinney::task::spawn_on;
use spinney::{Pool, Within, catch_exit, shield, sleep, yield_now};
use spinney_tests::tools::{Count, behind, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, SimHub, on_every_hub};

type BoxedWork<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits for a kill; then cleans up in a shield, over several turns, and counts itself in
/// `cleaned`.
async fn clean_up_when_killed(cleaned: Count) {
    let Err(exit) = catch_exit(pending::<()>()).await else { return };
    let clean_up = async {
        for _ in 0..10 {
            yield_now().await;
        }
        cleaned.add();
    };
    shield(clean_up).await;
    exit.resume::<()>().await;
}

/// Three items, two of which clean up when they are killed; the third finishes with `end` as soon
/// as those are running.
fn two_that_clean_up<T: Clone + Send + Sync + 'static>(
    cleaned: &Count,
    end: T,
) -> impl Fn(usize) -> BoxedWork<T> + Send + Sync + use<T> {
    let (started, cleaned) = (Count::to(2), cleaned.clone());
    move |n: usize| {
        let (started, cleaned, end) = (started.clone(), cleaned.clone(), end.clone());
        Box::pin(async move {
            if n == 2 {
                started.reached().await;
            } else {
                started.add();
                clean_up_when_killed(cleaned).await;
            }
            end
        })
    }
}

on_every_hub! {
    async fn try_map_returns_values_in_input_order(hub) {
        let gates = [gate(), gate(), gate()];
        let (pass, pool) = (gates.clone(), Pool::on(hub, 3));
        let work = move |n: usize| {
            let (mine, next) = (Arc::clone(&pass[n]), n.checked_sub(1).map(|n| Arc::clone(&pass[n])));
            async move {
                mine.wait().await;
                if let Some(next) = next {
                    next.set();
                }
                Ok::<_, ()>(n)
            }
        };
        gates[2].set();
        assert_eq!(pool.try_map(work, 0..3).await.unwrap(), [0, 1, 2]);
        assert!(pool.try_map(|n: u32| async move { Ok::<_, ()>(n) }, []).await.unwrap().is_empty());
    }

    async fn first_error_kills_the_others(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 2), Dropped::default(), gate());
        let (guard, first) = (Arc::new(dropped.guard()), Arc::clone(&started));
        let work = move |n: usize| {
            let (guard, started) = (Arc::clone(&guard), Arc::clone(&first));
            async move {
                if n == 0 {
                    stuck(Arc::clone(&started), guard).await;
                }
                started.wait().await;
                Err::<(), _>("no luck")
            }
        };
        // Held until the end, so that its drop does not kill them.
        let mut map = pool.try_map(work, 0..);
        let error = (&mut map).await.unwrap_err();
        assert_eq!(error.index(), 1);
        assert!(matches!(*error, TaskError::Returned("no luck")));
        assert_eq!(error.to_string(), "item 1 failed: no luck");
        assert_eq!((dropped.count(), pool.len(), pool.available()), (1, 0, 2));
        drop(map);
    }

    async fn try_map_returns_when_killed_items_have_cleaned_up(hub) {
        let (pool, cleaned) = (Pool::on(hub, 3), Count::to(2));
        let work = two_that_clean_up(&cleaned, Err::<(), _>("no luck"));
        let error = pool.try_map(work, 0..3).await.unwrap_err();
        assert_eq!((error.index(), error.returned()), (2, Some(&"no luck")));
        assert_eq!((cleaned.get(), pool.len()), (2, 0));
        let report = pool.stats();
        assert_eq!((report.started, report.succeeded, report.killed), (3, 1, 2));
    }

    async fn first_success_returns_when_killed_items_have_cleaned_up(hub) {
        let (pool, cleaned) = (Pool::on(hub, 3), Count::to(2));
        let work = two_that_clean_up(&cleaned, Ok::<_, ()>(7));
        assert_eq!(pool.try_map(work, 0..3).first_success().await.unwrap(), 7);
        assert_eq!((cleaned.get(), pool.len()), (2, 0));
    }

    async fn member_that_fails_a_map_of_its_own_pool_returns(hub) {
        let (pool, cleaned) = (Pool::on(hub, 1), Count::to(1));
        let inside = pool.clone();
        let count = cleaned.clone();
        let work = move |n: usize| {
            let cleaned = count.clone();
            async move {
                if n > 0 { clean_up_when_killed(cleaned).await }
                Err::<(), _>(n)
            }
        };
        let maps = async move { inside.try_map(work, 0..3).await.unwrap_err().index() };
        assert_eq!(pool.spawn(maps).await.await.unwrap(), 0);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn kill_of_the_caller_ends_its_wait_for_killed_items(hub) {
        let (pool, killed, open) = (Pool::on(hub, 2), gate(), gate());
        let (inside, kills, opens) = (pool.clone(), Arc::clone(&killed), Arc::clone(&open));
        let started = gate();
        let work = move |n: usize| {
            let (kills, opens, started) = (Arc::clone(&kills), Arc::clone(&opens), Arc::clone(&started));
            async move {
                if n == 0 {
                    started.set();
                    let _exit = catch_exit(pending::<()>()).await;
                    kills.set();
                    shield(opens.wait()).await;
                }
                started.wait().await;
                Err::<(), _>("no luck")
            }
        };
        let caller = spawn_on(hub, async move { inside.try_map(work, 0..2).await });
        killed.wait().await;
        let mut kill = caller.kill();
        while poll_once(&mut kill).await.is_none() {
            yield_now().await;
        }
        // The worker of the failed item may still be about to leave.
        while pool.len() > 1 {
            yield_now().await;
        }
        assert_eq!(pool.len(), 1);
        open.set();
        pool.wait_idle().await.unwrap();
    }

    async fn panic_fails_a_try_map(hub) {
        let pool = Pool::on(hub, 1);
        let work = |n: u32| async move { if n == 1 { blow_up("no luck") } else { Ok::<_, ()>(n) } };
        let error = pool.try_map(work, 0..3).await.unwrap_err();
        assert_eq!(error.index(), 1);
        assert!(matches!(&*error, TaskError::Failed(failure) if failure.is_panic()));
    }

    async fn collect_all_returns_each_result_in_order(hub) {
        let (pool, late) = (Pool::on(hub, 3), gate());
        let opened = Arc::clone(&late);
        let work = move |n: usize| {
            let late = Arc::clone(&opened);
            async move {
                match n {
                    0 => behind(late, Ok(0)).await,
                    1 => Err("no luck"),
                    2 => { late.set(); blow_up("no luck at all") }
                    _ => Ok(n),
                }
            }
        };
        let all = pool.try_map(work, 0..4).collect_all().await;
        assert_eq!(all.len(), 4);
        assert_eq!(*all[0].as_ref().unwrap(), 0);
        assert_eq!(all[1].as_ref().unwrap_err().to_string(), "item 1 failed: no luck");
        let panic = all[2].as_ref().unwrap_err().panicked().unwrap();
        assert_eq!(panic.message().as_deref(), Some("no luck at all"));
        assert_eq!(*all[3].as_ref().unwrap(), 3);
    }

    async fn first_success_kills_the_others(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 3), Dropped::default(), gate());
        let (guard, first) = (Arc::new(dropped.guard()), Arc::clone(&started));
        let work = move |n: usize| {
            let (guard, started) = (Arc::clone(&guard), Arc::clone(&first));
            async move {
                match n {
                    0 => stuck(Arc::clone(&started), guard).await,
                    1 => return Err("no luck"),
                    _ => started.wait().await,
                }
                Ok(n)
            }
        };
        // See above.
        let mut map = pool.try_map(work, 0..).first_success();
        assert!((&mut map).await.unwrap() >= 2);
        assert_eq!((dropped.count(), pool.len()), (1, 0));
        drop(map);
    }

    async fn first_success_without_success_returns_all_errors(hub) {
        let pool = Pool::on(hub, 2);
        let errors = pool.try_map(|n: usize| async move { Err::<(), _>(n) }, 0..4).first_success();
        let errors = errors.await.unwrap_err();
        assert_eq!(errors.len(), 4);
        for (n, error) in errors.into_iter().enumerate() {
            assert_eq!(error.index(), n);
            assert!(matches!(error.into_error(), TaskError::Returned(value) if value == n));
        }
    }

    async fn dropped_try_map_kills_its_items(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 1), Dropped::default(), gate());
        let (guard, set) = (Arc::new(dropped.guard()), Arc::clone(&started));
        let work = move |_: u32| {
            let stuck = stuck(Arc::clone(&set), Arc::clone(&guard));
            async move { stuck.await; Ok::<(), ()>(()) }
        };
        let map = pool.try_map(work, 0..3);
        started.wait().await;
        drop(map.collect_all());
        pool.wait_idle().await.unwrap();
        while dropped.count() == 0 {
            spinney::yield_now().await;
        }
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}

/// The cleanup takes an hour, and no task is lost when the simulation ends.
#[test]
fn try_map_waits_for_a_cleanup_that_sleeps() {
    let (sim, cleaned) = (SimHub::new(), Count::to(1));
    let count = cleaned.clone();
    let work = move |n: usize| {
        let cleaned = count.clone();
        async move {
            if n == 1 {
                sleep(Duration::from_secs(1)).await;
                return Err("no luck");
            }
            let _exit = catch_exit(pending::<()>()).await;
            shield(sleep(Duration::from_secs(3600))).await;
            cleaned.add();
            Ok(())
        }
    };
    let error = sim.block_on(Pool::on(&sim, 2).try_map(work, 0..2)).unwrap_err();
    assert_eq!((error.index(), cleaned.get()), (1, 1));
    assert_eq!(sim.elapsed(), Duration::from_secs(3601));
}

#[test]
fn within_limits_the_wait_for_a_surviving_item() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    let work = |n: usize| async move {
        if n == 0 {
            shield(pending::<()>()).await;
        }
        Err::<(), _>("no luck")
    };
    let limit = Duration::from_secs(5);
    assert!(sim.block_on(pool.try_map(work, 0..2).within(limit)).is_err());
    assert_eq!((sim.elapsed(), pool.len()), (limit, 1));
}

/// A member reads its map and runs item 1 in place, while the error of item 0 is unread. Then a
/// non-member reads the error, and the killed item needs a slot to clean up.
#[test]
fn item_in_place_cleans_up_when_its_map_changes_hands() {
    let sim = SimHub::new();
    let (pool, cleaned, queued, begun) = (Pool::on(&sim, 2), Count::to(1), gate(), gate());
    let (count, waits, begins) = (cleaned.clone(), Arc::clone(&queued), Arc::clone(&begun));
    let work = move |n: usize| {
        let (cleaned, waits, begins) = (count.clone(), Arc::clone(&waits), Arc::clone(&begins));
        async move {
            if n == 1 {
                begins.set();
                clean_up_when_killed(cleaned).await;
            }
            waits.wait().await;
            Err::<(), _>("no luck")
        }
    };
    let handed_on = Rc::new(RefCell::new(None));
    let (inside, gives, go, more) = (pool.clone(), Rc::clone(&handed_on), gate(), gate());
    let (goes_on, comes) = (Arc::clone(&go), Arc::clone(&more));
    let reads = async move {
        let input = stream::once(0).chain(stream::once_future(behind(comes, 1)));
        let mut map = inside.try_map(work, from_stream(Box::pin(input)));
        assert!(poll_once(&mut map).await.is_none());
        goes_on.wait().await;
        while !begun.is_set() {
            assert!(poll_once(&mut map).await.is_none());
            yield_now().await;
        }
        gives.replace(Some(map));
        pending::<()>().await;
    };
    sim.block_on(async {
        let reader = pool.spawn(reads).await;
        let_others_run().await;
        // The slot of item 0 is needed again, for another task than item 1.
        let taken = pool.apply_async(pending::<()>());
        let_others_run().await;
        more.set();
        let_others_run().await;
        queued.set();
        let_others_run().await;
        go.set();
        let_others_run().await;
        let mut map = handed_on.take().unwrap();
        assert!(poll_once(&mut map).await.is_none());
        assert_eq!((cleaned.get(), pool.len(), pool.members().len()), (0, 2, 3));
        taken.kill().await;
        assert_eq!(map.await.unwrap_err().index(), 0);
        assert_eq!((cleaned.get(), pool.len()), (1, 1));
        reader.kill().await;
    });
}
