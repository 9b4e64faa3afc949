//! The number of permits.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::task::Poll;

use spinney_sync::{Semaphore, TryAcquireError};
use spinney_test_support::ByHand;

#[test]
fn resize_up_admits_as_many_as_fit_and_wakes_each_once() {
    let semaphore = Semaphore::new(0);
    let mut waiting: Vec<_> = (0..10).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    semaphore.resize(4);
    let woken: Vec<_> = waiting.iter().map(ByHand::wakes).collect();
    assert_eq!(woken, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!((semaphore.capacity(), semaphore.out(), semaphore.waiting()), (4, 4, 6));
    semaphore.resize(100);
    assert_eq!((semaphore.out(), semaphore.waiting(), semaphore.available()), (10, 0, 90));
    let permits: Vec<_> = waiting.iter_mut().map(ByHand::poll).collect();
    assert!(permits.iter().all(|polled| matches!(polled, Poll::Ready(Ok(_)))));
    assert!(waiting.iter().all(|waiter| waiter.wakes() == 1));
}

#[test]
fn resize_down_admits_none_until_enough_are_returned() {
    let semaphore = Semaphore::new(3);
    let mut held: Vec<_> = (0..3).map(|_| semaphore.try_acquire().unwrap()).collect();
    semaphore.resize(1);
    assert_eq!((semaphore.capacity(), semaphore.out(), semaphore.available()), (1, 3, -2));
    let mut waiter = ByHand::waiting(semaphore.acquire());
    held.pop();
    held.pop();
    assert_eq!((waiter.wakes(), semaphore.available()), (0, 0));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    held.pop();
    assert_eq!(waiter.wakes(), 1);
    assert!(matches!(waiter.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn permit_over_a_smaller_size_is_not_handed_out_again() {
    let semaphore = Semaphore::new(2);
    let held = [semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap()];
    let served = ByHand::waiting(semaphore.acquire());
    let behind = ByHand::waiting(semaphore.acquire());
    let [one, two] = held;
    drop(one);
    semaphore.resize(1);
    drop(served);
    assert_eq!((behind.wakes(), semaphore.out(), semaphore.available()), (0, 1, 0));
    drop(two);
    assert_eq!(behind.wakes(), 1);
}

#[test]
fn capacity_zero_admits_none_and_the_largest_all() {
    let semaphore = Semaphore::new(0);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    semaphore.resize(usize::MAX);
    assert_eq!((semaphore.capacity(), semaphore.available()), (usize::MAX, isize::MAX));
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn balance_counts_the_waiters() {
    let semaphore = Semaphore::new(2);
    assert_eq!(semaphore.balance(), 2);
    let held = [semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap()];
    assert_eq!(semaphore.balance(), 0);
    let waiting: Vec<_> = (0..3).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    assert_eq!((semaphore.balance(), semaphore.available()), (-3, 0));
    semaphore.resize(1);
    assert_eq!((semaphore.balance(), semaphore.available()), (-4, -1));
    drop((waiting, held));
    assert_eq!((semaphore.balance(), semaphore.available()), (1, 1));
}

#[test]
fn balance_without_a_limit_counts_permits_out() {
    let semaphore = Semaphore::new(usize::MAX);
    assert_eq!(semaphore.balance(), isize::MAX);
    let permit = semaphore.try_acquire_many(3).unwrap();
    assert_eq!((semaphore.balance(), semaphore.out()), (isize::MAX - 3, 3));
    drop(permit);
    assert_eq!((semaphore.balance(), semaphore.out()), (isize::MAX, 0));
}

#[test]
fn forgotten_permit_stays_out_until_it_is_released() {
    let semaphore = Semaphore::new(1);
    semaphore.try_acquire().unwrap().forget();
    assert_eq!((semaphore.out(), semaphore.available()), (1, 0));
    let mut waiter = ByHand::waiting(semaphore.acquire());
    semaphore.release(1);
    assert_eq!((waiter.wakes(), semaphore.out()), (1, 1));
    assert!(matches!(waiter.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn permits_released_together_go_to_one_waiter_each() {
    let semaphore = Semaphore::new(5);
    (0..5).for_each(|_| semaphore.try_acquire().unwrap().forget());
    let waiting: Vec<_> = (0..5).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    semaphore.release(3);
    let woken: Vec<_> = waiting.iter().map(ByHand::wakes).collect();
    assert_eq!(woken, [1, 1, 1, 0, 0]);
    assert_eq!((semaphore.out(), semaphore.waiting()), (5, 2));
}

#[test]
fn release_of_zero_permits_is_a_no_op() {
    let semaphore = Semaphore::new(1);
    semaphore.release(0);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 1));
}

#[test]
fn release_beyond_the_permits_out_adds_permits() {
    let semaphore = Semaphore::new(1);
    semaphore.try_acquire().unwrap().forget();
    semaphore.release(3);
    assert_eq!((semaphore.capacity(), semaphore.out(), semaphore.available()), (3, 0, 3));
    let none = Semaphore::new(0);
    let waiting = [0, 1].map(|_| ByHand::waiting(none.acquire()));
    none.release(1);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 0]);
    assert_eq!((none.capacity(), none.out(), none.waiting()), (1, 1, 1));
}

#[test]
fn release_for_a_holder_adds_one_when_its_guard_drops() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    semaphore.release(1);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 1));
    drop(held);
    assert_eq!((semaphore.capacity(), semaphore.out(), semaphore.available()), (2, 0, 2));
}

#[test]
fn releases_do_not_count_beyond_the_largest_number() {
    let semaphore = Semaphore::new(usize::MAX);
    semaphore.release(usize::MAX);
    assert_eq!((semaphore.capacity(), semaphore.out()), (usize::MAX, 0));
}

#[test]
fn added_permits_go_to_waiters_immediately() {
    let semaphore = Semaphore::new(1);
    let _held = semaphore.try_acquire().unwrap();
    let waiting = [0, 1, 2].map(|_| ByHand::waiting(semaphore.acquire()));
    semaphore.add(2);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 1, 0]);
    assert_eq!((semaphore.capacity(), semaphore.out(), semaphore.waiting()), (3, 3, 1));
    semaphore.add(0);
    assert_eq!((semaphore.capacity(), semaphore.waiting()), (3, 1));
}

