//! What is started, in which order.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Result, bail};
use controlplane::{ControlPlane, Process, Processes, detached};

use crate::{
    definitions,
    deployment::{self, Container},
    first, platform, play, tenants, told,
};

/// Starts a platform in `folder`, unless one runs there, and makes the first backup.
///
/// # Errors
/// When something does not start. What was started until then is ended; files and logs stay.
pub(crate) async fn up(folder: &Path, plugins: &Path) -> Result<()> {
    let processes = Processes::of(folder);
    if runs(folder, &processes.all()?)? {
        told::say("the playground runs already\n");
        told::say(&told::next(folder));
        return Ok(());
    }
    // What is there are files of one that has ended as a whole.
    detached::down(folder)?;
    let started = start(folder, plugins).await;
    if started.is_err() {
        processes.end()?;
    }
    started
}

/// Whether one runs.
///
/// # Errors
/// When a part of it runs, and another does not.
fn runs(folder: &Path, processes: &[Process]) -> Result<bool> {
    let (run, ended): (Vec<_>, Vec<_>) = processes.iter().partition(|process| process.runs());
    let folder = folder.display();
    match (run.as_slice(), ended.as_slice()) {
        ([], _) => Ok(false),
        (_, [ended, ..]) => bail!(
            "a part of the playground has ended: {name}; why stands in {name}.log in {folder}; `cargo xtask down` ends the rest",
            name = ended.name,
        ),
        // The host is the last one that is started.
        ([.., last], []) if last.name != deployment::NAME => bail!(
            "the playground in {folder} was not started to its end; `cargo xtask down` ends what there is of it"
        ),
        _ => Ok(true),
    }
}

async fn start(folder: &Path, plugins: &Path) -> Result<()> {
    let clock = Clock(Instant::now());
    let plane = Arc::new(detached::start(folder, &definitions::all()?)?);
    populate(folder, plugins, &plane, &clock).await?;
    // Otherwise it ends with this value.
    if let Some(plane) = Arc::into_inner(plane) {
        plane.release();
    }
    told::say(&told::next(folder));
    Ok(())
}

/// Puts everything on the control plane, up to the first backup.
async fn populate(
    folder: &Path,
    plugins: &Path,
    plane: &Arc<ControlPlane>,
    clock: &Clock,
) -> Result<()> {
    clock.tell(&format!("the control plane is ready: {}", plane.url()));
    let storage = play::start(folder)?;
    clock.tell(&format!("the storage is ready: {}", storage.endpoint));
    // Helm and the tenants' applications need each other as little as Helm and the operators.
    tokio::try_join!(platform::install(plane, &storage), tenants::settle(plane),)?;
    clock.tell("the charts are installed");

    let container = Container::read(plane).await?;
    let secret = (
        container.variable("BACKUP_STORAGE_SECRET_NAMESPACE"),
        container.variable("BACKUP_STORAGE_SECRET_NAME"),
    );
    platform::keys(plane, &storage, secret).await?;
    container.start(plane, folder, plugins).await?;
    for tenant in tenants::TENANTS {
        let path = told::kubeconfig_of(folder, tenant);
        tenants::write_kubeconfig(plane, (tenant, tenant), &path).await?;
    }
    clock.tell("the host is started");
    first::back_up(folder).await?;
    let ready = clock.seconds();
    clock.tell(&format!(
        "{}/{} is Ready: the first backup",
        tenants::TENANTS[0],
        first::NAME
    ));
    let client = plane.client().await?;
    let names = first::plugins(&client).await?;
    first::all_serve(folder, &client, &names).await?;
    clock.tell(&format!("all plugins serve: {}", names.join(", ")));
    told::say(&format!(
        "\nfrom the start to the first Backup Ready: {ready:.1} s\n"
    ));
    Ok(())
}

/// How long it has taken.
struct Clock(Instant);

impl Clock {
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn tell(&self, what: &str) {
        told::say(&format!("{:5.1} s  {what}", self.seconds()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_runs_in_part_is_told_of_and_not_taken_for_whole() {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes::of(folder.path());
        let looked_at = || runs(folder.path(), &processes.all().unwrap());
        let starts = |name: &str| {
            let mut command = std::process::Command::new("sleep");
            let child = command.arg("600").spawn().unwrap();
            processes.add(name, child.id()).unwrap();
            child
        };
        let ends = |mut child: std::process::Child| {
            child.kill().unwrap();
            child.wait().unwrap();
        };
        assert!(!looked_at().unwrap());
        let etcd = starts("etcd");
        let said = looked_at().unwrap_err().to_string();
        assert!(said.contains("not started to its end"), "{said}");
        let host = starts("host");
        assert!(looked_at().unwrap());
        ends(host);
        let said = looked_at().unwrap_err().to_string();
        assert!(said.contains("has ended: host"), "{said}");
        ends(etcd);
        assert!(!looked_at().unwrap());
    }
}
