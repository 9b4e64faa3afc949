//! eventlet's "Green Pile Usage": results as they become available. The random duration of each
//! source is fixed here.

use std::time::Duration;

use spinney::eventlet::{GreenPile, block_on, sleep};

/// A fifth of the original's second.
const SECOND: Duration = Duration::from_millis(200);

async fn fetch_data(source: &'static str, tenths: u32) -> (&'static str, String) {
    sleep(SECOND * tenths / 10).await;
    (source, format!("Data from {source} (took {:.2}s)", f64::from(tenths) / 10.0))
}

fn main() {
    block_on(async {
        let pile = GreenPile::new(10);
        let sources = [("database", 9), ("api", 17), ("cache", 1), ("file", 5), ("network", 13)];
        for (source, tenths) in sources {
            pile.spawn(fetch_data(source, tenths)).await;
        }
        assert_eq!(pile.len(), 5);

        println!("Processing results as they arrive:");
        let mut arrived = Vec::new();
        while let Some(result) = pile.next().await {
            let (source, result) = result.expect("no source panics");
            println!("Received: {result}");
            arrived.push(source);
        }
        println!("All operations completed");
        assert_eq!(arrived, ["cache", "file", "database", "network", "api"]);
    });
}
