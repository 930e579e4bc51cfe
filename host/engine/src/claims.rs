//! What is stored belongs to somebody: a purge never covers the data of another Backup.
//!
//! A strategy may purge below its granted paths, and the backups of one application lie there side by side. So before a
//! plan that purges is carried out, the Backups of the namespaces that it may touch are looked at, once.

use backup_api::{Backup, DeletionPolicy, Reason, names::API_VERSION};
use backup_sandbox::{Action, Plan, contract::Selector};

use crate::{
    admit::Case,
    cluster::{Caller, Cluster},
    host::Host,
    stop::Stop,
    storage::{covers, key_in},
};

impl<C: Cluster> Host<C> {
    /// Proves that nothing which a plan purges is another Backup's.
    ///
    /// # Errors
    /// `PlanRejected`, naming path and Backup.
    pub(crate) async fn purges_are_free(&self, case: &Case, plan: &Plan) -> Result<(), Stop> {
        let purges: Vec<&str> = plan
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Purge { path } => Some(path.as_str()),
                _ => None,
            })
            .collect();
        if purges.is_empty() {
            return Ok(());
        }
        let job = &case.request.job;
        let mut backups = vec![];
        for namespace in &case.allowed_namespaces {
            let matching = Selector {
                api_version: API_VERSION.to_owned(),
                kind: "Backup".to_owned(),
                namespace: Some(namespace.clone()),
                labels: vec![],
            };
            backups.extend(self.cluster.list(&Caller::host(), &matching).await?);
        }
        for found in backups {
            // One that cannot be read says of no place that it is its own.
            let Ok(backup) = serde_json::from_value::<Backup>(found) else {
                continue;
            };
            let is_itself =
                job.kind == "Backup" && backup.metadata.uid.as_deref() == Some(job.uid.as_str());
            let Some(claimed) = claim(&backup, &case.credentials.location.bucket) else {
                continue;
            };
            let hit = purges.iter().find(|path| covers(path, claimed));
            if let (false, Some(path)) = (is_itself, hit) {
                return Err(Stop::setback(
                    Reason::PlanRejected,
                    format!(
                        "plugin {}: a purge names {path}, where the data of Backup {} lies",
                        case.binding.serving.name,
                        backup.metadata.name.unwrap_or_default()
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The place in the bucket that a Backup claims; none where its own data is about to go.
fn claim<'a>(backup: &'a Backup, bucket: &str) -> Option<&'a str> {
    let goes = backup.metadata.deletion_timestamp.is_some()
        && backup.spec.deletion_policy != Some(DeletionPolicy::Retain);
    let artifact = backup.status.as_ref()?.artifact.as_ref()?;
    (!goes).then(|| key_in(bucket, &artifact.uri)).flatten()
}
