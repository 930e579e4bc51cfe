//! A real control plane for tests: etcd, kube-apiserver and kube-controller-manager on this machine.
//!
//! A test that asks what the API server really does, or what its controllers really delete, asks them. There is no
//! container, no kubelet and no network beyond the loopback interface; what a kubelet or an operator would do, the
//! test plays.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let plane = controlplane::shared(&[])?;
//! let namespace = plane.namespace("tenant-acme").await?;
//! plane
//!     .apply(&[serde_json::json!({
//!         "apiVersion": "v1",
//!         "kind": "ConfigMap",
//!         "metadata": { "name": "settings", "namespace": namespace },
//!     })])
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!  binaries ──► flags ──► server ──► plane ──► kubeconfigs, clients
//!  found or     how each   started,   ready,     audit log
//!  built once   is run     and ended  objects
//! ```
//!
//! | room | holds |
//! |---|---|
//! | `binaries` | where the programs come from: `KUBEBUILDER_ASSETS`, or built once and kept |
//! | `programs` | how they are built and kept |
//! | `certificates` | the keys of one run: who answers, and who asks |
//! | `flags` | the command lines |
//! | `server` | one running program; it never outlives the test process |
//! | `folder` | the files of one run, and their end |
//! | `plane` | [`ControlPlane`]: start, clients, kubeconfigs |
//! | `objects` | applying objects and definitions, namespaces, tokens |
//! | `audit` | what was asked of the API server, by whom |
//! | `helm` | Helm, for the charts |
//! | `jq` | jq, for what documentation does with it |
//! | `shell` | kubectl, Helm and jq as a reader of documentation types them |
//! | `operators` | the operators' real CRDs, where somebody has put them |
//! | `watching` | waiting for an object |
//! | `detached` | one for work by hand: `cargo xtask controlplane up` |
//! | `processes` | what goes on when its command has ended, and how that is ended |

mod audit;
mod binaries;
mod certificates;
pub mod detached;
mod flags;
mod folder;
mod helm;
mod jq;
mod kubeconfig;
mod objects;
mod operators;
mod plane;
mod processes;
mod programs;
mod server;
mod shell;
mod watching;

pub use audit::AuditEntry;
pub use binaries::{Binaries, kubectl};
pub use helm::Helm;
pub use operators::operator_crds;
pub use plane::{ControlPlane, shared};
pub use processes::{Process, Processes};
pub use shell::Shell;
pub use watching::{resource, until, until_gone};
