//! A platform, whoever administers it, and Kubernetes as far as the host's Deployment goes.

use std::path::{Path, PathBuf};

use charts::HOST;
use controlplane::Shell;
use serde_json::Value;

use super::storage::Storage;
use crate::{kubelet::Pod, site::Site};

/// A platform with the chart installed, and a Pod of the host's where there is to be one.
pub(super) struct Platform {
    /// The cluster.
    pub(super) site: Site,
    desk: PathBuf,
    /// The Pod, and the template that it was started from.
    pod: Option<(Pod, Value)>,
}

impl Platform {
    /// A new cluster, with the chart installed for a storage, and the host at work.
    pub(super) async fn new(desk: &Path, storage: &Storage) -> Self {
        let mut site = Site::light().await;
        site.admin = Shell::of(&site.plane).unwrap().in_folder(desk);
        let mut platform = Self {
            site,
            desk: desk.to_owned(),
            pod: None,
        };
        storage.is_the_platforms(&mut platform).await;
        platform.site.plugins_are_ready();
        platform
    }

    /// Writes a file into the folder in which commands are typed.
    pub(super) fn writes(&self, file: &str, text: &str) {
        std::fs::write(self.desk.join(file), text).unwrap();
    }

    /// Types a command, and lets Kubernetes do its part. Gives back what is printed.
    pub(super) async fn types(&mut self, command: &str) -> String {
        let said = self.site.admin.run(command).unwrap();
        self.follow().await;
        said
    }

    /// The metrics of the host.
    pub(super) fn metrics(&self) -> String {
        self.pod.as_ref().unwrap().0.host.metrics()
    }

    /// Has as many Pods as the Deployment wants, up to one, of its template.
    async fn follow(&mut self) {
        let target = ("apps/v1", "Deployment", HOST.name);
        let Some(deployment) = self.site.read(HOST.namespace, target).await else {
            return;
        };
        let spec = &deployment["spec"];
        let wanted = Some(&spec["template"]).filter(|_| spec["replicas"] != 0);
        if self.pod.as_ref().map(|(_, of)| of) == wanted {
            return;
        }
        if let Some((pod, _)) = self.pod.take() {
            pod.stop();
        }
        if let Some(template) = wanted {
            self.pod = Some((self.site.pod().await, template.clone()));
        }
    }
}
