//! The promises of maps with a limit for each item, or with retries.

use std::iter::{repeat, successors};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::Retry;
use spinney::map::{Decision, TaskError};
use spinney::task::Panic;
use spinney::{Failure, Handle, Pool, Timeout, sleep, yield_now};
use spinney_tests::tools::{Log, OnDrop, blow_up, gate, stuck};
use spinney_tests::{Dropped, SimHub, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);

type BoxedWork = Pin<Box<dyn Future<Output = Result<usize, &'static str>> + Send>>;

/// Counts its clones, and can be set to refuse them.
struct Item {
    value: usize,
    clones: Arc<AtomicUsize>,
    clones_panic: bool,
}

impl Clone for Item {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, SeqCst);
        if self.clones_panic {
            blow_up("the clone");
        }
        Self { value: self.value, clones: Arc::clone(&self.clones), clones_panic: false }
    }
}

/// Panics for the first `times` calls with each of ten values; and the values of the calls.
fn fails(times: usize) -> (Log<usize>, impl Fn(usize) -> BoxedWork + Clone + Send + Sync) {
    let (log, calls) = (Log::default(), Arc::new([const { AtomicUsize::new(0) }; 10]));
    let tries = log.clone();
    let work = move |n: usize| {
        let (log, calls) = (log.clone(), Arc::clone(&calls));
        let future = async move {
            log.add(n);
            yield_now().await;
            if calls[n].fetch_add(1, SeqCst) < times {
                blow_up("not yet");
            }
            Ok(n)
        };
        Box::pin(future) as BoxedWork
    };
    (tries, work)
}

/// Tries again without a delay.
fn now<E>(times: u32) -> Retry<E> {
    Retry::times(times).delays(repeat(Duration::ZERO))
}

