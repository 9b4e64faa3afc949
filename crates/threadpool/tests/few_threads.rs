//! A system that allows one thread and no second one. A program of its own, because it limits its
//! address space.
#![cfg(target_os = "linux")]

use rlimit::Resource;
use spinney_test_support::Gate;
use spinney_threadpool::ThreadPool;

const STACK: usize = 1 << 30;

/// Leaves room for one stack, and not for two.
fn limit_memory() {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let taken = pages * 4096;
    let room = u64::try_from(STACK).unwrap() / 2 * 3;
    let (_, most) = Resource::AS.get().unwrap();
    Resource::AS.set(taken + room, most).unwrap();
}

#[test]
fn refused_second_thread_is_not_an_error() {
    let pool = ThreadPool::builder().capacity(2).stack_size(STACK).build();
    limit_memory();
    let gate = Gate::default();
    let held = gate.clone();
    let first = pool.submit(move || held.pass());
    gate.wait_for(1);
    let others: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
    assert_eq!((pool.threads(), pool.len()), (1, 101), "a closure was refused or lost");
    gate.open();
    first.wait().unwrap();
    assert_eq!(gate.counts(), (1, 1));
    assert!(others.into_iter().map(|other| other.wait().unwrap()).eq(0..100));
}
