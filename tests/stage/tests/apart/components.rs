//! What a component is, seen from outside.

use super::*;

/// A component is copied into the image, compiled at each new version and kept for the jobs that began with it.
const MOST_BYTES: u64 = 300_000;

#[test]
fn a_component_is_at_most_300_kilobytes() {
    for component in components() {
        let bytes = std::fs::metadata(&component.path).unwrap().len();
        assert!(bytes <= MOST_BYTES, "{} has {bytes} bytes", component.name);
    }
}

#[test]
fn two_strategies_are_for_different_kinds_of_applications() {
    let mut kinds = vec![];
    for component in &components() {
        kinds.extend(component.kinds().map(|kind| format!("{kind:?}")));
    }
    let all = kinds.len();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), all, "{kinds:?}");
}

/// What is written today is version 1, and the first controllers' Backups are version 0.
#[test]
fn every_strategy_reads_the_backups_of_the_first_controllers() {
    for component in components() {
        let versions = &component.strategy.manifest().metadata_versions;
        assert!(versions.contains(&0), "{}: {versions:?}", component.name);
    }
}
