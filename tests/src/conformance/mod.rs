//! Scenarios that gevent and eventlet ran, run on our own code, and compared.
//!
//! `tests/corpus/FORMAT.md` defines a scenario; `docs/conformance.md` explains our differences.

mod async_result;
mod barging;
mod corpus;
mod entry;
mod eventlet;
mod gated;
mod gevent;
mod green_pools;
mod inputs;
mod laws;
mod locks;
mod maps;
mod moments;
mod objects;
mod queues;
mod report;
mod results;
mod scenario;
mod script;
mod sent;
mod task_sets;
mod threads;
mod verdict;
mod world;

pub use corpus::{CorpusError, default_corpus, read};
pub use laws::allowed_tags;
pub use report::{Judge, LIMIT, Report};
pub use scenario::{Observed, Scenario};
pub use verdict::{Difference, Verdict};
