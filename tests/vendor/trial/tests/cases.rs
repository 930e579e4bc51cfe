//! The cases of the strategy, on the module that a release build of it has left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[test]
fn every_case_ends_as_it_says() {
    let module = "../ledger/target/wasm32-unknown-unknown/release/strategy_ledger.wasm";
    let report = backup_strategy_kit::run(module, "../ledger/cases").unwrap();
    assert!(report.passed(), "{report}");
}
