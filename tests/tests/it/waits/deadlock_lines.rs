//! The deadlock report of a simulation names the line of the program for each wait of pools, thread
//! pools and piles.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::stream;
use spinney::eventlet::GreenPoolExt as _;
use spinney::gevent::GroupExt as _;
use spinney::map::from_stream;
use spinney::task::spawn_on;
use spinney::{GreenPile, GreenPool, Greenlet, Pool, ResourcePool, ThreadPool};
use spinney_sim::SimHub;

/// A greenlet in the wait, and its line in the report.
struct Stuck {
    greenlet: Greenlet<()>,
    line: u32,
    what: &'static str,
}

/// Starts a greenlet that waits for ever, and records its line.
macro_rules! stuck {
    ($sim:ident, $what:literal, |$($name:ident),*| $wait:expr) => {{
        $(let $name = Rc::clone(&$name);)*
        let line = line!();
        let greenlet = spawn_on(&$sim, async move { _ = $wait.await });
        Stuck { greenlet, line, what: $what }
    }};
}

/// Asserts that each of them waits at its line, according to the report.
#[track_caller]
fn assert_named(sim: &SimHub, stuck: &[Stuck]) {
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    for Stuck { greenlet, line, what } in stuck {
        let told = format!("{} waits for {what} at {}:{line}:", greenlet.handle(), file!());
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    }
    for line in text.lines().filter(|line| line.contains(" at ")) {
        assert!(line.contains(file!()), "not a line of the program: {line}");
    }
}

/// A pool of one slot, which is taken for ever.
fn full(sim: &SimHub) -> Rc<Pool<SimHub>> {
    let pool = Pool::on(sim, 1);
    sim.block_on(pool.spawn(pending::<()>())).detach();
    Rc::new(pool)
}

#[test]
fn deadlock_names_the_line_of_each_wait_of_a_pool() {
    let sim = SimHub::new();
    let (pool, over) = (full(&sim), full(&sim));
    let stranger = Rc::new(spawn_on(&sim, pending::<()>()));
    let member = Rc::new(pool.members().remove(0));
    over.close();
    assert_named(
        &sim,
        &[
            stuck!(sim, "a slot of a pool", |pool| pool.spawn(async {})),
            stuck!(sim, "a slot of a pool", |pool| pool.spawn_within(Duration::MAX, async {})),
            stuck!(sim, "a slot of a pool", |pool| pool.apply(async {})),
            stuck!(sim, "a slot of a pool", |pool| pool.apply_cb(async {}, |()| ())),
            stuck!(sim, "a slot of a pool", |pool, stranger| pool.add(stranger.handle())),
            stuck!(sim, "a slot of a pool", |pool, stranger| pool.start(stranger.handle())),
            stuck!(sim, "a slot of a pool", |pool| pool.wait_available()),
            stuck!(sim, "Semaphore::wait_idle", |pool| pool.wait_idle()),
            stuck!(sim, "TaskSet::join", |pool| pool.join()),
            stuck!(sim, "TaskSet::join", |pool| pool.try_join()),
        ],
    );
    drop(member);
}

#[test]
fn deadlock_names_the_line_of_each_kill_of_a_pool() {
    let sim = SimHub::new();
    let refusing = || {
        let pool = Pool::on(&sim, 1);
        let refuses = spinney::shield(pending::<()>());
        sim.block_on(pool.spawn(refuses)).detach();
        Rc::new(pool)
    };
    let [a, b] = [(); 2].map(|()| refusing());
    let member = Rc::new(a.members().remove(0));
    assert_named(
        &sim,
        &[
            stuck!(sim, "Greenlet::join", |a, member| a.killone(&member)),
            stuck!(sim, "TaskSet::kill", |b| b.kill()),
        ],
    );
}

#[test]
fn deadlock_names_the_line_of_each_wait_for_a_map() {
    let sim = SimHub::new();
    let never = |()| pending::<()>();
    let failing = |()| pending::<Result<(), ()>>();
    let pool = Rc::new(Pool::on(&sim, 10));
    assert_named(
        &sim,
        &[
            stuck!(sim, "a map started", |pool| pool.map(never, [()])),
            stuck!(sim, "a map started", |pool| pool.imap(never, [()]).next()),
            stuck!(sim, "a map started", |pool| pool.imap_unordered(never, [()]).next()),
            stuck!(sim, "a map started", |pool| pool.imap(never, [()]).count()),
            stuck!(sim, "a map started", |pool| pool.imap(never, [()]).indexed().next()),
            stuck!(sim, "a map started", |pool| pool.try_map(failing, [()])),
            stuck!(sim, "a map started", |pool| pool.try_map(failing, [()]).collect_all()),
            stuck!(sim, "a map started", |pool| pool.try_map(failing, [()]).first_success()),
            stuck!(sim, "the end of a greenlet spawned", |pool| pool.map_async(never, [()])),
            stuck!(sim, "a map started", |pool| pool.map(never, from_stream(stream::pending()))),
        ],
    );
}

