//! Ready awaits use the budget of their poll; an await that finds it used up is deferred once.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_lite::future::{block_on, or};
use spinney_sync::{
    Acquire, AsyncResult, Barrier, BoundedSemaphore, Budget, BudgetedAwait, Channel, Condition,
    Event, Latch, PriorityQueue, Queue, RLock, Semaphore,
};
use spinney_test_support::ByHand;

const BUDGET: usize = 128;

type Await = Pin<Box<dyn Future<Output = ()>>>;

/// Creates a ready await.
type Make = Box<dyn Fn() -> Await>;

fn row<W: 'static, F: Future + 'static>(
    name: &'static str,
    world: W,
    wait: impl Fn(Arc<W>) -> F + 'static,
) -> (&'static str, Make) {
    let world = Arc::new(world);
    let make = move || {
        let ready = wait(Arc::clone(&world));
        Box::pin(async { drop(ready.await) }) as Await
    };
    (name, Box::new(make))
}

fn shut_down<T>(queue: Queue<T>) -> Queue<T> {
    queue.shutdown();
    queue
}

/// Each await of the crate, in a state in which it is ready.
fn table() -> Vec<(&'static str, Make)> {
    let mut table = locks();
    table.extend(queues());
    table
}

fn locks() -> Vec<(&'static str, Make)> {
    let set = || {
        let event = Event::new();
        event.set();
        event
    };
    let closed = || {
        let semaphore = Semaphore::new(1);
        semaphore.close();
        semaphore
    };
    let done = || {
        let result = AsyncResult::<u32>::new();
        result.set(7).unwrap();
        result
    };
    vec![
        row("Event::wait", set(), |event| async move { event.wait().await }),
        row("AsyncResult::get", done(), |result| async move { *result.get().await.unwrap() }),
        row("Semaphore::acquire", Semaphore::new(1), |semaphore| async move {
            drop(semaphore.acquire().await.unwrap());
        }),
        row("Semaphore::acquire_many", Semaphore::new(1), |semaphore| async move {
            drop(semaphore.acquire_many(0).await.unwrap());
        }),
        row("Semaphore::acquire, closed", closed(), |semaphore| async move {
            semaphore.acquire().await.unwrap_err();
        }),
        row("Acquire::of", Semaphore::new(1), Acquire::of),
        row("Semaphore::wait_idle", Semaphore::new(1), |semaphore| async move {
            semaphore.wait_idle().await;
        }),
        row("BoundedSemaphore::acquire", BoundedSemaphore::new(1), |semaphore| async move {
            drop(semaphore.acquire().await.unwrap());
        }),
        row("RLock::acquire", RLock::new(), |lock| async move { drop(lock.acquire(1).await) }),
        row("Condition::wait_while", (Semaphore::new(1), Condition::new()), |world| async move {
            let permit = world.0.try_acquire().unwrap();
            drop(world.1.wait_while(permit, || false).await.unwrap());
        }),
        row("Barrier::wait", Barrier::new(1), |barrier| async move { barrier.wait().await }),
        row("Latch::wait", Latch::new(0), |latch| async move { latch.wait().await }),
    ]
}

fn queues() -> Vec<(&'static str, Make)> {
    vec![
        row("Queue::put", Queue::unbounded(), |queue| async move { queue.put(1).await.unwrap() }),
        row("PriorityQueue::put", PriorityQueue::unbounded(), |queue| async move {
            queue.put(1).await.unwrap();
        }),
        row("Queue::put, shut down", shut_down(Queue::bounded(1)), |queue| async move {
            queue.put(1).await.unwrap_err();
        }),
        row("Queue::get", Queue::unbounded(), |queue| async move {
            queue.put_nowait(1).unwrap();
            queue.get().await.unwrap()
        }),
        row("Queue::get, shut down", shut_down(Queue::<u32>::bounded(1)), |queue| async move {
            queue.get().await.unwrap_err();
        }),
        row(
            "Queue::peek",
            Queue::from_iter([1]),
            |queue| async move { queue.peek().await.unwrap() },
        ),
        row("Queue::join", Queue::<u32>::unbounded(), |queue| async move { queue.join().await }),
        row("Channel::get", Channel::new(), |channel| async move {
            let mut putter = ByHand::waiting(channel.put(1));
            assert!(putter.poll().is_pending(), "the put may have been deferred");
            channel.get().await.unwrap()
        }),
        row("Channel::put, shut down", shut_down(Queue::bounded(0)), |channel| async move {
            channel.put(1).await.unwrap_err();
        }),
        #[cfg(feature = "stream")]
        row("Items::next", Queue::unbounded(), |queue| async move {
            queue.put_nowait(1).unwrap();
            futures_lite::StreamExt::next(&mut queue.into_stream()).await.unwrap()
        }),
        #[cfg(feature = "stream")]
        row("Items::next, ended", shut_down(Queue::<u32>::unbounded()), |queue| async move {
            assert!(futures_lite::StreamExt::next(&mut queue.stream()).await.is_none());
        }),
    ]
}

