//! The objects of the ledger operator, as far as they are used.

use backup_strategy::prelude::*;
use serde::Deserialize;

/// Asks the operator to write a ledger into an S3 bucket.
#[derive(Deserialize)]
pub struct Export {
    pub metadata: Metadata,
    #[serde(default)]
    pub status: Status,
}

/// Asks the operator to replace a ledger by what lies in an S3 bucket.
#[derive(Deserialize)]
pub struct Import {
    #[serde(default)]
    pub status: Status,
}

/// How far the operator is with either of them.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// `Running`, `Complete` or `Failed`; empty until the operator has seen the object.
    pub phase: String,
    pub message: String,
    pub finished_at: Option<Timestamp>,
}

impl Object for Export {
    const API_VERSION: &str = "ledgers.vendor.example/v1";
    const KIND: &str = "Export";
}

impl Object for Import {
    const API_VERSION: &str = "ledgers.vendor.example/v1";
    const KIND: &str = "Import";
}

impl Export {
    pub fn of(ledger: &ApplicationRef, name: &str, to: &Place, comment: &str) -> Value {
        pruned(json!({
            "apiVersion": Self::API_VERSION,
            "kind": Self::KIND,
            "metadata": { "name": name, "namespace": ledger.namespace },
            "spec": {
                "ledger": ledger.name,
                "to": to.uri(),
                "endpoint": to.bucket.endpoint,
                "secretName": to.bucket.credentials_secret,
                "comment": Some(comment).filter(|comment| !comment.is_empty()),
            },
        }))
    }
}

impl Import {
    pub fn of(ledger: &ApplicationRef, name: &str, from: &Place) -> Value {
        json!({
            "apiVersion": Self::API_VERSION,
            "kind": Self::KIND,
            "metadata": { "name": name, "namespace": ledger.namespace },
            "spec": {
                "ledger": ledger.name,
                "from": from.uri(),
                "endpoint": from.bucket.endpoint,
                "secretName": from.bucket.credentials_secret,
            },
        })
    }
}

impl Status {
    /// Goes on once the operator is done, and not longer than it may take.
    pub fn is_complete(&self, minutes: u32) -> Outcome<()> {
        match self.phase.as_str() {
            "Complete" => Ok(()),
            "Failed" => fail("LedgerOperatorFailed", &self.message),
            _ => wait("LedgerOperatorAtWork", "the ledger operator is at work")
                .at_most(minutes.minutes()),
        }
    }
}

/// Where an export lies.
pub struct Place {
    pub bucket: Bucket,
    pub key: String,
}

impl Place {
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket.name, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: &str) -> Status {
        Status {
            phase: phase.into(),
            message: "no space left".into(),
            finished_at: None,
        }
    }

    #[test]
    fn the_operator_is_waited_for_until_it_is_done() {
        assert!(status("Complete").is_complete(5).is_ok());
        for phase in ["", "Running"] {
            let Err(Stop::Wait(wait)) = status(phase).is_complete(5) else {
                panic!("{phase:?} is no reason to wait");
            };
            assert_eq!(wait.give_up_after_seconds, Some(300));
        }
    }

    #[test]
    fn what_the_operator_says_of_a_failure_is_passed_on() {
        let stop = status("Failed").is_complete(5).unwrap_err();
        assert_eq!(stop.to_string(), "LedgerOperatorFailed: no space left");
    }
}
