//! Whose a place in a bucket is, by what the administrator grants.

use backup_engine::covers;

use crate::{ground::Ground, schedule::TENANTS, strategies::Application, vault::Written};

/// An application whose backups may lie at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This one's.
    Application(&'static str, Application),
    /// The grant names a place that all tenants share.
    Everybody,
}

impl Ground {
    /// Whose the place of a new object is.
    pub(crate) fn owners(&self, written: &Written) -> Vec<Owner> {
        let strategy = written.strategy;
        let Some(grant) = self.grant(strategy) else {
            return vec![];
        };
        let is_at = |path: &str| path != written.at.1 && covers(path, &written.at.1);
        let mut owners = vec![];
        for pattern in &grant.storage_paths {
            if !pattern.contains('{') {
                owners.extend(is_at(pattern.trim_end_matches('/')).then_some(Owner::Everybody));
                continue;
            }
            for tenant in TENANTS {
                for application in strategy.applications() {
                    let path = pattern
                        .replace("{namespace}", tenant)
                        .replace("{application}", application.name)
                        .replace("{release}", &strategy.release(application.name));
                    let owner = Owner::Application(tenant, *application);
                    owners.extend(is_at(path.trim_end_matches('/')).then_some(owner));
                }
            }
        }
        owners
    }
}
