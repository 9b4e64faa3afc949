//! A pool with limits matches a plain model of the order of requests, under random operations:
//! which requests start, when, and which are refused.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use spinney_hub::sleep;
use spinney_pool::limits::Order;
use spinney_pool::{Pool, Rate, Slot, SlotError, SlotRequest};
use spinney_sim::SimHub;

const MS: u64 = 1_000_000;

/// A rate of the model: a start conforms if the time that it leads to is no further ahead than
/// `burst` intervals. Intervals are whole nanoseconds.
#[derive(Clone, Debug)]
struct PlainRate {
    interval: u64,
    burst: u64,
    next: u64,
}

impl PlainRate {
    fn random(rng: &mut Rng) -> (Rate, Self) {
        let (count, millis, burst) = (1 << rng.u32(0..3), rng.u64(1..5) * 40, rng.u32(1..4));
        let rate = Rate::per(count, Duration::from_millis(millis)).burst(burst);
        let interval = millis * MS / u64::from(count);
        (rate, Self { interval, burst: burst.into(), next: 0 })
    }

    fn ready_at(&self) -> u64 {
        self.next.saturating_sub(self.interval * (self.burst - 1))
    }

    fn start(&mut self, now: u64) {
        self.next = self.next.max(now) + self.interval;
    }
}

#[derive(Clone, Debug)]
struct PlainRequest {
    id: u64,
    weight: usize,
    priority: i32,
    key: Option<u8>,
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    capacity: usize,
    per_key: Option<usize>,
    max_waiting: Option<usize>,
    order: Order,
    rates: Vec<PlainRate>,
    key_rates: Vec<PlainRate>,
    rates_of: BTreeMap<u8, Vec<PlainRate>>,
    /// The end of the pause; [`u64::MAX`] without an end.
    pause: Option<u64>,
    waiting: Vec<PlainRequest>,
    running: Vec<PlainRequest>,
    starts: Vec<u64>,
}

impl Model {
    fn rank(&self, request: &PlainRequest) -> (i64, i64) {
        let (arrival, priority) = (i64::try_from(request.id).unwrap(), i64::from(request.priority));
        match self.order {
            Order::Oldest => (-priority, arrival),
            Order::Newest => (-priority, -arrival),
            Order::Aging(places) => (arrival - priority * i64::from(places), arrival),
            _ => unreachable!("there are three orders"),
        }
    }

    fn taken(&self) -> usize {
        self.running.iter().map(|running| running.weight).sum()
    }

    fn running_of(&self, key: u8) -> usize {
        self.running.iter().filter(|running| running.key == Some(key)).count()
    }

    fn key_ready_at(&self, key: u8) -> u64 {
        self.rates_of.get(&key).into_iter().flatten().map(PlainRate::ready_at).max().unwrap_or(0)
    }

    fn key_allows(&self, key: u8) -> bool {
        let is_full = self.per_key.is_some_and(|most| self.running_of(key) >= most);
        !is_full && self.key_ready_at(key) <= self.now
    }

    /// Starts the first request that may start; `None` if there is none.
    fn start_next(&mut self) -> Option<u64> {
        let mut order: Vec<usize> = (0..self.waiting.len()).collect();
        order.sort_by_key(|place| self.rank(&self.waiting[*place]));
        let mut skipped = Vec::new();
        let head = order.into_iter().find(|place| {
            let PlainRequest { weight, key, .. } = self.waiting[*place];
            let is_skipped = weight > self.capacity
                || key.is_some_and(|key| skipped.contains(&key) || !self.key_allows(key));
            skipped.extend(key.filter(|_| is_skipped));
            !is_skipped
        })?;
        let fits = self.taken() + self.waiting[head].weight <= self.capacity;
        let has_rate = self.rates.iter().all(|rate| rate.ready_at() <= self.now);
        if !fits || !has_rate || self.pause.is_some() {
            return None;
        }
        let started = self.waiting.remove(head);
        self.rates.iter_mut().for_each(|rate| rate.start(self.now));
        if let Some(key) = started.key {
            let rates = self.rates_of.entry(key).or_insert_with(|| self.key_rates.clone());
            for rate in rates {
                rate.start(self.now);
            }
        }
        self.starts.push(self.now);
        self.running.push(started.clone());
        Some(started.id)
    }

