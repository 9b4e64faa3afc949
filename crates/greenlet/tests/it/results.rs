//! The order and the bound of [`ResultBuffer`], compared with a model that keeps the state of every
//! item.

use std::collections::{BTreeSet, VecDeque};

use fastrand::Rng;
use spinney_greenlet::results::{Capacity, Order, ResultBuffer};

const WALKS: u64 = 500;
const STEPS: usize = 200;

/// The specification of a buffer, with plain lists.
#[derive(Default)]
struct Model {
    /// Items that are open and have no result yet.
    running: Vec<usize>,
    /// Items whose result is in the buffer, in completion order.
    done: Vec<usize>,
    /// Items whose result was taken and which are still open.
    taken: VecDeque<usize>,
    /// How many results have left the buffer: the next index in input order.
    left: usize,
    /// How many items were opened.
    opened: usize,
    exhausted: bool,
}

impl Model {
    fn open(&self) -> usize {
        self.running.len() + self.done.len() + self.taken.len()
    }

    fn room(&self, limit: usize) -> usize {
        if self.exhausted { 0 } else { limit.saturating_sub(self.open()) }
    }

    /// The results that can be read, in order.
    fn readable(&self, order: Order) -> Vec<usize> {
        if order == Order::Completion {
            return self.done.clone();
        }
        (self.left..self.opened).take_while(|index| self.done.contains(index)).collect()
    }

    fn leave(&mut self, index: usize) {
        self.done.retain(|&done| done != index);
        self.left += 1;
    }
}

/// A buffer and its model, which take the same steps.
struct Walk {
    rng: Rng,
    order: Order,
    maxsize: usize,
    /// A result is the text of its index.
    buffer: ResultBuffer<String>,
    model: Model,
    /// The items whose results were read.
    read: BTreeSet<usize>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let order = if rng.bool() { Order::Input } else { Order::Completion };
        let maxsize = if rng.u8(..8) == 0 { usize::MAX } else { rng.usize(..9) };
        let buffer = ResultBuffer::new(order, maxsize);
        Self { rng, order, maxsize, buffer, model: Model::default(), read: BTreeSet::new() }
    }

    fn step(&mut self) {
        match self.rng.u8(..100) {
            0..30 => self.open(),
            30..65 => self.put(),
            65..80 => self.pop(),
            80..87 => self.take(),
            87..97 => self.close_taken(),
            97 => self.open_last(),
            98 => self.close_untaken(),
            _ => self.exhaust(),
        }
        self.compare();
    }

    fn open(&mut self) {
        let (most, waits) = (self.rng.usize(..4), self.rng.bool());
        let room = self.model.room(self.maxsize.saturating_add(usize::from(waits)));
        let expected = match room.min(most) {
            _ if self.model.exhausted => Capacity::Over,
            0 => Capacity::Full,
            items => Capacity::Opened(items),
        };
        assert_eq!(self.buffer.room(waits), room);
        assert_eq!(self.buffer.open(most, waits), expected);
        if let Capacity::Opened(items) = expected {
            self.start(items);
        }
    }

    fn open_last(&mut self) {
        let opens = !std::mem::replace(&mut self.model.exhausted, true);
        assert_eq!(self.buffer.open_last(), opens);
        self.start(usize::from(opens));
    }

    fn start(&mut self, items: usize) {
        let next = self.model.opened;
        self.model.running.extend(next..next + items);
        self.model.opened += items;
    }

    fn exhaust(&mut self) {
        self.buffer.exhaust();
        self.model.exhausted = true;
    }

    /// The input ended before the item that was opened last.
    fn close_untaken(&mut self) {
        let last = self.model.opened.wrapping_sub(1);
        if let Some(place) = self.model.running.iter().position(|&index| index == last) {
            self.model.running.remove(place);
            self.buffer.close(1);
            self.exhaust();
        }
    }

    fn put(&mut self) {
        if !self.model.running.is_empty() {
            let place = self.rng.usize(..self.model.running.len());
            let index = self.model.running.swap_remove(place);
            self.buffer.put(index, index.to_string());
            self.model.done.push(index);
        }
    }

    fn pop(&mut self) {
        let expected = self.model.readable(self.order).first().copied();
        assert_eq!(self.buffer.pop(), expected.map(|index| index.to_string()));
        if let Some(index) = expected {
            self.model.leave(index);
            self.read(index);
        }
    }

    fn take(&mut self) {
        let before = if self.rng.bool() { vec!["before".to_owned()] } else { Vec::new() };
        let mut read = VecDeque::from(before.clone());
        self.buffer.take(&mut read);
        let expected = self.model.readable(self.order);
        let texts = expected.iter().map(usize::to_string);
        assert!(read.into_iter().eq(before.into_iter().chain(texts)));
        for index in expected {
            self.model.leave(index);
            self.model.taken.push_back(index);
            self.read(index);
        }
    }

    fn close_taken(&mut self) {
        let closed = self.rng.usize(..=self.model.taken.len());
        self.model.taken.drain(..closed);
        self.buffer.close(closed);
    }

    fn read(&mut self, index: usize) {
        assert!(self.read.insert(index), "item {index} has two results");
    }

    fn compare(&self) {
        let (buffer, model) = (&self.buffer, &self.model);
        assert_eq!(buffer.open_items(), model.open());
        assert_eq!(buffer.stored(), model.done.len());
        assert_eq!(buffer.readable(), model.readable(self.order).len());
        assert_eq!(buffer.is_exhausted(), model.exhausted);
        assert_eq!(buffer.is_finished(), model.exhausted && model.open() == 0);
        assert_eq!(buffer.maxsize(), self.maxsize);
    }

    /// The reader leaves, and running items have no result: each result has left the buffer once.
    fn end(mut self) {
        let mut done = std::mem::take(&mut self.model.done);
        if self.order == Order::Input {
            done.sort_unstable();
        }
        assert!(self.buffer.take_all().into_iter().eq(done.iter().map(usize::to_string)));
        for index in done {
            self.read(index);
        }
        self.compare();
        self.buffer.close(self.model.open());
        self.exhaust();
        assert!(self.buffer.is_finished());
    }
}

