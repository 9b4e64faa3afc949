//! Each wait is dropped at each point of its life, and the state that it leaves behind is checked.

use std::sync::Arc;

use spinney_sync::{
    Acquire, AsyncResult, Barrier, BoundedSemaphore, Condition, Event, Latch, RLock, Semaphore,
};
use spinney_test_support::ByHand;

/// One kind of wait, and its surroundings.
struct Scene<W, F> {
    /// Creates the objects.
    world: fn() -> W,
    /// Waits for the effect of the steps.
    wait: fn(Arc<W>) -> F,
    /// How many steps another task takes meanwhile.
    steps: usize,
    /// Takes the step of this number, from 0.
    step: fn(&Arc<W>, usize),
    /// Serves the second waiter, after the first one has finished (`true`) or was dropped
    /// (`false`). A lost permit or item would be missing here.
    rest: fn(&Arc<W>, bool),
    /// Asserts that nothing is held and no task waits.
    at_rest: fn(&W),
}

impl<W, F: Future> Scene<W, F> {
    /// Starts two waiters. The first is polled before and after each step, until it is dropped: in
    /// one run before its first poll, in the next after it, in the next after the following step,
    /// and so on. The second is polled whenever it is woken.
    fn drop_at_each_point(&self) {
        let polls_and_steps = 2 * self.steps + 1;
        for point in 0..=polls_and_steps {
            let world = Arc::new((self.world)());
            let mut first = Some(ByHand::of((self.wait)(Arc::clone(&world))));
            let mut came_to_its_end = false;
            let mut second = None;
            for turn in 0..polls_and_steps {
                if turn == point {
                    first = None;
                }
                if turn % 2 == 1 {
                    (self.step)(&world, turn / 2);
                } else if first.as_mut().is_some_and(|first| first.poll().is_ready()) {
                    (came_to_its_end, first) = (true, None);
                }
                let second =
                    second.get_or_insert_with(|| Woken::waiting((self.wait)(Arc::clone(&world))));
                second.poll_if_woken();
            }
            drop(first);
            (self.rest)(&world, came_to_its_end);
            let mut second = second.expect("the second waiter starts after the first poll");
            second.poll_if_woken();
            assert!(second.future.is_none(), "the second waiter is stuck, drop point {point}");
            (self.at_rest)(&world);
        }
    }
}

/// A future that is polled only when it is woken, and dropped at its end.
struct Woken<F> {
    future: Option<ByHand<F>>,
    wakes_seen: usize,
}

impl<F: Future> Woken<F> {
    fn waiting(future: F) -> Self {
        Self { future: Some(ByHand::waiting(future)), wakes_seen: 0 }
    }

    fn poll_if_woken(&mut self) {
        while let Some(future) = self.future.as_mut().filter(|f| f.wakes() > self.wakes_seen) {
            self.wakes_seen = future.wakes();
            if future.poll().is_ready() {
                self.future = None;
            }
        }
    }
}

fn assert_free(semaphore: &Semaphore, permits: usize) {
    assert_eq!((semaphore.out(), semaphore.waiting(), semaphore.capacity()), (0, 0, permits));
}

#[test]
fn event_wait() {
    Scene {
        world: Event::new,
        wait: |event| async move { event.wait().await },
        steps: 2,
        step: |event, step| if step == 0 { event.set() } else { event.clear() },
        rest: |_, _| (),
        at_rest: |event| assert!(!event.is_set()),
    }
    .drop_at_each_point();
}

#[test]
fn async_result_get() {
    Scene {
        world: AsyncResult::<u32>::new,
        wait: |result| async move { assert_eq!(result.get().await, Ok(&7)) },
        steps: 1,
        step: |result, _| result.set(7).unwrap(),
        rest: |_, _| (),
        at_rest: |result| assert!(result.is_successful()),
    }
    .drop_at_each_point();
}

/// A semaphore whose permits are all out, without a guard.
fn taken(permits: usize) -> Semaphore {
    let semaphore = Semaphore::new(permits);
    semaphore.try_acquire_many(permits).unwrap().forget();
    semaphore
}

#[test]
fn semaphore_acquire() {
    Scene {
        world: || taken(1),
        wait: |semaphore| async move { drop(semaphore.acquire().await.unwrap()) },
        steps: 1,
        step: |semaphore, _| semaphore.release(1),
        rest: |_, _| (),
        at_rest: |semaphore| assert_free(semaphore, 1),
    }
    .drop_at_each_point();
}

#[test]
fn semaphore_acquire_many() {
    Scene {
        world: || taken(3),
        wait: |semaphore| async move { drop(semaphore.acquire_many(2).await.unwrap()) },
        steps: 3,
        step: |semaphore, _| semaphore.release(1),
        rest: |_, _| (),
        at_rest: |semaphore| assert_free(semaphore, 3),
    }
    .drop_at_each_point();
}

