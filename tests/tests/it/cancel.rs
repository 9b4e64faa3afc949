//! Any wait may be dropped after any number of polls, whatever happened between them: nothing is
//! lost.

use std::pin::pin;
use std::sync::Arc;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::task::joinall;
use spinney::task::{iwait, killall, spawn_on, try_joinall};
use spinney::{AsyncResult, Event, GreenPile, GreenPool, Greenlet, Pool, Semaphore, yield_now};
use spinney_tests::tools::{behind, gate, stuck};
use spinney_tests::{Dropped, on_every_hub};

/// How many polls are tried.
const POLLS: usize = 4;

/// Each number of polls, with each place between them where an event may happen.
fn cancellations() -> impl Iterator<Item = (usize, usize)> {
    (0..=POLLS).flat_map(|polls| (0..=polls).map(move |at| (polls, at)))
}

/// Polls `future` by hand `polls` times, other tasks having their turns in between, and drops it;
/// before the poll `at`, `happen` is called. `Some` if it was ready.
async fn poll_then_drop<F: Future>(
    future: F,
    (polls, at): (usize, usize),
    happen: impl FnOnce(),
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut happen = Some(happen);
    for poll in 0..polls {
        if let Some(happen) = happen.take_if(|_| poll == at) {
            happen();
        }
        if let Some(output) = poll_once(future.as_mut()).await {
            return Some(output);
        }
        yield_now().await;
    }
    if let Some(happen) = happen {
        happen();
    }
    None
}

/// Asserts that after any drop of `wait` another waiter is woken, and the result is there.
async fn still_gives_its_result(
    spawn: impl Fn(Arc<Event>) -> Greenlet<u32>,
    wait: impl AsyncFn(&mut Greenlet<u32>),
) {
    for when in cancellations() {
        let open = gate();
        let mut greenlet = spawn(Arc::clone(&open));
        let handle = greenlet.handle().clone();
        let mut other = handle.join();
        assert!(poll_once(&mut other).await.is_none());
        poll_then_drop(wait(&mut greenlet), when, || open.set()).await;
        other.await;
        assert_eq!(greenlet.await.unwrap(), 42, "{when:?}");
    }
}