#[test]
fn permits_that_cannot_be_counted_are_not_added() {
    let semaphore = Semaphore::new(2);
    let place = panics_at(|| semaphore.add(usize::MAX));
    assert_eq!(place, (file!().to_owned(), line!() - 1));
    assert_eq!((semaphore.capacity(), semaphore.available()), (2, 2));
    semaphore.add(1);
    assert_eq!(semaphore.capacity(), 3, "the refused call changed the capacity");
}

#[test]
fn permits_put_back_are_free_before_they_are_handed_out() {
    let semaphore = Semaphore::new(2);
    (0..2).for_each(|_| semaphore.try_acquire().unwrap().forget());
    let waiter = ByHand::waiting(semaphore.acquire());
    let hand_out = semaphore.put_back(2);
    assert_eq!((semaphore.available(), semaphore.waiting(), waiter.wakes()), (2, 1, 0));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    drop(hand_out);
    assert_eq!((semaphore.available(), semaphore.waiting(), waiter.wakes()), (1, 0, 1));
}

#[test]
fn more_than_are_out_cannot_be_put_back() {
    let semaphore = Semaphore::new(3);
    (0..2).for_each(|_| semaphore.try_acquire().unwrap().forget());
    semaphore.resize(2);
    let waiter = ByHand::waiting(semaphore.acquire());
    let put_back = AssertUnwindSafe(|| drop(semaphore.put_back(3)));
    let panic = catch_unwind(put_back).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "3 permits given back, 2 are out");
    assert_eq!((semaphore.out(), semaphore.waiting(), waiter.wakes()), (2, 1, 0));
    drop(semaphore.put_back(1));
    assert_eq!(waiter.wakes(), 1, "the waiter was not woken after the panic");
}

#[test]
fn putting_back_too_many_panics_at_the_line_of_the_caller() {
    let semaphore = Semaphore::new(1);
    let place = panics_at(|| drop(semaphore.put_back(1)));
    assert_eq!(place, (file!().to_owned(), line!() - 1));
}

/// The file and line that the panic of `code` names.
fn panics_at(code: impl FnOnce()) -> (String, u32) {
    thread_local! {
        static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PLACE.set(info.location().map(|place| (place.file().to_owned(), place.line())));
            before(info);
        }));
    });
    catch_unwind(AssertUnwindSafe(code)).unwrap_err();
    PLACE.take().unwrap()
}

#[test]
fn balance_and_available_are_right_at_huge_capacities() {
    const MAX: usize = usize::MAX;
    let counts = |semaphore: &Semaphore| (semaphore.available(), semaphore.balance());
    let semaphore = Semaphore::new(MAX);
    assert_eq!(counts(&semaphore), (isize::MAX, isize::MAX));
    semaphore.try_acquire_many(3).unwrap().forget();
    assert_eq!(counts(&semaphore), (isize::MAX - 3, isize::MAX - 3));
    semaphore.try_acquire_many(MAX - 3).unwrap().forget();
    assert_eq!((counts(&semaphore), semaphore.out()), ((0, 0), MAX));
    let _waiter = ByHand::waiting(semaphore.acquire());
    assert_eq!(counts(&semaphore), (0, -1));
    semaphore.release(MAX);
    assert_eq!((counts(&semaphore), semaphore.out()), ((isize::MAX - 1, isize::MAX - 1), 1));

    let half = isize::MAX.unsigned_abs();
    let semaphore = Semaphore::new(half);
    semaphore.try_acquire_many(5).unwrap().forget();
    assert_eq!(counts(&semaphore), (isize::MAX - 5, isize::MAX - 5));
    semaphore.try_acquire_many(half - 5).unwrap().forget();
    assert_eq!(counts(&semaphore), (0, 0));
    semaphore.resize(10);
    assert_eq!(counts(&semaphore), (10 - isize::MAX, 10 - isize::MAX));
}