#[test]
fn semaphore_acquire_over_a_pointer() {
    Scene {
        world: || Arc::new(taken(2)),
        wait: |semaphore| Acquire::many(Arc::clone(&*semaphore), 2),
        steps: 2,
        step: |semaphore, _| semaphore.release(1),
        rest: |_, _| (),
        at_rest: |semaphore| assert_free(semaphore, 2),
    }
    .drop_at_each_point();
}

#[test]
fn semaphore_wait_idle() {
    Scene {
        world: || taken(2),
        wait: |semaphore| async move { semaphore.wait_idle().await },
        steps: 2,
        step: |semaphore, _| semaphore.release(1),
        rest: |_, _| (),
        at_rest: |semaphore| assert_free(semaphore, 2),
    }
    .drop_at_each_point();
}

#[test]
fn bounded_semaphore_acquire() {
    Scene {
        world: || {
            let semaphore = BoundedSemaphore::new(2);
            semaphore.try_acquire_many(2).unwrap().forget();
            semaphore
        },
        wait: |semaphore| async move {
            drop(semaphore.acquire().await.unwrap());
            drop(semaphore.acquire_many(2).await.unwrap());
        },
        steps: 2,
        step: |semaphore, _| semaphore.release(1).unwrap(),
        rest: |_, _| (),
        at_rest: |semaphore| assert_eq!((semaphore.available(), semaphore.waiting()), (2, 0)),
    }
    .drop_at_each_point();
}

#[test]
fn rlock_acquire() {
    Scene {
        world: || {
            let lock = RLock::new();
            (0..2).for_each(|_| lock.try_acquire("me").unwrap().forget());
            lock
        },
        wait: |lock| async move { drop(lock.acquire("you").await) },
        steps: 2,
        step: |lock, _| lock.release(&"me").unwrap(),
        rest: |_, _| (),
        at_rest: |lock| assert_eq!((lock.depth(), lock.waiting()), (0, 0)),
    }
    .drop_at_each_point();
}

type Guarded = (Semaphore, Condition);

/// The notification comes before the permit, so that there is a point between the two.
fn notify_and_let_in((lock, condition): &Guarded, step: usize) {
    if step == 0 {
        lock.try_acquire().unwrap().forget();
        condition.notify(1);
    } else {
        lock.release(1);
    }
}

fn assert_unguarded((lock, condition): &Guarded) {
    assert_free(lock, 1);
    assert_eq!(condition.waiting(), 0);
}

#[test]
fn condition_wait() {
    Scene {
        world: || (Semaphore::new(1), Condition::new()),
        wait: |world| async move {
            let permit = world.0.acquire().await.unwrap();
            drop(world.1.wait(permit).await.unwrap());
        },
        steps: 2,
        step: |world, step| notify_and_let_in(world, step),
        // A waiter that has finished had the notification.
        rest: |world, first_ended| world.1.notify(usize::from(first_ended)),
        at_rest: assert_unguarded,
    }
    .drop_at_each_point();
}

#[test]
fn condition_wait_while() {
    Scene {
        world: || (Semaphore::new(1), Condition::new()),
        wait: |world| async move {
            let (permit, mut looks) = (world.0.acquire().await.unwrap(), 0);
            let first_look = || {
                looks += 1;
                looks == 1
            };
            drop(world.1.wait_while(permit, first_look).await.unwrap());
        },
        steps: 2,
        step: |world, step| notify_and_let_in(world, step),
        rest: |world, first_ended| world.1.notify(usize::from(first_ended)),
        at_rest: assert_unguarded,
    }
    .drop_at_each_point();
}

#[test]
fn barrier_wait() {
    Scene {
        world: || Barrier::new(3),
        wait: |barrier| async move { barrier.wait().await },
        // A third task waits, and is dropped immediately if one of the others is gone.
        steps: 1,
        step: |barrier, _| {
            assert_eq!(barrier.waiting() == 2, ByHand::of(barrier.wait()).poll().is_ready());
        },
        rest: |barrier, _| {
            if barrier.waiting() > 0 {
                assert_eq!(barrier.waiting(), 1, "a dropped waiter counts");
                let _third = ByHand::waiting(barrier.wait());
                assert!(ByHand::of(barrier.wait()).poll().is_ready());
            }
        },
        at_rest: |barrier| assert_eq!(barrier.waiting(), 0),
    }
    .drop_at_each_point();
}

#[test]
fn latch_wait() {
    Scene {
        world: || Latch::new(2),
        wait: |latch| async move { latch.wait().await },
        steps: 2,
        step: |latch, _| latch.count_down(),
        rest: |_, _| (),
        at_rest: |latch| assert!(latch.is_open()),
    }
    .drop_at_each_point();
}