/// Tasks of the library wait on behalf of the call that started them.
#[test]
fn deadlock_names_the_call_that_a_task_waits_for() {
    let sim = SimHub::new();
    let pool = full(&sim);
    pool.apply_async(async {}).detach();
    let map = pool.imap(|()| ready(()), [()]);
    let bounded = Pool::on(&sim, 1).mapper().maxsize(1).imap(ready, [1, 2, 3]);
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(" at ")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines.iter().all(|line| line.contains(file!())), "{text}");
    drop((map, bounded));
}

type Numbers = ResourcePool<u32, Infallible>;

#[test]
fn deadlock_names_the_line_of_each_wait_of_a_pile() {
    let sim = SimHub::new();
    let make = || ready(Ok(1));
    let numbers: Rc<Numbers> = Rc::new(ResourcePool::builder(make).min_size(1).max_size(1).build());
    let _used = sim.block_on(numbers.item()).unwrap();
    let unfilled: Rc<Numbers> =
        Rc::new(ResourcePool::builder(make).min_size(2).max_size(2).build());
    let _held = [(); 2].map(|()| sim.block_on(unfilled.item()).unwrap().discard());
    let pool = Rc::new(GreenPool::on(&sim, 1));
    sim.block_on(pool.spawn(pending::<()>())).detach();
    let pile = Rc::new(GreenPile::on(&GreenPool::on(&sim, 1)));
    sim.block_on(pile.spawn(pending::<()>()));
    assert_named(
        &sim,
        &[
            stuck!(sim, "a slot of a pool", |pool| pool.spawn(async {})),
            stuck!(sim, "a slot of a pool", |pool| pool.spawn_n(async {})),
            stuck!(sim, "Semaphore::wait_idle", |pool| pool.waitall()),
            stuck!(sim, "a map started", |pool| pool.imap(ready, [()]).next()),
            stuck!(sim, "a slot of a pool", |pile| pile.spawn(async {})),
            stuck!(sim, "GreenPile::next", |pile| pile.next()),
            stuck!(sim, "Semaphore::acquire", |numbers| numbers.get()),
            stuck!(sim, "Semaphore::acquire", |numbers| numbers.item()),
        ],
    );
}

#[test]
fn deadlock_names_the_line_of_a_pile_read_as_a_stream() {
    let sim = SimHub::new();
    let line = line!() + 1;
    let mut pile = GreenPile::on(&GreenPool::on(&sim, 1));
    sim.block_on(pile.spawn(pending::<()>()));
    let text = sim.try_block_on(StreamExt::next(&mut pile)).unwrap_err().to_string();
    let told = format!("the main future waits for the next of a pile made at {}:{line}:", file!());
    assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
}

#[test]
fn deadlock_names_the_line_of_each_wait_of_threads() {
    let sim = SimHub::new();
    let pool = || ThreadPool::builder().capacity(1).queue(0).build();
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let [a, b, c] = [(); 3].map(|()| Rc::new(pool()));
    let hold = std::sync::Arc::new(std::sync::Mutex::new(opened));
    for pool in [&a, &b, &c] {
        let hold = std::sync::Arc::clone(&hold);
        sim.block_on(pool.spawn(move || hold.lock().unwrap().recv().is_ok())).detach();
    }
    let d = Rc::new(ThreadPool::builder().capacity(1).build());
    let shared = std::sync::Arc::clone(&hold);
    sim.block_on(d.spawn(move || shared.lock().unwrap().recv().is_ok())).detach();
    // A closure that has not started would be killed.
    while c.waiting() > 0 {
        std::thread::yield_now();
    }
    assert_named(
        &sim,
        &[
            stuck!(sim, "a place in a thread pool", |a| a.spawn(|| ())),
            stuck!(sim, "a place in a thread pool", |a| a.apply(|| ())),
            stuck!(sim, "the end of a closure spawned", |d| d.apply(|| ())),
            stuck!(sim, "a map started", |d| d.map(|()| (), [()])),
            stuck!(sim, "a map started", |d| d.imap(|()| (), [()]).next()),
            stuck!(sim, "ThreadPool::join", |a| a.join()),
            stuck!(sim, "ThreadPool::drain", |b| b.drain(Duration::MAX)),
            stuck!(sim, "a place in a thread pool", |a| a.spawn_within(Duration::MAX, || ())),
            stuck!(sim, "a map started", |d| d.try_map(Ok::<(), ()>, [()])),
            stuck!(sim, "a map started", |d| d.try_imap(Ok::<(), ()>, [()]).next()),
            stuck!(sim, "ThreadPool::kill", |c| c.kill()),
        ],
    );
    drop(open);
}
