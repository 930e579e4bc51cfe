//! RestoreJobs that have ended and are held all the same.
//!
//! The host lets a job go before it ends, and watches none that has ended. The reference's controllers hold a RestoreJob until
//! it is deleted: one of theirs would never go, nor would its namespace. So they are looked for once, when the host begins to
//! work.

use backup_api::names::{API_VERSION, FINALIZER, LEGACY_FINALIZER};
use backup_engine::{Key, cluster::Account};
use kube::{
    Api,
    api::ListParams,
    core::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta},
};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::{Duration, sleep},
};

use crate::real::RealCluster;

/// How many are listed at a time: their metadata has some hundred kilobytes.
const PAGE: u32 = 500;

/// How long to wait before it is tried again. Nothing else waits for it.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Tells of all of them, once this host works.
pub(crate) async fn tell(
    cluster: RealCluster,
    mut leads: watch::Receiver<bool>,
    found: UnboundedSender<Key>,
) {
    // The sender goes where the host stops.
    if leads.wait_for(|leads| *leads).await.is_err() {
        return;
    }
    for phase in ["Succeeded", "Failed"] {
        while let Err(error) = tell_of(&cluster, phase, &found).await {
            tracing::warn!(%error, phase, "finished RestoreJobs that are held cannot be looked for");
            sleep(TRY_AGAIN).await;
        }
    }
}

async fn tell_of(
    cluster: &RealCluster,
    phase: &str,
    found: &UnboundedSender<Key>,
) -> Result<(), kube::Error> {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, "RestoreJob"));
    let jobs: Api<DynamicObject> = Api::all_with(cluster.client_as(&Account::Host), &kind);
    let mut page = ListParams::default()
        .fields(&format!("status.phase={phase}"))
        .limit(PAGE);
    loop {
        let listed = jobs.list_metadata(&page).await?;
        for job in listed.items {
            if let Some(key) = held(job.metadata) {
                // Nobody listens where the host is stopping.
                found.send(key).ok();
            }
        }
        match listed.metadata.continue_ {
            Some(token) if !token.is_empty() => page = page.continue_token(&token),
            _ => return Ok(()),
        }
    }
}

/// The job, if one of the host's finalizers holds it.
fn held(metadata: ObjectMeta) -> Option<Key> {
    let finalizers = metadata.finalizers.unwrap_or_default();
    let is_ours = |name: &String| [FINALIZER, LEGACY_FINALIZER].contains(&name.as_str());
    finalizers.iter().any(is_ours).then(|| Key {
        kind: "RestoreJob".to_owned(),
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_hosts_finalizers_hold_is_told() {
        let metadata = |finalizers: &[&str]| ObjectMeta {
            name: Some("back".to_owned()),
            namespace: Some("tenant-acme".to_owned()),
            finalizers: Some(finalizers.iter().map(ToString::to_string).collect()),
            ..ObjectMeta::default()
        };
        assert_eq!(held(metadata(&[])), None);
        assert_eq!(held(metadata(&["somebody/else"])), None);
        for finalizer in [FINALIZER, LEGACY_FINALIZER] {
            let key = held(metadata(&["somebody/else", finalizer]));
            assert!(key.is_some_and(|key| key.name == "back" && key.namespace == "tenant-acme"));
        }
    }
}
