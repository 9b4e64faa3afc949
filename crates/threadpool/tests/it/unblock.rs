//! The promises of [`unblock`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use futures_lite::future::block_on;
use spinney_hub::{ForbidThreads, LocalHub};
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, unblock};

#[test]
fn closure_runs_on_another_thread() {
    let here = thread::current().id();
    assert_ne!(LocalHub::new().block_on(unblock(|| thread::current().id())).unwrap(), here);
    assert_eq!(unblock(|| 42).wait().unwrap(), 42);
}

#[test]
fn unblock_starts_without_being_awaited() {
    let gate = Gate::default();
    let held = gate.clone();
    gate.open();
    unblock(move || held.pass()).detach();
    gate.wait_for(1);
}

#[test]
fn panic_reaches_the_result() {
    let line = line!() + 1;
    let failure = block_on(unblock(|| panic!("no luck"))).unwrap_err();
    let (text, id) = (failure.to_string(), failure.task().unwrap().id());
    let start = format!("greenlet {id} (spawned at {}:{line}:", file!());
    assert!(text.starts_with(&start) && text.ends_with(") panicked: no luck"), "{text}");
    assert_eq!(unblock(|| 42).wait().unwrap(), 42);
}

#[test]
fn blocking_closures_do_not_delay_each_other() {
    const CLOSURES: usize = 10;
    let gate = Gate::default();
    let results: Vec<_> = (0..CLOSURES)
        .map(|_| {
            let gate = gate.clone();
            unblock(move || gate.pass())
        })
        .collect();
    gate.wait_for(CLOSURES);
    assert_eq!(gate.counts(), (CLOSURES, CLOSURES));
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
}

#[test]
fn arguments_and_results_are_dropped_once() {
    let counted = Arc::new(());
    for n in 0..100 {
        let argument = Arc::clone(&counted);
        let result = unblock(move || Arc::clone(&argument));
        if n % 2 == 0 {
            drop(result.wait().unwrap());
        } else {
            // Detached: the result is dropped at the end of the closure.
            let handle = result.handle().clone();
            drop(result);
            block_on(handle.join());
        }
    }
    while Arc::strong_count(&counted) > 1 {
        thread::yield_now();
    }
}

#[test]
fn closures_are_refused_while_threads_are_forbidden() {
    let pool = ThreadPool::new(1);
    let forbidden = ForbidThreads::begin();
    catch_unwind(|| drop(unblock(|| 1))).unwrap_err();
    catch_unwind(AssertUnwindSafe(|| drop(pool.submit(|| 1)))).unwrap_err();
    drop(forbidden);
    assert_eq!(pool.submit(|| 1).wait().unwrap(), 1, "the place was lost");
    assert_eq!(unblock(|| 1).wait().unwrap(), 1);
}