on_every_hub! {
    async fn panicked_item_is_retried(hub) {
        let (log, work) = fails(2);
        let pool = Pool::on(hub, 1);
        let mut results = pool.mapper().retry(now(2)).try_imap(work, 0..3);
        for n in 0..3 {
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
        assert!(results.next().await.is_none());
        assert_eq!(log.take(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(results.retries(), 6);
        pool.try_join().await.unwrap();
    }

    async fn retries_keep_the_order(hub) {
        let (_, work) = fails(1);
        let odd = move |n: usize| {
            let again = work(n);
            async move { if n % 2 == 0 { Ok(n) } else { again.await } }
        };
        let pool = Pool::on(hub, 3);
        let map = pool.mapper().retry(now(1)).try_map(odd, 0..10);
        assert_eq!(map.await.unwrap(), (0..10).collect::<Vec<_>>());
    }

    async fn last_failure_is_reported(hub) {
        let (log, work) = fails(9);
        let pool = Pool::on(hub, 2);
        let error = pool.mapper().retry(now(3)).try_map(work, 4..5).await.unwrap_err();
        let message = error.panicked().and_then(Panic::message);
        assert_eq!((error.index(), message.as_deref()), (0, Some("not yet")));
        assert_eq!(log.take(), [4; 4]);
    }

    async fn retry_of_zero_tries_once(hub) {
        let (log, work) = fails(1);
        let pool = Pool::on(hub, 2);
        assert!(pool.mapper().retry(now(0)).try_map(work, 0..1).await.is_err());
        assert_eq!(log.take(), [0]);
    }

    async fn item_is_cloned_for_each_try_but_the_last(hub) {
        let clones = Arc::new(AtomicUsize::new(0));
        let item = Item { value: 7, clones: Arc::clone(&clones), clones_panic: false };
        let work = |item: Item| async move { if item.value == 7 { Err("always") } else { Ok(()) } };
        let pool = Pool::on(hub, 1);
        pool.mapper().retry(now(3)).try_map(work, [item]).await.unwrap_err();
        assert_eq!(clones.load(SeqCst), 3);
    }

    async fn clone_that_panics_fails_its_item(hub) {
        let clones = Arc::new(AtomicUsize::new(0));
        let items = [true, false].map(|clones_panic| {
            Item { value: 7, clones: Arc::clone(&clones), clones_panic }
        });
        let pool = Pool::on(hub, 1);
        let work = |item: Item| async move { Ok::<_, ()>(item.value) };
        let results = pool.mapper().retry(now(3)).try_imap(work, items);
        let results: Vec<_> = results.collect().await;
        let panic = results[0].as_ref().unwrap_err().panicked().unwrap();
        assert_eq!(panic.message().as_deref(), Some("the clone"));
        assert_eq!(*results[1].as_ref().unwrap(), 7);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn error_of_try_map_is_retried(hub) {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        let work = move |n: usize| {
            let tried = count.fetch_add(1, SeqCst);
            async move { if tried < 2 { Err("busy") } else { Ok(n) } }
        };
        let mapper = Pool::on(hub, 1).mapper().retry(now(2));
        assert_eq!(mapper.try_map(work, 0..2).await.unwrap(), [0, 1]);
        assert_eq!(tries.load(SeqCst), 4);
    }

    async fn try_imap_retries_an_item_that_returned_an_err(hub) {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        let work = move |n: usize| {
            let tried = count.fetch_add(1, SeqCst);
            async move { if n == 1 { Ok(n) } else { Err(tried) } }
        };
        let mapper = Pool::on(hub, 1).mapper().retry(now(5));
        let mut results = mapper.try_imap(work, 0..2);
        assert_eq!(results.next().await.unwrap().unwrap_err().returned(), Some(&5));
        assert_eq!(results.next().await.unwrap().unwrap(), 1);
        assert_eq!((results.retries(), tries.load(SeqCst)), (5, 7));
    }

    async fn killed_item_is_not_retried(hub) {
        let (log, pool) = (Log::default(), Pool::on(hub, 1));
        let (tries, started) = (log.clone(), gate());
        let set = Arc::clone(&started);
        let work = move |n: usize| {
            tries.add(n);
            let stuck = stuck(Arc::clone(&set), ());
            async move { stuck.await; Ok::<_, ()>(()) }
        };
        let map = pool.mapper().retry(now(5)).try_map(work, 0..1);
        started.wait().await;
        pool.kill().await;
        assert!(map.await.unwrap_err().killed().is_some());
        assert_eq!(log.take(), [0]);
    }

    async fn kill_during_a_retry_delay_frees_the_slot(hub) {
        let (pool, failed, dropped) = (Pool::on(hub, 1), gate(), gate());
        let (set, gone) = (Arc::clone(&failed), Arc::clone(&dropped));
        let guard = Arc::new(OnDrop::new(move || gone.set()));
        let work = move |(): ()| {
            let set = Arc::clone(&set);
            let guard = Arc::clone(&guard);
            async move { let _guard = guard; set.set(); Err::<(), _>("no luck") }
        };
        let retry = Retry::times(1).delays([Duration::MAX]);
        let map = pool.mapper().retry(retry).try_map(work, [()]);
        failed.wait().await;
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.members().len()), (0, 1), "a member without a slot");
        pool.kill().await;
        assert!(map.await.unwrap_err().killed().is_some());
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.available(), pool.waiting()), (1, 0));
        dropped.wait().await;
    }

    async fn reader_that_leaves_ends_the_retries(hub) {
        let (pool, failed) = (Pool::on(hub, 1), gate());
        let set = Arc::clone(&failed);
        let work = move |n: u32| {
            let set = Arc::clone(&set);
            async move { set.set(); if n < 9 { Err("no luck") } else { Ok(()) } }
        };
        let retry = Retry::times(u32::MAX).delays([Duration::MAX]);
        let mut results = pool.mapper().retry(retry).try_imap(work, 0..);
        failed.wait().await;
        assert!(poll_once(results.next()).await.is_none());
        drop(results);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}

/// Runs `scenario` in a simulation, and returns how long it took.
fn timed<F: Future>(scenario: impl FnOnce(Pool<SimHub>) -> F) -> (F::Output, Duration) {
    let sim = SimHub::new();
    let output = sim.block_on(scenario(Pool::on(&sim, 1)));
    (output, sim.elapsed())
}

fn is_timeout(failure: &Failure) -> bool {
    let Failure::Killed(exit) = failure else { return false };
    exit.reason().and_then(|reason| reason.downcast_ref::<Timeout>()).is_some()
}

#[test]
fn item_beyond_its_limit_fails_exactly_then() {
    let (results, elapsed) = timed(|pool| {
        let sleeps = |n: u32| sleep(n * SECOND);
        pool.mapper().timeout(2 * SECOND).imap(sleeps, [1, 3, 1]).collect::<Vec<_>>()
    });
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(is_timeout(results[1].as_ref().unwrap_err()));
    assert_eq!(elapsed, 4 * SECOND);
}

#[test]
fn item_beyond_its_limit_is_dropped_where_it_waits() {
    let dropped = Dropped::default();
    let guard = Arc::new(dropped.guard());
    let (error, _) = timed(|pool| {
        pool.mapper().timeout(SECOND).map(move |()| stuck(gate(), Arc::clone(&guard)), [()])
    });
    assert!(is_timeout(&error.unwrap_err()));
    assert_eq!(dropped.count(), 1);
}

#[test]
fn each_try_has_the_full_limit() {
    let log = Log::default();
    let started = log.clone();
    let (result, elapsed) = timed(|pool| {
        let work = move |n: u32| {
            started.add(Handle::current().is_some());
            async move {
                sleep(n * SECOND).await;
                Ok::<_, ()>(())
            }
        };
        let retry = Retry::times(2).delays([10 * SECOND; 2]);
        pool.mapper().timeout(2 * SECOND).retry(retry).try_imap(work, [3]).collect::<Vec<_>>()
    });
    let TaskError::Failed(failure) = &**result[0].as_ref().unwrap_err() else { unreachable!() };
    assert!(is_timeout(failure));
    assert_eq!(log.take(), [true; 3]);
    // Three tries of two seconds, and two delays of ten.
    assert_eq!(elapsed, 26 * SECOND);
}

/// When the tries of each item started.
fn tries(items: usize, retry: Retry<&'static str>) -> Vec<(usize, Duration)> {
    let sim = SimHub::new();
    let (pool, log) = (Pool::on(&sim, items), Log::default());
    let (tried, clock) = (log.clone(), sim.clone());
    let work = move |n: usize| {
        tried.add((n, clock.elapsed()));
        async { Err::<(), _>("always") }
    };
    let results = pool.mapper().retry(retry).try_imap(work, 0..items);
    let failed = sim.block_on(results.filter(Result::is_err).count());
    assert_eq!(failed, items);
    let mut starts = log.take();
    starts.sort_unstable();
    starts
}

fn seconds(tries: &[(usize, Duration)]) -> Vec<u64> {
    tries.iter().map(|(_, at)| at.as_secs()).collect()
}

#[test]
fn delays_of_any_iterator_are_exact() {
    let doubling = successors(Some(SECOND), |before| Some(2 * *before));
    assert_eq!(seconds(&tries(1, now(3))), [0, 0, 0, 0]);
    assert_eq!(seconds(&tries(1, Retry::times(3).delays([5 * SECOND; 9]))), [0, 5, 10, 15]);
    assert_eq!(seconds(&tries(1, Retry::times(4).delays(doubling))), [0, 1, 3, 7, 15]);
    // The end of the delays is the end of the tries.
    assert_eq!(seconds(&tries(1, Retry::times(9).delays([SECOND]))), [0, 1]);
}

#[test]
fn default_delays_are_jittered_up_to_a_doubling_bound() {
    let run = |seed| tries(20, Retry::times(3).exponential(8 * SECOND, 20 * SECOND).seed(seed));
    let first = run(17);
    for item in first.chunks(4) {
        for (tried, most) in [8, 16, 20].into_iter().enumerate() {
            let waited = item[tried + 1].1.saturating_sub(item[tried].1);
            assert!(waited <= most * SECOND, "{waited:?}");
        }
    }
    assert_eq!(first, run(17));
    assert_ne!(first, run(18));
    let mut second_tries: Vec<_> = first.chunks(4).map(|tries| tries[1].1).collect();
    second_tries.sort_unstable();
    second_tries.dedup();
    assert!(second_tries.len() > 10, "the retries come back together");
}

#[test]
fn predicate_sees_the_error_and_may_name_the_delay() {
    let retry = Retry::times(5).when(|error: &u64| match *error {
        0 => Decision::RetryAfter(7 * SECOND),
        error => Decision::from(error < 2),
    });
    let (result, elapsed) = timed(|pool| {
        let count = AtomicUsize::new(0);
        let work = move |_: u32| {
            let tried = count.fetch_add(1, SeqCst);
            async move { Err::<(), _>(tried as u64) }
        };
        pool.mapper().retry(retry.delays([SECOND, SECOND])).try_map(work, [0])
    });
    assert_eq!(result.unwrap_err().returned(), Some(&2), "the third error is final");
    assert_eq!(elapsed, 8 * SECOND);
}

#[test]
fn predicate_that_panics_fails_its_item() {
    let retry = Retry::times(5).when(|_: &u32| -> bool { blow_up("the predicate") });
    let (result, _) = timed(|pool| {
        pool.mapper().retry(retry).try_map(|n: u32| async move { Err::<(), _>(n) }, [0])
    });
    let panic = result.unwrap_err();
    assert_eq!(panic.panicked().unwrap().message().as_deref(), Some("the predicate"));
}

#[test]
fn limit_for_all_tries_ends_them() {
    let tried = tries(1, Retry::times(9).delays([4 * SECOND; 9]).timeout(10 * SECOND));
    assert_eq!(seconds(&tried), [0, 4, 8]);
}

#[test]
fn other_items_run_during_a_delay() {
    let run = |keep: bool| {
        timed(|pool| {
            let retry = Retry::times(1).delays([10 * SECOND]);
            let tried = AtomicUsize::new(0);
            let work = move |n: u32| {
                let fails = n == 0 && tried.fetch_add(1, SeqCst) == 0;
                async move {
                    sleep(SECOND).await;
                    if fails { Err("busy") } else { Ok(n) }
                }
            };
            let mapper = pool.mapper().retry(if keep { retry.keep_slot() } else { retry });
            async move {
                let list = mapper.try_map(work, 0..4).await.unwrap();
                (list, pool.stats().retried, pool.available())
            }
        })
    };
    // One by one, beside the delay; or after it.
    assert_eq!(run(false), ((vec![0, 1, 2, 3], 1, 1), 12 * SECOND));
    assert_eq!(run(true), ((vec![0, 1, 2, 3], 1, 1), 15 * SECOND));
}

#[test]
fn drain_waits_for_an_item_in_a_delay() {
    let (report, elapsed) = timed(|pool| async move {
        let retry = Retry::times(1).delays([10 * SECOND]);
        let map = pool.mapper().retry(retry).try_imap(|n: u32| async move { Err::<(), _>(n) }, [1]);
        sleep(SECOND).await;
        assert_eq!((pool.len(), pool.stats().running), (0, 1));
        let report = pool.drain(60 * SECOND).await.unwrap();
        drop(map);
        report
    });
    assert_eq!((report.running, report.retried, report.killed), (0, 1, 0));
    assert_eq!(elapsed, 10 * SECOND);
}

#[test]
fn policy_stands_alone() {
    let sim = SimHub::new();
    sim.block_on(async {
        let retry = Retry::times(2).delays([SECOND, 2 * SECOND]).try_timeout(SECOND);
        let calls = AtomicUsize::new(0);
        let slow_then_good = || async {
            if calls.fetch_add(1, SeqCst) == 0 {
                sleep(60 * SECOND).await;
            }
            if calls.load(SeqCst) < 3 { Err("busy") } else { Ok(7) }
        };
        assert_eq!(retry.run(slow_then_good).await.unwrap(), 7);
        assert_eq!((sim.elapsed(), calls.load(SeqCst)), (4 * SECOND, 3));
        let error = retry.run(|| sleep(60 * SECOND).map_ok()).await.unwrap_err();
        assert!(matches!(error, TaskError::Failed(failure) if is_timeout(&failure)));
    });
}

/// A sleep as a success.
trait MapOk: Future<Output = ()> + Sized {
    async fn map_ok(self) -> Result<(), &'static str> {
        self.await;
        Ok(())
    }
}

impl<F: Future<Output = ()>> MapOk for F {}

#[test]
fn custom_error_type_reports_the_last_error() {
    let (result, _) = timed(|pool| {
        let count = AtomicUsize::new(0);
        let work = move |_: u32| {
            let tried = count.fetch_add(1, SeqCst);
            async move { Err::<(), _>(tried) }
        };
        pool.mapper().retry(now(2)).try_map(work, [0])
    });
    assert!(matches!(*result.unwrap_err(), TaskError::Returned(2)));
}
