//! What clickhouse-backup is told, command by command. `client.sh` runs the steps.

use backup_strategy::prelude::*;

use crate::{
    archive::Archive,
    operator::{CLUSTER, Sidecar, Sidecars},
};

/// Steps of one run, in phases that follow one another.
pub struct Steps {
    /// Words that every command has: they make it one of a kind in the record of the API, and say what of the storage
    /// is other than the container was started with.
    flags: String,
    lines: Vec<String>,
}

impl Steps {
    /// None yet. In the platform's storage all but the keys is said with each command: a container that was started
    /// before the storage moved would write to the old place, and one restored from another application's archive has to
    /// look into that one's folder.
    pub fn new(run: &str, archive: &Archive, platform: &Bucket, own_path: Option<&str>) -> Self {
        let mut flags = format!(" --env=BACKUP_RUN={run}");
        let mut say = |name: &str, value: &str| flags.push_str(&format!(" --env={name}={value}"));
        if archive.bucket.is_some() {
            say("S3_BUCKET", &platform.name);
            // The copy of the credentials has it without its scheme, which S3 clients refuse.
            say("S3_ENDPOINT", &platform.endpoint);
            say("S3_REGION", &platform.region);
            say(
                "S3_FORCE_PATH_STYLE",
                if platform.force_path_style {
                    "true"
                } else {
                    "false"
                },
            );
            say("S3_PATH", &archive.path);
        } else if own_path != Some(&archive.path) {
            say("S3_PATH", &archive.path);
        }
        Self {
            flags,
            lines: Vec::new(),
        }
    }

    /// A backup: each shard's first replica writes an archive. That the storage lets them is tried first.
    pub fn backup(mut self, archive: &Archive, sidecars: &Sidecars) -> String {
        self.each(sidecars.first(), |_| "list".into(), |_| " remote".into());
        self.each(
            sidecars.first(),
            |_| "create_remote".into(),
            |sidecar| format!(" {}", archive.of_shard(sidecar.shard)),
        );
        self.tidy(archive, sidecars.first());
        self.text()
    }

    /// A restore: nothing is dropped before all archives are there.
    ///
    /// A replicated table that one replica drops lives on in the others, and comes back from them as it was. So with
    /// several replicas tables are dropped and created in all of them at once; the data goes to the first of each shard,
    /// and from there to the others.
    pub fn restore(
        mut self,
        archive: &Archive,
        sidecars: &Sidecars,
        tables: Option<&str>,
    ) -> String {
        let name = |sidecar: &Sidecar| format!(" {}", archive.of_shard(sidecar.shard));
        let tables = tables
            .map(|tables| format!(" --tables={tables}"))
            .unwrap_or_default();
        self.each(sidecars.first(), |_| "list".into(), |_| " remote".into());
        self.each(
            sidecars.first(),
            |_| "download".into(),
            |sidecar| format!("{tables}{}", name(sidecar)),
        );
        if sidecars.replicas > 1 {
            for sidecar in sidecars.first() {
                let on_cluster = format!("restore --env=RESTORE_SCHEMA_ON_CLUSTER={CLUSTER}");
                self.each(
                    [sidecar].into_iter(),
                    |_| on_cluster.clone(),
                    |_| format!(" --schema --rm{tables}{}", name(sidecar)),
                );
            }
            self.each(
                sidecars.first(),
                |_| "restore".into(),
                |sidecar| format!(" --data{tables}{}", name(sidecar)),
            );
        } else {
            self.each(
                sidecars.first(),
                |_| "restore".into(),
                |sidecar| format!(" --rm{tables}{}", name(sidecar)),
            );
        }
        self.tidy(archive, sidecars.first());
        self.text()
    }

    /// The removal of archives from a storage that only clickhouse-backup can reach.
    pub fn removal(mut self, archive: &Archive, sidecars: &Sidecars) -> String {
        self.each(
            sidecars.first(),
            |_| "delete".into(),
            |sidecar| format!(" remote {}", archive.of_shard(sidecar.shard)),
        );
        self.text()
    }

    /// What is left of a run that came to nothing: what goes on is stopped, then what it made beside ClickHouse is
    /// removed, and with `remote` what it has written to a storage of the application's own.
    pub fn undo(
        mut self,
        begun: &str,
        archive: &Archive,
        sidecars: &Sidecars,
        remote: bool,
    ) -> String {
        let here = |line: &&str| {
            let address = line.split('|').next().unwrap_or_default();
            !line.starts_with('-') && sidecars.first().any(|sidecar| sidecar.address == address)
        };
        self.lines = begun
            .lines()
            .filter(here)
            .filter_map(|line| line.split_once('|'))
            .map(|(address, command)| format!("-{address}|kill {command}"))
            .collect();
        self.tidy(archive, sidecars.first());
        if remote {
            for sidecar in sidecars.first() {
                let command = format!(
                    "delete{} remote {}",
                    self.flags,
                    archive.of_shard(sidecar.shard)
                );
                self.lines.push(format!("-{}|{command}", sidecar.address));
            }
        }
        self.text()
    }

    /// A phase: a command for each of these.
    fn each<'a>(
        &mut self,
        sidecars: impl Iterator<Item = &'a Sidecar>,
        verb: impl Fn(&Sidecar) -> String,
        rest: impl Fn(&Sidecar) -> String,
    ) {
        for sidecar in sidecars {
            let (verb, rest) = (verb(sidecar), rest(sidecar));
            self.lines
                .push(format!("{}|{verb}{}{rest}", sidecar.address, self.flags));
        }
        self.lines.push("--".into());
    }

    /// The archives that were made, or fetched, beside ClickHouse take up its volume.
    fn tidy<'a>(&mut self, archive: &Archive, sidecars: impl Iterator<Item = &'a Sidecar>) {
        for sidecar in sidecars {
            self.lines.push(format!(
                "-{}|delete local {}",
                sidecar.address,
                archive.of_shard(sidecar.shard)
            ));
        }
    }

    fn text(self) -> String {
        self.lines.join("\n")
    }
}