    fn settle(&mut self) {
        while self.start_next().is_some() {}
    }

    /// Advances the time, and runs each event when it is due.
    fn pass(&mut self, until: u64) {
        loop {
            self.settle();
            let rates = self.rates.iter().map(PlainRate::ready_at);
            let keys = self.rates_of.keys().map(|key| self.key_ready_at(*key));
            let pause = self.pause.into_iter();
            let next = rates.chain(keys).chain(pause).filter(|at| *at > self.now).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = next;
            self.pause.take_if(|end| *end <= next);
        }
        self.now = until;
    }
}

/// The model, and the pool that must match it.
struct Both {
    model: Model,
    pool: Pool<SimHub>,
    rng: Rng,
    next_id: u64,
    shed: usize,
}

type Waiting<'a> = BTreeMap<u64, SlotRequest<'a, SimHub>>;
type Held = BTreeMap<u64, Slot<SimHub>>;

impl Both {
    fn new(sim: &SimHub, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (mut model, mut builder) = (Model::default(), Pool::builder());
        for _ in 0..rng.usize(0..3) {
            let (rate, plain) = PlainRate::random(&mut rng);
            builder = builder.rate(rate);
            model.rates.push(plain);
        }
        for _ in 0..rng.usize(0..2) {
            let (rate, plain) = PlainRate::random(&mut rng);
            builder = builder.key_rate(rate);
            model.key_rates.push(plain);
        }
        // Tasks that start in a pool without limits are not counted by key.
        model.per_key = Some(rng.usize(1..4));
        builder = builder.per_key(model.per_key.unwrap());
        // A large limit rather than none, so that keys are counted throughout.
        model.max_waiting = Some(if rng.bool() { rng.usize(0..10) } else { 1000 });
        builder = builder.max_waiting(model.max_waiting.unwrap());
        model.capacity = rng.usize(0..6);
        let pool = builder.pool_on(sim, model.capacity);
        Self { model, pool, rng, next_id: 0, shed: 0 }
    }

