//! A class of one's own, and strategies of one's own, from the documentation alone: `docs/tuning.md` of the chart, whose every
//! example is applied as it stands.

use controlplane::Shell;
use serde_json::Value;

use super::{TENANT, job};
use crate::{site::Site, typed::Page};

/// A part of what the page tells leads to: a job by one of its classes, and what the operator is told then.
struct Tried {
    class: &'static str,
    application: (&'static str, &'static str),
    orders: (&'static str, &'static str, &'static str),
    says: (&'static str, &'static str),
}

/// Of the class with other parameters, and of the class with other strategies.
const TRIED: [Tried; 2] = [
    Tried {
        class: "gold",
        application: ("VMDisk", "web-data"),
        orders: ("velero.io/v1", "Backup", "cozy-velero"),
        says: ("/spec/ttl", "2160h0m0s"),
    },
    Tried {
        class: "gold-strategies",
        application: ("MariaDB", "shop"),
        orders: ("k8s.mariadb.com/v1alpha1", "Backup", TENANT),
        says: ("/spec/compression", "bzip2"),
    },
];

/// Applies what the page shows, and has a tenant use it.
pub(super) async fn tuned_by_the_page(site: &Site, tenant: &Shell) {
    let examples = Page::of("tuning.md").blocks("yaml");
    assert!(examples.len() > 2, "the page has its examples");
    for example in examples {
        site.admin
            .run_on("kubectl apply --filename -", &example)
            .unwrap();
    }
    let lets_in = format!("kubectl label namespace {TENANT} backups.example.org/class=gold");
    site.admin.run(&lets_in).unwrap();
    for tried in &TRIED {
        let class = tried.class;
        let ready = format!("kubectl wait --for=condition=Ready backupclass/{class} --timeout=60s");
        tenant.run(&ready).unwrap();
        let name = format!("by-{class}");
        let job = job(&name, class, tried.application).to_string();
        tenant.run_on("kubectl apply --filename -", &job).unwrap();
        let (pointer, value) = tried.says;
        let is_told = |order: &Value| {
            let order_of = order["metadata"]["name"].as_str().unwrap_or_default();
            order_of.contains(&name) && order.pointer(pointer).is_some_and(|said| said == value)
        };
        site.some(tried.orders, is_told).await;
    }
}
