//! `Channel`, `PriorityQueue` and `Queue`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use spinney::sync::{Channel, PriorityQueue, ShutDown};
use spinney::{Queue, Spawn, yield_now};
use spinney_sim::SimHub;

use crate::{Cancel, LONG, work};

type Got = Rc<RefCell<Vec<u32>>>;

fn put(sim: &SimHub, queue: &Rc<Queue<u32>>, items: impl IntoIterator<Item = u32> + 'static) {
    let queue = Rc::clone(queue);
    sim.spawn(async move {
        for item in items {
            queue.put(item).await.unwrap();
        }
    });
}

fn get(sim: &SimHub, queue: &Rc<Queue<u32>>, got: &Got, count: usize) {
    let (queue, got) = (Rc::clone(queue), Rc::clone(got));
    sim.spawn(async move {
        for _ in 0..count {
            let item = queue.get().await.unwrap();
            got.borrow_mut().push(item);
        }
    });
}

/// Passes two items through a queue, each from its own task to a task that gets until the queue is
/// shut down. Returns the items that arrive and those that are refused.
fn pass_until_shutdown(sim: &SimHub) -> (Rc<Queue<u32>>, Got, Got) {
    let (queue, got, back) = (Rc::new(Queue::bounded(1)), Got::default(), Got::default());
    for item in 0..2 {
        let (queue, back) = (Rc::clone(&queue), Rc::clone(&back));
        sim.spawn(async move {
            if let Err(ShutDown(item)) = queue.put(item).await {
                back.borrow_mut().push(item);
            }
        });
    }
    let (source, sink) = (Rc::clone(&queue), Rc::clone(&got));
    sim.spawn(async move {
        while let Ok(item) = source.get().await {
            sink.borrow_mut().push(item);
        }
    });
    (queue, got, back)
}

/// Gets an item, unless cancelled before.
fn get_or_cancel(sim: &SimHub, queue: &Rc<Queue<u32>>, got: &Got, cancel: Cancel) {
    let (queue, got) = (Rc::clone(queue), Rc::clone(got));
    sim.spawn(async move {
        let item = cancel.or(queue.get()).await;
        got.borrow_mut().extend(item.map(Result::unwrap));
    });
}

/// Puts `item`, unless cancelled before; then it is taken back.
fn put_or_cancel(sim: &SimHub, queue: &Rc<Queue<u32>>, back: &Got, cancel: Cancel, item: u32) {
    let (queue, back) = (Rc::clone(queue), Rc::clone(back));
    sim.spawn(async move {
        let mut put = queue.put(item);
        if cancel.or(&mut put).await.is_none() {
            back.borrow_mut().extend(put.take_back());
        }
    });
}

#[track_caller]
fn assert_settled(queue: &Queue<u32>) {
    assert_eq!((queue.getting(), queue.putting()), (0, 0));
}

/// All of `lists` together, in order.
fn sorted(lists: &[&Got]) -> Vec<u32> {
    let mut all: Vec<_> = lists.iter().flat_map(|list| list.borrow().clone()).collect();
    all.sort_unstable();
    all
}

