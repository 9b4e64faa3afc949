//! The promises of [`Hub`](spinney_hub::Hub).

#[path = "../dropped/mod.rs"]
mod dropped;

/// Building one, its threads, and what it runs.
mod runs;

/// Dropping the last handle of a hub of one's own.
mod stops;

/// Stopping it whoever holds handles.
mod shutdown;
