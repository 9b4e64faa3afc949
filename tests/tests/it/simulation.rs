//! Greenlets and pools in a simulation: checks of seeds, found races, and reports of stuck tasks.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::StreamExt;
use spinney::sync::{Barrier, Channel, Condition, JoinableQueue, Latch, RLock};
use spinney::task::joinall;
use spinney::task::{Owner, iwait, spawn_on, try_joinall};
use spinney::{Event, Pool, Queue, Semaphore, block_on, sleep, yield_now};
use spinney_sim::SimHub;

#[test]
fn pool_of_fifty_keeps_its_promises_under_1000_seeds() {
    SimHub::check(0..1000, |sim| {
        let pool = Pool::on(sim, 7);
        let (running, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        sim.block_on(async {
            for n in 0..50_u64 {
                let (running, done) = (Rc::clone(&running), Rc::clone(&done));
                let work = async move {
                    running.set(running.get() + 1);
                    assert!(running.get() <= 7, "the running tasks exceed the slots");
                    sleep(Duration::from_secs(n % 5)).await;
                    yield_now().await;
                    running.set(running.get() - 1);
                    done.set(done.get() + 1);
                };
                pool.spawn(work).await.detach();
            }
            pool.join().await.unwrap();
        });
        assert_eq!((done.get(), running.get(), pool.available()), (50, 0, 7));
    });
}

#[test]
#[should_panic(expected = "replay it with SimHub::seeded(")]
fn planted_race_is_found() {
    SimHub::check(0..100, |sim| {
        let number = Rc::new(Cell::new(0));
        let add_one = |number: Rc<Cell<u32>>| async move {
            let read = number.get();
            yield_now().await;
            number.set(read + 1);
        };
        let pool = Pool::on(sim, 2);
        let done = sim.block_on(pool.map(add_one, [Rc::clone(&number), Rc::clone(&number)]));
        assert_eq!((done.unwrap().len(), number.get()), (2, 2), "an addition was lost");
    });
}

#[test]
fn failing_seed_fails_again() {
    let order = |seed| {
        let (sim, order) = (SimHub::seeded(seed), Rc::new(Cell::new(0_u64)));
        let greenlets = (0..10).map(|n| {
            let order = Rc::clone(&order);
            spawn_on(&sim, async move { order.set(order.get() * 10 + n) })
        });
        let greenlets: Vec<_> = greenlets.collect();
        sim.block_on(joinall(&greenlets));
        order.get()
    };
    assert!((0..20).all(|seed| order(seed) == order(seed)));
    assert!((0..20).any(|seed| order(seed) != order(seed + 1)));
}

#[test]
fn deadlock_names_each_waiter_and_its_line() {
    let sim = SimHub::new();
    let never = Rc::new(Event::new());
    let slots = Rc::new(Semaphore::new(0));
    let (waited, seats) = (Rc::clone(&never), Rc::clone(&slots));
    let reader = spawn_on(&sim, async move { waited.wait().await }).named("reader");
    let writer = spawn_on(&sim, async move { drop(seats.acquire().await) }).named("writer");
    let pool = Pool::on(&sim, 1);
    let member = sim.block_on(pool.spawn(std::future::pending::<()>()));
    let text = sim.try_block_on(pool.join()).unwrap_err().to_string();
    for told in [
        format!("the main future waits for TaskSet::join at {}", file!()),
        format!("{} waits for Event::wait at {}", reader.handle(), file!()),
        format!("{} waits for Semaphore::acquire at {}", writer.handle(), file!()),
        format!("{} waits for an unknown event", member.handle()),
    ] {
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    }
    assert_eq!(reader.to_string(), format!("greenlet {} \"reader\"", reader.id()));
}

#[test]
fn deadlock_of_two_greenlets_names_both() {
    let sim = SimHub::new();
    let first = spawn_on(&sim, std::future::pending::<()>());
    let handle = first.handle().clone();
    let second = spawn_on(&sim, async move { handle.join().await });
    let deadlock = sim.try_block_on(second.join()).unwrap_err();
    assert_eq!(deadlock.tasks(), 2);
    let told = format!("{} waits for Greenlet::join at {}", second.handle(), file!());
    assert!(deadlock.to_string().contains(&told), "{deadlock}");
}

/// Starts a greenlet that waits for ever, and records the expected line of the report.
macro_rules! stuck {
    ($sim:ident, $stuck:ident, $what:literal, |$($name:ident),*| $wait:expr) => {{
        $(let $name = Rc::clone(&$name);)*
        let line = line!();
        let greenlet = spawn_on(&$sim, async move { _ = $wait.await });
        $stuck.push(format!("{} waits for {} at {}:{line}:", greenlet.handle(), $what, file!()));
        greenlet.detach();
    }};
}

#[test]
fn deadlock_names_the_waits_of_a_queue() {
    let (sim, mut stuck) = (SimHub::new(), Vec::new());
    let (empty, full) = (Rc::new(Queue::<u32>::unbounded()), Rc::new(Queue::bounded(1)));
    let (channel, jobs) = (Rc::new(Channel::new()), Rc::new(JoinableQueue::unbounded()));
    full.put_nowait(1).unwrap();
    jobs.put_nowait(1).unwrap();
    stuck!(sim, stuck, "Queue::get", |empty| empty.get());
    stuck!(sim, stuck, "Queue::peek", |empty| empty.peek());
    stuck!(sim, stuck, "Queue::get", |empty| StreamExt::next(&mut empty.stream()));
    stuck!(sim, stuck, "Queue::put", |full| full.put(2));
    stuck!(sim, stuck, "Queue::put", |channel| channel.put(1));
    stuck!(sim, stuck, "Queue::join", |jobs| jobs.join());
    assert_told(&sim, &stuck);
}

#[test]
fn deadlock_names_the_waits_of_a_lock() {
    let (sim, mut stuck) = (SimHub::new(), Vec::new());
    let (seats, changed) = (Rc::new(Semaphore::new(1)), Rc::new(Condition::new()));
    let (lock, barrier) = (Rc::new(RLock::new()), Rc::new(Barrier::new(2)));
    let latch = Rc::new(Latch::new(1));
    lock.try_acquire(Owner::current()).unwrap().forget();
    let permit = seats.try_acquire().unwrap();
    stuck!(sim, stuck, "Semaphore::acquire", |seats| seats.acquire_many(2));
    stuck!(sim, stuck, "Semaphore::wait_idle", |seats| seats.wait_idle());
    stuck!(sim, stuck, "RLock::acquire", |lock| lock.acquire(Owner::current()));
    stuck!(sim, stuck, "Barrier::wait", |barrier| barrier.wait());
    stuck!(sim, stuck, "Latch::wait", |latch| latch.wait());
    let one = Rc::new(Semaphore::new(1));
    stuck!(sim, stuck, "Condition::wait", |changed, one| changed.wait(one.try_acquire().unwrap()));
    assert_told(&sim, &stuck);
    drop(permit);
}

#[test]
fn deadlock_names_the_waits_of_a_pool() {
    let (sim, mut stuck) = (SimHub::new(), Vec::new());
    let [pool, other] = [(); 2].map(|()| Pool::on(&sim, 1));
    let (full, pool) = (Rc::new(pool), Rc::new(other));
    let never = std::future::pending::<()>;
    let member = sim.block_on(full.spawn(std::future::pending::<()>()));
    stuck!(sim, stuck, "a slot of a pool", |full| full.spawn(async {}));
    stuck!(sim, stuck, "a slot of a pool", |full| full.wait_available());
    stuck!(sim, stuck, "TaskSet::join", |full| full.join());
    stuck!(sim, stuck, "a map started", |pool| pool.map(move |()| never(), [()]));
    stuck!(sim, stuck, "a map started", |pool| pool.imap(move |()| never(), [()]).next());
    let member = Rc::new(member);
    stuck!(sim, stuck, "joinall", |member| joinall([member.handle()]));
    stuck!(sim, stuck, "try_joinall", |member| try_joinall([member.handle()]));
    stuck!(sim, stuck, "Iwait::next", |member| iwait([member.handle()]).next());
    assert_told(&sim, &stuck);
}

#[track_caller]
fn assert_told(sim: &SimHub, stuck: &[String]) {
    let text = sim.try_block_on(std::future::pending::<()>()).unwrap_err().to_string();
    for told in stuck {
        assert!(text.contains(told), "{told:?} is missing in:\n{text}");
    }
}

#[test]
fn hours_of_virtual_time_pass_immediately() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 10);
    let hour = |_| sleep(Duration::from_secs(3600));
    sim.block_on(pool.map(hour, 0..100)).unwrap();
    assert_eq!(sim.elapsed(), Duration::from_secs(10 * 3600));
    // Outside the simulation time is real.
    block_on(sleep(Duration::ZERO));
}
