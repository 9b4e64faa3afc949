//! The promises of `spinney-pile` that need no more than one hub. Those that hold on every hub are in
//! the tests of the workspace.

/// Several readers of one [`GreenPile`](spinney_pile::GreenPile).
mod readers;
