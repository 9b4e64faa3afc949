//! A greenlet that is killed while it waits for its turn, or as it gets the turn, passes it on to
//! the next.

use std::sync::Arc;

use spinney::sync::{
    Acquire, Barrier, BoundedSemaphore, Channel, Condition, JoinableQueue, Latch, PriorityQueue,
    RLock,
};
use spinney::task::{Owner, spawn_on};
use spinney::{Queue, Semaphore, Spawn, yield_now};
use spinney_greenlet::Task;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{gate, polled};

type Wait = spinney::hub::BoxTask;

/// When the first is killed: before its turn, or this many turns of others after it.
const WHEN: [Option<usize>; 4] = [None, Some(0), Some(1), Some(3)];

/// Two greenlets wait. The first is killed around the moment when `let_one_in` admits one of them;
/// then the second goes on, after another turn if `used` reports that the first had its own.
async fn passes_its_turn_on(
    hub: &impl Spawn<Task<Wait>>,
    wait: impl Fn(usize) -> Wait,
    let_one_in: impl Fn(),
    used: impl Fn(bool) -> bool,
    turns: Option<usize>,
) {
    let [first, second] = {
        let (mut waiting, at_wait) = (Vec::new(), [gate(), gate()]);
        for (n, waits) in at_wait.into_iter().enumerate() {
            let wait: Wait = Box::pin(polled(Arc::clone(&waits), wait(n)));
            waiting.push(spawn_on(hub, wait));
            waits.wait().await;
        }
        <[_; 2]>::try_from(waiting).unwrap()
    };
    if let Some(turns) = turns {
        let_one_in();
        for _ in 0..turns {
            yield_now().await;
        }
        first.kill().await;
        if used(first.is_successful()) {
            let_one_in();
        }
    } else {
        first.kill().await;
        let_one_in();
    }
    second.await.unwrap();
}

/// It had its turn if it has finished.
fn if_it_went_on(went_on: bool) -> bool {
    went_on
}

