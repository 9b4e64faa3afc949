//! The queue of a semaphore, under every run order of its waiters.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use futures_lite::future::poll_once;
use spinney::task::joinall;
use spinney::task::spawn_on;
use spinney::{Semaphore, yield_now};
use spinney_tests::SimHub;

#[test]
fn thousand_waiters_get_permits_in_fifo_order() {
    SimHub::check(0..50, |sim| {
        let seats = Rc::new(Semaphore::new(3));
        let (came, got) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let greenlets: Vec<_> = (0..1000)
            .map(|_| {
                let (seats, came, got) = (Rc::clone(&seats), Rc::clone(&came), Rc::clone(&got));
                spawn_on(sim, async move {
                    let mut acquire = pin!(seats.acquire());
                    let at_once = poll_once(&mut acquire).await;
                    let place = came.get();
                    came.set(place + 1);
                    let seat = match at_once {
                        Some(seat) => seat,
                        None => acquire.await,
                    };
                    // Three may have been woken, and run in any order.
                    assert!(place < got.get() + 3, "waiter {place} was served after {}", got.get());
                    got.set(got.get() + 1);
                    yield_now().await;
                    drop(seat.unwrap());
                })
            })
            .collect();
        for greenlet in sim.block_on(joinall(greenlets)) {
            sim.block_on(greenlet).unwrap();
        }
        assert_eq!((got.get(), seats.available(), seats.waiting()), (1000, 3, 0));
    });
}

#[test]
fn thousand_waiters_share_one_permit_in_fifo_order() {
    SimHub::check(0..50, |sim| {
        let seat = Rc::new(Semaphore::new(0));
        let (came, got) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let greenlets: Vec<_> = (0..1000)
            .map(|n| {
                let (seat, came, got) = (Rc::clone(&seat), Rc::clone(&came), Rc::clone(&got));
                spawn_on(sim, async move {
                    let mut acquire = pin!(seat.acquire());
                    assert!(poll_once(&mut acquire).await.is_none());
                    came.borrow_mut().push(n);
                    let _seat = acquire.await.unwrap();
                    got.borrow_mut().push(n);
                })
            })
            .collect();
        sim.block_on(async {
            while came.borrow().len() < 1000 {
                yield_now().await;
            }
            seat.resize(1);
            joinall(&greenlets).await;
        });
        assert_eq!(*came.borrow(), *got.borrow());
        assert!(!came.borrow().is_sorted(), "no seed changed the order");
    });
}
