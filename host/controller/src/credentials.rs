//! How often credentials were projected, as metrics: the engine counts, and this tells.

use std::{fmt, sync::Arc};

use backup_engine::ProjectionCounts;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

/// The counts of a host. The names and labels are the reference's, so that its alerts go on to work.
#[derive(Debug)]
pub(crate) struct Projections(pub Arc<ProjectionCounts>);

impl Collector for Projections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut failures = encoder.encode_descriptor(
            "cozystack_backup_credentials_projection_failures",
            "How often the credentials in a namespace could not be brought up to date, by reason",
            None,
            MetricType::Counter,
        )?;
        for (namespace, reason, count) in self.0.failures() {
            let labels = [("namespace", namespace.as_str()), ("reason", reason)];
            ConstCounter::new(count).encode(failures.encode_family(&labels)?)?;
        }
        let mut successes = encoder.encode_descriptor(
            "cozystack_backup_credentials_projection_successes",
            "How often the credentials in a system namespace were found or brought up to date",
            None,
            MetricType::Counter,
        )?;
        for (namespace, count) in self.0.successes() {
            let labels = [("namespace", namespace.as_str())];
            ConstCounter::new(count).encode(successes.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
