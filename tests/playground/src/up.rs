//! What is started, in which order.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Result, bail};
use controlplane::{ControlPlane, Process, Processes, detached};

use crate::{definitions, deployment::Container, first, platform, play, tenants, told};

/// Starts a platform in `folder`, unless one runs there, and makes the first backup.
///
/// # Errors
/// When something does not start. What was started until then is ended; files and logs stay.
pub(crate) async fn up(folder: &Path, plugins: &Path) -> Result<()> {
    let processes = Processes::of(folder);
    let (run, ended): (Vec<_>, Vec<_>) = processes.all()?.into_iter().partition(Process::runs);
    match (run.as_slice(), ended.as_slice()) {
        ([_, ..], []) => {
            told::say("the playground runs already\n");
            told::say(&told::next(folder));
            return Ok(());
        }
        ([_, ..], [ended, ..]) => bail!(
            "a part of the playground has ended: {name}; why stands in {name}.log in {folder}; `cargo xtask down` ends the rest",
            name = ended.name,
            folder = folder.display(),
        ),
        // What is there are files of one that has ended as a whole.
        _ => drop(detached::down(folder)?),
    }
    let started = start(folder, plugins).await;
    if started.is_err() {
        processes.end()?;
    }
    started
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
