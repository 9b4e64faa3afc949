//! A pool and its scopes match a plain model under random operations: the running tasks, the
//! waiters, the free slots, and the outcome of each task.

mod plain;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use plain::{Call, End, Model, SETS, Waiter};
use proptest::prelude::*;
use spinney::gevent::{GroupExt as _, PoolExt as _};
use spinney::map::Imap;
use spinney::pool::JoinError;
use spinney::pool::PoolFull;
use spinney::pool::SlotError;
use spinney::task::spawn_on;
use spinney::{Event, Failure, Greenlet, Handle, Pool, Slot};
use spinney_tests::tools::blow_up;
use spinney_tests::{Dropped, SimHub};

/// An operation on a pool or a scope. The number picks one of the existing tasks.
#[derive(Clone, Copy, Debug)]
enum Op {
    Spawn,
    TrySpawn,
    SpawnWithin,
    TakeSlot,
    DropSlot(usize),
    SpawnInSlot(usize),
    ApplyAsync,
    Add,
    AddAgain(usize),
    Discard(usize),
    Finish(usize),
    Panic(usize),
    KillOne(usize),
    KillNow,
    Kill,
    Resize(usize),
    DropWaiter(usize),
    Map(usize),
    ReadMap(usize),
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let one = 0..8_usize;
    prop_oneof![
        6 => Just(Op::Spawn),
        2 => Just(Op::TrySpawn),
        2 => Just(Op::SpawnWithin),
        3 => Just(Op::TakeSlot),
        2 => one.clone().prop_map(Op::DropSlot),
        2 => one.clone().prop_map(Op::SpawnInSlot),
        3 => Just(Op::ApplyAsync),
        3 => Just(Op::Add),
        2 => one.clone().prop_map(Op::AddAgain),
        2 => one.clone().prop_map(Op::Discard),
        5 => one.clone().prop_map(Op::Finish),
        2 => one.clone().prop_map(Op::Panic),
        2 => one.clone().prop_map(Op::KillOne),
        1 => Just(Op::KillNow),
        1 => Just(Op::Kill),
        3 => (0..5_usize).prop_map(Op::Resize),
        3 => one.prop_map(Op::DropWaiter),
        3 => (0..6_usize).prop_map(Op::Map),
        2 => (0..6_usize).prop_map(Op::ReadMap),
        1 => Just(Op::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pool_matches_its_model(
        seed: u64,
        capacity in 0..4_usize,
        ops in prop::collection::vec((0..SETS, op()), 1..30),
    ) {
        let mut both = Both::new(seed, capacity);
        for (set, op) in ops {
            both.tell(set, op);
            both.compare();
        }
        both.finish();
    }
}

/// The condition that a task waits for before it finishes, and whether it then panics.
type Switch = Rc<(Event, Cell<bool>)>;

/// The model, and the pool that must match it.
struct Both {
    model: Model,
    sim: SimHub,
    /// The pool, and its scopes.
    sets: [Pool<SimHub>; SETS],
    switches: Vec<Switch>,
    started: Rc<RefCell<BTreeSet<usize>>>,
    greenlets: Rc<RefCell<BTreeMap<usize, Greenlet<usize>>>>,
    /// The waiters on behalf of a task, or for it to be added.
    drivers: Vec<Greenlet<()>>,
    maps: Vec<Option<(usize, Imap<usize, SimHub>)>>,
    /// Held slots without a task.
    slots: Vec<(usize, Slot<SimHub>)>,
    dropped: Dropped,
}

/// The program of a task.
type Work = Pin<Box<dyn Future<Output = usize>>>;

impl Both {
    fn new(seed: u64, capacity: usize) -> Self {
        let sim = SimHub::seeded(seed);
        let pool = Pool::on(&sim, capacity);
        Self {
            model: Model { capacity, ..Model::default() },
            sets: [pool.clone(), pool.scope(), pool.scope()],
            sim,
            switches: Vec::new(),
            started: Rc::default(),
            greenlets: Rc::default(),
            drivers: Vec::new(),
            maps: Vec::new(),
            slots: Vec::new(),
            dropped: Dropped::default(),
        }
    }

    fn task(&mut self) -> (usize, impl Future<Output = usize> + use<>) {
        let task = self.switches.len();
        let switch = Switch::default();
        self.switches.push(Rc::clone(&switch));
        let (guard, started) = (self.dropped.guard(), Rc::clone(&self.started));
        let work = async move {
            let _guard = guard;
            started.borrow_mut().insert(task);
            switch.0.wait().await;
            if switch.1.get() { blow_up("as it was told") } else { task }
        };
        (task, work)
    }

    fn keep(&self, task: usize, greenlet: Greenlet<usize>) {
        self.greenlets.borrow_mut().insert(task, greenlet);
    }

    fn handle(&self, task: usize) -> Handle {
        self.greenlets.borrow()[&task].handle().clone()
    }

    /// A living task, member or not.
    fn alive(&self, pick: usize) -> Option<usize> {
        one_of(self.model.alive.iter().copied(), pick)
    }

    fn tell(&mut self, set: usize, op: Op) {
        match op {
            Op::Spawn => self.spawn(set),
            Op::TrySpawn => self.spawn_at_once(set, |both, work| both.sets[set].try_spawn(work)),
            Op::SpawnWithin => self.spawn_at_once(set, |both, work| {
                both.sim.block_on(both.sets[set].spawn_within(Duration::from_secs(1), work))
            }),
            Op::TakeSlot => self.take_slot(set),
            Op::DropSlot(pick) => drop(self.held_slot(pick)),
            Op::SpawnInSlot(pick) => self.spawn_in_slot(pick),
            Op::ApplyAsync => {
                let (task, work) = self.task();
                self.keep(task, self.sets[set].apply_async(work));
                self.queue(set, Call::Late(task));
            }
            Op::Add => {
                let (task, work) = self.task();
                self.keep(task, spawn_on(&self.sim, work));
                self.sim.run_until_idle();
                self.model.started.insert(task);
                self.model.alive.insert(task);
                self.add(set, task);
            }
            Op::AddAgain(pick) => self.alive(pick).into_iter().for_each(|task| self.add(set, task)),
            Op::Discard(pick) => {
                let Some(task) = self.alive(pick) else { return };
                let was_member = self.model.discard(task, set);
                assert_eq!(self.sets[set].discard(&self.handle(task)), was_member);
            }
            Op::Finish(pick) => self.end_one(pick, false),
            Op::Panic(pick) => self.end_one(pick, true),
            Op::KillOne(pick) => self.kill_one(set, pick),
            Op::KillNow => self.kill(set, false),
            Op::Kill => self.kill(set, true),
            Op::Resize(capacity) => {
                self.sets[set].resize(capacity);
                self.model.capacity = capacity;
            }
            Op::DropWaiter(pick) => self.drop_waiter(pick),
            Op::Map(items) => self.map(set, items),
            Op::ReadMap(read) => self.read_map(set, read),
            Op::Close => self.close(set),
        }
        self.model.settle();
        self.sim.run_until_idle();
    }

    fn queue(&mut self, set: usize, call: Call) {
        self.model.queue.push_back(Waiter { set, call });
    }

    fn spawn(&mut self, set: usize) {
        let (task, work) = self.task();
        let (pool, greenlets) = (self.sets[set].clone(), Rc::clone(&self.greenlets));
        self.drivers.push(spawn_on(&self.sim, async move {
            let greenlet = pool.spawn(work).await;
            greenlets.borrow_mut().insert(task, greenlet);
        }));
        self.queue(set, Call::Task(task, self.drivers.len() - 1));
    }

    /// Spawns with a verb that needs a free slot.
    fn spawn_at_once(
        &mut self,
        set: usize,
        spawn: impl FnOnce(&Self, Work) -> Result<Greenlet<usize>, PoolFull<Work>>,
    ) {
        let (task, work) = self.task();
        let spawned = spawn(self, Box::pin(work));
        assert_eq!(spawned.is_ok(), self.model.has_slot(set));
        match spawned {
            Ok(greenlet) => {
                self.keep(task, greenlet);
                self.model.start(task, set);
            }
            Err(full) => {
                drop(full.into_future());
                self.model.end(task, End::Dropped);
            }
        }
    }

    fn take_slot(&mut self, set: usize) {
        let slot = self.sets[set].try_slot();
        assert_eq!(slot.is_ok(), self.model.has_slot(set));
        self.slots.extend(slot.map(|slot| (set, slot)));
        self.model.held = self.slots.len();
    }

    /// Uses one of the held slots.
    fn held_slot(&mut self, pick: usize) -> Option<(usize, Slot<SimHub>)> {
        let count = self.slots.len();
        let slot = (count > 0).then(|| self.slots.swap_remove(pick % count));
        self.model.held = self.slots.len();
        slot
    }

    fn spawn_in_slot(&mut self, pick: usize) {
        let Some((set, slot)) = self.held_slot(pick) else { return };
        let (task, work) = self.task();
        self.keep(task, slot.spawn(work));
        if self.model.is_closed(set) {
            self.model.refused_calls[set] += 1;
            self.model.end(task, End::Refused);
        } else {
            self.model.start(task, set);
        }
    }

    fn end_one(&mut self, pick: usize, panics: bool) {
        let Some(task) = self.alive(pick) else { return };
        self.switches[task].1.set(panics);
        self.switches[task].0.set();
        self.model.end(task, if panics { End::Panic } else { End::Value });
    }

    fn kill_one(&mut self, set: usize, pick: usize) {
        let Some(task) = self.alive(pick) else { return };
        let killed = self.sim.block_on(self.sets[set].killone(&self.handle(task)));
        assert_eq!(killed, self.model.is_member(task, set));
        if killed {
            self.model.end(task, End::Killed);
        }
    }

    fn map(&mut self, set: usize, items: usize) {
        let map = self.maps.len();
        let double = |n: usize| async move { 2 * n };
        let results = self.sets[set].mapper().unbounded().imap(double, 0..items);
        self.maps.push(Some((items, results)));
        self.model.map(set, map, items);
    }

    fn close(&mut self, set: usize) {
        self.sim.run_until_idle();
        let report = self.sets[set].close();
        self.model.close(set);
        assert_eq!(report.refused, self.model.refused_calls[set]);
        assert_eq!(report.running, self.model.members_of(set).count());
    }

    fn add(&mut self, set: usize, task: usize) {
        let (pool, handle) = (self.sets[set].clone(), self.handle(task));
        self.drivers.push(spawn_on(&self.sim, async move {
            pool.add(&handle).await;
        }));
        // A member does not wait to be added.
        if !self.model.is_member(task, set) {
            self.queue(set, Call::Add(task, self.drivers.len() - 1));
        }
    }

    /// Kills all members. Waits only if the outcome is determined: whether it finds members that
    /// enter meanwhile depends on the order.
    fn kill(&mut self, set: usize, wait: bool) {
        if wait && self.model.queue.is_empty() {
            self.sim.block_on(self.sets[set].kill());
        } else {
            self.sets[set].kill_now();
        }
        self.model.kill(set);
    }

    fn drop_waiter(&mut self, pick: usize) {
        let count = self.model.queue.len();
        if count == 0 {
            return;
        }
        match self.model.queue.remove(pick % count).expect("the waiter exists").call {
            Call::Task(task, driver) => {
                self.drivers[driver].kill_now();
                self.model.end(task, End::Dropped);
            }
            Call::Late(task) => {
                self.handle(task).kill_now();
                self.model.end(task, End::Killed);
            }
            Call::Add(_, driver) => self.drivers[driver].kill_now(),
            Call::Map(map, _) => self.maps[map] = None,
        }
    }

    /// Reads a part of a map, then drops it.
    fn read_map(&mut self, set: usize, read: usize) {
        let mut results = self.sets[set].imap(|n: usize| async move { 2 * n }, 0..);
        let may_run = self.model.has_slot(set);
        self.sim.block_on(async {
            if !may_run {
                let first = poll_once(results.next()).await;
                assert!(first.is_none() || self.model.is_closed(set));
                return;
            }
            for n in 0..read {
                assert_eq!(results.next().await.unwrap().unwrap(), 2 * n);
            }
        });
    }

    fn compare(&self) {
        let model = &self.model;
        let signed = |count| isize::try_from(count).unwrap();
        let available = signed(model.capacity) - signed(model.taken());
        for (set, pool) in self.sets.iter().enumerate() {
            // As many run as slots are taken.
            assert_eq!(pool.available(), available, "{model:?}");
            assert_eq!(pool.free_count(), available.max(0).unsigned_abs());
            let members: BTreeSet<_> = model.members_of(set).collect();
            let taken = if set == 0 { model.taken() } else { members.len() };
            assert_eq!(pool.len(), taken, "{set} of {model:?}");
            assert_eq!(pool.waiting(), model.waiting(set), "{set} of {model:?}");
            assert_eq!(pool.is_closed(), model.is_closed(set));
            let stats = pool.stats();
            assert_eq!((stats.running, stats.failed), (members.len(), model.failed[set]));
            assert_eq!(stats.refused, model.refused_calls[set], "{set} of {model:?}");
            assert_eq!(
                stats.started,
                stats.running + stats.succeeded + stats.failed + stats.killed
            );
            let handles: BTreeSet<_> = pool.members().iter().map(Handle::id).collect();
            assert_eq!(handles, members.iter().map(|task| self.handle(*task).id()).collect());
        }
        assert_eq!(*self.started.borrow(), model.started, "who has started");
        assert_eq!(self.dropped.count(), model.ended.len(), "what was dropped");
    }

    /// Ends the remaining tasks, and compares their outcomes.
    fn finish(mut self) {
        self.slots.clear();
        self.model.held = 0;
        self.model.settle();
        self.sim.run_until_idle();
        while !self.model.queue.is_empty() {
            self.drop_waiter(0);
        }
        self.sim.run_until_idle();
        while !self.model.alive.is_empty() {
            self.tell(0, Op::Finish(0));
        }
        self.compare();
        for (set, pool) in self.sets.iter().enumerate() {
            let failed = match self.sim.block_on(pool.try_join()) {
                Ok(()) => 0,
                Err(JoinError::Failed(failures)) => failures.count(),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(failed, self.model.failed[set]);
        }
        for (task, end) in &self.model.ended {
            let greenlet = self.greenlets.borrow_mut().remove(task);
            let ended = greenlet.map(|greenlet| self.sim.block_on(greenlet));
            let found = match ended {
                None => End::Dropped,
                Some(Ok(value)) if value == *task => End::Value,
                Some(Ok(value)) => panic!("{task} returned {value}"),
                Some(Err(Failure::Panicked(_))) => End::Panic,
                Some(Err(Failure::Aborted(_))) => panic!("nothing aborts"),
                Some(Err(Failure::Killed(exit))) => match exit.reason() {
                    Some(reason) if reason.is::<SlotError>() => End::Refused,
                    _ => End::Killed,
                },
            };
            assert_eq!(found, *end, "task {task}");
        }
        for (map, results) in std::mem::take(&mut self.maps).into_iter().enumerate() {
            let Some((items, results)) = results else { continue };
            let results: Vec<_> = self.sim.block_on(results.collect());
            let good = results.iter().take_while(|result| result.is_ok()).count();
            let doubled = results[..good].iter().map(|result| *result.as_ref().unwrap());
            assert!(doubled.eq((0..good).map(|n| 2 * n)));
            let refused = self.model.refused.contains(&map);
            assert_eq!(results.len(), good + usize::from(refused));
            assert!(refused || good == items, "map {map}: {good} of {items}");
        }
    }
}

fn one_of(mut tasks: impl Iterator<Item = usize> + Clone, pick: usize) -> Option<usize> {
    let count = tasks.clone().count();
    if count == 0 { None } else { tasks.nth(pick % count) }
}
