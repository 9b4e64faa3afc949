//! A `GreenPool` matches a plain model of it under random operations: the running tasks, in a slot
//! or in place, the waiters, the free slots, and the end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::rc::Rc;

use proptest::prelude::*;
use spinney::eventlet::GreenPoolExt as _;
use spinney::task::spawn_on;
use spinney::{GreenPool, Greenlet, Queue};
use spinney_sim::SimHub;
use spinney_tests::tools::OnDrop;

/// An operation on a pool. The number picks one of the existing tasks.
#[derive(Clone, Copy, Debug)]
enum Op {
    Spawn,
    SpawnInside(usize),
    End(usize),
    Kill(usize),
    Resize(usize),
    DropWaiter(usize),
    Waitall,
}

fn op() -> impl Strategy<Value = Op> {
    let one = 0..8_usize;
    prop_oneof![
        6 => Just(Op::Spawn),
        4 => one.clone().prop_map(Op::SpawnInside),
        6 => one.clone().prop_map(Op::End),
        2 => one.clone().prop_map(Op::Kill),
        3 => (0..5_usize).prop_map(Op::Resize),
        2 => one.prop_map(Op::DropWaiter),
        2 => Just(Op::Waitall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn green_pool_matches_its_model(
        seed: u64,
        size in 0..4_usize,
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut both = Both::new(seed, size);
        for op in ops {
            both.tell(op);
            both.check_sum();
            both.sim.run_until_idle();
            both.compare();
        }
        both.finish();
    }
}

/// The plain model.
#[derive(Debug, Default)]
struct Model {
    size: usize,
    /// The holders of a slot, each with the tasks that it runs in place, innermost last.
    running: Vec<Vec<usize>>,
    queue: VecDeque<usize>,
    waiting_for_all: usize,
}

impl Model {
    fn enter(&mut self, task: usize) {
        self.queue.push_back(task);
        self.admit();
    }

    fn admit(&mut self) {
        while self.running.len() < self.size {
            let Some(task) = self.queue.pop_front() else { break };
            self.running.push(vec![task]);
        }
        if self.running.is_empty() && self.queue.is_empty() {
            self.waiting_for_all = 0;
        }
    }

    fn enter_from(&mut self, member: usize, task: usize) {
        if self.running.len() < self.size && self.queue.is_empty() {
            self.running.push(vec![task]);
        } else {
            self.running[member].push(task);
        }
    }

    fn end(&mut self, member: usize) {
        self.running[member].pop();
        if self.running[member].is_empty() {
            self.running.remove(member);
        }
        self.admit();
    }
}

/// The commands of a task.
enum Order {
    Spawn(usize),
    End,
}

/// The state that all tasks share.
struct World {
    pool: GreenPool<SimHub>,
    inboxes: RefCell<BTreeMap<usize, Rc<Queue<Order>>>>,
    alive: RefCell<BTreeSet<usize>>,
    members: RefCell<BTreeMap<usize, Greenlet<()>>>,
    waiting_for_all: Cell<usize>,
}

impl World {
    fn inbox(&self, task: usize) -> Rc<Queue<Order>> {
        let mut inboxes = self.inboxes.borrow_mut();
        Rc::clone(inboxes.entry(task).or_insert_with(|| Rc::new(Queue::unbounded())))
    }

    fn tell(&self, task: usize, order: Order) {
        assert!(self.inbox(task).put_nowait(order).is_ok());
    }
}

/// Follows its commands, until it must finish.
fn work(world: Rc<World>, task: usize) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        world.alive.borrow_mut().insert(task);
        let left = Rc::clone(&world);
        let _alive = OnDrop::new(move || assert!(left.alive.borrow_mut().remove(&task)));
        while let Ok(Order::Spawn(other)) = world.inbox(task).get().await {
            let greenlet = world.pool.spawn(work(Rc::clone(&world), other)).await;
            world.members.borrow_mut().insert(other, greenlet);
        }
    })
}

/// The model, and the pool that follows it.
struct Both {
    sim: SimHub,
    model: Model,
    world: Rc<World>,
    /// The waiters for a slot on behalf of a task, and those that had one.
    spawners: BTreeMap<usize, Greenlet<()>>,
    tasks: usize,
}

