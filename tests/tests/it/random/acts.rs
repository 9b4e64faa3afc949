//! [`act`]: one random action on a pool.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};
use spinney::gevent::GroupExt as _;
use spinney::map::{Mapper, from_stream};
use spinney::{Retry, Within, shield};
use spinney_tests::SimHub;
use spinney_tests::tools::blow_up;

use super::world::{Rules, World};

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Work in a slot, possibly with nested actions up to this depth.
fn item(world: Rc<World>, depth: usize, value: usize) -> Boxed<usize> {
    Box::pin(async move {
        work(&world).await;
        if depth > 0 && world.below(4) == 0 {
            act(Rc::clone(&world), depth - 1, true).await;
        }
        work(&world).await;
        if world.rules == Rules::Anything && world.below(10) == 0 {
            blow_up("item");
        }
        value
    })
}

async fn work(world: &World) {
    let _running = world.gauge.enter();
    if world.below(8) == 0 { shield(world.pause()).await } else { world.pause().await }
}

/// Performs one action on the pool, as a member (`inside`) or not.
pub(crate) fn act(world: Rc<World>, depth: usize, inside: bool) -> Boxed<()> {
    Box::pin(async move {
        let doing = Act { count: world.below(12), world, depth, inside };
        match doing.world.below(if doing.world.rules == Rules::Anything { 12 } else { 7 }) {
            0 => doing.map().await,
            1 => doing.stream().await,
            2 => doing.two_maps().await,
            3 => doing.apply().await,
            4 => doing.spawn().await,
            5 => doing.map_by_request().await,
            6 => doing.map_with_retries().await,
            7 => doing.give_up_a_map().await,
            8 => doing.give_up_a_stream().await,
            9 => doing.hand_a_map_on().await,
            10 => doing.try_map().await,
            _ => doing.leave(),
        }
    })
}

struct Act {
    world: Rc<World>,
    /// The number of items of its maps.
    count: usize,
    depth: usize,
    inside: bool,
}

impl Act {
    fn item(&self, value: usize) -> Boxed<usize> {
        item(Rc::clone(&self.world), self.depth, value)
    }

    fn run(&self) -> impl Fn(usize) -> Boxed<usize> + Clone + use<> {
        let (world, depth) = (Rc::clone(&self.world), self.depth);
        move |value| item(Rc::clone(&world), depth, value)
    }

    fn mapper(&self) -> Mapper<SimHub> {
        let mapper = self.world.pool.mapper();
        match self.world.below(4) {
            0 => mapper,
            1 => mapper.unbounded(),
            _ => mapper.maxsize(self.world.below(9)),
        }
    }

    fn check(&self, right: bool) {
        assert!(right || self.world.rules != Rules::Peace);
    }

    fn check_all(&self, results: impl IntoIterator<Item = usize>) {
        self.check(results.into_iter().eq(0..self.count));
    }

    async fn map(&self) {
        let results = if self.world.below(2) == 0 {
            self.mapper().map(self.run(), 0..self.count).await
        } else {
            self.mapper().map(self.run(), from_stream(self.world.numbers(self.count))).await
        };
        self.check_all(results.unwrap_or_default());
    }

    async fn stream(&self) {
        if self.world.below(2) == 0 {
            let results: Vec<_> = self.mapper().imap(self.run(), 0..self.count).collect().await;
            assert!(results.len() <= self.count + 1);
            self.check_all(results.into_iter().flatten());
        } else {
            let numbers = from_stream(self.world.numbers(self.count));
            let results = self.mapper().imap_unordered(self.run(), numbers).count().await;
            self.check(results == self.count);
        }
    }

    async fn two_maps(&self) {
        let numbers = from_stream(self.world.numbers(self.count));
        let one = self.mapper().map(self.run(), 0..self.count);
        let two = self.mapper().map(self.run(), numbers);
        let (one, two) = zip(one, two).await;
        self.check_all(one.unwrap_or_default());
        self.check_all(two.unwrap_or_default());
    }

    async fn apply(&self) {
        let result = self.world.pool.apply(self.item(1)).await;
        self.check(matches!(result, Ok(1)));
    }

    async fn spawn(&self) {
        let greenlet = self.world.pool.spawn(self.item(1)).await;
        if self.inside {
            greenlet.detach();
        } else {
            let result = greenlet.await;
            self.check(matches!(result, Ok(1)));
        }
    }

    /// A map whose items wait with their own requests, beside another wait.
    async fn map_by_request(&self) {
        let priorities = self.world.below(3);
        let priority = move |value: &usize| i32::try_from(value % (1 + priorities)).unwrap_or(0);
        let mapper = self.mapper().priority(priority);
        let map = mapper.map(self.run(), 0..self.count);
        let (applied, list) = zip(self.world.pool.apply(self.item(1)), map).await;
        self.check(matches!(applied, Ok(1)));
        self.check_all(list.unwrap_or_default());
    }

    /// A map each of whose items fails once.
    async fn map_with_retries(&self) {
        let (run, failed) = (self.run(), RefCell::new(vec![false; self.count]));
        let fails_once = move |value: usize| {
            let succeeds = std::mem::replace(&mut failed.borrow_mut()[value], true);
            let item = run(value);
            async move { if succeeds { Ok(item.await) } else { Err(item.await) } }
        };
        let retry = Retry::times(1).delays([self.world.millis(20)]);
        let list = self.mapper().retry(retry).try_map(fails_once, 0..self.count).await;
        self.check_all(list.unwrap_or_default());
    }

    async fn give_up_a_map(&self) {
        let map = self.mapper().map(self.run(), 0..self.count);
        drop(map.within(self.world.millis(60)).await);
        let spawn = self.world.pool.spawn(self.item(1));
        drop(spawn.within(self.world.millis(10)).await);
    }

    async fn give_up_a_stream(&self) {
        let numbers = from_stream(self.world.numbers(self.count));
        let mut results = self.mapper().imap(self.run(), numbers);
        for _ in 0..self.world.below(5) {
            drop(results.next().within(self.world.millis(10)).await);
            self.world.pause().await;
        }
        if self.world.below(2) == 0 {
            results.detach();
        }
    }

    async fn hand_a_map_on(&self) {
        let mut results = self.mapper().imap_unordered(self.run(), 0..self.count);
        for _ in 0..self.world.below(5) {
            drop(poll_once(results.next()).await);
            self.world.pause().await;
        }
        if self.world.below(2) == 0 {
            results.detach();
        } else {
            self.world.leave_to_a_stranger(async move {
                results.count().await;
            });
        }
        let mut map = Box::pin(self.mapper().map(self.run(), 0..self.count));
        if poll_once(&mut map).await.is_none() {
            self.world.leave_to_a_stranger(async move { drop(map.await) });
        }
    }

    async fn try_map(&self) {
        let (world, run) = (Rc::clone(&self.world), self.run());
        let run = move |value| {
            let (world, item) = (Rc::clone(&world), run(value));
            async move {
                let value = item.await;
                if world.below(5) == 0 { Err(value) } else { Ok(value) }
            }
        };
        match self.world.below(3) {
            0 => drop(self.mapper().try_map(run, 0..self.count).await),
            1 => drop(self.mapper().try_map(run, 0..self.count).first_success().await),
            _ => {
                let numbers = from_stream(self.world.numbers(self.count));
                let results = self.mapper().try_map(run, numbers).collect_all().await;
                assert!(results.len() <= self.count + 1);
            }
        }
    }

    fn leave(&self) {
        self.world.pool.apply_async(self.item(1)).detach();
        self.world.pool.map_async(self.run(), 0..self.count).detach();
    }
}
