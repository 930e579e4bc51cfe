//! Applications come and go, with what their charts make of them.

use std::fmt;

use serde_json::{Value, json};

use crate::{
    ground::{Ground, PASSWORD, text},
    happening::Happening,
    schedule::Outline,
};

/// The databases of every tenant.
pub(crate) const DATABASES: [&str; 2] = ["orders", "users"];

/// The etcd of every tenant. The chart has it no other way.
pub(crate) const ETCD: &str = "etcd";

/// What becomes of an application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApplicationEvent {
    pub(crate) tenant: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// It is installed, with a Helm release that is suspended or not.
    Created { is_suspended: bool },
    /// It is deleted, with all that its chart had made.
    Deleted,
    /// Somebody suspends its Helm release, or resumes it.
    Release { is_suspended: bool },
}

pub(crate) fn draw(outline: &mut Outline) {
    for tenant in outline.tenants.clone() {
        for (kind, name) in [
            ("Postgres", DATABASES[0]),
            ("Postgres", DATABASES[1]),
            ("Etcd", ETCD),
        ] {
            let add = |outline: &mut Outline, at, what| {
                let event = ApplicationEvent {
                    tenant,
                    kind,
                    name,
                    what,
                };
                outline.add_anytime(at, Happening::Application(event));
            };
            if kind == "Postgres" && outline.one_in(3) {
                continue;
            }
            let at = if outline.one_in(4) { outline.time() } else { 0 };
            let is_suspended = outline.one_in(8);
            let event = ApplicationEvent {
                tenant,
                kind,
                name,
                what: What::Created { is_suspended },
            };
            outline.add(at, Happening::Application(event));
            if outline.one_in(6) {
                let at = outline.time();
                add(outline, at, What::Deleted);
                if outline.one_in(2) {
                    let later = at + outline.rng.u32(15..600);
                    add(
                        outline,
                        later,
                        What::Created {
                            is_suspended: false,
                        },
                    );
                }
            }
            if kind == "Etcd" && outline.one_in(10) {
                let at = outline.time();
                let is_suspended = outline.rng.bool();
                add(outline, at, What::Release { is_suspended });
            }
        }
    }
}

impl ApplicationEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        match self.what {
            What::Created { is_suspended } => self.create(ground, is_suspended),
            What::Deleted => {
                for object in self.objects() {
                    ground.delete(
                        text(&object, "/apiVersion"),
                        text(&object, "/kind"),
                        Some(self.tenant),
                        text(&object, "/metadata/name"),
                    );
                }
            }
            What::Release { is_suspended } => self.set_suspended(ground, is_suspended),
        }
    }

    fn create(&self, ground: &Ground, is_suspended: bool) {
        let namespace = ground.cluster.read("v1", "Namespace", None, self.tenant);
        let is_there = namespace
            .is_some_and(|namespace| namespace.pointer("/metadata/deletionTimestamp").is_none());
        if !is_there {
            return ground.note(|| "    (refused: there is no such namespace)".to_owned());
        }
        for mut object in self.objects() {
            if object["kind"] == "HelmRelease" && is_suspended {
                object["spec"]["suspend"] = json!(true);
            }
            if object["kind"] == "EtcdCluster"
                && let Some(cluster) = object.as_object_mut()
            {
                // The operator brings it up.
                cluster.remove("status");
            }
            let (api_version, kind, name) = (
                text(&object, "/apiVersion"),
                text(&object, "/kind"),
                text(&object, "/metadata/name"),
            );
            let is_there = ground
                .cluster
                .read(api_version, kind, Some(self.tenant), name)
                .is_some();
            if !is_there {
                ground.put(&object);
            }
        }
    }

    fn set_suspended(&self, ground: &Ground, is_suspended: bool) {
        let found = ground.cluster.read(
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            Some(self.tenant),
            self.name,
        );
        if let Some(mut release) = found {
            release["spec"]["suspend"] = json!(is_suspended);
            ground.put(&release);
        }
    }

    fn objects(&self) -> Vec<Value> {
        let objects = match self.kind {
            "Postgres" => stage::postgres_objects(self.tenant, self.name, PASSWORD),
            _ => stage::etcd_objects(self.tenant, self.name),
        };
        objects.unwrap_or_default()
    }
}

impl fmt::Display for ApplicationEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tenant, kind, name, ..
        } = self;
        match self.what {
            What::Created { is_suspended: true } => {
                write!(
                    f,
                    "{kind} {tenant}/{name} is installed, its release suspended"
                )
            }
            What::Created { .. } => write!(f, "{kind} {tenant}/{name} is installed"),
            What::Deleted => write!(f, "{kind} {tenant}/{name} is deleted"),
            What::Release { is_suspended } => write!(
                f,
                "somebody {} the release of {kind} {tenant}/{name}",
                if is_suspended { "suspends" } else { "resumes" }
            ),
        }
    }
}
