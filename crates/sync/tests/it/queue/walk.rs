//! Random walks through the states of a queue: after each step no servable waiter is pending, and
//! in the end each item that was put was got once.

use std::collections::BTreeSet;
use std::task::Poll;

use fastrand::Rng;
use spinney_sync::{Get, LifoQueue, Order, OrderedQueue, Peek, PriorityQueue, Put, Queue};
use spinney_test_support::ByHand;

use super::order::drain;

const WALKS: u64 = 300;
const STEPS: usize = 200;

enum Waiting<'a, O: Order<u32>> {
    Put(u32, ByHand<Put<'a, u32, O>>),
    Get(ByHand<Get<'a, u32, O>>),
    Peek(ByHand<Peek<'a, u32, O>>),
}

struct Walk<'a, O: Order<u32>> {
    queue: &'a OrderedQueue<u32, O>,
    /// The smallest capacity. With 0 a getter and a putter meet: both are woken, and one of the
    /// wake-ups is spurious if the other leaves or has not run yet.
    least: usize,
    rng: Rng,
    next: u32,
    /// The waiters, each with its number of wake-ups before its last poll.
    waiting: Vec<(usize, Waiting<'a, O>)>,
    /// Items whose put has succeeded.
    put: BTreeSet<u32>,
    got: BTreeSet<u32>,
}

impl<'a, O: Order<u32>> Walk<'a, O> {
    fn step(&mut self) {
        let queue = self.queue;
        match self.rng.u8(..16) {
            0..4 => {
                let item = self.item();
                self.poll(Waiting::Put(item, ByHand::of(queue.put(item))));
            }
            4..8 => self.poll(Waiting::Get(ByHand::of(queue.get()))),
            8 => self.poll(Waiting::Peek(ByHand::of(queue.peek()))),
            9 => {
                let item = self.item();
                if queue.put_nowait(item).is_ok() {
                    self.put.insert(item);
                }
            }
            10 => self.got(queue.get_nowait().ok()),
            11 => queue.resize(self.rng.usize(self.least..4)),
            12 | 13 => drop(self.any()),
            _ => {
                if let Some(waiting) = self.any() {
                    self.poll(waiting);
                }
            }
        }
        if queue.getting() > 0 {
            assert_eq!((queue.len(), queue.putting()), (0, 0), "{queue:?}");
        }
        if queue.putting() > 0 {
            assert!(queue.is_full(), "{queue:?}");
        }
    }

    /// Polls a future, and keeps it if it is pending.
    fn poll(&mut self, mut waiting: Waiting<'a, O>) {
        let before = waiting.wakes();
        let (wakes, ready) = match &mut waiting {
            Waiting::Put(item, put) => {
                let polled = put.poll();
                if polled == Poll::Ready(Ok(())) {
                    self.put.insert(*item);
                }
                (put.wakes(), polled.is_ready())
            }
            Waiting::Get(get) => {
                let polled = get.poll();
                let ready = polled.is_ready();
                if let Poll::Ready(got) = polled {
                    self.got(got.ok());
                }
                (get.wakes(), ready)
            }
            Waiting::Peek(peek) => (peek.wakes(), peek.poll().is_ready()),
        };
        assert!(ready || wakes == 0 || self.least == 0, "a wake-up was spurious");
        if !ready {
            self.waiting.push((before, waiting));
        }
    }

    fn got(&mut self, item: Option<u32>) {
        if let Some(item) = item {
            assert!(self.got.insert(item), "{item} was got twice");
        }
    }

    fn item(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Removes one of the waiters.
    fn any(&mut self) -> Option<Waiting<'a, O>> {
        let place = self.rng.usize(..self.waiting.len().max(1));
        (place < self.waiting.len()).then(|| self.waiting.swap_remove(place).1)
    }

    /// Asserts that no servable waiter is pending, and that each item is where it belongs.
    fn end(mut self) {
        for (before, waiting) in std::mem::take(&mut self.waiting) {
            let wakes = waiting.wakes() - before;
            let others = self.waiting.len();
            self.poll(waiting);
            let ready = self.waiting.len() == others;
            assert!(wakes > 0 || !ready, "a servable waiter was not woken");
            assert!(wakes == usize::from(ready) || self.least == 0, "a waiter was woken twice");
        }
        self.waiting.clear();
        for item in drain(self.queue) {
            self.got(Some(item));
        }
        assert!(self.put.is_subset(&self.got), "{:?} are lost", self.put.difference(&self.got));
        assert_eq!(self.queue.unfinished(), self.got.len());
    }
}

impl<O: Order<u32>> Waiting<'_, O> {
    fn wakes(&self) -> usize {
        match self {
            Self::Put(_, put) => put.wakes(),
            Self::Get(get) => get.wakes(),
            Self::Peek(peek) => peek.wakes(),
        }
    }
}

fn walk<O: Order<u32>>(queue: impl Fn(usize) -> OrderedQueue<u32, O>) {
    for seed in 0..WALKS {
        let mut rng = Rng::with_seed(seed);
        let least = rng.usize(..2);
        let queue = queue(rng.usize(least..4));
        let (put, got) = (BTreeSet::new(), BTreeSet::new());
        let mut walk = Walk { queue: &queue, least, rng, next: 0, waiting: Vec::new(), put, got };
        (0..STEPS).for_each(|_| walk.step());
        walk.end();
    }
}

#[test]
fn random_walk_of_a_queue() {
    walk(Queue::bounded);
}

#[test]
fn random_walk_of_a_lifo_queue() {
    walk(LifoQueue::bounded);
}

#[test]
fn random_walk_of_a_priority_queue() {
    walk(PriorityQueue::bounded);
}
