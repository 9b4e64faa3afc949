//! eventlet's "Pool with Map Operations": results in input order, three tasks at a time.

use std::collections::HashMap;
use std::time::Duration;

use spinney::eventlet::GreenPoolExt as _;
use spinney::eventlet::{GreenPool, block_on, sleep};

/// A fiftieth of the original's second.
const SECOND: Duration = Duration::from_millis(20);

async fn fetch_url(url: &str) -> String {
    sleep(SECOND / 2).await;
    format!("Content from {url}")
}

type Headers = HashMap<&'static str, &'static str>;

async fn fetch_with_headers((url, headers): (&str, Headers)) -> String {
    sleep(SECOND * 3 / 10).await;
    format!("Content from {url} with headers {headers:?}")
}

fn main() {
    block_on(async {
        let pool = GreenPool::new(3);

        let urls = [
            "http://example.com/page1",
            "http://example.com/page2",
            "http://example.com/page3",
            "http://example.com/page4",
            "http://example.com/page5",
        ];
        let mut pages = pool.imap(fetch_url, urls);
        for url in urls {
            let result = pages.next().await.expect("a page for each").expect("no page panics");
            println!("Got: {result}");
            assert_eq!(result, format!("Content from {url}"));
        }
        assert!(pages.next().await.is_none());

        let url_header_pairs = [
            ("http://api.example.com/users", Headers::from([("Authorization", "Bearer token1")])),
            ("http://api.example.com/posts", Headers::from([("Authorization", "Bearer token2")])),
            (
                "http://api.example.com/comments",
                Headers::from([("Authorization", "Bearer token3")]),
            ),
        ];
        let mut answers = pool.starmap(fetch_with_headers, url_header_pairs);
        let mut tokens = Vec::new();
        while let Some(result) = answers.next().await {
            let result = result.expect("no answer panics");
            println!("API result: {result}");
            tokens.extend(["token1", "token2", "token3"].into_iter().find(|t| result.contains(t)));
        }
        assert_eq!(tokens, ["token1", "token2", "token3"]);
    });
}
