//! `context`: what the evaluation is about.

use super::{Host, argument};
use crate::{
    Read, check,
    contract::{
        ApplicationRef, Entry, FinishedBackup, JobIdentity, Refusal, View,
        cozystack::backup_strategy::context as contract,
    },
    names,
};

impl contract::Host for Host {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.reading("context.now")?.now)
    }

    fn job(&mut self) -> wasmtime::Result<JobIdentity> {
        Ok(self.reading("context.job")?.job.clone())
    }

    fn options(&mut self) -> wasmtime::Result<String> {
        Ok(self.reading("context.options")?.options.clone())
    }

    fn subject(&mut self) -> wasmtime::Result<ApplicationRef> {
        Ok(self.reading("context.subject")?.subject.clone())
    }

    fn application(&mut self) -> wasmtime::Result<Option<String>> {
        self.reading("context.application")?;
        Ok(self.read_text("context.application", Read::Application)?)
    }

    fn release(&mut self, application: ApplicationRef) -> wasmtime::Result<Option<String>> {
        self.reading("context.release")?;
        argument("context.release", check::application(&application))?;
        Ok(self.read_text("context.release", Read::Release(application))?)
    }

    fn spec(&mut self, rendered_for: View) -> wasmtime::Result<String> {
        self.reading("context.spec")?;
        // The contract knows no absent spec: `{}` stands for that of a strategy that is gone.
        Ok(self
            .read_text("context.spec", Read::Spec(rendered_for))?
            .unwrap_or_else(|| "{}".to_owned()))
    }

    fn child_name(&mut self, role: String, max_length: u32) -> wasmtime::Result<String> {
        let job = &self.reading("context.child-name")?.job;
        Ok(argument(
            "context.child-name",
            names::child(job, &role, max_length),
        )?)
    }

    fn parameters(&mut self) -> wasmtime::Result<Vec<Entry>> {
        Ok(self.reading("context.parameters")?.parameters.clone())
    }

    fn source(&mut self) -> wasmtime::Result<Option<FinishedBackup>> {
        Ok(self.reading("context.source")?.source.clone())
    }

    fn state(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.reading("context.state")?.state.clone())
    }

    fn refused(&mut self) -> wasmtime::Result<Option<Refusal>> {
        Ok(self.reading("context.refused")?.refused.clone())
    }
}
