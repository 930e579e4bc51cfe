//! Puts a dump into a MariaDB that is there already: the application's own, or another's.
//!
//! The operator's `Restore` names the storage itself, so that it works when nothing is left but the Backup and the
//! bucket, and the time of the dump. Without a time the operator takes the newest dump of the folder.

use backup_strategy::prelude::*;

use crate::{
    MariaDb,
    dump::{self, Sight},
    is_ready,
    metadata::BACKUP_NAME,
    operator::{self, Completion},
    storage::{self, Storage},
};

pub fn restore(cx: &Context<MariaDb>) -> Outcome<()> {
    cx.is_accepted()?;
    let source = cx.finished_backup()?;
    cx.is_of_kind(&source.application)?;
    let options = cx.options()?;
    let name = cx.child_name("restore");
    let ordered = match cx.get::<operator::Restore>(&name)? {
        Some(ordered) => ordered,
        None => {
            let order = order(cx, &source, &name)?;
            is_ready(cx, "TargetMariaDBNotReady", options.deadline())?;
            tell_of_accounts(cx, &source);
            cx.ensure(lifetime(cx), &order)?
        }
    };
    match operator::completion(&ordered) {
        Completion::Done(_) => Ok(()),
        Completion::Failed(said) => fail!(
            "MariaDBRestoreFailed",
            "mariadb-operator's Job {name} has failed: {}; the MariaDB may hold a part of the dump",
            crate::blamed(cx, &name, &said)?
        ),
        Completion::Running(said) => {
            if let Some(why) = cx.obstacle_of_job(&name)? {
                return wait!(
                    "MariaDBRestoreStuck",
                    "the Pod of Job {name} cannot start: {why}"
                )
                .at_most(10.minutes());
            }
            wait!(
                "MariaDBRestoreRunning",
                "mariadb-operator is restoring: {said}; a restore that needs more time gets it by the option \
                 restoreTimeoutSeconds"
            )
            .at_most(options.deadline())
        }
    }
}

/// What a RestoreJob has left that came to nothing: a Job that may be at work.
pub fn abort(cx: &Context<MariaDb>) -> Outcome<()> {
    let name = cx.child_name("restore");
    let Some(ordered) = cx.get::<operator::Restore>(&name)? else {
        return Ok(());
    };
    let message =
        "the restore was not finished; the MariaDB may hold a part of the dump; restore again";
    cx.event(Severity::Warning, "MariaDBPartlyRestored", message);
    if !ordered.metadata.is_being_deleted() {
        // In the foreground: it is gone when its Job is.
        let uid = Some(ordered.metadata.uid.as_str());
        cx.delete::<operator::Restore>(&name, uid, Propagation::Foreground);
    }
    wait!("RestoreRemoving", "Restore {name} is being deleted").at_most(10.minutes())
}

/// It goes with the RestoreJob. In another namespace nothing can, so there it stays.
fn lifetime(cx: &Context<MariaDb>) -> Lifetime {
    if cx.job().namespace == cx.subject().namespace {
        Lifetime::Job
    } else {
        Lifetime::Kept
    }
}

fn order(cx: &Context<MariaDb>, source: &FinishedBackup, name: &str) -> Outcome<Value> {
    let (s3, volume, time) = place(cx, source)?;
    Ok(pruned(json!({
        "apiVersion": operator::Restore::API_VERSION,
        "kind": operator::Restore::KIND,
        "metadata": { "name": name, "namespace": cx.subject().namespace },
        "spec": {
            "mariaDbRef": { "name": operator::instance_of(&cx.subject()) },
            "s3": s3,
            "volume": volume,
            "targetRecoveryTime": time,
        },
    })))
}

type Place = (Option<storage::S3>, Option<Value>, Timestamp);

/// Where the dump lies, and the time by which the operator finds it. It takes the dump of that very time; otherwise the
/// nearest, or the last before it, depending on its version.
fn place(cx: &Context<MariaDb>, source: &FinishedBackup) -> Outcome<Place> {
    let storage = Storage::of_backup(cx, source)?;
    if let Some(s3) = storage.s3 {
        let time = match dump::of_backup(cx, source, &s3)? {
            Sight::Seen(dump) => dump.begun_at,
            Sight::Hidden(time) => time,
            Sight::Missing(words) => {
                return fail!("DumpGone", "{words}; nothing was restored");
            }
        };
        return Ok((Some(s3.trusting(cx)), None, time));
    }
    let home = &source.application.namespace;
    if *home != cx.subject().namespace {
        return fail!(
            "UnsupportedTarget",
            "the dump lies on a volume, and can be restored in namespace {home} only; leave options.targetNamespace out"
        );
    }
    let volume = match storage.volume {
        Some(volume) => volume,
        None => {
            let claim = source.metadata_name(BACKUP_NAME)?.or_fail(
                "MetadataMissing",
                format!(
                    "Backup {} does not say on which volume its dump lies",
                    source.name
                ),
            )?;
            json!({ "persistentVolumeClaim": { "claimName": claim } })
        }
    };
    Ok((None, Some(volume), dump::hidden(source)))
}

/// The dumps of the first controller hold accounts, if they are of all databases.
fn tell_of_accounts(cx: &Context<MariaDb>, source: &FinishedBackup) {
    if dump::is_first_controllers(source) && storage::holds_everything(source) {
        let message = format!(
            "the dump is of an earlier version and may hold the accounts of {}, root's among them, which the MariaDB then \
             has from its next start on; give its Secrets the passwords of that time before",
            source.application.name
        );
        cx.event(Severity::Warning, "AccountsRestored", &message);
    }
}