#[test]
fn buffer_matches_its_model_on_random_walks() {
    for seed in 0..WALKS {
        let mut walk = Walk::new(seed);
        (0..STEPS).for_each(|_| walk.step());
        walk.end();
    }
}

#[test]
fn input_order_waits_for_the_earlier_items() {
    let mut buffer = ResultBuffer::new(Order::Input, 9);
    assert_eq!(buffer.open(3, false), Capacity::Opened(3));
    buffer.put(2, 'c');
    buffer.put(1, 'b');
    assert_eq!((buffer.readable(), buffer.stored(), buffer.pop()), (0, 2, None));
    buffer.put(0, 'a');
    assert_eq!([buffer.pop(), buffer.pop(), buffer.pop()], [Some('a'), Some('b'), Some('c')]);
}

#[test]
fn debug_shows_the_state_of_the_map_without_results() {
    let mut buffer = ResultBuffer::<()>::new(Order::Input, 9);
    assert!(buffer.open_last());
    let text = "ResultBuffer { order: Input, open: 1, maxsize: 9, exhausted: true }";
    assert_eq!(format!("{buffer:?}"), text);
}

#[test]
fn taken_results_are_open_until_they_are_closed() {
    let mut buffer = ResultBuffer::new(Order::Completion, 2);
    assert_eq!(buffer.open(9, false), Capacity::Opened(2));
    buffer.put(1, ());
    buffer.put(0, ());
    buffer.take(&mut VecDeque::new());
    assert_eq!((buffer.stored(), buffer.open(1, false)), (0, Capacity::Full));
    buffer.close(2);
    assert_eq!(buffer.open(9, false), Capacity::Opened(2));
}

#[test]
#[should_panic(expected = "an item has one result")]
fn put_panics_if_the_item_has_a_waiting_result() {
    let mut buffer = ResultBuffer::new(Order::Input, 9);
    buffer.put(1, ());
    buffer.put(1, ());
}

#[test]
#[should_panic(expected = "an item has one result")]
fn put_panics_if_the_item_had_a_readable_result() {
    let mut buffer = ResultBuffer::new(Order::Input, 9);
    buffer.put(0, ());
    buffer.put(0, ());
}

#[test]
#[should_panic(expected = "only open items are closed")]
fn close_panics_if_fewer_items_are_open() {
    let mut buffer = ResultBuffer::<()>::new(Order::Input, 9);
    assert_eq!(buffer.open(1, false), Capacity::Opened(1));
    buffer.close(2);
}
