//! A kubelet, as far as the host's Pods go: it starts the container of the Deployment as the chart says, with what the chart
//! mounts.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use charts::HOST;
use data_encoding::BASE64;
use serde_json::Value;
use tempfile::TempDir;

use crate::host::HostProcess;

/// Where the image has the bundle.
const PLUGINS: &str = "/plugins";

/// A running Pod of the host's.
pub struct Pod {
    /// Its one container.
    pub host: HostProcess,
    /// Its plugin folder.
    _plugins: TempDir,
}

impl Pod {
    /// The ConfigMaps that a Pod's spec mounts.
    pub fn config_maps(spec: &Value) -> Vec<String> {
        let names =
            list(&spec["volumes"]).filter_map(|volume| volume["configMap"]["name"].as_str());
        names.map(ToOwned::to_owned).collect()
    }

    /// Starts a Pod with its ConfigMaps. Ports and the cache of compiled components are the test's own.
    pub fn start(spec: &Value, config_maps: &[Value], kubeconfig: &Path) -> Self {
        let container = &spec["containers"][0];
        let plugins = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(stage::bundle().unwrap()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), plugins.path().join(file.file_name())).unwrap();
        }
        for mount in list(&container["volumeMounts"]) {
            let mut volumes = list(&spec["volumes"]);
            let volume = volumes.find(|volume| volume["name"] == mount["name"]);
            let name = &volume.unwrap()["configMap"]["name"];
            let mut found = config_maps.iter();
            if let Some(found) = found.find(|map| map["metadata"]["name"] == *name) {
                lay_out(found, &below(plugins.path(), &mount["mountPath"]));
            }
        }
        let arguments: Vec<&str> = list(&container["args"])
            .filter_map(Value::as_str)
            .filter(|argument| !argument.contains("-bind-address="))
            .collect();
        let environment = charts::environment(container, &format!("{}-0", HOST.name)).unwrap();
        Self {
            host: HostProcess::start_in(kubeconfig, plugins.path(), &arguments, &environment),
            _plugins: plugins,
        }
    }

    /// Asks it to stop, as at the end of a Pod, and waits until it has.
    pub fn stop(self) {
        assert!(self.host.terminate(), "it ends well");
    }
}

/// Where in the test's plugin folder lies what is mounted into the image's.
fn below(plugins: &Path, mounted: &Value) -> PathBuf {
    let inside = mounted.as_str().unwrap().strip_prefix(PLUGINS).unwrap();
    plugins.join(inside.trim_start_matches('/'))
}

/// A ConfigMap's files as a kubelet lays them out: links into a folder that is exchanged as a whole.
fn lay_out(map: &Value, folder: &Path) {
    std::fs::create_dir_all(folder.join("..of-now")).unwrap();
    symlink("..of-now", folder.join("..data")).unwrap();
    for (file, bytes) in map["binaryData"].as_object().into_iter().flatten() {
        let bytes = BASE64.decode(bytes.as_str().unwrap().as_bytes()).unwrap();
        std::fs::write(folder.join("..of-now").join(file), bytes).unwrap();
        symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
