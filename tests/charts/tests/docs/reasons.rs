//! The page about reasons has every reason that the host or a strategy of this repository can give, and no other.
//!
//! Reasons are found in the sources by how they are written: every text in quotes that is a word in PascalCase of two parts
//! or more, such as `"EtcdBackupRunning"`, is a reason, or is listed here as something else. A word of one part, such as
//! `"Refused"`, is a reason where it stands as an argument that is one. Tests and comments do not count.

use std::{collections::BTreeSet, fs, path::Path};

use crate::page::{Page, root};

/// The page.
const PAGE: &str = "charts/backupstrategy-controller/docs/troubleshooting.md";

/// The title that the types of conditions stand under.
const CONDITIONS: &str = "Conditions";

/// Sources that give reasons.
const SOURCES: [&str; 9] = [
    "host/api/src/reason.rs",
    "host/engine/src",
    "plugins/altinity/src",
    "plugins/cnpg/src",
    "plugins/etcd/src",
    "plugins/foundationdb/src",
    "plugins/mariadb/src",
    "plugins/velero/src",
    "sdk/src",
];

/// Parts of the sources in which words are no reasons of the host's: a cluster in memory, and trials of components.
const ASIDE: [&str; 4] = [
    "host/engine/src/cluster",
    "host/engine/src/conformance",
    "host/engine/src/conformance.rs",
    "host/engine/src/cluster.rs",
];

/// What stands before a reason of one word.
const BEFORE: [&str; 11] = [
    "wait(",
    "wait!(",
    "fail(",
    "fail!(",
    "Verdict::lost(",
    "Verdict::unknown(",
    "Said::new(true,",
    "Said::new(false,",
    "refused(",
    "reason:",
    "=>",
];

/// Files in which `=>` leads to a reason.
const MATCHED: [&str; 2] = [
    "host/api/src/reason.rs",
    "host/engine/src/plugin/definition.rs",
];

/// Words in the sources that are no reasons.
const OTHERS: &[&str] = &[
    "APIGroup",
    "APIService",
    "AccessDenied",
    "AppArmor",
    "ApplicationRef",
    "BackupClass",
    "BackupJob",
    "BackupStorageLocation",
    "BucketInfo",
    "CNPGBackupSnapshot",
    "ClickHouseInstallation",
    "ConfigMap",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CronJob",
    "CustomResourceDefinition",
    "DaemonSet",
    "DataDownload",
    "DataUpload",
    "DataVolume",
    "DeleteBackupRequest",
    "DisruptionTarget",
    "ErrImageNeverPull",
    "ErrImagePull",
    "EtcdBackupSnapshot",
    "EtcdCluster",
    "EtcdMember",
    "EtcdSnapshot",
    "FailJob",
    "FailedValidation",
    "FallbackToLogsOnError",
    "FoundationDB",
    "FoundationDBBackup",
    "FoundationDBBackupSnapshot",
    "FoundationDBCluster",
    "FoundationDBRestore",
    "HelmRelease",
    "HostProcess",
    "IfNotPresent",
    "ImagePullBackOff",
    "InvalidAccessKeyId",
    "InvalidImageName",
    "InvalidToken",
    "JobFailed",
    "MariaDB",
    "MariaDBBackupSnapshot",
    "NotRead",
    "ObjectStore",
    "PartiallyFailed",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodScheduled",
    "PodTemplate",
    "ReadyToStart",
    "ReplicaSet",
    "ReplicationController",
    "RestoreJob",
    "RuntimeDefault",
    "SELinux",
    "ServiceAccount",
    "SignatureDoesNotMatch",
    "StatefulSet",
    "StrategyPlugin",
    "VMDisk",
    "VMInstance",
    "VMInstanceResources",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "VirtualMachine",
    "VirtualMachineInstance",
    "VolumeSnapshotContent",
];

