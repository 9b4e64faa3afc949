//! Everything at once: no item is lost, none is one too many, none is half-written.
