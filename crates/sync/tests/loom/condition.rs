//! Conditions that are waited for, notified and dropped at the same time.

use std::pin::pin;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use spinney_sync::{Acquire, Condition, Semaphore};

use crate::{join, model, model_within, once, spawn};

/// Items that are put and taken under a lock of one permit.
struct Shop {
    lock: Arc<Semaphore>,
    changed: Condition,
    stock: AtomicUsize,
}

impl Shop {
    fn new() -> Arc<Self> {
        let lock = Arc::new(Semaphore::new(1));
        Arc::new(Self { lock, changed: Condition::new(), stock: AtomicUsize::new(0) })
    }

    async fn take(self: Arc<Self>) {
        let permit = Acquire::of(&*self.lock).await.unwrap();
        let empty = || self.stock.load(Relaxed) == 0;
        let _permit = self.changed.wait_while(permit, empty).await.unwrap();
        self.stock.fetch_sub(1, Relaxed);
    }

    async fn put(&self) {
        let _permit = self.lock.acquire().await.unwrap();
        self.stock.fetch_add(1, Relaxed);
        self.changed.notify(1);
    }

    fn assert_at_rest(&self) {
        assert_eq!((self.lock.out(), self.lock.waiting(), self.changed.waiting()), (0, 0, 0));
    }
}

#[test]
fn no_notification_is_lost_between_the_permit_and_the_wait() {
    model(|| {
        let shop = Shop::new();
        let taker = spawn(Arc::clone(&shop).take());
        block_on(shop.put());
        taker.join().unwrap();
        shop.assert_at_rest();
    });
}

#[test]
fn two_items_reach_two_takers() {
    // More preemptions take a minute.
    model_within(2, || {
        let shop = Shop::new();
        let takers = [(); 2].map(|()| spawn(Arc::clone(&shop).take()));
        block_on(shop.put());
        block_on(shop.put());
        join(takers);
        shop.assert_at_rest();
    });
}

#[test]
fn dropped_notified_taker_passes_it_on() {
    model(|| {
        let shop = Shop::new();
        let fickle = {
            let take = Arc::clone(&shop).take();
            spawn(async move {
                let mut take = pin!(take);
                let once_more = once(&mut take).await.is_none();
                once_more && once(&mut take).await.is_none()
            })
        };
        let steady = spawn(Arc::clone(&shop).take());
        block_on(shop.put());
        // An item that one took is gone for the other.
        if !fickle.join().unwrap() {
            block_on(shop.put());
        }
        steady.join().unwrap();
        shop.assert_at_rest();
    });
}
