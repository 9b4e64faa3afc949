//! Maps of functions that return a `Result`, and the settings of maps.

use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use spinney_greenlet::Failure;
use spinney_greenlet::map::{ItemEvent, Retry, TaskError};
use spinney_hub::{LocalHub, Timeout, Within};
use spinney_test_support::Gate;
use spinney_threadpool::ThreadPool;

/// Only a failure reaches the limit.
const LONG: Duration = Duration::from_secs(60);

fn odd_fails(n: u32) -> Result<u32, &'static str> {
    assert_ne!(n, 4, "no luck");
    if n % 2 == 1 { Err("odd") } else { Ok(n) }
}

#[test]
fn try_imap_yields_errors_in_place_and_goes_on() {
    let pool = ThreadPool::new(2);
    block_on(async {
        let mut results = pool.try_imap(odd_fails, 0..6);
        let mut texts = Vec::new();
        while let Some(result) = results.next().await {
            texts.push(result.map_err(|error| error.to_string()));
        }
        let panicked = texts.remove(4).unwrap_err();
        assert!(panicked.starts_with("item 4, greenlet ") && panicked.contains("no luck"));
        let odd = |n| Err(format!("item {n} failed: odd"));
        assert_eq!(texts, [Ok(0), odd(1), Ok(2), odd(3), odd(5)]);
    });
}

#[test]
fn try_imap_unordered_yields_all_results() {
    let pool = ThreadPool::new(2);
    block_on(async {
        let mut results = pool.try_imap_unordered(odd_fails, 0..4);
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        while let Some(result) = results.next().await {
            match result {
                Ok(value) => values.push(value),
                Err(error) => errors.push(error.index()),
            }
        }
        values.sort_unstable();
        errors.sort_unstable();
        assert_eq!((values, errors), (vec![0, 2], vec![1, 3]));
    });
}

#[test]
fn try_map_returns_all_values_or_the_first_error() {
    let pool = ThreadPool::new(2);
    let even = || (0..3).map(|n| 2 * n).filter(|n| *n != 4);
    assert_eq!(block_on(pool.try_map(odd_fails, even())).unwrap(), [0, 2]);
    let error = block_on(pool.try_map(odd_fails, [0, 1, 2])).unwrap_err();
    assert_eq!((error.index(), error.returned()), (1, Some(&"odd")));
    let all = block_on(pool.try_map(odd_fails, 0..6).collect_all());
    assert!(all.iter().map(Result::is_ok).eq([true, false, true, false, false, false]));
    assert_eq!(block_on(pool.try_map(odd_fails, [1, 3, 6]).first_success()).unwrap(), 6);
    let errors = block_on(pool.try_map(odd_fails, [1, 3]).first_success()).unwrap_err();
    assert_eq!(errors.len(), 2);
}

#[test]
fn try_map_returns_after_its_items_have_finished() {
    let (pool, gate) = (ThreadPool::new(2), Gate::default());
    let (held, started) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&started);
    let run = move |n: u32| {
        counts.fetch_add(1, SeqCst);
        if n == 0 {
            held.pass();
            return Ok(());
        }
        while held.counts().0 == 0 {
            std::thread::yield_now();
        }
        Err("no luck")
    };
    block_on(async {
        let mut map = pin!(pool.try_map(run, 0..100));
        gate.wait_for(1);
        // The error is there before the item at the gate has finished.
        while pool.stats().running > 1 {
            assert!(poll_once(map.as_mut()).await.is_none());
        }
        assert!(poll_once(map.as_mut()).await.is_none());
        gate.open();
        assert_eq!(map.await.unwrap_err().returned(), Some(&"no luck"));
        assert_eq!(gate.counts().0, 1);
        pool.join().await.unwrap();
        assert!(started.load(SeqCst) < 10, "a further item started");
    });
}

#[test]
fn item_is_retried_as_often_as_the_policy_allows() {
    let (pool, tries) = (ThreadPool::new(1), Arc::new(AtomicUsize::new(0)));
    for (times, wanted) in [(2, Ok(vec![7])), (1, Err(0))] {
        tries.store(0, SeqCst);
        let counts = Arc::clone(&tries);
        let run = move |n: u32| match counts.fetch_add(1, SeqCst) {
            0 => Err("busy"),
            1 => panic!("no luck"),
            _ => Ok(n),
        };
        let retry = Retry::times(times).delays([Duration::from_millis(1); 2]);
        let mapped = block_on(pool.mapper().retry(retry).try_map(run, [7]));
        assert_eq!(mapped.map_err(|error| error.index()), wanted);
        assert_eq!(tries.load(SeqCst), times as usize + 1);
    }
    block_on(async {
        let counts = Arc::new(AtomicUsize::new(0));
        let run = move |_: u32| if counts.fetch_add(1, SeqCst) < 3 { Err(()) } else { Ok(()) };
        let mut stream =
            pool.mapper().retry(Retry::times(5).delays([Duration::ZERO; 5])).try_imap(run, 0..2);
        while stream.next().await.is_some() {}
        assert_eq!(stream.retries(), 3);
    });
}

