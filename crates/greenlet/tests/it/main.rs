//! The promises of `spinney-greenlet` that need at most one hub. Promises that hold on every hub
//! are tested in the tests of the workspace.

/// [`Failure`](spinney_greenlet::Failure): the reason and the greenlet.
mod failures;

/// [`InPlace`](spinney_greenlet::InPlace) and [`KillForwarder`](spinney_greenlet::KillForwarder).
mod in_place;

/// [`pair_items`](spinney_greenlet::pair_items).
mod items;

/// [`Greenlet::kill_on_drop`](spinney_greenlet::Greenlet::kill_on_drop).
mod kill_on_drop;

/// [`named`](spinney_greenlet::named).
mod named;

/// [`Handle::guard`](spinney_greenlet::Handle::guard).
mod guards;

/// [`ResultBuffer`](spinney_greenlet::results::ResultBuffer).
mod results;
