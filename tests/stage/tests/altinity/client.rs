//! The program of the Job, `plugins/altinity/src/client.sh`, run by a real shell against a server that answers as
//! clickhouse-backup does.

mod api;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use api::{Api, Behaviour};
use tempfile::TempDir;

/// The program itself, as the Job has it.
const PROGRAM: &str = include_str!("../../../../plugins/altinity/src/client.sh");

/// What the program ended with: its exit code, and what it left for the kubelet.
struct Ended {
    code: i32,
    report: String,
}

/// Whether this machine has what the image of the Job has; a test says so where it does not.
fn is_runnable() -> bool {
    let found = ["sh", "curl", "sed", "grep"].iter().all(|program| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
    });
    if !found {
        eprintln!("not tried: there is no curl here");
    }
    found
}

/// Runs steps in which `HOST` stands for the server. Every third look finds a change, and no time passes in between.
fn run(api: &Api, steps: &[&str]) -> Ended {
    let folder = TempDir::new().unwrap();
    let report: PathBuf = folder.path().join("report");
    let status = command(api, &steps.join("\n"), &report).status().unwrap();
    Ended {
        code: status.code().unwrap(),
        report: std::fs::read_to_string(&report).unwrap_or_default(),
    }
}

fn command(api: &Api, steps: &str, report: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", PROGRAM])
        .env("STEPS", steps.replace("HOST", api.address()))
        .env("RUN", "run-1")
        .env("API_USERNAME", "backup")
        .env("API_PASSWORD", "word")
        .env("PAUSE", "0")
        .env("READY_TRIES", "4")
        .env("FREE_TRIES", "6")
        .env("LOST_TRIES", "4")
        .env("REPORT", report)
        .stderr(std::process::Stdio::null());
    command
}

const BACKUP: &[&str] = &[
    "HOST|list --env=BACKUP_RUN=run-1 remote",
    "--",
    "HOST|create_remote --env=BACKUP_RUN=run-1 --env=S3_PATH=a/b archive",
    "--",
    "-HOST|delete local archive",
];

#[test]
fn steps_are_told_in_their_order_each_when_the_phase_before_has_ended() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour::default());
    let ended = run(&api, BACKUP);
    assert_eq!((ended.code, ended.report.as_str()), (0, ""));
    assert_eq!(
        api.told(),
        [
            "list --env=BACKUP_RUN=run-1 remote",
            // What an earlier try may have left.
            "delete local archive",
            "delete --env=BACKUP_RUN=run-1 --env=S3_PATH=a/b remote archive",
            "create_remote --env=BACKUP_RUN=run-1 --env=S3_PATH=a/b archive",
            "delete local archive",
        ]
    );
}

#[test]
fn an_error_ends_the_job_for_good_and_is_told_in_a_line() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour {
        failing: Some((
            "create_remote",
            "can't freeze \"shop.orders\":\nno space left on C:\\ device",
        )),
        ..Behaviour::default()
    });
    let ended = run(&api, BACKUP);
    assert_eq!(ended.code, 10);
    assert_eq!(
        ended.report,
        format!(
            "OperationFailed|{}|create_remote|can't freeze \"shop.orders\": no space left on C:\\ device",
            api.address()
        )
    );
}

// Defect 8 of the sheet: a second Pod met the first one's command and began another archive.
#[test]
fn a_second_pod_goes_on_where_the_first_one_was() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour::default());
    let create = "create_remote --env=BACKUP_RUN=run-1 --env=S3_PATH=a/b archive";
    api.has_run("list --env=BACKUP_RUN=run-1 remote", "success");
    api.has_run(create, "in progress");
    let ended = run(&api, BACKUP);
    assert_eq!(ended.code, 0);
    assert_eq!(
        api.told(),
        ["delete local archive"],
        "nothing is begun again, or removed before its time"
    );
}

// Defect 7 of the sheet.
#[test]
fn a_command_that_was_cancelled_ends_the_job() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour {
        ends_as: "cancel",
        ..Behaviour::default()
    });
    let ended = run(&api, BACKUP);
    assert_eq!(ended.code, 10);
    assert!(
        ended.report.starts_with("OperationCancelled|"),
        "{}",
        ended.report
    );
}

// Defect 7 of the sheet: the record of commands is lost with the container.
#[test]
fn a_record_that_was_lost_ends_the_pod_so_that_another_begins_anew() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour {
        forgets: true,
        ..Behaviour::default()
    });
    let ended = run(&api, BACKUP);
    assert_eq!(ended.code, 1);
    assert!(
        ended.report.starts_with("OperationLost|"),
        "{}",
        ended.report
    );
}

#[test]
fn another_command_that_runs_there_is_waited_for() {
    if !is_runnable() {
        return;
    }
    for locked in [3, 100] {
        let api = Api::start(Behaviour {
            locked,
            ..Behaviour::default()
        });
        let ended = run(&api, BACKUP);
        if locked < 100 {
            assert_eq!(ended.code, 0, "{}", ended.report);
        } else {
            assert_eq!(ended.code, 10);
            assert!(ended.report.starts_with("SidecarBusy|"), "{}", ended.report);
        }
    }
}

#[test]
fn a_password_that_is_refused_and_a_server_that_is_silent_are_told_apart() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour {
        refuses: true,
        ..Behaviour::default()
    });
    let ended = run(&api, BACKUP);
    assert_eq!(ended.code, 10);
    assert!(
        ended.report.starts_with("SidecarUnauthorized|"),
        "{}",
        ended.report
    );

    let silent = Api::silent();
    let ended = run(&silent, BACKUP);
    assert_eq!(ended.code, 1);
    assert!(
        ended.report.ends_with("|version|HTTP 000"),
        "{}",
        ended.report
    );
}

#[test]
fn what_may_fail_ends_nothing_and_commands_are_stopped_by_their_text() {
    if !is_runnable() {
        return;
    }
    let api = Api::start(Behaviour {
        failing: Some(("delete", "not found")),
        ..Behaviour::default()
    });
    let ended = run(
        &api,
        &[
            "-HOST|kill restore --env=BACKUP_RUN=run-1 --data archive",
            "-HOST|delete local archive",
        ],
    );
    assert_eq!(ended.code, 0, "{}", ended.report);
    assert_eq!(
        api.told(),
        [
            "kill restore --env=BACKUP_RUN=run-1 --data archive",
            "delete local archive"
        ]
    );
    let ended = run(&api, &["HOST|delete --env=BACKUP_RUN=run-1 remote archive"]);
    assert_eq!(ended.code, 10);
}