#[test]
fn shutdown_ends_the_wait_for_a_retry() {
    let pool = ThreadPool::new(1);
    let tried = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&tried);
    let run = move |_: u32| Err::<(), _>(counts.fetch_add(1, SeqCst));
    let retry = Retry::times(1).delays([LONG]);
    let map = pool.mapper().retry(retry).try_map(run, [0]);
    while tried.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let report = block_on(pool.shutdown(spinney_greenlet::GreenletExit::new()));
    assert_eq!((report.running, pool.threads()), (0, 0));
    assert_eq!(block_on(map).unwrap_err().returned(), Some(&0));
}

#[test]
fn timed_out_item_fails_and_keeps_its_thread() {
    LocalHub::new().block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let (held, limit) = (gate.clone(), Duration::from_millis(5));
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&outcomes);
        let note = move |item: ItemEvent| {
            noted.lock().unwrap().push((item.index, item.outcome.is_ok()));
        };
        let run = move |n: u32| {
            if n == 0 {
                held.pass();
            }
            n
        };
        let mut results = pool.mapper().timeout(limit).on_item(note).imap(run, 0..2);
        let late = results.next().within(LONG).await.unwrap().unwrap().unwrap_err();
        let reason = late.killed().unwrap().reason().unwrap();
        assert_eq!(reason.downcast_ref(), Some(&Timeout::after(limit)));
        assert_eq!((late.index(), pool.len(), pool.idle()), (0, 1, 0));
        gate.open();
        assert_eq!(results.next().await.unwrap().unwrap(), 1);
        assert!(results.next().await.is_none());
        assert_eq!(*outcomes.lock().unwrap(), [(0, false), (1, true)]);
        let stats = pool.stats();
        assert_eq!((stats.succeeded, stats.killed), (1, 1));
    });
}

#[test]
fn try_map_does_not_wait_for_a_timed_out_item() {
    LocalHub::new().block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let held = gate.clone();
        let run = move |_: u32| {
            held.pass();
            Ok::<(), ()>(())
        };
        let map = pool.mapper().timeout(Duration::from_millis(1)).try_map(run, 0..9);
        let error = map.within(LONG).await.unwrap().unwrap_err();
        assert!(error.killed().is_some());
        gate.open();
        pool.join().await.unwrap();
        assert_eq!(gate.counts().0, 1);
    });
}

#[test]
fn callback_sees_each_item_once_before_its_result_is_read() {
    let (pool, seen) = (ThreadPool::new(2), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&seen);
    let mapper = pool.mapper().on_item(move |item| {
        let what = match item.outcome {
            Ok(()) => "value",
            Err(TaskError::Returned(())) => "error",
            Err(TaskError::Failed(Failure::Panicked(_))) => "panic",
            Err(TaskError::Failed(_)) => "kill",
        };
        noted.lock().unwrap().push((item.index, what));
    });
    block_on(mapper.try_map(odd_fails, [0, 1, 4]).collect_all());
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, [(0, "value"), (1, "error"), (2, "panic")]);
}

#[test]
fn callback_sees_each_try_and_its_delay() {
    let (pool, seen) = (ThreadPool::new(1), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&seen);
    let mapper = pool.mapper().on_item(move |item| {
        let event = (item.index, item.outcome.is_ok(), item.tries, item.retry_after);
        noted.lock().unwrap().push(event);
    });
    let tries = AtomicUsize::new(0);
    let run = move |_: u32| if tries.fetch_add(1, SeqCst) < 4 { Err("busy") } else { Ok(()) };
    let delays = [Duration::ZERO, Duration::from_millis(1)];
    let mapper = mapper.retry(Retry::times(2).delays(delays));
    block_on(mapper.try_map(run, 0..2).collect_all());
    let [first, second] = delays.map(Some);
    let expected = [
        (0, false, 1, first),
        (0, false, 2, second),
        (0, false, 3, None),
        (1, false, 1, first),
        (1, true, 2, None),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn panicking_callback_affects_no_item() {
    let pool = ThreadPool::new(1);
    let mapper = pool.mapper().on_item(|_| panic!("a panic of a callback"));
    assert_eq!(block_on(mapper.map(|n: u32| n, 0..2)).unwrap(), [0, 1]);
}
