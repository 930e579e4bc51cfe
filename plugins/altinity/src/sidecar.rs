//! A clickhouse-backup whose keys the storage does not take: it reads them when it starts, and was started before they
//! were handed out or changed.

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Altinity,
    job::Report,
    operator::{Pod, Sidecars},
};

/// A Pod that is restarted, by what it was before.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Outdated {
    pod: String,
    uid: String,
}

/// The Pods of the sidecars that a run uses.
pub fn outdated(sidecars: &Sidecars) -> Vec<Outdated> {
    let pods = sidecars.first().map(|sidecar| &sidecar.pod.metadata);
    pods.map(|pod| Outdated {
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
    })
    .collect()
}

/// Restarts Pods one after the other, each when the one before is ready again.
pub fn restarted(cx: &Context<Altinity>, outdated: &[Outdated]) -> Outcome<()> {
    for Outdated { pod, uid } in outdated {
        match cx.get::<Pod>(pod)? {
            Some(found) if found.metadata.uid != *uid && found.is_ready() => continue,
            Some(found) if found.metadata.uid == *uid && !found.metadata.is_being_deleted() => {
                cx.delete::<Pod>(pod, Some(uid), Propagation::Background);
            }
            _ => {}
        }
        return wait!(
            "SidecarRestarting",
            "Pod {pod} is restarted, so that its clickhouse-backup reads the credentials anew"
        )
        .at_most(30.minutes());
    }
    Ok(())
}

/// What to do, for whom it may not be done.
pub fn advice(sidecars: &Sidecars, report: &Report) -> String {
    let failed = sidecars
        .all
        .iter()
        .find(|sidecar| report.address.as_ref() == Some(&sidecar.address));
    let since = failed.and_then(|sidecar| sidecar.pod.sidecar_started_at());
    let since = since
        .map(|since| format!(" (at {since})"))
        .unwrap_or_default();
    let pods: Vec<&str> = sidecars
        .first()
        .map(|sidecar| sidecar.pod.metadata.name.as_str())
        .collect();
    format!(
        "the storage refuses the credentials of clickhouse-backup ({report}); it reads them when it starts{since}, and they \
         were handed out or changed since. Delete these Pods one after the other, each when the one before is ready again, \
         and order the job anew: {}. A BackupClass with the parameter restartSidecar: WhenOutdated lets the job do that",
        pods.join(", ")
    )
}
