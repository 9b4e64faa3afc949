//! Any panic reaches its result, and ends no thread.

use std::panic::panic_any;
use std::time::Duration;

use spinney_greenlet::Failure;
use spinney_hub::{LocalHub, Within};
use spinney_test_support::Gate;
use spinney_threadpool::ThreadPool;

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panic of a destructor");
    }
}

/// Whether the pool's only thread still runs closures. Only a failure reaches the limit.
async fn is_alive(pool: &ThreadPool) -> bool {
    let next = pool.apply(|| ()).within(Duration::from_secs(5)).await;
    next.is_ok_and(|result| result.is_ok()) && pool.threads() == 1
}

#[test]
fn panic_fails_its_result_and_the_thread_lives() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::new(1);
        let thread = pool.apply(|| std::thread::current().id()).await.unwrap();
        for n in 0..10 {
            let failure = pool.apply(move || panic!("number {n}")).await.unwrap_err();
            let Failure::Panicked(panic) = failure else { panic!("it was not killed") };
            assert_eq!(panic.message().unwrap(), format!("number {n}"));
        }
        assert!(is_alive(&pool).await);
        assert_eq!(pool.apply(|| std::thread::current().id()).await.unwrap(), thread);
    });
}

#[test]
fn payload_of_a_panic_reaches_the_owner() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::new(1);
        let Err(Failure::Panicked(panic)) = pool.apply(|| panic_any(42_u8)).await else {
            panic!("it panicked");
        };
        assert_eq!(panic.into_payload().unwrap().downcast_ref(), Some(&42_u8));
    });
}

#[test]
fn unclaimed_panic_ends_no_thread() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::new(1);
        pool.spawn(|| panic!("an expected panic")).await.detach();
        assert!(is_alive(&pool).await);
    });
}

#[test]
fn panicking_drop_of_an_argument_ends_no_thread() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::new(1);
        let bomb = Bomb;
        let failure = pool.apply(move || drop(bomb)).await.unwrap_err();
        assert!(failure.to_string().ends_with(") panicked: a panic of a destructor"));
        assert!(is_alive(&pool).await);
    });
}

#[test]
fn panicking_drop_of_a_result_ends_no_thread() {
    LocalHub::new().block_on(async {
        for started in [false, true] {
            let (pool, gate) = (ThreadPool::new(1), Gate::default());
            let held = gate.clone();
            let bomb = move || {
                held.pass();
                Bomb
            };
            // When it finishes, its result has no owner any more.
            let result = pool.spawn(bomb).await;
            if started {
                gate.wait_for(1);
            }
            result.detach();
            gate.open();
            assert!(is_alive(&pool).await);
        }
    });
}

#[test]
fn panicking_drop_of_a_payload_ends_no_thread() {
    LocalHub::new().block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let held = gate.clone();
        let bomb = move || {
            held.pass();
            panic_any(Bomb);
        };
        pool.spawn(bomb).await.detach();
        gate.open();
        assert!(is_alive(&pool).await);
    });
}

#[test]
fn failure_names_the_line_that_spawned_the_closure() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::new(1);
        let first = line!() + 1;
        let spawned = pool.spawn(|| panic!("no luck")).await.await.unwrap_err();
        let applied = pool.apply(|| panic!("no luck")).await.unwrap_err();
        let tried = pool.try_spawn(|| panic!("no luck")).unwrap().await.unwrap_err();
        for (line, failure) in (first..).zip([spawned, applied, tried]) {
            let id = failure.task().unwrap().id();
            let start = format!("greenlet {id} (spawned at {}:{line}:", file!());
            let text = failure.to_string();
            assert!(text.starts_with(&start) && text.ends_with(") panicked: no luck"), "{text}");
        }
    });
}
