//! A span of the crate tracing for each greenlet: every line of the log says which request it works
//! for, also in a map and on a thread of a pool.

use std::error::Error;
use std::io;
use std::time::Duration;

use spinney::task::named;
use spinney::{Pool, ThreadPool, block_on, sleep, trace};

/// Stands for a download.
async fn fetch(page: u32) -> String {
    sleep(Duration::from_millis(u64::from(page))).await;
    tracing::info!("page {page} is here");
    format!("text of page {page}")
}

/// Fetches the pages of a request, two at once, and counts their letters on a thread.
async fn answer(pages: Vec<u32>, fetches: Pool, threads: ThreadPool) -> usize {
    tracing::info!("{} pages are wanted", pages.len());
    let texts = fetches.map(fetch, pages).await.expect("no fetch fails");
    let count = move || {
        tracing::info!("counts on a thread");
        texts.iter().map(String::len).sum()
    };
    threads.apply(count).await.expect("the closure does not panic")
}

fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(io::stdout).with_ansi(false);
    log.without_time().with_target(false).init();
    trace::start()?;

    let (requests, fetches, threads) = (Pool::new(8), Pool::new(2), ThreadPool::new(1));
    block_on(async {
        for (name, pages) in [("news", vec![1, 2, 3]), ("sport", vec![4, 5])] {
            let answer = named(name, answer(pages, fetches.clone(), threads.clone()));
            println!("{name}: {} letters", requests.apply(answer).await?);
        }
        Ok(())
    })
}
