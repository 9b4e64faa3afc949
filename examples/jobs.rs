//! A worker over a queue of jobs, without any broker: results, retries, a time limit, a schedule.

use std::sync::Arc;
use std::time::Duration;

use spinney::jobs::{MemoryJob, MemorySource, NewJob, Terms, Worker};
use spinney::time::Clock;
use spinney::{Pool, Retry, block_on, sleep};

const MS: Duration = Duration::from_millis(1);

type Mail = MemoryJob<&'static str, String, &'static str>;

/// Sends a letter. The server is busy at the first try.
async fn send(mail: Arc<Mail>) -> Result<String, &'static str> {
    match **mail {
        "unreachable" => sleep(60_000 * MS).await,
        _ if mail.attempt() == 0 => return Err("the server is busy"),
        _ => {}
    }
    Ok(format!("sent to {} at try {}", **mail, mail.attempt() + 1))
}

fn main() {
    block_on(async {
        // At most 100 letters that are not sent; beyond that, `push` waits.
        let queue = MemorySource::bounded(100);
        let mut sent = Vec::new();
        for name in ["Ada", "Grace"] {
            sent.push(queue.push(NewJob::new("mail", name)).await.unwrap());
        }
        let limited = Terms { hard_limit: Some(20 * MS), ..Terms::default() };
        sent.push(queue.push(NewJob::new("mail", "unreachable").terms(limited)).await.unwrap());
        let later = Terms { eta: Some(Clock::current().now() + 20 * MS), ..Terms::default() };
        sent.push(queue.push(NewJob::new("mail", "Edsger").terms(later)).await.unwrap());
        queue.close();

        let worker =
            Worker::builder(&Pool::new(10)).retry(Retry::times(3).delays([5 * MS; 3])).build(queue);
        let report = worker.run(send).await;
        for result in sent {
            match result.await {
                Ok(text) => println!("{text}"),
                Err(error) => println!("{error}"),
            }
        }
        println!(
            "{} sent, {} failed, {} tried again",
            report.succeeded, report.failed, report.retried
        );
    });
}
