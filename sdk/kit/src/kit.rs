//! Tries a strategy on cases.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use backup_engine::conformance;
use backup_sandbox::Strategy;
use serde_json::json;

use crate::{
    Error, Failure, Report,
    case::{Case, yaml_files},
    faults::Faults,
    plans::Held,
    story::{Astray, Story},
    world::{World, grant_of, objects_of},
};

/// Tries a strategy on cases.
pub struct Kit<'a> {
    strategy: &'a Strategy,
    updates: bool,
}

impl<'a> Kit<'a> {
    /// For a strategy that is loaded already.
    #[must_use]
    pub fn of(strategy: &'a Strategy) -> Self {
        Self {
            strategy,
            updates: false,
        }
    }

    /// Whether the plans are written where they differ, instead of being a failure.
    #[must_use]
    pub fn updating(mut self, updates: bool) -> Self {
        self.updates = updates;
        self
    }

    /// Tries the cases of a folder: each file in it that ends in `.yaml`.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds no case.
    pub fn run(&self, cases: impl AsRef<Path>) -> Result<Report, Error> {
        let folder = cases.as_ref();
        let files = yaml_files(folder).map_err(Error)?;
        if files.is_empty() {
            return Err(Error(format!("{} holds no .yaml file", folder.display())));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| Error(format!("no runtime: {error}")))?;
        let mut report = Report::default();
        let mut worlds = HashSet::new();
        // What happens in a case is no news to whoever reads the log.
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), || {
            for file in files {
                runtime.block_on(self.tried(&file, &mut worlds, &mut report));
                report.cases.push(file);
            }
        });
        Ok(report)
    }

    async fn tried(&self, file: &Path, worlds: &mut HashSet<String>, report: &mut Report) {
        let mut failed = |step: Option<(usize, u64)>, message: String| {
            report.failures.push(Failure {
                case: Some(file.to_owned()),
                step,
                message,
            });
        };
        let case = match Case::read(file) {
            Ok(case) => case,
            Err(why) => return failed(None, why),
        };
        match self.promises(&case, worlds).await {
            Ok(found) => found.into_iter().for_each(|why| failed(None, why)),
            Err(why) => return failed(None, why),
        }
        if case.steps.is_empty() {
            return;
        }
        let told = self.told(&case, Faults::default()).await;
        let story = match told {
            Ok(story) => story,
            Err(why) => return failed_at(&case, why, "", &mut failed),
        };
        if let Err(why) = self.crashed(&case, story.world.faults().writes()).await {
            return failed_at(&case, why.0, &why.1, &mut failed);
        }
        let plans = plans_of(file);
        match story
            .plans
            .held_against(&plans, &story.world.seen, self.updates)
        {
            Ok(Held::Same) => {}
            Ok(Held::Written) => report.updated.push(plans),
            Ok(Held::Different(why)) | Err(why) => failed(None, why),
        }
    }

    /// What a host would find, in the world of the case. In a world that another case has as well nothing else is found.
    async fn promises(
        &self,
        case: &Case,
        worlds: &mut HashSet<String>,
    ) -> Result<Vec<String>, String> {
        let manifest = self.strategy.manifest();
        let grant = grant_of(case, manifest)?;
        let objects = objects_of(case, manifest);
        if !worlds.insert(json!([grant, objects]).to_string()) {
            return Ok(vec![]);
        }
        let found = conformance(self.strategy, &grant, &objects).await;
        let found = found.map_err(|error| error.to_string())?;
        let told = found.iter().map(|finding| {
            let weight = if finding.is_certain {
                "certain"
            } else {
                "advice"
            };
            format!("{weight}: {finding}")
        });
        Ok(told.collect())
    }

    /// The story, from its beginning to its end.
    async fn told<'c>(&self, case: &'c Case, faults: Faults) -> Result<Story<'c>, Astray> {
        let world =
            World::of(case, self.strategy, faults).map_err(|wrong| (usize::MAX, vec![wrong]))?;
        let mut story = Story::of(case, world);
        story.tell().await?;
        Ok(story)
    }

    /// The same story, with a crash of the host behind each of its writes in turn: it goes on the same.
    async fn crashed(&self, case: &Case, writes: usize) -> Result<(), (Astray, String)> {
        for write in 1..=writes {
            let told = self.told(case, Faults::crashing_at(Some(write))).await;
            told.map_err(|why| {
                let when = format!("where the host crashes behind write {write} of {writes}, ");
                (why, when)
            })?;
        }
        Ok(())
    }
}

fn failed_at(
    case: &Case,
    (index, lines): Astray,
    when: &str,
    failed: &mut impl FnMut(Option<(usize, u64)>, String),
) {
    let line = case.steps.get(index).map(|(line, _)| *line);
    let message = match &lines[..] {
        [one] => format!("{when}{one}"),
        many => format!("{when}it is not as expected:\n    {}", many.join("\n    ")),
    };
    failed(line.map(|line| (index + 1, line)), message);
}

/// Where the plans of a case lie.
fn plans_of(case: &Path) -> PathBuf {
    let name = case.file_name().unwrap_or_default();
    case.with_file_name("plans").join(name)
}
