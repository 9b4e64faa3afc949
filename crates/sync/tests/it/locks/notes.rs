//! Each wait is recorded with its subject and its line.

use std::panic::Location;

use spinney_sync::{
    AsyncResult, Barrier, BoundedSemaphore, Condition, Event, Latch, RLock, Semaphore, Wait,
};
use spinney_test_support::ByHand;

/// Asserts that `future`, created on the line of the call, waits for `what` on behalf of that line.
#[track_caller]
fn assert_noted(what: &str, future: impl Future) {
    Wait::forget();
    drop(ByHand::waiting(future));
    let noted = Wait::last().expect("no wait was recorded").to_string();
    let (said, place) = noted.split_once(" at ").unwrap();
    let here = Location::caller();
    assert_eq!(said, what);
    assert!(place.starts_with(&format!("{}:{}:", here.file(), here.line())), "{place}");
}

#[test]
fn each_wait_is_recorded() {
    let semaphore = Semaphore::new(1);
    let busy = Semaphore::new(1);
    let _held = busy.try_acquire().unwrap();
    let (condition, lock) = (Condition::new(), RLock::new());
    let _owned = lock.try_acquire(1);
    let permit = || semaphore.try_acquire().unwrap();
    assert_noted("Event::wait", Event::new().wait());
    assert_noted("AsyncResult::get", AsyncResult::<u32>::new().get());
    assert_noted("Semaphore::acquire", busy.acquire());
    assert_noted("Semaphore::acquire", busy.acquire_many(2));
    assert_noted("Semaphore::acquire", BoundedSemaphore::new(0).acquire());
    assert_noted("Semaphore::acquire", BoundedSemaphore::new(0).acquire_many(2));
    assert_noted("Semaphore::wait_idle", busy.wait_idle());
    assert_noted("RLock::acquire", lock.acquire(2));
    assert_noted("Condition::wait", condition.wait(permit()));
    assert_noted("Condition::wait", condition.wait_while(permit(), || true));
    assert_noted("Barrier::wait", Barrier::new(2).wait());
    assert_noted("Latch::wait", Latch::new(1).wait());
}

#[test]
fn wait_for_the_permit_is_recorded_for_the_same_line() {
    let (semaphore, condition) = (Semaphore::new(1), Condition::new());
    let permit = semaphore.try_acquire().unwrap();
    let line = line!() + 1;
    let mut waiter = ByHand::waiting(condition.wait(permit));
    let _held = semaphore.try_acquire().unwrap();
    condition.notify(1);
    assert!(waiter.poll().is_pending());
    let noted = Wait::last().unwrap().to_string();
    assert!(noted.starts_with(&format!("Semaphore::acquire at {}:{line}:", file!())), "{noted}");
}
