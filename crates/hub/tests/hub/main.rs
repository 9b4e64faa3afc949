//! The promises of [`Hub`](spinney_hub::Hub).

#[path = "../dropped/mod.rs"]
mod dropped;

/// Building one, its threads, and what it runs.
mod runs;

/// Dropping the last handle of a hub of one's own.
mod stops;

/// Stopping it whoever holds handles.
mod shutdown;

use std::future::pending;

use dropped::Drops;
use spinney_hub::{Hub, Spawn};

/// Starts a task that waits for ever.
fn spawn_parked(hub: &Hub, drops: &Drops) {
    let guard = drops.guard();
    hub.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
}