on_every_hub! {
    async fn killed_acquire_passes_its_permit_on(hub) {
        for when in WHEN {
            let seats = Arc::new(Semaphore::new(0));
            let wait = |_| -> Wait {
                let seats = Arc::clone(&seats);
                Box::pin(async move { seats.acquire().await.unwrap().forget() })
            };
            passes_its_turn_on(hub, wait, || seats.add(1), if_it_went_on, when).await;
            assert_eq!((seats.available(), seats.waiting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_acquire_of_many_passes_all_permits_on(hub) {
        for when in WHEN {
            let seats = Arc::new(Semaphore::new(0));
            let wait = |_| -> Wait {
                let seats = Arc::clone(&seats);
                Box::pin(async move { Acquire::many(&*seats, 3).await.unwrap().forget() })
            };
            passes_its_turn_on(hub, wait, || seats.add(3), if_it_went_on, when).await;
            assert_eq!((seats.available(), seats.waiting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_bounded_acquire_passes_its_permit_on(hub) {
        for when in WHEN {
            let seats = Arc::new(BoundedSemaphore::new(1));
            seats.try_acquire().unwrap().forget();
            let wait = |_| -> Wait {
                let seats = Arc::clone(&seats);
                Box::pin(async move { seats.acquire().await.unwrap().forget() })
            };
            passes_its_turn_on(hub, wait, || seats.release(1).unwrap(), if_it_went_on, when).await;
            assert_eq!((seats.available(), seats.waiting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_get_leaves_the_item_to_the_next(hub) {
        for when in WHEN {
            let queue = Arc::new(Queue::unbounded());
            let wait = |_| -> Wait {
                let queue = Arc::clone(&queue);
                Box::pin(async move { assert!(queue.get().await.is_ok()) })
            };
            let put = || queue.put_nowait("an item").unwrap();
            passes_its_turn_on(hub, wait, put, if_it_went_on, when).await;
            assert_eq!((queue.len(), queue.getting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_priority_get_leaves_the_item_to_the_next(hub) {
        for when in WHEN {
            let queue = Arc::new(PriorityQueue::bounded(1));
            let wait = |_| -> Wait {
                let queue = Arc::clone(&queue);
                Box::pin(async move { assert!(queue.get().await.is_ok()) })
            };
            let put = || queue.put_nowait(7).unwrap();
            passes_its_turn_on(hub, wait, put, if_it_went_on, when).await;
            assert_eq!((queue.len(), queue.getting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_peek_delays_no_other(hub) {
        for when in WHEN {
            let queue = Arc::new(Queue::unbounded());
            let wait = |n| -> Wait {
                let queue = Arc::clone(&queue);
                Box::pin(async move {
                    let wait = async {
                        if n == 0 { queue.peek().await } else { queue.get().await }
                    };
                    assert_eq!(wait.await, Ok("an item"));
                })
            };
            let put = || queue.put_nowait("an item").unwrap();
            passes_its_turn_on(hub, wait, put, |_| false, when).await;
            assert_eq!((queue.len(), queue.getting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_put_leaves_the_room_to_the_next(hub) {
        for when in WHEN {
            let queue = Arc::new(Queue::bounded(1));
            queue.put_nowait(2).unwrap();
            let wait = |n| -> Wait {
                let queue = Arc::clone(&queue);
                Box::pin(async move { queue.put(n).await.unwrap() })
            };
            let get = || assert!(queue.get_nowait().is_ok());
            // Its item may have been put, although it was killed before it could go on.
            passes_its_turn_on(hub, wait, get, |_| queue.peek_nowait() == Ok(0), when).await;
            assert_eq!((queue.get_nowait(), queue.putting()), (Ok(1), 0), "{when:?}");
        }
    }

    async fn killed_channel_get_leaves_the_item_to_the_next(hub) {
        for when in WHEN {
            let channel = Arc::new(Channel::new());
            let wait = |_| -> Wait {
                let channel = Arc::clone(&channel);
                Box::pin(async move { assert!(channel.get().await.is_ok()) })
            };
            let put = || channel.put_nowait("an item").unwrap();
            passes_its_turn_on(hub, wait, put, if_it_went_on, when).await;
            assert_eq!((channel.balance(), channel.len()), (0, 0), "{when:?}");
        }
    }

    async fn killed_lock_waiter_passes_the_lock_on(hub) {
        for when in WHEN {
            let lock = Arc::new(RLock::new());
            lock.try_acquire(None).unwrap().forget();
            let wait = |_| -> Wait {
                let lock = Arc::clone(&lock);
                Box::pin(async move {
                    let owner = Some(Owner::current());
                    let _outer = lock.acquire(owner).await;
                    let _inner = lock.acquire(owner).await;
                })
            };
            let release = || lock.release(&None).unwrap();
            passes_its_turn_on(hub, wait, release, |_| false, when).await;
            assert_eq!((lock.depth(), lock.waiting()), (0, 0), "{when:?}");
        }
    }

    async fn killed_condition_waiter_passes_the_notification_on(hub) {
        for when in WHEN {
            let (lock, changed) = (Arc::new(Semaphore::new(1)), Arc::new(Condition::new()));
            let wait = |_| -> Wait {
                let (lock, changed) = (Arc::clone(&lock), Arc::clone(&changed));
                Box::pin(async move {
                    let permit = Acquire::of(&*lock).await.unwrap();
                    drop(changed.wait(permit).await.unwrap());
                })
            };
            passes_its_turn_on(hub, wait, || changed.notify(1), if_it_went_on, when).await;
            assert_eq!((lock.available(), changed.waiting()), (1, 0), "{when:?}");
        }
    }

    async fn killed_latch_join_or_idle_wait_delays_no_other(hub) {
        for when in WHEN {
            let latch = Arc::new(Latch::new(1));
            let wait = |_| -> Wait {
                let latch = Arc::clone(&latch);
                Box::pin(async move { latch.wait().await })
            };
            passes_its_turn_on(hub, wait, || latch.count_down(), |_| false, when).await;

            let jobs = Arc::new(JoinableQueue::unbounded());
            jobs.put_nowait("a job").unwrap();
            let wait = |_| -> Wait {
                let jobs = Arc::clone(&jobs);
                Box::pin(async move { jobs.join().await })
            };
            passes_its_turn_on(hub, wait, || jobs.task_done().unwrap(), |_| false, when).await;

            let seats = Arc::new(Semaphore::new(1));
            seats.try_acquire().unwrap().forget();
            let wait = |_| -> Wait {
                let seats = Arc::clone(&seats);
                Box::pin(async move { seats.wait_idle().await })
            };
            passes_its_turn_on(hub, wait, || seats.release(1), |_| false, when).await;
        }
    }

    async fn killed_barrier_waiter_does_not_count(hub) {
        let barrier = Arc::new(Barrier::new(2));
        let come = |waits| {
            let barrier = Arc::clone(&barrier);
            spawn_on(hub, async move { polled(waits, barrier.wait()).await })
        };
        let waits = gate();
        let first = come(Arc::clone(&waits));
        waits.wait().await;
        first.kill().await;
        assert_eq!(barrier.waiting(), 0);
        let others = [come(gate()), come(gate())];
        let mut leaders = 0;
        for other in others {
            leaders += usize::from(other.await.unwrap());
        }
        assert_eq!((leaders, barrier.waiting()), (1, 0));
    }
}
