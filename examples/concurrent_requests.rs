//! gevent's "Pool for Concurrent Requests": twenty pages, five at a time.

use std::time::{Duration, Instant};

use spinney::gevent::{block_on, pool, sleep};

/// A fiftieth of the original's second.
const SECOND: Duration = Duration::from_millis(20);

async fn fetch_url(url: String) -> String {
    println!("Fetching {url}");
    // Stands for the network.
    sleep(SECOND).await;
    format!("Content from {url}")
}

fn main() {
    block_on(async {
        let request_pool = pool::Pool::new(5);
        let urls: Vec<_> = (0..20).map(|i| format!("http://example.com/page{i}")).collect();

        let start = Instant::now();
        let results = request_pool.map(fetch_url, urls.clone()).await.expect("no page panics");
        let took = start.elapsed();

        println!("Processed {} URLs in {:.2} seconds", urls.len(), took.as_secs_f64());
        println!("First result: {}", results[0]);
        assert_eq!(results[0], "Content from http://example.com/page0");
        assert_eq!(results.len(), 20);
        assert!(took >= 4 * SECOND, "more than five ran concurrently");
    });
}