/// A source without its tests and comments.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// How many parts a word in PascalCase has; none where it is not one.
fn parts(word: &str) -> usize {
    let is_word = word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric())
        && word.chars().any(|c| c.is_ascii_lowercase());
    let letters: Vec<char> = word.chars().filter(|_| is_word).collect();
    // Behind a small letter, or before one: `WAL|Gone`, `Maria|DB`.
    let begins = |three: &&[char]| {
        three[1].is_ascii_uppercase()
            && (three[0].is_ascii_lowercase() || three[2].is_ascii_lowercase())
    };
    let mut parts = usize::from(is_word) + letters.windows(3).filter(begins).count();
    // The last letter has none behind it.
    if let [.., before, last] = letters[..] {
        parts += usize::from(before.is_ascii_lowercase() && last.is_ascii_uppercase());
    }
    parts
}

/// The reasons of a source, and what may be something else.
fn found_in(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = vec![];
    for (at, _) in code.match_indices('"') {
        let behind = &code[at + 1..];
        let Some(word) = behind.split('"').next().filter(|word| parts(word) > 0) else {
            continue;
        };
        let before = code[..at].chars().rev().filter(|c| !c.is_whitespace());
        let mut before: Vec<char> = before.take(24).collect();
        before.reverse();
        let before = String::from_iter(before);
        let is_argument = BEFORE
            .iter()
            .any(|place| before.ends_with(place) && (*place != "=>" || MATCHED.contains(&path)));
        if parts(word) > 1 || is_argument {
            found.push(word.to_owned());
        }
    }
    found
}

fn collect(path: &str, found: &mut BTreeSet<String>) {
    if ASIDE.contains(&path) || path.contains("/tests") {
        return;
    }
    let full = root().join(path);
    if full.is_dir() {
        for entry in fs::read_dir(full).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            collect(&format!("{path}/{name}"), found);
        }
        return;
    }
    let text = fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"));
    let extension = Path::new(path).extension().and_then(|end| end.to_str());
    match extension {
        Some("rs") => found.extend(found_in(path, &text)),
        // The program of a Job: `end 10 OperationFailed …`.
        Some("sh") => found.extend(
            text.lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .flat_map(|line| line.split("end 1").skip(1))
                .filter_map(|rest| rest.split_whitespace().find(|word| parts(word) > 1))
                .map(ToOwned::to_owned),
        ),
        _ => {}
    }
}

/// The words in backticks that begin the rows of the page: of its table of conditions, and of the others.
fn told() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut conditions, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    for (title, cell) in Page::read(PAGE).rows() {
        let word = cell
            .strip_prefix('`')
            .and_then(|word| word.strip_suffix('`'));
        let told = match title.as_str() {
            CONDITIONS => &mut conditions,
            _ => &mut reasons,
        };
        told.extend(word.map(ToOwned::to_owned));
    }
    (conditions, reasons)
}

fn found() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in SOURCES {
        collect(source, &mut found);
    }
    assert!(found.len() > 200, "{found:?}");
    found
}

#[test]
fn every_reason_is_told() {
    let (conditions, reasons) = told();
    let is_told =
        |word: &str| reasons.contains(word) || conditions.contains(word) || OTHERS.contains(&word);
    let mut found = found();
    found.retain(|word| !is_told(word));
    assert!(found.is_empty(), "{PAGE} has no row for {found:#?}");
}

#[test]
fn no_other_reason_is_told() {
    let (_, reasons) = told();
    let found = found();
    let stale: Vec<_> = reasons.difference(&found).collect();
    assert!(stale.is_empty(), "nothing gives {stale:#?}");
}

#[test]
fn what_is_listed_as_no_reason_is_there_and_is_none() {
    let (_, reasons) = told();
    let found = found();
    for word in OTHERS {
        assert!(found.contains(*word), "{word} stands in no source");
        assert!(!reasons.contains(*word), "{word} is told as a reason");
    }
}

#[test]
fn reasons_are_found_by_how_they_are_written() {
    let source = "fail(\n    \"Refused\", \"words\");\nlet kind = \"Pod\";\n// wait(\"Old\")\nwait(\"DumpRunning\")\n\
                  #[cfg(test)]\nmod tests {\n wait(\"InTests\") }";
    assert_eq!(found_in("some.rs", source), ["Refused", "DumpRunning"]);
    assert_eq!(parts("WALGone"), 2);
    assert_eq!((parts("MariaDB"), parts("APIError")), (2, 2));
    assert_eq!(
        (parts("AKIA"), parts("a-b"), parts("EtcdBackupFailed")),
        (0, 0, 3)
    );
}
