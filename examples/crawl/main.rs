//! A web crawler in a pool: breadth first, over keep-alive connections, and polite: it limits how many
//! pages it fetches at once, per host and per second, and retries at the time that a busy server sends.
//!
//! ```text
//! cargo run --package crawl                        # a server of its own
//! cargo run --package crawl -- --concurrency 50 http://localhost:8000/
//! ```
//!
//! It shows a map over a queue that its own results feed, with a key for each host, a rate, and
//! a `Retry` that sees the error; `Pool::kill` as the clean stop at Ctrl-C; `within` as the time limit of
//! any future; and a `Group` that owns a server's connections. The files, from the top down:
//!
//! * `args`: the command line;
//! * `crawl`: the loop that feeds the pool; `frontier`: the URLs to visit; `progress`: the bar;
//!   `report`: the summary;
//! * `fetch`: one URL to one page, or to one `error`; `links`: the links of a page;
//! * `client`: the kept connections; `connection`: one of them;
//! * `server`: serves the pages of `site`, when no URL is given.

mod args;
mod client;
mod connection;
mod crawl;
mod error;
mod fetch;
mod frontier;
mod links;
mod progress;
mod report;
mod server;
mod site;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::process::ExitCode;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use spinney::trace::Timeline;

use crate::args::{Command, Settings};
use crate::crawl::Crawl;
use crate::server::Server;
use crate::site::Site;

/// The exit code for a bad command line.
const USAGE: u8 = 2;

/// How many pages the crawler's own server has.
const PAGES: usize = 400;

/// The first lines of the summary for that server.
const PLANTED: &str = "The server is the crawler's own, and plants the errors.\n\n";

/// How many events a timeline holds.
const EVENTS: usize = 1_000_000;

fn main() -> ExitCode {
    let done = match args::parse(lexopt::Parser::from_env()) {
        Ok(Command::Crawl(settings)) => spinney::block_on(crawl(settings)),
        Ok(Command::Help) => io::stdout().write_all(args::HELP.as_bytes()),
        Err(error) => {
            eprintln!("crawl: {error}\nTry 'crawl --help'.");
            return ExitCode::from(USAGE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crawl: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Crawls until all pages are visited or Ctrl-C is pressed, and prints the summary.
async fn crawl(mut settings: Settings) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int])?;
    let server =
        if settings.urls.is_empty() { Some(Server::start(Site::new(PAGES)).await?) } else { None };
    settings.urls.extend(server.as_ref().map(Server::url));

    let interrupt = async {
        signals.next().await;
    };
    let timeline = settings.trace.is_some().then(|| Timeline::start(EVENTS));
    let timeline = timeline.transpose().map_err(io::Error::other)?;
    let report = Crawl::new(&settings).run(interrupt).await;
    if let Some((timeline, file)) = timeline.zip(settings.trace) {
        timeline.save(file)?;
    }
    let planted = if server.is_some() { PLANTED } else { "" };
    io::stdout().write_all(format!("{planted}{report}").as_bytes())
}
