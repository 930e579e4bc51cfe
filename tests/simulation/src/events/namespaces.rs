//! Tenants come and go.

use std::fmt;

use serde_json::json;

use crate::{ground::Ground, happening::Happening, schedule::Outline};

/// What becomes of a tenant's namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamespaceEvent {
    pub(crate) tenant: &'static str,
    pub(crate) is_deleted: bool,
}

pub(crate) fn draw(outline: &mut Outline) {
    for tenant in outline.tenants.clone() {
        let event = |is_deleted| Happening::Namespace(NamespaceEvent { tenant, is_deleted });
        outline.add(0, event(false));
        if outline.one_in(10) {
            let at = outline.time();
            outline.add_anytime(at, event(true));
            if outline.one_in(2) {
                let later = at + outline.rng.u32(60..600);
                outline.add(later, event(false));
            }
        }
    }
}

impl NamespaceEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        if self.is_deleted {
            return ground.delete("v1", "Namespace", None, self.tenant);
        }
        ground.create(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": self.tenant },
        }));
    }
}

impl fmt::Display for NamespaceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_deleted {
            "deleted"
        } else {
            "created"
        };
        write!(f, "namespace {} is {verb}", self.tenant)
    }
}
