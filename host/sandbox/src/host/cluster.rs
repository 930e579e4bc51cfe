//! `cluster`: objects and logs, from the snapshot.

use super::{Host, argument, wrong_shape};
use crate::{
    Answer, Read, check,
    contract::{ObjectRef, Selector, cozystack::backup_strategy::cluster as contract},
};

impl contract::Host for Host {
    fn get(&mut self, target: ObjectRef) -> wasmtime::Result<Option<String>> {
        const NAME: &str = "cluster.get";
        self.reading(NAME)?;
        argument(NAME, check::object_ref(&target))?;
        argument(NAME, check::not_secret(&target.api_version, &target.kind))?;
        Ok(self.read_text(NAME, Read::Object(target))?)
    }

    fn find(&mut self, matching: Selector) -> wasmtime::Result<Vec<String>> {
        const NAME: &str = "cluster.find";
        self.reading(NAME)?;
        argument(NAME, check::selector(&matching))?;
        argument(
            NAME,
            check::not_secret(&matching.api_version, &matching.kind),
        )?;
        match self.read(NAME, Read::Objects(matching))? {
            Answer::Texts(objects) => Ok(objects
                .iter()
                .map(|object| object.as_ref().to_owned())
                .collect()),
            _ => Err(wrong_shape(NAME).into()),
        }
    }

    fn serves(&mut self, api_version: String, kind: String) -> wasmtime::Result<bool> {
        const NAME: &str = "cluster.serves";
        self.reading(NAME)?;
        argument(NAME, check::kind(&api_version, &kind))?;
        match self.read(NAME, Read::Serves { api_version, kind })? {
            Answer::Flag(serves) => Ok(*serves),
            _ => Err(wrong_shape(NAME).into()),
        }
    }

    fn log_tail(
        &mut self,
        namespace: String,
        pod: String,
        container: String,
        previous: bool,
        lines: u32,
    ) -> wasmtime::Result<Option<String>> {
        const NAME: &str = "cluster.log-tail";
        self.reading(NAME)?;
        argument(NAME, check::namespace(&namespace))?;
        argument(NAME, check::name(&pod))?;
        argument(NAME, check::container(&container))?;
        argument(NAME, check::within("lines", lines, check::LOG_LINES))?;
        Ok(self.read_text(
            NAME,
            Read::LogTail {
                namespace,
                pod,
                container,
                previous,
                lines,
            },
        )?)
    }
}
