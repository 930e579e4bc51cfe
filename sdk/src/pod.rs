//! Why a Pod does not start: an operator's Job whose Pod waits for a Secret or an image never fails by itself.

use serde::Deserialize;

use crate::{Condition, Context, Metadata, Object, Outcome, Strategy};

/// What a kubelet says of a container that somebody has to do something about.
const STUCK: &[&str] = &[
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
];

/// A Pod, as far as it tells why it does not start. To be named in [`Strategy::READS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Its name and labels.
    pub metadata: Metadata,
    status: PodStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<ContainerWaiting>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ContainerWaiting {
    reason: String,
    message: String,
}

impl Object for Pod {
    const API_VERSION: &str = "v1";
    const KIND: &str = "Pod";
}

impl Pod {
    /// Why it does not start, if somebody has to do something about it, such as create a Secret.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let status = &self.status;
        let containers = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses);
        let waiting = containers
            .filter_map(|container| container.state.waiting.as_ref())
            .find(|waiting| STUCK.contains(&waiting.reason.as_str()));
        if let Some(ContainerWaiting { reason, message }) = waiting {
            return Some(format!("{reason}: {message}"));
        }
        Condition::named(&status.conditions, "PodScheduled")
            .filter(|scheduled| scheduled.reason == "Unschedulable")
            .map(|scheduled| format!("Unschedulable: {}", scheduled.message))
    }
}

impl<S: Strategy> Context<S> {
    /// Why the Pods of a Job of the application's namespace do not start; none as long as nobody has to do anything
    /// about it.
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject`.
    pub fn obstacle_of_job(&self, job: &str) -> Outcome<Option<String>> {
        let pods = self.find::<Pod>(&[("batch.kubernetes.io/job-name", job)])?;
        Ok(pods.iter().find_map(Pod::obstacle))
    }
}

#[cfg(test)]
mod tests {
    use super::Pod;
    use crate::{json, text::read};

    fn obstacle(status: &crate::Value) -> Option<String> {
        let pod = json!({ "metadata": { "name": "a" }, "status": status });
        read::<Pod>(&pod.to_string()).unwrap_or_default().obstacle()
    }

    #[test]
    fn what_somebody_has_to_mend_is_an_obstacle() {
        let waiting = |reason: &str| json!([{ "state": { "waiting": { "reason": reason, "message": "no such" } } }]);
        assert_eq!(
            obstacle(&json!({ "containerStatuses": waiting("CreateContainerConfigError") })),
            Some("CreateContainerConfigError: no such".into())
        );
        assert_eq!(
            obstacle(&json!({ "initContainerStatuses": waiting("ImagePullBackOff") })),
            Some("ImagePullBackOff: no such".into())
        );
        let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node" });
        assert_eq!(
            obstacle(&json!({ "conditions": [condition] })),
            Some("Unschedulable: no node".into())
        );
        assert_eq!(
            obstacle(&json!({ "containerStatuses": waiting("ContainerCreating") })),
            None
        );
        assert_eq!(obstacle(&json!({})), None);
    }
}
