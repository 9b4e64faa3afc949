//! The same code runs on the hub where it is called, whatever hub that is.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use spinney::gevent::GroupExt as _;
use spinney::hub::{SmolHub, TokioHub};
use spinney::task::{spawn_later, spawn_on};
use spinney::{
    GreenPile, GreenPool, Group, Hub, LocalHub, Pool, Spawn, ThreadPool, Within, block_on, sleep,
    spawn, yield_now,
};
use spinney_sim::SimHub;
use spinney_tests::tools::Why;
use spinney_tests::{smol_block_on, tokio_runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

/// A program that names no hub: each part of it reports the hub on which it runs.
async fn program(pause: Duration) -> Vec<String> {
    fn here() -> String {
        format!("{:?}", Hub::current())
    }
    let pool = Pool::new(2);
    let paused = move |_: u32| async move {
        sleep(pause).await;
        here()
    };
    let mut seen = pool.map(paused, 0..4).await.unwrap();
    seen.push(pool.spawn(paused(0)).await.await.unwrap());
    seen.push(pool.apply_async(paused(0)).await.unwrap());
    seen.extend(pool.map_async(paused, 0..2).await.unwrap());
    seen.push(Group::new().apply(paused(0)).await.unwrap());
    seen.push(GreenPool::new(1).spawn(paused(0)).await.await.unwrap());
    let pile = GreenPile::new(2);
    pile.spawn(paused(0)).await;
    seen.push(pile.next().await.unwrap().unwrap());
    seen.push(spawn(paused(0)).await.unwrap());
    seen.push(spawn_later(pause, async move { here() }).await.unwrap());
    let late = std::future::pending::<()>().within(pause).await;
    assert_eq!(late.unwrap_err().limit(), pause);
    seen.push(here());
    seen.sort();
    seen.dedup();
    seen
}

#[test]
fn program_runs_in_a_plain_block_on() {
    assert_eq!(block_on(program(MS)), ["Hub { global: true }"]);
}

#[test]
fn program_runs_in_a_built_hub() {
    let hub = spinney_tests::hub(2);
    // The text also has the number of tasks.
    let own = |text: &String| text.starts_with("Hub { threads: 2");
    assert!(hub.block_on(program(MS)).iter().all(own));
    assert!(hub.block_on(spawn_on(&hub, program(MS))).unwrap().iter().all(own));
}

#[test]
fn program_runs_in_tokio_of_both_flavours() {
    for threads in [1, 2] {
        let runtime = tokio_runtime(threads);
        assert_eq!(runtime.block_on(program(MS)), ["Hub { tokio: true }"]);
        let task = runtime.spawn(program(MS));
        assert_eq!(runtime.block_on(task).unwrap(), ["Hub { tokio: true }"]);
    }
}

/// One request to `server` over tokio's sockets, like that of an HTTP client for tokio.
async fn request(server: SocketAddr, n: u8) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_u8(n).await?;
    stream.read_u8().await
}

#[tokio::main(flavor = "current_thread")]
async fn requests_on_one_thread() {
    requests().await;
}

#[tokio::main]
async fn requests_on_several_threads() {
    requests().await;
}

/// The items of a map, and of the server's pool, find tokio's reactor.
async fn requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let serving = spawn(async move {
        let group = Group::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = async move {
                let n = stream.read_u8().await.unwrap();
                stream.write_u8(2 * n).await.unwrap();
            };
            group.spawn(answer).detach();
        }
    });
    let answers = Pool::new(3).map(move |n| request(server, n), 0..9).await.unwrap();
    assert!(answers.into_iter().map(Result::unwrap).eq((0..9).map(|n| 2 * n)));
    serving.kill().await;
}

#[test]
fn map_makes_requests_over_the_sockets_of_tokio() {
    requests_on_one_thread();
    requests_on_several_threads();
}

#[test]
fn program_runs_in_tokio_with_the_systems_clock() {
    let runtime = tokio_runtime(2);
    let hub = TokioHub::new(runtime.handle().clone()).with_system_clock();
    assert_eq!(runtime.block_on(hub.scope(program(MS))), ["Hub { tokio: true }"]);
}

#[test]
fn program_runs_in_smol() {
    assert_eq!(smol_block_on(SmolHub.scope(program(MS))), ["Hub { smol: true }"]);
}

#[test]
fn program_runs_in_a_local_hub() {
    assert_eq!(LocalHub::new().block_on(program(MS)), ["Hub { local: true }"]);
}

