//! Nothing but tests: see `tests/cases.rs`.
