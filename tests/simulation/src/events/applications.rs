//! Applications come and go, with what their charts make of them.

use std::fmt;

use serde_json::{Value, json};

use crate::{
    ground::{Ground, text},
    happening::Happening,
    schedule::Outline,
    strategies::{Application, Strategy},
};

/// What becomes of an application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApplicationEvent {
    pub(crate) tenant: &'static str,
    pub(crate) strategy: Strategy,
    pub(crate) application: Application,
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
        for strategy in outline.strategies.clone() {
            for application in strategy.applications() {
                draw_one(outline, tenant, strategy, *application);
            }
        }
    }
}

fn draw_one(
    outline: &mut Outline,
    tenant: &'static str,
    strategy: Strategy,
    application: Application,
) {
    let event = |what| {
        Happening::Application(ApplicationEvent {
            tenant,
            strategy,
            application,
            what,
        })
    };
    if strategy.applications().len() > 1 && outline.one_in(4) {
        return;
    }
    let at = if outline.one_in(4) { outline.time() } else { 0 };
    let is_suspended = outline.one_in(8);
    outline.add(at, event(What::Created { is_suspended }));
    if outline.one_in(6) {
        let at = outline.time();
        outline.add_anytime(at, event(What::Deleted));
        if outline.one_in(2) {
            let later = at + outline.rng.u32(15..600);
            let created = What::Created {
                is_suspended: false,
            };
            outline.add_anytime(later, event(created));
        }
    }
    if outline.one_in(10) {
        let at = outline.time();
        let is_suspended = outline.rng.bool();
        outline.add_anytime(at, event(What::Release { is_suspended }));
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
            &self.strategy.release(self.application.name),
        );
        if let Some(mut release) = found {
            release["spec"]["suspend"] = json!(is_suspended);
            ground.put(&release);
        }
    }

    fn objects(&self) -> Vec<Value> {
        let objects = self.strategy.objects(self.tenant, self.application);
        objects.unwrap_or_default()
    }
}

impl fmt::Display for ApplicationEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tenant,
            application,
            ..
        } = self;
        let of = format!("{} {tenant}/{}", application.kind, application.name);
        match self.what {
            What::Created { is_suspended: true } => {
                write!(f, "{of} is installed, its release suspended")
            }
            What::Created { .. } => write!(f, "{of} is installed"),
            What::Deleted => write!(f, "{of} is deleted"),
            What::Release { is_suspended } => write!(
                f,
                "somebody {} the release of {of}",
                if is_suspended { "suspends" } else { "resumes" }
            ),
        }
    }
}