explore! {
    fn items_come_out_once_and_in_order(sim, 8) {
        let (queue, got) = (Rc::new(Queue::bounded(1)), Got::default());
        put(sim, &queue, 0..3);
        get(sim, &queue, &got, 3);
        sim.run_until_idle();
        assert_eq!(*got.borrow(), [0, 1, 2]);
        assert_settled(&queue);
    }

    fn two_putters_and_two_getters_lose_nothing(sim, 8) {
        let (queue, got) = (Rc::new(Queue::bounded(1)), Got::default());
        put(sim, &queue, 0..2);
        put(sim, &queue, 10..12);
        (0..2).for_each(|_| get(sim, &queue, &got, 2));
        sim.run_until_idle();
        assert_eq!(sorted(&[&got]), [0, 1, 10, 11]);
        assert_settled(&queue);
    }

    fn getter_that_is_cancelled_passes_its_item_on(sim, 8) {
        let (queue, got) = (Rc::new(Queue::bounded(1)), Got::default());
        let cancel = Cancel::at_any_time(sim);
        get_or_cancel(sim, &queue, &got, cancel);
        put(sim, &queue, 0..2);
        get(sim, &queue, &got, 1);
        sim.run_until_idle();
        let left: Got = Rc::new(RefCell::new(queue.shutdown_now()));
        assert_eq!(sorted(&[&got, &left]), [0, 1]);
        assert_settled(&queue);
    }

    fn putter_that_is_cancelled_has_its_item_back(sim, 8) {
        let (queue, got, back) = (Rc::new(Queue::bounded(1)), Got::default(), Got::default());
        put(sim, &queue, 0..1);
        let cancel = Cancel::at_any_time(sim);
        put_or_cancel(sim, &queue, &back, cancel, 1);
        get(sim, &queue, &got, 1);
        sim.run_until_idle();
        let left: Got = Rc::new(RefCell::new(queue.shutdown_now()));
        assert_eq!(sorted(&[&got, &back, &left]), [0, 1]);
        assert_settled(&queue);
    }

    fn rendezvous_ends_the_put_when_the_item_is_taken(sim, 8) {
        let (channel, taken) = (Rc::new(Channel::new()), Rc::new(Cell::new(0)));
        for item in 0..2_u32 {
            let (channel, taken) = (Rc::clone(&channel), Rc::clone(&taken));
            sim.spawn(async move {
                channel.put(item).await.unwrap();
                assert!(taken.get() > 0, "the put finished before the item was taken");
                taken.set(taken.get() - 1);
            });
        }
        for _ in 0..2 {
            let (channel, taken) = (Rc::clone(&channel), Rc::clone(&taken));
            sim.spawn(async move {
                channel.get().await.unwrap();
                taken.set(taken.get() + 1);
            });
        }
        sim.run_until_idle();
        assert_eq!((channel.balance(), channel.unfinished()), (0, 2));
    }

    fn rendezvous_outlives_a_cancelled_getter(sim, 8) {
        let (queue, got) = (Rc::new(Queue::bounded(0)), Got::default());
        let cancel = Cancel::at_any_time(sim);
        get_or_cancel(sim, &queue, &got, cancel);
        put(sim, &queue, 0..1);
        let (source, sink) = (Rc::clone(&queue), Rc::clone(&got));
        sim.spawn(async move {
            let item = source.get().await;
            sink.borrow_mut().extend(item);
        });
        sim.run_until_idle();
        assert_eq!(got.take(), [0]);
        // The getter that has no item yet.
        if queue.getting() == 1 {
            queue.put_nowait(1).unwrap();
        }
        sim.run_until_idle();
        assert_settled(&queue);
    }

    fn rendezvous_outlives_a_cancelled_putter(sim, 8) {
        let (queue, got, back) = (Rc::new(Queue::bounded(0)), Got::default(), Got::default());
        let cancel = Cancel::at_any_time(sim);
        put_or_cancel(sim, &queue, &back, cancel, 0);
        get(sim, &queue, &got, 1);
        put(sim, &queue, 1..2);
        sim.run_until_idle();
        // The put that met no getter.
        got.borrow_mut().extend(queue.get_nowait());
        sim.run_until_idle();
        assert_eq!(sorted(&[&got, &back]), [0, 1]);
        assert_settled(&queue);
    }

    fn smallest_item_of_those_put_comes_out(sim, 8) {
        let queue = Rc::new(PriorityQueue::unbounded());
        for item in [3, 1, 2] {
            let queue = Rc::clone(&queue);
            sim.spawn(async move { queue.put(item).await.unwrap() });
        }
        sim.block_on(async {
            yield_now().await;
            let there = queue.len();
            let mut got = Vec::new();
            for _ in 0..there {
                got.push(queue.get().await.unwrap());
            }
            assert!(got.is_sorted());
            for _ in there..3 {
                queue.get().await.unwrap();
            }
        });
    }

    fn peek_takes_nothing_and_sees_the_next_item(sim, 8) {
        let (queue, got) = (Rc::new(Queue::bounded(1)), Got::default());
        let (peeks, seen) = (Rc::clone(&queue), Got::default());
        let sink = Rc::clone(&seen);
        sim.spawn(async move {
            let item = peeks.peek().await.unwrap();
            sink.borrow_mut().push(item);
        });
        put(sim, &queue, 0..2);
        get(sim, &queue, &got, 1);
        sim.run_until_idle();
        assert_eq!((got.take(), queue.get_nowait()), (vec![0], Ok(1)));
        assert!(seen.borrow()[0] <= 1);
    }

    fn join_ends_when_every_item_is_done(sim, 8) {
        let (queue, done) = (Rc::new(Queue::unbounded()), Rc::new(Cell::new(0)));
        (0..2).for_each(|item| queue.put_nowait(item).unwrap());
        for _ in 0..2 {
            let (queue, done) = (Rc::clone(&queue), Rc::clone(&done));
            sim.spawn(async move {
                queue.get().await.unwrap();
                yield_now().await;
                done.set(done.get() + 1);
                queue.task_done().unwrap();
            });
        }
        let (joins, joined) = (Rc::clone(&queue), Rc::clone(&done));
        sim.spawn(async move {
            joins.join().await;
            assert_eq!(joined.get(), 2);
        });
        sim.run_until_idle();
    }

    fn shutdown_refuses_puts_and_lets_items_out(sim, 8) {
        let (queue, got, back) = pass_until_shutdown(sim);
        let shuts = Rc::clone(&queue);
        sim.spawn(async move { shuts.shutdown() });
        sim.run_until_idle();
        assert_eq!(sorted(&[&got, &back]), [0, 1]);
        assert_settled(&queue);
    }

    fn shutdown_now_leaves_no_item_and_no_waiter(sim, 8) {
        let (queue, got, back) = pass_until_shutdown(sim);
        let (shuts, drained) = (Rc::clone(&queue), Rc::clone(&back));
        sim.spawn(async move { drained.borrow_mut().extend(shuts.shutdown_now()) });
        sim.run_until_idle();
        assert_eq!(sorted(&[&got, &back]), [0, 1]);
        assert!(queue.is_empty());
        assert_settled(&queue);
    }

    fn resize_lets_waiting_puts_in(sim, 8) {
        let (queue, got) = (Rc::new(Queue::bounded(1)), Got::default());
        put(sim, &queue, 0..2);
        put(sim, &queue, 10..11);
        let resizes = Rc::clone(&queue);
        sim.spawn(async move { resizes.resize(3) });
        sim.run_until_idle();
        assert_eq!(queue.len(), 3);
        get(sim, &queue, &got, 3);
        sim.run_until_idle();
        assert_eq!(sorted(&[&got]), [0, 1, 10]);
    }

    fn rounds_of_cancelled_gets_lose_no_item(sim, 4) {
        let (queue, got) = (Rc::new(Queue::bounded(1)), Got::default());
        let cancel = Cancel::default();
        for n in 0..2 {
            let (queue, got, cancel) = (Rc::clone(&queue), Rc::clone(&got), cancel.clone());
            sim.spawn(async move {
                for _ in 0..3 {
                    let item = match n {
                        0 => cancel.or(queue.get()).await,
                        _ => Some(queue.get().await),
                    };
                    got.borrow_mut().extend(item.map(Result::unwrap));
                }
            });
        }
        put(sim, &queue, 0..6);
        sim.spawn(async move { cancel.0.set() });
        // The cancelled getter leaves one item in the queue, one in the put, and the rest.
        sim.run_until_idle();
        while queue.putting() + queue.len() > 0 {
            got.borrow_mut().extend(queue.get_nowait());
            sim.run_until_idle();
        }
        assert_eq!(sorted(&[&got]), [0, 1, 2, 3, 4, 5]);
        assert_settled(&queue);
    }

    fn rounds_over_a_rendezvous_lose_no_item(sim, 8) {
        let (queue, got, back) = (Rc::new(Queue::bounded(0)), Got::default(), Got::default());
        let cancel = Cancel::at_any_time(sim);
        for item in 0..2 {
            put_or_cancel(sim, &queue, &back, cancel.clone(), item);
        }
        get(sim, &queue, &got, 1);
        get_or_cancel(sim, &queue, &got, cancel);
        sim.run_until_idle();
        // A getter without a putter.
        if queue.getting() == 1 {
            queue.put_nowait(2).unwrap();
        }
        sim.run_until_idle();
        let all = sorted(&[&got, &back]);
        assert!(all == [0, 1] || all == [0, 1, 2], "{all:?}");
        assert_settled(&queue);
    }

    /// The cancel may come just when the item was handed over, after long work.
    fn late_getter_that_is_cancelled_loses_no_item(sim, 3) {
        let capacity = sim.choose("the queue holds an item", 2);
        let (queue, got) = (Rc::new(Queue::bounded(capacity)), Got::default());
        let cancel = Cancel::at_any_time(sim);
        get_or_cancel(sim, &queue, &got, cancel);
        let puts = Rc::clone(&queue);
        sim.spawn(async move {
            work(LONG).await;
            puts.put(7).await.unwrap();
        });
        sim.run_until_idle();
        got.borrow_mut().extend(queue.get_nowait());
        sim.run_until_idle();
        assert_eq!(*got.borrow(), [7]);
        assert_settled(&queue);
    }

    /// The same for a put, which is taken back.
    fn late_putter_that_is_cancelled_has_its_item_back(sim, 3) {
        let (queue, got, back) = (Rc::new(Queue::bounded(0)), Got::default(), Got::default());
        let cancel = Cancel::at_any_time(sim);
        put_or_cancel(sim, &queue, &back, cancel, 7);
        let (source, sink) = (Rc::clone(&queue), Rc::clone(&got));
        sim.spawn(async move {
            work(LONG).await;
            let item = source.get().await;
            sink.borrow_mut().extend(item);
        });
        sim.run_until_idle();
        // The getter remains alone, in its old place.
        if queue.getting() == 1 {
            queue.put_nowait(8).unwrap();
        }
        sim.run_until_idle();
        assert!(sorted(&[&got, &back]) == [7] || sorted(&[&got, &back]) == [7, 8]);
        assert_settled(&queue);
    }
}
