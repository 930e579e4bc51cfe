//! The simulation finds bugs: each of these is planted between the host and the cluster, and found within a few seeds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::print_stdout,
    reason = "how many seeds a bug takes is told with `--nocapture`"
)]

use simulation::{Bug, Failure, hunt};

/// The first seed that finds the bug, of this many.
fn found(bug: Bug, seeds: u64) -> Failure {
    let tally = hunt(0..seeds, Some(bug)).unwrap();
    let Some(failure) = tally.failure else {
        panic!("{bug:?} is not found in {seeds} seeds");
    };
    println!(
        "{bug:?} is found by seed {}, in {} of {} events",
        failure.seed,
        failure.events.len(),
        failure.drawn
    );
    failure
}

#[test]
fn a_state_that_is_written_after_the_first_action_is_found() {
    let failure = found(Bug::StateAfterAction, 200);
    assert!(
        [
            "a job's state is written before its first action",
            "what a release was is noted before it is suspended",
        ]
        .contains(&failure.violation.promise),
        "{failure}"
    );
}

#[test]
fn an_owner_label_without_the_uid_is_found() {
    let failure = found(Bug::LabelWithoutUid, 200);
    assert_eq!(
        failure.violation.promise,
        "an operator object carries its job's UID"
    );
}

#[test]
fn a_resume_that_is_forgotten_when_a_job_fails_is_found() {
    let failure = found(Bug::ForgottenResume, 500);
    assert_eq!(
        failure.violation.promise, "a suspended release is put back",
        "{failure}"
    );
}

#[test]
fn a_plan_that_does_not_see_its_jobs_is_found() {
    let failure = found(Bug::UnseenJobs, 500);
    assert!(
        [
            "a Plan that forbids it has no two jobs under way",
            "a Plan's finished jobs are limited",
        ]
        .contains(&failure.violation.promise),
        "{failure}"
    );
}

#[test]
fn a_deletion_policy_that_is_not_read_is_found() {
    let failure = found(Bug::UnreadPolicy, 1000);
    assert_eq!(
        failure.violation.promise, "deletionPolicy Retain leaves data alone",
        "{failure}"
    );
}

#[test]
fn a_purge_that_takes_along_what_lies_beside_is_found() {
    let failure = found(Bug::WidePurge, 500);
    assert_eq!(
        failure.violation.promise, "the data of a Backup that stays is not touched",
        "{failure}"
    );
}

#[test]
fn an_operators_object_that_a_removal_leaves_is_found() {
    let failure = found(Bug::UnseenOrder, 500);
    assert_eq!(
        failure.violation.promise, "a Backup that is forgotten leaves no operator object",
        "{failure}"
    );
}

#[test]
fn a_restore_of_another_backup_is_found() {
    let failure = found(Bug::AnotherBackup, 500);
    assert_eq!(
        failure.violation.promise, "a restored application shows the Backup that was asked for",
        "{failure}"
    );
}

#[test]
fn a_second_stream_of_a_cluster_is_found() {
    let failure = found(Bug::UnseenClaim, 500);
    assert_eq!(
        failure.violation.promise, "an operator's object has to itself what it works on",
        "{failure}"
    );
}

#[test]
fn the_shortest_history_is_short_and_tells_how_to_see_it_again() {
    let failure = found(Bug::LabelWithoutUid, 200);
    assert!(failure.events.len() <= 6, "{failure}");
    let told = failure.to_string();
    let again = format!(
        "cargo xtask simulate --seeds 1 --seed {} --bug label-without-uid",
        failure.seed
    );
    assert!(told.ends_with(&again), "{told}");
    assert!(told.contains("a user creates BackupJob"), "{told}");
}
