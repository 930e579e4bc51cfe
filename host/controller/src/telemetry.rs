//! Log lines and traces.

mod traces;

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt as _, registry::LookupSpan, util::SubscriberInitExt as _,
};

use crate::options::{LogFormat, Options};
use traces::Traces;

/// Writes log lines, and sends traces where somebody takes them, from its start on.
#[must_use = "what is not sent yet is lost unless it is stopped"]
pub struct Telemetry {
    traces: Option<Traces>,
}

impl Telemetry {
    /// Begins, for the whole process.
    ///
    /// # Errors
    /// A filter that makes no sense, a collector that is no URL; or it has begun already.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let traces = match options.otlp_endpoint.as_str() {
            "" => None,
            endpoint => Some(Traces::to(endpoint)?),
        };
        tracing_subscriber::registry()
            .with(lines(options)?)
            .with(traces.as_ref().map(Traces::layer))
            .try_init()?;
        Ok(Self { traces })
    }

    /// Sends what was not sent yet.
    pub fn stop(self) {
        if let Some(traces) = self.traces {
            traces.flush();
        }
    }
}

/// Every attempt of a watch that fails is told here, and by `watches` the first. A filter that names it has its way.
const QUIET: &str = "kube_runtime::watcher=error";

/// Log lines: for people on a terminal, JSON elsewhere.
fn lines<S>(options: &Options) -> anyhow::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_new(format!("{QUIET},{}", options.log_level))?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match options.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    Ok(if is_json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    })
}

/// The parts of passes, of this host's own crates. Log lines stay out: they may hold what a strategy has written.
fn is_part_of_a_pass() -> impl Fn(&tracing::Metadata<'_>) -> bool + Clone {
    |metadata| metadata.is_span() && metadata.target().starts_with("backup_engine")
}