/// Polls `future` like a poller does, with a budget of its own.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let _budget = Budget::open();
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Uses up the rest of the budget, and returns how much it was.
fn spend() -> usize {
    let mut spent = 0;
    let mut spender = pin!(async {
        loop {
            let mut budgeted = BudgetedAwait::default();
            poll_fn(|cx| budgeted.poll(cx, |_| Poll::Ready(()))).await;
            spent += 1;
        }
    });
    let polled: Poll<()> = spender.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    spent
}

#[test]
fn endless_loop_of_ready_awaits_ends_its_poll() {
    for (name, make) in table() {
        let mut awaits = 0;
        {
            let mut endless = pin!(async {
                loop {
                    make().await;
                    awaits += 1;
                    assert!(awaits <= 3 * BUDGET, "{name} never yields");
                }
            });
            for _ in 0..3 {
                let polled: Poll<()> = poll(endless.as_mut());
                assert!(polled.is_pending());
            }
        }
        assert_eq!(awaits, 3 * BUDGET, "{name}");
    }
}

#[test]
fn every_await_is_deferred_at_most_once() {
    for (name, make) in table() {
        let _budget = Budget::open();
        assert_eq!(spend(), BUDGET);
        let mut put_off = ByHand::of(make());
        assert!(put_off.poll().is_pending(), "{name}");
        assert_eq!(put_off.wakes(), 1, "{name}: its task was not woken");
        assert!(put_off.poll().is_ready(), "{name}");
    }
}

#[test]
fn served_await_is_deferred_at_most_once() {
    let (semaphore, barrier, lock) = (Semaphore::new(0), Barrier::new(2), RLock::new());
    let (queue, event) = (Queue::unbounded(), Event::new());
    let held = lock.try_acquire(1).unwrap();
    let mut waiting: Vec<ByHand<Pin<Box<dyn Future<Output = ()> + '_>>>> = vec![
        ByHand::waiting(Box::pin(async { drop(semaphore.acquire().await) })),
        ByHand::waiting(Box::pin(async { _ = barrier.wait().await })),
        ByHand::waiting(Box::pin(async { drop(lock.acquire(2).await) })),
        ByHand::waiting(Box::pin(async { _ = queue.get().await })),
        ByHand::waiting(Box::pin(async { event.wait().await })),
    ];
    semaphore.add(1);
    assert!(ByHand::of(barrier.wait()).poll().is_ready());
    drop(held);
    queue.put_nowait(1).unwrap();
    event.set();
    let _budget = Budget::open();
    spend();
    for served in &mut waiting {
        let woken = served.wakes();
        assert!(served.poll().is_pending());
        assert_eq!(served.wakes(), woken + 1);
        assert!(served.poll().is_ready());
    }
}

#[test]
fn notified_wait_of_a_condition_is_deferred_once() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let permit = lock.try_acquire().unwrap();
    let mut waits = 0;
    let unfit = || {
        waits += 1;
        waits == 1
    };
    let mut waiter = ByHand::waiting(condition.wait_while(permit, unfit));
    condition.notify(1);
    let _budget = Budget::open();
    spend();
    assert!(waiter.poll().is_pending());
    assert!(waiter.poll().is_ready());
}

#[test]
fn pending_await_uses_no_budget() {
    let _budget = Budget::open();
    let event = Event::new();
    for _ in 0..1000 {
        drop(ByHand::waiting(event.wait()));
    }
    assert_eq!(spend(), BUDGET);
}

#[test]
fn second_branch_is_polled_within_two_polls() {
    let (event, semaphore) = (Event::new(), Semaphore::new(1));
    event.set();
    let greedy = async {
        loop {
            event.wait().await;
        }
    };
    let mut both = pin!(or(greedy, semaphore.acquire()));
    assert!(poll(both.as_mut()).is_pending());
    assert!(poll(both.as_mut()).is_ready());
}

#[test]
fn loop_of_two_ready_branches_yields() {
    let (event, semaphore) = (Event::new(), Semaphore::new(1));
    event.set();
    let mut rounds = 0;
    {
        let mut endless = pin!(async {
            loop {
                or(event.wait(), async { drop(semaphore.acquire().await) }).await;
                rounds += 1;
                assert!(rounds <= 20 * BUDGET, "the loop never yields");
            }
        });
        for _ in 0..10 {
            let polled: Poll<()> = poll(endless.as_mut());
            assert!(polled.is_pending());
        }
    }
    assert!(rounds >= 10 * (BUDGET - 1), "{rounds}");
}

#[test]
fn inner_budget_restores_the_outer_one() {
    let _outer = Budget::open();
    let event = Event::new();
    event.set();
    for _ in 0..100 {
        assert!(ByHand::of(event.wait()).poll().is_ready());
    }
    {
        let _inner = Budget::open();
        assert_eq!(spend(), BUDGET);
    }
    assert_eq!(spend(), BUDGET - 100);
}

#[test]
fn await_without_a_budget_is_never_deferred() {
    for (_, make) in table() {
        let mut many = pin!(async {
            for _ in 0..10 * BUDGET {
                make().await;
            }
        });
        assert!(many.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}

#[test]
fn foreign_block_on_goes_on_without_budget() {
    let _budget = Budget::open();
    spend();
    for (_, make) in table() {
        for _ in 0..10 {
            block_on(make());
        }
    }
}