    fn request<'a>(&mut self, pool: &'a Pool<SimHub>, waiting: &mut Waiting<'a>, held: &mut Held) {
        let rng = &mut self.rng;
        let (weight, priority) =
            (if rng.u8(0..3) == 0 { rng.usize(1..5) } else { 1 }, rng.i32(-2..3));
        let key = (rng.u8(0..3) > 0).then(|| rng.u8(0..4));
        let id = self.next_id;
        let mut request = pool.slot().weight(weight).priority(priority).await_resize();
        if let Some(key) = key {
            request = request.key(&key);
        }
        let polled = poll(&mut request);
        self.model.waiting.push(PlainRequest { id, weight, priority, key });
        self.next_id += 1;
        self.model.settle();
        let waits = self.model.waiting.iter().any(|waiting| waiting.id == id);
        let is_full = self.model.max_waiting.is_some_and(|most| self.model.waiting.len() > most);
        match polled {
            Poll::Ready(Ok(slot)) => {
                assert!(!waits, "{id} is too early in {:?}", self.model);
                held.insert(id, slot);
            }
            Poll::Ready(Err(error)) => {
                assert_eq!(error, SlotError::TooManyWaiting);
                assert!(waits && is_full, "{id} is refused in {:?}", self.model);
                self.model.waiting.retain(|waiting| waiting.id != id);
                // Requests that were behind it for a moment may go on.
                self.model.settle();
                self.shed += 1;
            }
            Poll::Pending => {
                assert!(waits && !is_full, "{id} is late in {:?}", self.model);
                waiting.insert(id, request);
            }
        }
    }

    async fn step<'a>(
        &mut self,
        pool: &'a Pool<SimHub>,
        waiting: &mut Waiting<'a>,
        held: &mut Held,
    ) {
        match self.rng.u8(0..20) {
            0..7 => self.request(pool, waiting, held),
            7..11 => {
                if let Some(id) = pick(&mut self.rng, held.keys()) {
                    self.model.running.retain(|running| running.id != id);
                    drop(held.remove(&id));
                }
            }
            11 => {
                if let Some(id) = pick(&mut self.rng, waiting.keys()) {
                    self.model.waiting.retain(|waiting| waiting.id != id);
                    drop(waiting.remove(&id));
                }
            }
            12 => {
                self.model.capacity = self.rng.usize(0..6);
                pool.resize(self.model.capacity);
            }
            13 => {
                self.model.per_key = (self.rng.u8(0..4) > 0).then(|| self.rng.usize(0..4));
                pool.set_per_key(self.model.per_key);
            }
            14 => match self.rng.u8(0..4) {
                0 => {
                    self.model.pause = Some(u64::MAX);
                    pool.pause();
                }
                1 => {
                    let millis = self.rng.u64(0..100);
                    self.model.pause = Some(self.model.now + millis * MS);
                    pool.pause_for(Duration::from_millis(millis));
                    self.model.pass(self.model.now);
                    self.model.pause.take_if(|end| *end == self.model.now);
                }
                _ => {
                    self.model.pause = None;
                    pool.resume();
                }
            },
            15 => {
                let places = self.rng.u32(1..4);
                let orders = [Order::Oldest, Order::Newest, Order::Aging(places)];
                self.model.order = orders[self.rng.usize(0..3)];
                pool.set_order(self.model.order);
            }
            _ => {
                let millis = self.rng.u64(1..60);
                sleep(Duration::from_millis(millis)).await;
                self.model.pass(self.model.now + millis * MS);
            }
        }
        self.model.settle();
    }

    fn compare(&self, waiting: &mut Waiting<'_>, held: &mut Held) {
        let model = &self.model;
        waiting.retain(|id, request| match poll(request) {
            Poll::Ready(slot) => {
                held.insert(*id, slot.unwrap());
                false
            }
            Poll::Pending => true,
        });
        let mut running: Vec<u64> = model.running.iter().map(|running| running.id).collect();
        running.sort_unstable();
        assert!(held.keys().copied().eq(running), "{:?} is not {model:?}", held.keys());
        assert_eq!(self.pool.len(), model.taken());
        let signed = |count| isize::try_from(count).unwrap();
        assert_eq!(self.pool.available(), signed(model.capacity) - signed(model.taken()));
        assert_eq!(self.pool.waiting(), model.waiting.len());
        assert_eq!(self.pool.is_paused(), model.pause.is_some());
        assert_eq!(self.pool.stats().shed, self.shed);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn pick<'a>(rng: &mut Rng, ids: impl ExactSizeIterator<Item = &'a u64>) -> Option<u64> {
    let count = ids.len();
    let mut ids = ids;
    if count == 0 { None } else { ids.nth(rng.usize(0..count)).copied() }
}

#[test]
fn pool_with_limits_matches_its_model() {
    for seed in 0..3000 {
        let sim = SimHub::new();
        let mut both = Both::new(&sim, seed);
        let pool = both.pool.clone();
        sim.block_on(async {
            let (mut waiting, mut held) = (Waiting::new(), Held::new());
            for _ in 0..120 {
                both.step(&pool, &mut waiting, &mut held).await;
                both.compare(&mut waiting, &mut held);
            }
            finish(&mut both, &pool, waiting, held).await;
        });
    }
}

/// Lifts all limits but the rates, and checks that each waiter gets its slot.
async fn finish(both: &mut Both, pool: &Pool<SimHub>, mut waiting: Waiting<'_>, mut held: Held) {
    for id in held.keys().copied().collect::<Vec<_>>() {
        both.model.running.retain(|running| running.id != id);
        held.remove(&id);
        both.model.settle();
    }
    pool.set_per_key(None);
    both.model.per_key = None;
    both.model.settle();
    pool.resume();
    both.model.pause = None;
    both.model.settle();
    pool.resize(100);
    both.model.capacity = 100;
    for _ in 0..100 {
        both.model.settle();
        both.compare(&mut waiting, &mut held);
        if waiting.is_empty() {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        both.model.pass(both.model.now + 200 * MS);
    }
    assert!(waiting.is_empty(), "{:?}", both.model);
    held.clear();
    assert!(pool.is_empty());
    assert_eq!(pool.available(), 100);
}
