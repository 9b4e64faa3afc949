//! Every sequence of operations on the model of slots, and random ones on a pool beside it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use spinney::task::spawn_on;
use spinney::{Greenlet, Handle, Queue};
use spinney_sim::SimHub;

use super::Pool;
use super::slot_model::{Id, Model, Op};

/// Tries all sequences of at most `ops` operations from `model` on. Returns the number of states.
fn try_all(model: Model, ops: usize, tasks: usize, capacities: usize) -> usize {
    let (mut seen, mut states) = (HashSet::from([model.clone()]), vec![model]);
    for _ in 0..ops {
        let mut next = Vec::new();
        for state in states {
            for op in state.ops(tasks, capacities) {
                let mut after = state.clone();
                after.apply(op);
                if seen.insert(after.clone()) {
                    next.push(after);
                }
            }
        }
        states = next;
    }
    seen.len()
}

#[test]
fn model_keeps_its_invariants_in_every_sequence() {
    for (capacity, depth) in [(1, 1), (1, 8), (2, 1), (2, 8)] {
        let states = try_all(Model::new(capacity, depth), 6, 4, 3);
        println!("capacity {capacity}, depth {depth}: {states} states");
        assert!(states > 1000);
    }
}

/// The commands of a task of the pool.
enum Command {
    Spawn(Id),
    DropWait(Id),
    Finish,
}

/// A pool that follows the model.
struct Beside {
    pool: Pool,
    told: RefCell<Vec<Rc<Queue<Command>>>>,
    handles: RefCell<Vec<Option<Handle>>>,
}

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// A spawn of `pool`, by a non-member or a member.
fn spawn(pool: &Rc<Beside>, id: Id) -> Wait {
    let (beside, body) = (Rc::clone(pool), Box::pin(task(Rc::clone(pool), id)));
    Box::pin(async move { beside.pool.spawn(body as Wait).await.detach() })
}

/// A task that polls its waits in order, and follows its commands.
async fn task(pool: Rc<Beside>, id: Id) {
    pool.handles.borrow_mut()[id] = Handle::current();
    let (told, mut waits) = (Rc::clone(&pool.told.borrow()[id]), Vec::<(Id, Wait)>::new());
    loop {
        let mut command = pin!(told.get());
        let command = poll_fn(|cx| {
            waits.retain_mut(|(_, wait)| wait.as_mut().poll(cx).is_pending());
            match command.as_mut().poll(cx) {
                Poll::Ready(command) => Poll::Ready(command.unwrap()),
                Poll::Pending => Poll::Pending,
            }
        });
        match command.await {
            Command::Spawn(child) => waits.push((child, spawn(&pool, child))),
            Command::DropWait(child) => waits.retain(|(id, _)| *id != child),
            Command::Finish => return,
        }
    }
}

impl Beside {
    fn tell(&self, id: Id, command: Command) {
        self.told.borrow()[id].put_nowait(command).unwrap();
    }

    fn handle(&self, id: Id) -> Handle {
        self.handles.borrow()[id].clone().expect("the task has started")
    }
}

/// Performs `op`, which is possible in `model`.
fn apply(
    sim: &SimHub,
    pool: &Rc<Beside>,
    strangers: &mut Vec<Option<Greenlet<()>>>,
    model: &Model,
    op: Op,
) {
    match op {
        Op::Spawn(caller) => {
            let id = model.tasks.len();
            pool.told.borrow_mut().push(Rc::new(Queue::unbounded()));
            pool.handles.borrow_mut().push(None);
            strangers.push(caller.is_none().then(|| spawn_on(sim, spawn(pool, id))));
            if let Some(caller) = caller {
                pool.tell(caller, Command::Spawn(id));
            }
        }
        Op::Finish(id) => pool.tell(id, Command::Finish),
        Op::DropWait(id) => match (&strangers[id], model.caller(id)) {
            (Some(stranger), _) => stranger.kill_now(),
            (None, caller) => {
                pool.tell(caller.expect("only a member drops a wait"), Command::DropWait(id));
            }
        },
        Op::Discard(id) => assert!(pool.pool.discard(&pool.handle(id))),
        Op::Resize(capacity) => pool.pool.resize(capacity),
    }
}

#[track_caller]
fn compare(pool: &Beside, model: &Model) {
    let running = &pool.pool;
    let counts = (running.len(), running.waiting(), running.capacity());
    assert_eq!(counts, (model.taken(), model.queue.len(), Some(model.capacity)), "{model:?}");
    let [capacity, taken] = [model.capacity, model.taken()].map(|n| isize::try_from(n).unwrap());
    assert_eq!(running.available(), capacity - taken);
    let members = running.members();
    assert_eq!(members.len(), model.tasks.iter().filter(|task| task.is_member).count());
    for (id, task) in model.tasks.iter().enumerate() {
        let handle = pool.handles.borrow()[id].clone();
        assert_eq!(handle.is_some(), task.started, "task {id}: {model:?}");
        let Some(handle) = handle else { continue };
        assert_eq!(members.contains(&handle), task.is_member, "task {id}: {model:?}");
        assert_eq!(handle.is_ready(), task.has_ended(), "task {id}: {model:?}");
    }
}

#[test]
fn pool_matches_the_model_of_its_slots() {
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let sim = SimHub::seeded(seed);
        let capacity = random.usize(..3);
        let (told, handles) = (RefCell::default(), RefCell::default());
        let pool = Rc::new(Beside { pool: Pool::on(&sim, capacity), told, handles });
        let (mut model, mut strangers) = (Model::new(capacity, 128), Vec::new());
        for _ in 0..25 {
            let ops = model.ops(12, 4);
            let op = ops[random.usize(..ops.len())];
            apply(&sim, &pool, &mut strangers, &model, op);
            sim.run_until_idle();
            model.apply(op);
            compare(&pool, &model);
        }
        // The tasks hold their own pool.
        pool.pool.kill_now();
        pool.told.borrow_mut().clear();
    }
}
