//! The backup host as a Kubernetes controller: the engine over a real API server.
//!
//! | module | what |
//! |---|---|
//! | `real` | the engine's cluster trait over an API server |
//! | `watches` | what changes in the cluster: wake-up calls for the queue |
//! | `sight` | what the watches have shown, so that most reads need no request |
//! | `work` | the queue and the passes under way |
//! | `held` | RestoreJobs that old controllers have left held |
//! | `leader` | which of several hosts works |
//! | `plugins` | when StrategyPlugins are looked at, and the files of the plugin folder |
//! | `credentials` | how often credentials were projected, as metrics |
//! | `s3` | the platform's object storage |
//! | `probes` | health, readiness and metrics over HTTP |
//! | `metrics` | what is counted |
//! | `telemetry` | log lines and traces |
//! | `options` | flags and environment |
//! | `run` | all of it together, until it is told to stop |

mod address;
mod credentials;
mod held;
mod leader;
mod metrics;
mod options;
mod plugins;
mod probes;
mod real;
mod run;
mod s3;
mod sight;
mod telemetry;
mod watches;
mod work;

pub use address::BindAddress;
pub use options::{LogFormat, Options};
pub use real::RealCluster;
pub use run::run;
pub use telemetry::Telemetry;