#[test]
fn program_runs_in_virtual_time() {
    let start = Instant::now();
    for seed in 0..20 {
        let elapsed = || {
            let sim = SimHub::seeded(seed);
            assert_eq!(sim.block_on(program(HOUR)), ["Hub { custom: true }"]);
            sim.elapsed()
        };
        assert_eq!(elapsed(), elapsed());
        assert!(elapsed() > 10 * HOUR);
    }
    assert!(start.elapsed() < HOUR);
}

#[test]
fn pool_in_a_static_serves_one_runtime_after_another() {
    static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(2));
    for round in 0..100 {
        let runtime = tokio_runtime(1 + round % 2);
        let doubled = |n: u32| async move {
            sleep(Duration::from_micros(10)).await;
            2 * n
        };
        assert_eq!(runtime.block_on(POOL.map(doubled, 0..4)).unwrap(), [0, 2, 4, 6]);
        // Running tasks end with their runtime, and their slots are free again.
        drop(runtime.block_on(POOL.spawn(std::future::pending::<()>())));
    }
    block_on(POOL.wait_idle()).unwrap();
}

#[test]
fn pool_limits_two_runtimes_together() {
    static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(3));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let work = {
        let most = Arc::clone(&most);
        move |_: u32| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(MS).await;
                running.fetch_sub(1, SeqCst);
            }
        }
    };
    thread::scope(|scope| {
        for threads in [1, 2] {
            let work = work.clone();
            scope.spawn(move || tokio_runtime(threads).block_on(POOL.map(work, 0..50)).unwrap());
        }
    });
    assert!(most.load(SeqCst) <= 3);
}

/// The name of the thread that polls this.
async fn name() -> String {
    yield_now().await;
    thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn with_hub_has_the_same_slots_on_another_hub() {
    let (hub, pool) = (spinney_tests::hub(1), Pool::new(1));
    let there = pool.with_hub(&hub);
    block_on(async {
        assert_eq!(there.apply(name()).await.unwrap(), "test-0");
        assert_eq!(there.map(|()| name(), [()]).await.unwrap(), ["test-0"]);
        assert!(pool.apply(name()).await.unwrap().starts_with("spinney-"));
        let busy = there.spawn(std::future::pending::<()>()).await;
        assert!(pool.is_full() && pool.contains(&busy));
        drop(there);
        assert!(pool.is_full(), "the pool lives");
        pool.kill().await;
    });
}

#[test]
fn direct_and_following_spawns_run_in_order() {
    let (hub, log) = (LocalHub::new(), Arc::new(spinney_tests::tools::Log::default()));
    hub.block_on(async {
        let handle = Hub::from(&hub);
        for n in 0..12 {
            let log = Arc::clone(&log);
            let task = async move { log.add(n) };
            match n % 4 {
                0 => hub.spawn(task),
                1 => drop(spawn(task)),
                2 => handle.spawn(task),
                _ => thread::scope(|scope| scope.spawn(|| handle.spawn(task)).join().unwrap()),
            }
        }
        yield_now().await;
    });
    assert!(log.take().into_iter().eq(0..12));
}

#[test]
fn greenlet_on_a_dropped_hub_fails_clearly() {
    let (local, sim, own) = (LocalHub::new(), SimHub::new(), spinney_tests::hub(1));
    let hubs = [Hub::from(&local), Hub::from(&sim), own.clone()];
    own.shutdown(Duration::ZERO);
    drop((local, sim));
    for hub in hubs {
        let failure = block_on(spawn_on(&hub, async {})).unwrap_err();
        assert_eq!(failure.why(), "killed: its hub was shut down");
    }
}

#[test]
fn handle_to_a_reused_inbox_is_of_the_old_hub() {
    let old = LocalHub::new();
    let handle = Hub::from(&old);
    drop(old);
    // One of these has the inbox of the old one.
    let hubs: Vec<_> = (0..100).map(|_| LocalHub::new()).collect();
    let greenlet = spawn_on(&handle, async {});
    for hub in &hubs {
        hub.block_on(yield_now());
    }
    assert!(block_on(greenlet).unwrap_err().is_killed());
}

#[test]
fn closure_of_a_thread_pool_has_the_clock_of_its_caller() {
    let threads = ThreadPool::new(1);
    let runtime = tokio_runtime(2);
    let here = || format!("{:?}", Hub::current());
    let seen = runtime.block_on(async { threads.spawn(here).await.await.unwrap() });
    assert_eq!(seen, "Hub { tokio: true }");
    let nested = runtime.block_on(async {
        let nested = || block_on(program(MS));
        threads.spawn(nested).await.await.unwrap()
    });
    assert_eq!(nested, ["Hub { tokio: true }"]);
}
