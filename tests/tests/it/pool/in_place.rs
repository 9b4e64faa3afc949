//! Promises under interleavings that threads meet rarely: a hub that runs its tasks in place,
//! inside the call that spawns or wakes them, meets them each time.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use futures_lite::future::{block_on, poll_once};
use spinney::hub::{BoxTask, Executor};
use spinney::task::spawn_on;
use spinney::{GreenPile, GreenPool, Group, Pool, Spawn};
use spinney_tests::Dropped;
use spinney_tests::tools::{Log, OnDrop, blow_up, gate, stuck};

/// Polls a task where it is spawned or woken. Its tasks wait for greenlets and slots alone: an
/// `Event` wakes under a lock that the woken task would need.
#[derive(Clone, Default)]
struct InPlace {
    tasks: Arc<Mutex<Vec<Arc<Place>>>>,
    /// Called by the next task's waker when its last clone is dropped.
    on_waker_drop: Arc<Mutex<Option<Hook>>>,
}

type Hook = Box<dyn FnOnce() + Send>;
type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Place {
    task: Mutex<Option<BoxFuture>>,
    woken: AtomicBool,
    hook: Mutex<Option<Hook>>,
}

impl Place {
    fn run(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        let waker = Waker::from(Arc::clone(self));
        // A wake-up during the poll is handled after it.
        while let Ok(mut task) = self.task.try_lock() {
            if !self.woken.swap(false, SeqCst) {
                return;
            }
            let polled =
                task.as_mut().map(|task| task.as_mut().poll(&mut Context::from_waker(&waker)));
            if polled.is_none_or(|polled| polled.is_ready()) {
                let ended = task.take();
                drop(task);
                drop(ended);
                return;
            }
        }
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(hook) = self.hook.get_mut().unwrap().take() {
            hook();
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for InPlace {
    fn spawn(&self, future: F) {
        let place = Arc::new(Place {
            task: Mutex::new(Some(Box::pin(future))),
            woken: AtomicBool::new(false),
            hook: Mutex::new(self.on_waker_drop.lock().unwrap().take()),
        });
        self.tasks.lock().unwrap().push(Arc::clone(&place));
        place.run();
    }
}

impl Executor for InPlace {
    type AnyTask = BoxTask;
}

impl InPlace {
    /// Drops the unfinished tasks.
    fn clear(&self) {
        let places = std::mem::take(&mut *self.tasks.lock().unwrap());
        for place in places {
            let task = place.task.lock().unwrap().take();
            drop(place);
            drop(task);
        }
    }
}

#[test]
fn pool_runs_on_a_hub_that_polls_in_place() {
    let pool = Pool::on(&InPlace::default(), 1);
    block_on(async {
        assert_eq!(pool.spawn(async { 42 }).await.await.unwrap(), 42);
        assert!(pool.spawn(async { blow_up("no luck") }).await.await.unwrap_err().is_panic());
        pool.spawn(stuck(gate(), ())).await.kill().await;
        assert_eq!((pool.len(), pool.available()), (0, 1));
    });
}

#[test]
fn map_runs_on_a_hub_that_polls_in_place() {
    let pool = Pool::on(&InPlace::default(), 2);
    let doubled = block_on(pool.map(|n| async move { 2 * n }, 0..100));
    assert_eq!(doubled.unwrap(), (0..100).map(|n| 2 * n).collect::<Vec<_>>());
}

#[test]
fn kill_ends_members_that_enter_before_it_waits() {
    let (group, dropped) = (Group::on(&InPlace::default()), Dropped::default());
    let (inside, guard) = (group.clone(), dropped.guard());
    let spawns = OnDrop::new(move || inside.spawn(stuck(gate(), guard)).detach());
    group.spawn(stuck(gate(), spawns)).detach();
    assert!(block_on(poll_once(group.kill())).is_some(), "the kill waits for another greenlet");
    assert_eq!((group.len(), dropped.count()), (0, 1));
}

#[test]
fn waiter_is_never_woken_before_the_member_has_left() {
    let hub = InPlace::default();
    let (pool, log) = (Pool::on(&hub, 1), Log::default());
    let (looks, seen) = (Arc::new(Mutex::new(None)), log.clone());
    let (looked, inside) = (Arc::clone(&looks), pool.clone());
    // The waker is dropped while the greenlet finishes: another thread may observe the state then.
    *hub.on_waker_drop.lock().unwrap() = Some(Box::new(move || {
        let handle: spinney::Handle = looked.lock().unwrap().take().unwrap();
        let waiting = block_on(poll_once(handle.join())).is_none();
        seen.add((waiting, inside.contains(&handle)));
    }));
    let member = block_on(pool.spawn(stuck(gate(), ())));
    *looks.lock().unwrap() = Some(member.handle().clone());
    hub.clear();
    for (waiting, member) in log.take() {
        assert!(waiting || !member, "it has finished and is still a member");
    }
    assert!(!pool.contains(&member));
}

#[test]
fn result_does_not_overtake_an_earlier_one() {
    let hub = InPlace::default();
    let pile = Arc::new(GreenPile::on(&GreenPool::on(&hub, 1)));
    let first = block_on(pile.spawn(stuck(gate(), ())));
    let second = Arc::clone(&pile);
    // It gets its slot, runs and finishes inside the end of the first.
    spawn_on(&hub, async move { drop(second.spawn(async {}).await) }).detach();
    first.kill_now();
    assert_eq!(pile.len(), 2);
    assert!(block_on(pile.next()).unwrap().is_err(), "the second came first");
}

/// Records how many slots of a pool are taken whenever it is woken.
struct Watch {
    pool: Pool<InPlace>,
    seen: Log<usize>,
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.seen.add(self.pool.len());
    }
}

#[test]
fn no_slot_is_held_when_the_reader_of_a_map_is_woken() {
    let (pool, seen) = (Pool::on(&InPlace::default(), 1), Log::default());
    let holder = block_on(pool.spawn(stuck(gate(), ())));
    // Added so that the result alone does not wake it.
    let mut map = pool.mapper().maxsize(100).map(|n: u32| async move { n }, [1]);
    let waker = Waker::from(Arc::new(Watch { pool: pool.clone(), seen: seen.clone() }));
    assert!(Pin::new(&mut map).poll(&mut Context::from_waker(&waker)).is_pending());
    holder.kill_now();
    assert_eq!(seen.take(), [0]);
}

#[test]
fn reader_of_a_pile_may_run_inside_its_wake() {
    let (hub, seen) = (InPlace::default(), Log::default());
    let pile = Arc::new(GreenPile::on(&GreenPool::on(&hub, 2)));
    let first = block_on(pile.spawn(stuck(gate(), 1)));
    for _ in 0..2 {
        let (read, log) = (Arc::clone(&pile), seen.clone());
        spawn_on(&hub, async move {
            while let Some(result) = read.next().await {
                log.add(result.is_ok());
            }
            log.add(false);
        })
        .detach();
    }
    // It has finished before the pile knows of it.
    block_on(pile.spawn(async {}));
    assert_eq!(seen.take(), [true]);
    first.kill_now();
    assert_eq!(seen.take(), [false; 3]);
}
