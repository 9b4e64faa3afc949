//! The promises of `spawn_tree`: its greenlets, their places, and their lifetimes. The tree belongs
//! to the whole process, so these tests take turns.

use std::future::{pending, ready};
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spinney::hub::BoxTask;
use spinney::task::joinall;
use spinney::task::{State, killall, named, spawn_on, spawn_tree, track_spawns};
use spinney::{Greenlet, Handle, sleep, spawn};
use spinney_greenlet::{Announcement, ItemGreenlets, NewGreenlet, SpawnContext, pair, pair_items};
use spinney_tests::tools::{blow_up, gate, stuck};
use spinney_tests::{LocalHub, SimHub, hub, in_time};

/// While it lives, spawns are tracked, and only those of this test.
struct Tracked(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

fn tracked() -> Tracked {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(tree(), [], "an earlier test left some");
    track_spawns(true);
    Tracked(alone)
}

impl Drop for Tracked {
    fn drop(&mut self) {
        track_spawns(false);
    }
}

/// The depths and names in the tree.
fn tree() -> Vec<(usize, String)> {
    let name = |handle: &Handle| handle.name().as_deref().unwrap_or_default().to_owned();
    spawn_tree().iter().map(|branch| (branch.depth(), name(branch.handle()))).collect()
}

fn lines(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
    expected.iter().map(|(depth, name)| (*depth, (*name).to_owned())).collect()
}

/// Spawns two copies of itself until `depth`, and waits for them.
fn family(name: String, depth: usize) -> BoxTask {
    Box::pin(async move {
        if depth == 0 {
            return pending().await;
        }
        let child = |n| {
            let name = format!("{name}{n}");
            spawn(family(name.clone(), depth - 1)).named(name)
        };
        joinall([child(1), child(2)]).await;
    })
}

/// Yields until all tasks are pending.
async fn settle() {
    sleep(Duration::from_secs(1)).await;
}

#[test]
fn parents_precede_children_in_spawn_order() {
    let (_tracked, sim) = (tracked(), SimHub::new());
    sim.block_on(async {
        let roots = ["a", "b"].map(|name| spawn(family(name.to_owned(), 2)).named(name));
        settle().await;
        let of = |name: &str| {
            [(0, ""), (1, "1"), (2, "11"), (2, "12"), (1, "2"), (2, "21"), (2, "22")]
                .map(|(depth, rest)| (depth, format!("{name}{rest}")))
        };
        assert_eq!(tree(), [of("a"), of("b")].concat());
        let handles: Vec<_> = spawn_tree().iter().map(|branch| branch.handle().clone()).collect();
        assert_eq!(handles[1].parent(), Some(roots[0].id()));
        killall(handles).await;
    });
    assert_eq!(tree(), []);
}

#[test]
fn greenlets_with_a_finished_parent_are_roots() {
    let (_tracked, sim) = (tracked(), SimHub::new());
    sim.block_on(async {
        let parent = spawn(async {
            let child = spawn(stuck(gate(), ())).named("child");
            child.handle().clone()
        });
        let child = parent.await.unwrap();
        assert_eq!(tree(), lines(&[(0, "child")]));
        child.kill().await;
    });
}

#[test]
fn spawn_tree_shows_names_and_states() {
    let (_tracked, sim) = (tracked(), SimHub::new());
    sim.block_on(async {
        let parent = spawn(async {
            let child = spawn(stuck(gate(), ())).named("child");
            let unstarted = Greenlet::new(async {});
            child.await.unwrap_err();
            drop(unstarted);
        });
        settle().await;
        let handles: Vec<_> = spawn_tree().into_iter().map(|b| b.handle().clone()).collect();
        let expected = format!(
            "greenlet {}: Running\n  greenlet {} \"child\": Running\n  greenlet {}: Unstarted\n",
            parent.id(),
            handles[1].id(),
            handles[2].id()
        );
        assert_eq!(spawn_tree().to_string(), expected);
        handles[1].kill().await;
        parent.await.unwrap();
    });
}

#[test]
fn finished_greenlets_leave_the_spawn_tree() {
    let _tracked = tracked();
    let sim = SimHub::new();
    let left = sim.block_on(async {
        spawn(async {}).await.unwrap();
        let broken: Result<(), _> = spawn(async { blow_up("no luck") }).await;
        assert!(broken.is_err());
        let started = gate();
        let killed = spawn(stuck(Arc::clone(&started), ()));
        started.wait().await;
        killed.kill().await;
        drop(Greenlet::new(async {}));
        drop(pair(async {}, ()));
        spawn(stuck(gate(), ())).named("left").handle().clone()
    });
    assert_eq!(tree(), lines(&[(0, "left")]));
    drop(sim);
    assert_eq!((left.state(), tree()), (State::Killed, Vec::new()));
}

#[test]
fn greenlet_killed_before_it_ran_leaves_the_spawn_tree() {
    let (_tracked, sim) = (tracked(), SimHub::new());
    sim.block_on(async {
        let greenlet = spawn(async {});
        greenlet.kill_now();
        assert_eq!(tree(), []);
        greenlet.join().await;
    });
}

#[test]
fn finished_greenlets_take_no_memory_in_the_tree() {
    let (_tracked, hub) = (tracked(), hub(2));
    let ended = (0..10_000).map(|n| spawn_on(&hub, async move { n }));
    let ended = hub.block_on(in_time(joinall(ended)));
    assert_eq!((ended.len(), tree()), (10_000, Vec::new()));
}

#[test]
fn untracked_greenlets_are_not_in_the_spawn_tree() {
    let (tracked, sim) = (tracked(), SimHub::new());
    sim.block_on(async {
        let before = spawn(stuck(gate(), ())).named("before");
        track_spawns(false);
        let after = spawn(stuck(gate(), ())).named("after");
        assert_eq!(tree(), lines(&[(0, "before")]));
        killall([before, after]).await;
    });
    assert_eq!(tree(), []);
    drop(tracked);
}

#[test]
fn items_that_start_while_tracked_are_in_the_spawn_tree() {
    let (_tracked, hub) = (tracked(), LocalHub::new());
    track_spawns(false);
    let run = |mut items: ItemGreenlets| async move {
        for (name, is_tracked) in [("first", false), ("second", true), ("third", true)] {
            track_spawns(is_tracked);
            items.start(0, Announcement::default, |_, _| ());
            let mut expected = Vec::new();
            if is_tracked {
                named(name, ready(())).await;
                expected = lines(&[(0, name)]);
            }
            assert_eq!(tree(), expected);
            items.finish(&mut Ok(()), |_, _| ());
            assert_eq!(tree(), []);
        }
    };
    let (task, _first) = pair_items(None, SpawnContext::here(Location::caller()), run, |_| ());
    hub.block_on(task);
}

#[test]
fn greenlet_killed_before_it_has_a_task_is_not_in_the_tree() {
    let _tracked = tracked();
    let new = NewGreenlet::new(Location::caller());
    let member = new.handle_at(0);
    member.kill_now();
    let (task, _greenlet) = new.pair(async {}, ());
    assert_eq!(tree(), []);
    drop(task);
    assert!(member.is_ready());
}

#[test]
fn spawn_tree_iterates_by_reference_and_by_value() {
    let (_tracked, hub) = (tracked(), LocalHub::new());
    let greenlet = spawn_on(&hub, async {});
    let tree = spawn_tree();
    let here = (&tree).into_iter().filter(|branch| branch.handle() == greenlet.handle()).count();
    let mut branches = tree.into_iter();
    assert!(here == 1 && branches.any(|branch| branch.handle() == greenlet.handle()));
    hub.block_on(greenlet.join());
}

#[test]
fn debug_of_the_spawn_tree_shows_states() {
    let (_tracked, hub) = (tracked(), LocalHub::new());
    let greenlet = spawn_on(&hub, pending::<u32>()).named("reader");
    let handle = format!("Handle {{ id: {}, name: \"reader\", state: Scheduled }}", greenlet.id());
    let branch = format!("Branch {{ depth: 0, handle: {handle} }}");
    assert_eq!(format!("{:?}", spawn_tree()), format!("SpawnTree {{ branches: [{branch}] }}"));
    assert_eq!(format!("{:?}", spawn_tree().iter().next()), format!("Some({branch})"));
    hub.block_on(greenlet.kill());
}
