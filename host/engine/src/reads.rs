//! Answers what a strategy asks, from the cluster and the storage, under the strategy's own account.

use std::sync::Arc;

use backup_api::names::CREDENTIALS_SECRET;
use backup_sandbox::{
    Answer, Read,
    contract::{ApplicationRef, Bucket, View},
};
use serde_json::Value;

use crate::{
    admit::{Case, permission},
    cluster::Cluster,
    credentials::AUTHORITY_KEY,
    host::Host,
    object, rendering,
    stop::Stop,
};

impl<C: Cluster> Host<C> {
    /// The answer to one read, as the cluster is now.
    pub(crate) async fn answer(&self, case: &Case, read: &Read) -> Result<Answer, Stop> {
        let caller = &case.caller;
        Ok(match read {
            Read::Application => text(
                self.application(case, &case.request.subject)
                    .await?
                    .as_ref(),
            ),
            Read::Release(application) => {
                let release = self.found_release(case, application).await?;
                Answer::Text(release.map(Arc::from))
            }
            Read::Spec(view) => self.spec(case, *view).await?,
            Read::Object(target) => {
                let found = self.found(case, target).await?;
                found.iter().for_each(|found| case.shown.note(found));
                text(found.as_ref())
            }
            Read::Objects(matching) => {
                let found = self.found_all(case, matching).await?;
                found.iter().for_each(|found| case.shown.note(found));
                Answer::Texts(found.iter().map(json).collect())
            }
            Read::Serves { api_version, kind } => Answer::Flag(
                self.cluster
                    .serves(api_version, kind)
                    .await
                    .map_err(|error| permission(&error))?,
            ),
            Read::LogTail {
                namespace,
                pod,
                container,
                previous,
                lines,
            } => {
                let pod = object::target("v1", "Pod", Some(namespace), pod);
                if !self.may_read_log(case, &pod).await? {
                    return Ok(Answer::Text(None));
                }
                // A log that cannot be read is no reason to fail: it only explains.
                let log = self
                    .cluster
                    .log_tail(caller, &pod, container, *previous, *lines)
                    .await;
                match log {
                    Ok(log) => Answer::Text(log.map(Arc::from)),
                    Err(error) if error.can_pass() => return Err(Stop::Api(error)),
                    Err(_) => Answer::Text(None),
                }
            }
            Read::Bucket => Answer::Bucket(bucket(case)),
            Read::CaKey => {
                let authority = case.credentials.location.authority.as_ref();
                Answer::Text(authority.map(|_| Arc::from(AUTHORITY_KEY)))
            }
            Read::StoredObjects { path, after, limit } => {
                let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
                let location = &case.credentials.location;
                let found = self
                    .storage
                    .objects(location, path, after.as_deref(), limit)
                    .await;
                Answer::Stored(found?)
            }
        })
    }

    async fn application(
        &self,
        case: &Case,
        application: &ApplicationRef,
    ) -> Result<Option<Value>, Stop> {
        let target = object::application_target(application);
        let found = self.cluster.get(&case.caller, &target).await;
        let found = found.map_err(|error| permission(&error))?;
        found.iter().for_each(|found| case.shown.note(found));
        Ok(found)
    }

    async fn spec(&self, case: &Case, view: View) -> Result<Answer, Stop> {
        let application = match (view, &case.request.source) {
            (View::Source, Some(source)) => &source.application,
            (View::Subject | View::Source, _) => &case.request.subject,
        };
        let shown = self.application(case, application).await?;
        let spec = rendering::render(&self.documents, case, application, shown.as_ref())?;
        Ok(Answer::Text(Some(Arc::from(spec.to_string()))))
    }
}

fn text(object: Option<&Value>) -> Answer {
    Answer::Text(object.map(json))
}

/// An object's JSON without `managedFields`, which are half of it and nobody's business.
fn json(object: &Value) -> Arc<str> {
    let has_managers = object.pointer("/metadata/managedFields").is_some();
    if !has_managers {
        return Arc::from(object.to_string());
    }
    let mut object = object.clone();
    if let Some(metadata) = object::metadata_mut(&mut object) {
        metadata.remove("managedFields");
    }
    Arc::from(object.to_string())
}

fn bucket(case: &Case) -> Bucket {
    let location = &case.credentials.location;
    Bucket {
        name: location.bucket.clone(),
        endpoint: location.endpoint.clone(),
        region: location.region.clone(),
        force_path_style: location.force_path_style,
        credentials_secret: CREDENTIALS_SECRET.to_owned(),
    }
}
