//! The harness of the benchmarks: rivals that do the same work, side by side.
//!
//! `cargo bench -p spinney-benches` runs everything; `-- --help` after it lists the arguments.
//! The times of one machine say little. What carries over is the ratio to the baseline, of the
//! minima where the machine is busy with other things. `Hub` runs on as many threads as it would
//! for a user; `SPINNEY_THREADS=1` compares it with the rivals on one thread.

mod answers;
mod args;
mod contest;
pub mod on;
mod table;

pub use answers::{digest, digest_below, extend_digest, sum_below};
pub use args::Args;
pub use contest::{Contest, WrongAnswer};