on_every_hub! {
    async fn dropped_wait_for_a_greenlet_loses_nothing(hub) {
        let spawn = |open| spawn_on(hub, behind(open, 42));
        still_gives_its_result(spawn, async |one| one.join().await).await;
        still_gives_its_result(spawn, async |one| drop(one.get().await)).await;
        still_gives_its_result(spawn, async |one| assert!(iwait([one]).next().await.is_some())).await;
        still_gives_its_result(spawn, async |one| drop(joinall([one]).await)).await;
        still_gives_its_result(spawn, async |one| drop(try_joinall([one]).await)).await;
    }

    async fn dropped_next_of_a_set_loses_no_greenlet(hub) {
        for when in cancellations() {
            let open = gate();
            let mut set = iwait((0..3).map(|n| spawn_on(hub, behind(Arc::clone(&open), n))));
            let early = poll_then_drop(set.next(), when, || open.set()).await.flatten();
            let mut results = Vec::new();
            for greenlet in early.into_iter().chain(set.collect::<Vec<_>>().await) {
                results.push(greenlet.await.unwrap());
            }
            results.sort_unstable();
            assert_eq!(results, [0, 1, 2], "{when:?}");
        }
    }

    async fn dropped_killall_goes_ahead(hub) {
        for when in cancellations() {
            let dropped = Dropped::default();
            let greenlets = [(), ()].map(|()| spawn_on(hub, stuck(gate(), dropped.guard())));
            poll_then_drop(killall(&greenlets), when, || ()).await;
            joinall(&greenlets).await;
            assert_eq!(dropped.count(), 2, "{when:?}");
        }
    }

    async fn dropped_acquire_loses_no_permit(_hub) {
        for when in cancellations() {
            let seats = Semaphore::new(1);
            let seat = seats.acquire().await.unwrap();
            drop(poll_then_drop(seats.acquire(), when, || drop(seat)).await);
            assert_eq!((seats.available(), seats.waiting()), (1, 0), "{when:?}");
        }
    }

    async fn dropped_acquire_passes_its_permit_on(_hub) {
        for when in cancellations() {
            let seats = Semaphore::new(1);
            let seat = seats.acquire().await.unwrap();
            let mut first = seats.acquire();
            assert!(poll_once(&mut first).await.is_none());
            let mut second = seats.acquire();
            assert!(poll_once(&mut second).await.is_none());
            drop(poll_then_drop(first, when, || drop(seat)).await);
            assert!(poll_once(&mut second).await.is_some(), "{when:?}");
        }
    }

    async fn dropped_spawn_loses_no_slot(hub) {
        for when in cancellations() {
            let (pool, open) = (Pool::on(hub, 1), gate());
            pool.spawn(behind(Arc::clone(&open), ())).await.detach();
            drop(poll_then_drop(pool.spawn(async {}), when, || open.set()).await);
            pool.wait_idle().await.unwrap();
            assert_eq!((pool.len(), pool.available()), (0, 1), "{when:?}");
        }
    }

    async fn dropped_spawn_drops_its_future_once(hub) {
        for when in cancellations() {
            let (pool, open, dropped) = (Pool::on(hub, 1), gate(), Dropped::default());
            pool.spawn(behind(Arc::clone(&open), ())).await.detach();
            let guard = dropped.guard();
            let spawn = pool.spawn(async move { drop(guard) });
            drop(poll_then_drop(spawn, when, || open.set()).await);
            pool.wait_idle().await.unwrap();
            assert_eq!(dropped.count(), 1, "{when:?}");
        }
    }

    async fn dropped_spawn_admits_the_next(hub) {
        for when in cancellations() {
            let (pool, open) = (Pool::on(hub, 1), gate());
            pool.spawn(behind(Arc::clone(&open), ())).await.detach();
            let mut first = Box::pin(pool.spawn(async {}));
            assert!(poll_once(&mut first).await.is_none());
            let mut second = Box::pin(pool.spawn(async { 42 }));
            assert!(poll_once(&mut second).await.is_none());
            drop(poll_then_drop(first, when, || open.set()).await);
            assert_eq!(second.await.await.unwrap(), 42, "{when:?}");
        }
    }

    async fn dropped_borrow_of_a_greenlet_loses_no_result(hub) {
        for when in cancellations() {
            let open = gate();
            let mut greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
            let early = poll_then_drop(&mut greenlet, when, || open.set()).await;
            let result = match early {
                Some(result) => result,
                None => greenlet.await,
            };
            assert_eq!(result.unwrap(), 42, "{when:?}");
        }
    }

    async fn dropped_join_does_not_affect_other_waiters(hub) {
        for when in cancellations() {
            let open = gate();
            let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
            let other = spawn_on(hub, greenlet.join());
            poll_then_drop(greenlet.join(), when, || open.set()).await;
            other.await.unwrap();
            assert_eq!(greenlet.await.unwrap(), 42, "{when:?}");
        }
    }

    async fn dropped_kill_goes_ahead(hub) {
        for when in cancellations() {
            let greenlet = spawn_on(hub, stuck(gate(), ()));
            poll_then_drop(greenlet.kill(), when, || ()).await;
            assert!(greenlet.await.unwrap_err().is_killed(), "{when:?}");
        }
    }

    async fn dropped_next_of_a_map_loses_no_result(hub) {
        for when in cancellations() {
            let (pool, open) = (Pool::on(hub, 2), gate());
            let opened = Arc::clone(&open);
            let mut results = pool.imap(move |n| behind(Arc::clone(&opened), n), 0..5);
            let early = poll_then_drop(results.next(), when, || open.set()).await;
            let mut all: Vec<_> = early.flatten().map(Result::unwrap).into_iter().collect();
            while let Some(result) = results.next().await {
                all.push(result.unwrap());
            }
            assert_eq!(all, [0, 1, 2, 3, 4], "{when:?}");
        }
    }

    async fn dropped_next_of_a_pile_loses_no_result(hub) {
        for when in cancellations() {
            let (pile, open) = (GreenPile::on(&GreenPool::on(hub, 3)), gate());
            for n in 0..3 {
                pile.spawn(behind(Arc::clone(&open), n)).await;
            }
            let early = poll_then_drop(pile.next(), when, || open.set()).await;
            let mut all: Vec<_> = early.flatten().map(Result::unwrap).into_iter().collect();
            while let Some(result) = pile.next().await {
                all.push(result.unwrap());
            }
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2], "{when:?}");
        }
    }

    async fn dropped_next_strands_no_other_reader_of_a_pile(hub) {
        for when in cancellations() {
            let (pile, open) = (GreenPile::on(&GreenPool::on(hub, 1)), gate());
            pile.spawn(behind(Arc::clone(&open), 42)).await;
            let mut other = pile.next();
            assert!(poll_once(&mut other).await.is_none());
            let early = poll_then_drop(pile.next(), when, || open.set()).await;
            let results = [early.flatten(), other.await].into_iter().flatten();
            assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [42], "{when:?}");
        }
    }

    async fn dropped_wait_strands_no_other_waiter_of_an_event(_hub) {
        for when in cancellations() {
            let event = Event::new();
            let mut other = Box::pin(event.wait());
            assert!(poll_once(&mut other).await.is_none());
            poll_then_drop(event.wait(), when, || event.set()).await;
            other.await;
            assert!(event.is_set(), "{when:?}");
        }
    }

    async fn dropped_get_leaves_the_result_for_others(_hub) {
        for when in cancellations() {
            let answer: AsyncResult<u32> = AsyncResult::new();
            let mut other = Box::pin(answer.get());
            assert!(poll_once(&mut other).await.is_none());
            poll_then_drop(answer.get(), when, || answer.set(42).unwrap()).await;
            assert_eq!(other.await, Ok(&42), "{when:?}");
        }
    }

    async fn dropped_join_of_a_pool_does_not_affect_others(hub) {
        for when in cancellations() {
            let (pool, open) = (Pool::on(hub, 1), gate());
            pool.spawn(behind(Arc::clone(&open), ())).await.detach();
            let mut other = Box::pin(pool.join());
            assert!(poll_once(&mut other).await.is_none());
            poll_then_drop(pool.join(), when, || open.set()).await;
            assert_eq!(other.await, Ok(()), "{when:?}");
        }
    }

    async fn dropped_idle_wait_does_not_affect_others(hub) {
        for when in cancellations() {
            let (pool, open) = (Pool::on(hub, 1), gate());
            pool.spawn(behind(Arc::clone(&open), ())).await.detach();
            let mut other = Box::pin(pool.wait_idle());
            assert!(poll_once(&mut other).await.is_none());
            poll_then_drop(pool.wait_idle(), when, || open.set()).await;
            assert_eq!(other.await, Ok(()), "{when:?}");
        }
    }

    async fn dropped_kill_of_a_pool_goes_ahead(hub) {
        for when in cancellations() {
            let (pool, dropped) = (Pool::on(hub, 2), Dropped::default());
            pool.spawn(stuck(gate(), dropped.guard())).await.detach();
            poll_then_drop(pool.kill(), when, || ()).await;
            pool.wait_idle().await.unwrap();
            assert_eq!(dropped.count(), 1, "{when:?}");
        }
    }
}