impl Both {
    fn new(seed: u64, size: usize) -> Self {
        let sim = SimHub::seeded(seed);
        let world = World {
            pool: GreenPool::on(&sim, size),
            inboxes: RefCell::default(),
            alive: RefCell::default(),
            members: RefCell::default(),
            waiting_for_all: Cell::new(0),
        };
        let model = Model { size, ..Model::default() };
        Self { sim, model, world: Rc::new(world), spawners: BTreeMap::new(), tasks: 0 }
    }

    fn tell(&mut self, op: Op) {
        let runs = |n: usize| n.checked_rem(self.model.running.len());
        match op {
            Op::Spawn => self.spawn(),
            Op::SpawnInside(n) => {
                let Some(member) = runs(n) else { return };
                self.tasks += 1;
                self.world.tell(self.innermost(member), Order::Spawn(self.tasks));
                self.model.enter_from(member, self.tasks);
            }
            Op::End(n) => {
                let Some(member) = runs(n) else { return };
                self.world.tell(self.innermost(member), Order::End);
                self.model.end(member);
            }
            Op::Kill(n) => {
                let Some(member) = runs(n) else { return };
                let killed = self.model.running.remove(member)[0];
                self.world.members.borrow()[&killed].kill_now();
                self.model.admit();
            }
            Op::Resize(size) => {
                self.world.pool.resize(size);
                self.model.size = size;
                self.model.admit();
            }
            Op::DropWaiter(n) => {
                let Some(n) = n.checked_rem(self.model.queue.len()) else { return };
                let Some(task) = self.model.queue.remove(n) else { return };
                self.spawners[&task].kill_now();
                self.model.admit();
            }
            Op::Waitall => self.wait_for_all(),
        }
    }

    fn spawn(&mut self) {
        self.tasks += 1;
        let (world, task) = (Rc::clone(&self.world), self.tasks);
        let spawner = spawn_on(&self.sim, async move {
            let greenlet = world.pool.spawn(work(Rc::clone(&world), task)).await;
            world.members.borrow_mut().insert(task, greenlet);
        });
        self.spawners.insert(task, spawner);
        self.model.enter(task);
    }

    fn wait_for_all(&mut self) {
        let world = Rc::clone(&self.world);
        world.waiting_for_all.set(world.waiting_for_all.get() + 1);
        let waits = async move {
            world.pool.waitall().await.expect("the caller is not a member");
            world.waiting_for_all.set(world.waiting_for_all.get() - 1);
        };
        spawn_on(&self.sim, waits).detach();
        self.model.waiting_for_all += 1;
        self.model.admit();
    }

    fn innermost(&self, member: usize) -> usize {
        *self.model.running[member].last().expect("a holder runs itself at least")
    }

    /// The invariants at any moment.
    fn check_sum(&self) {
        let pool = &self.world.pool;
        assert_eq!(signed(pool.running()) + pool.free(), signed(pool.capacity()));
    }

    /// The invariants when all tasks are pending.
    fn compare(&self) {
        let (model, world) = (&self.model, &*self.world);
        self.check_sum();
        assert_eq!(world.pool.capacity(), model.size);
        assert_eq!(world.pool.running(), model.running.len(), "running of {model:?}");
        assert_eq!(world.pool.waiting(), model.queue.len(), "waiting of {model:?}");
        let alive: BTreeSet<usize> = model.running.iter().flatten().copied().collect();
        assert_eq!(*world.alive.borrow(), alive);
        assert_eq!(world.waiting_for_all.get(), model.waiting_for_all, "waitall of {model:?}");
    }

    /// Ends all tasks, and asserts that nothing is left.
    fn finish(&mut self) {
        self.wait_for_all();
        self.tell(Op::Resize(2));
        while !(self.model.running.is_empty() && self.model.queue.is_empty()) {
            self.sim.run_until_idle();
            self.tell(Op::End(0));
        }
        self.sim.run_until_idle();
        self.compare();
        assert_eq!((self.world.pool.free(), self.sim.pending()), (2, 0));
    }
}

fn signed(count: usize) -> isize {
    isize::try_from(count).expect("a model is small")
}
