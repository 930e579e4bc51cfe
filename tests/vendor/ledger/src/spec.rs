//! What an administrator may set.

use backup_strategy::schema::*;
use serde::Deserialize;

/// How ledgers are exported.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Text that the operator keeps with each export. It may be a template.
    #[serde(default)]
    pub comment: String,
    /// How many minutes an export, or an import, may take. 60 when absent.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 1))]
    pub timeout_minutes: u32,
}

fn an_hour() -> u32 {
    60
}
