//! Several readers of one pile: each result goes to one of them, and the cost is linear.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney_greenlet::{Greenlet, spawn_on};
use spinney_hub::{LocalHub, yield_now};
use spinney_pile::{GreenPile, GreenPool};
use spinney_sync::Event;
use spinney_test_support::{ByHand, blow_up};

type Pile = Rc<GreenPile<usize, LocalHub>>;

fn pile_on(hub: &LocalHub, size: usize) -> Pile {
    Rc::new(GreenPile::on(&GreenPool::on(hub, size)))
}

/// Spawns a task that returns 42 once the event is set.
async fn spawn_gated(pile: &GreenPile<usize, LocalHub>) -> Rc<Event> {
    let open = Rc::new(Event::new());
    let opened = Rc::clone(&open);
    let task = async move {
        opened.wait().await;
        42
    };
    pile.spawn(task).await;
    open
}

/// Starts `count` readers, each of which takes one result and counts its polls.
fn readers(
    hub: &LocalHub,
    pile: &Pile,
    count: usize,
    polls: &Rc<Cell<usize>>,
) -> Vec<Greenlet<usize>> {
    let reader = |_| {
        let (pile, polls) = (Rc::clone(pile), Rc::clone(polls));
        spawn_on(hub, async move {
            let mut next = pin!(pile.next());
            let counted = poll_fn(|cx| {
                polls.set(polls.get() + 1);
                next.as_mut().poll(cx)
            });
            counted.await.unwrap().unwrap()
        })
    };
    (0..count).map(reader).collect()
}

/// The number of polls that `count` readers need for as many tasks, which finish in as many turns.
fn polls_of(count: usize, in_spawn_order: bool) -> usize {
    let (hub, polls) = (LocalHub::new(), Rc::new(Cell::new(0)));
    let mut pile = GreenPile::on(&GreenPool::on(&hub, count));
    if in_spawn_order {
        pile = pile.in_spawn_order();
    }
    let pile = Rc::new(pile);
    let started = Rc::new(Event::new());
    hub.block_on(async {
        for n in 0..count {
            let started = Rc::clone(&started);
            let task = async move {
                started.wait().await;
                for _ in 0..n {
                    yield_now().await;
                }
                n
            };
            pile.spawn(task).await;
        }
        let readers = readers(&hub, &pile, count, &polls);
        yield_now().await;
        started.set();
        let mut results = Vec::new();
        for reader in readers {
            results.push(reader.await.unwrap());
        }
        results.sort_unstable();
        assert_eq!(results, (0..count).collect::<Vec<_>>());
    });
    polls.get()
}

#[test]
fn each_reader_of_a_pile_is_polled_a_few_times() {
    for in_spawn_order in [false, true] {
        let polls = polls_of(500, in_spawn_order);
        assert!(polls <= 4 * 500, "{polls} polls of 500 readers");
    }
}

#[test]
fn spawn_into_a_pile_does_not_poll_all_its_readers() {
    let (hub, polls) = (LocalHub::new(), Rc::new(Cell::new(0)));
    let pile = pile_on(&hub, 1000);
    hub.block_on(async {
        pile.spawn(std::future::pending()).await;
        let readers = readers(&hub, &pile, 500, &polls);
        yield_now().await;
        for _ in 0..500 {
            pile.spawn(std::future::pending()).await;
            yield_now().await;
        }
        assert!(polls.get() <= 4 * 500, "{} polls of 500 readers", polls.get());
        assert!(readers.iter().all(|reader| !reader.is_ready()));
    });
}

#[test]
fn woken_reader_that_leaves_wakes_the_next() {
    let hub = LocalHub::new();
    let pile = pile_on(&hub, 2);
    hub.block_on(async {
        let open = spawn_gated(&pile).await;
        let (mut first, mut second) = (ByHand::of(pile.next()), ByHand::of(pile.next()));
        assert!(first.poll().is_pending() && second.poll().is_pending());
        open.set();
        yield_now().await;
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(first);
        assert_eq!(second.wakes(), 1);
        assert!(second.poll().is_ready());
    });
}

/// A waker that panics.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        blow_up("a waker");
    }
}

#[test]
fn reader_with_a_panicking_waker_passes_its_wake_on() {
    let hub = LocalHub::new();
    let pile = pile_on(&hub, 1);
    hub.block_on(async {
        let task = pile.spawn(std::future::pending()).await;
        let broken = Waker::from(Arc::new(Broken));
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(pile.next())).collect();
        for next in &mut waits {
            assert!(next.as_mut().poll(&mut Context::from_waker(&broken)).is_pending());
        }
        let mut next = ByHand::waiting(pile.next());
        task.kill().await;
        assert_eq!(next.wakes(), 1);
        assert!(next.poll().is_ready());
    });
}

#[test]
fn readers_of_an_exhausted_pile_are_all_woken() {
    let hub = LocalHub::new();
    let pile = pile_on(&hub, 2);
    hub.block_on(async {
        let open = spawn_gated(&pile).await;
        let mut all: Vec<_> = (0..10).map(|_| ByHand::of(pile.next())).collect();
        assert!(all.iter_mut().all(|next| next.poll().is_pending()));
        open.set();
        yield_now().await;
        assert!(all[0].poll().is_ready());
        assert!(all[1..].iter().all(|next| next.wakes() == 1));
        assert!(all[1..].iter_mut().all(|next| next.poll().is_ready()));
    });
}

#[test]
fn reader_behind_a_dropped_spawn_is_woken() {
    let hub = LocalHub::new();
    let pile = pile_on(&hub, 1);
    hub.block_on(async {
        let _busy = pile.pool().spawn(std::future::pending::<usize>()).await;
        let mut spawn = Box::pin(pile.spawn(async { 42 }));
        assert!(poll_once(spawn.as_mut()).await.is_none());
        let mut next = ByHand::waiting(pile.next());
        drop(spawn);
        assert!(next.wakes() > 0 && next.poll().is_ready());
    });
}

#[test]
fn dropped_read_of_the_stream_delays_no_reader() {
    let hub = LocalHub::new();
    let mut pile = GreenPile::on(&GreenPool::on(&hub, 1));
    hub.block_on(async {
        let open = spawn_gated(&pile).await;
        for _ in 0..3 {
            assert!(poll_once(StreamExt::next(&mut pile)).await.is_none());
        }
        let mut next = ByHand::waiting(pile.next());
        open.set();
        yield_now().await;
        assert_eq!(next.wakes(), 1);
        assert!(next.poll().is_ready());
        drop(next);
        assert!(Pin::new(&mut pile).next().await.is_none());
    });
}
