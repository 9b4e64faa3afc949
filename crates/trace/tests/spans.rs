//! The promises of the spans of tracing, of which a process has one subscriber.
#![cfg(feature = "tracing")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use spinney_greenlet::{Handle, named, spawn_on};
use spinney_hub::LocalHub;
use spinney_pool::Pool;
use spinney_threadpool::ThreadPool;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The lines with `word` in them.
    fn with(&self, word: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn context_follows_into_spawns_maps_and_threads() {
    let lines = Lines::default();
    tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).init();
    spinney_trace::start().unwrap();
    let hub = LocalHub::new();
    hub.block_on(async {
        let pool = Pool::on(&hub, 2);
        let mapper = spawn_on(
            &hub,
            named("mapper", async move {
                let threads = ThreadPool::new(1);
                threads.apply(|| tracing::info!("on a thread")).await.unwrap();
                let item = |n| async move { tracing::info!("item number {n}") };
                pool.map(item, 0..3).await.unwrap();
                let broken = pool.spawn(async { panic!("no luck") }).await;
                broken.await.unwrap_err();
                Handle::current().unwrap().id()
            }),
        );
        let id = mapper.id();
        mapper.await.unwrap();
        let outer = format!("greenlet{{id={id} ");
        let thread = lines.with("on a thread");
        assert!(
            thread[0].contains(&outer) && thread[0].contains("pool=\"thread pool\""),
            "{thread:?}"
        );
        let items = lines.with("item number");
        assert_eq!(items.len(), 3);
        for line in &items {
            let of_item = format!("item={} ", line.split(' ').next_back().unwrap());
            assert!(line.contains(&outer) && line.contains(&of_item), "{line}");
            assert_eq!(line.matches("greenlet{").count(), 2, "an item is within no other: {line}");
        }
        let panics = lines.with("a greenlet panicked");
        assert!(panics[0].contains("no luck") && panics[0].contains(&outer), "{panics:?}");
        let named = lines.with("item number").pop().unwrap();
        assert_eq!(named.matches("name=\"mapper\"").count(), 1, "{named}");
    });
    tracing::info!("outside");
    assert!(!lines.with("outside")[0].contains("greenlet"), "every span was left");
}
