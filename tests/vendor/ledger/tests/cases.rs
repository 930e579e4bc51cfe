//! The cases, on the component that `cargo build --release --target wasm32-unknown-unknown` has left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[test]
fn every_case_ends_as_it_says() {
    let component = "target/wasm32-unknown-unknown/release/strategy_ledger.wasm";
    let report = backup_strategy_kit::run(component, "cases").unwrap();
    assert!(report.passed(), "{report}");
}
