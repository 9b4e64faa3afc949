//! The promises of `spinney-pile` that need at most one hub. Promises that hold on every hub are
//! tested in the tests of the workspace.

/// Several readers of one [`GreenPile`](spinney_pile::GreenPile).
mod readers;
