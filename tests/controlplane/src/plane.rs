//! The control plane: its start, and who may ask it.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

use crate::{
    audit::{self, AuditEntry},
    binaries::Binaries,
    certificates::{Authority, Identity},
    flags,
    folder::{self, Folder},
    kubeconfig::{Guise, Proof, kubeconfig},
    objects,
    server::{Life, Server},
};

/// How long a start may take: it takes some seconds, and a busy machine with two cores ten times that.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How often a starting server is asked whether it is ready: small against the seconds that it takes.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How many ports are tried: a port that was free can be taken before the server has it, but hardly twice.
const PORTS: usize = 5;

/// Whose rights know no bounds.
const MASTERS: &str = "system:masters";

/// As whom the tests ask, if they do not say otherwise.
const ADMIN: &str = "admin";

/// As whom the controllers ask.
const CONTROLLERS: &str = "system:kube-controller-manager";

/// A running control plane. It ends when dropped, and with the process at the latest.
pub struct ControlPlane {
    // In this order they end: the files after those who write them.
    servers: Mutex<Servers>,
    folder: Folder,
    url: String,
    authority: String,
    admin: Identity,
}

/// The programs; the first one that ends is the first one that nobody needs.
struct Servers {
    controllers: Option<Server>,
    api_server: Server,
    etcd: Server,
}

/// What a control plane is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// Without kube-controller-manager.
    WithoutControllers,
}

/// The control plane that the tests of one process share, started by the first who asks. That one's `definitions`
/// are there before the controllers start; see [`ControlPlane::start`].
///
/// It ends with the process. A test takes a namespace of its own ([`ControlPlane::namespace`]).
///
/// # Errors
/// When it could not be started; then for everybody.
pub fn shared(definitions: &[Value]) -> Result<&'static ControlPlane> {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    SHARED
        .get_or_init(|| ControlPlane::start(definitions).map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("{error}"))
}

impl ControlPlane {
    /// Starts one, with CustomResourceDefinitions. Returns when it is ready to serve them, and its controllers work.
    /// Blocks, also within an async runtime.
    ///
    /// The garbage collector learns of kinds that are defined later only within half a minute: what is to be
    /// collected should be among `definitions`.
    ///
    /// # Errors
    /// When there are no programs, or one of them does not start; with the end of its log.
    pub fn start(definitions: &[Value]) -> Result<Self> {
        Self::start_in(
            Folder::temporary()?,
            Life::Bound,
            Extent::Whole,
            definitions,
        )
    }

    /// As [`ControlPlane::start`], without controllers: nothing happens that is not asked for. What would be
    /// collected as garbage stays, and a namespace that is deleted never ends.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub fn start_without_controllers(definitions: &[Value]) -> Result<Self> {
        Self::start_in(
            Folder::temporary()?,
            Life::Bound,
            Extent::WithoutControllers,
            definitions,
        )
    }

    pub(crate) fn start_in(
        folder: Folder,
        life: Life,
        extent: Extent,
        definitions: &[Value],
    ) -> Result<Self> {
        let binaries = Binaries::find()?;
        // In a thread of its own, since the caller's may run a runtime already, which must not be blocked on.
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .context("could not start a runtime")?
                        .block_on(launch(&binaries, folder, life, extent, definitions))
                })
                .join()
                .map_err(|_| anyhow!("the start of the control plane panicked"))?
        })
    }

    /// Where the API server is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority to trust, in PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.authority
    }

    /// The folder with its files and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file with the administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(folder::ADMIN_KUBECONFIG)
    }

    /// A kubeconfig as anybody else: the administrator's, impersonating. For a ServiceAccount,
    /// [`ControlPlane::token`] is nearer to what happens in a cluster.
    #[must_use]
    pub fn kubeconfig_as(&self, user: &str, groups: &[&str]) -> String {
        self.kubeconfig_of(
            &Proof::Certificate(&self.admin),
            Some(Guise { user, groups }),
        )
    }

    /// The kubeconfig of who has a token.
    #[must_use]
    pub fn kubeconfig_with(&self, token: &str) -> String {
        self.kubeconfig_of(&Proof::Token(token), None)
    }

    fn kubeconfig_of(&self, proof: &Proof<'_>, guise: Option<Guise<'_>>) -> String {
        kubeconfig(&self.url, &self.authority, proof, guise)
    }

    /// How the administrator reaches it.
    ///
    /// # Errors
    /// Never, of a control plane that has started.
    pub async fn config(&self) -> Result<Config> {
        config(&self.kubeconfig_of(&Proof::Certificate(&self.admin), None)).await
    }

    /// A client of the administrator's, for the runtime that calls.
    ///
    /// # Errors
    /// Never, of a control plane that has started.
    pub async fn client(&self) -> Result<Client> {
        client(self.config().await?)
    }

    /// A client as anybody else; see [`ControlPlane::kubeconfig_as`].
    ///
    /// # Errors
    /// When the names cannot stand in an HTTP header.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client> {
        client(config(&self.kubeconfig_as(user, groups)).await?)
    }

    /// A client of who has a token.
    ///
    /// # Errors
    /// When the token cannot stand in an HTTP header.
    pub async fn client_with(&self, token: &str) -> Result<Client> {
        client(config(&self.kubeconfig_with(token)).await?)
    }

    /// The requests so far, in their order; those that were answered are all there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEntry>> {
        audit::read(&self.folder.path().join(folder::AUDIT_LOG))
    }

    /// Whether all of it still runs: for a test that waits for what does not come.
    ///
    /// # Errors
    /// When a program has ended, with the end of its log.
    pub fn check(&self) -> Result<()> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.etcd.check()?;
        servers.api_server.check()?;
        servers.controllers.as_mut().map_or(Ok(()), Server::check)
    }

    /// Lets it run on, if it was [started for that](crate::detached::start); another one ends with this process all the
    /// same.
    pub fn release(self) {
        let Servers {
            controllers,
            api_server,
            etcd,
        } = self
            .servers
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        [controllers, Some(api_server), Some(etcd)]
            .into_iter()
            .flatten()
            .for_each(Server::release);
    }
}

async fn config(kubeconfig: &str) -> Result<Config> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).context("could not read a kubeconfig")?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .context("could not use a kubeconfig")
}

fn client(config: Config) -> Result<Client> {
    // A test may have other clients, whose cryptography kube's does not want to choose from. An error says that
    // somebody has chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(config).context("could not make a client")
}

/// Starts the programs one after the other, each when the one that it needs is ready.
async fn launch(
    binaries: &Binaries,
    folder: Folder,
    life: Life,
    extent: Extent,
    definitions: &[Value],
) -> Result<ControlPlane> {
    let authority = Authority::new()?;
    let admin = authority.client(ADMIN, MASTERS)?;
    folder.furnish(&authority)?;
    let path = folder.path();
    let mut etcd = Server::start("etcd", flags::etcd(binaries, path), path, life)?;
    let listening = path.join(flags::ETCD_SOCKET);
    until("etcd listens", async || {
        etcd.check()?;
        Ok(listening.exists())
    })
    .await?;
    let ca = authority.certificate();
    let (api_server, url) = api_server(binaries, path, life, &ca, &admin).await?;

    let as_admin = kubeconfig(&url, &ca, &Proof::Certificate(&admin), None);
    folder.write(folder::ADMIN_KUBECONFIG, &as_admin)?;
    let asks = client(config(&as_admin).await?)?;
    objects::apply(&asks, definitions).await?;

    let controllers = match extent {
        Extent::Whole => {
            let identity = authority.client(CONTROLLERS, MASTERS)?;
            let theirs = kubeconfig(&url, &ca, &Proof::Certificate(&identity), None);
            folder.write(folder::CONTROLLERS_KUBECONFIG, &theirs)?;
            Some(controllers(binaries, path, life).await?)
        }
        Extent::WithoutControllers => None,
    };
    Ok(ControlPlane {
        servers: Mutex::new(Servers {
            controllers,
            api_server,
            etcd,
        }),
        folder,
        url,
        authority: ca,
        admin,
    })
}

/// Starts the API server on a port that nobody else has.
async fn api_server(
    binaries: &Binaries,
    folder: &Path,
    life: Life,
    ca: &str,
    admin: &Identity,
) -> Result<(Server, String)> {
    for _ in 0..PORTS {
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let command = flags::api_server(binaries, folder, port, life);
        let mut server = Server::start("kube-apiserver", command, folder, life)?;
        // Only the server that was started here has a certificate of this run's authority: another one that has
        // taken the port is not taken for it.
        let asks = client(config(&kubeconfig(&url, ca, &Proof::Certificate(admin), None)).await?)?;
        let ready = until("the API server is ready", async || {
            server.check()?;
            Ok(objects::is_ready(&asks).await)
        });
        match ready.await {
            Ok(()) => return Ok((server, url)),
            Err(_) if server.log_end().contains("address already in use") => {}
            Err(error) => return Err(error.context(server.log_end())),
        }
    }
    bail!("{PORTS} free ports were taken, one after the other, before the API server had them")
}

/// Starts the controllers, and waits until the API server has heard of them.
async fn controllers(binaries: &Binaries, folder: &Path, life: Life) -> Result<Server> {
    let command = flags::controllers(binaries, folder);
    let mut server = Server::start("kube-controller-manager", command, folder, life)?;
    let log = folder.join(folder::AUDIT_LOG);
    until("the controllers watch", async || {
        server.check()?;
        let entries = audit::read(&log)?;
        Ok(entries
            .iter()
            .any(|entry| entry.user == CONTROLLERS && entry.verb == "watch"))
    })
    .await?;
    Ok(server)
}

fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not find a free port")?;
    Ok(listener
        .local_addr()
        .context("could not find a free port")?
        .port())
}

/// Asks until the answer is yes.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let asking = async {
        while !ask().await? {
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    };
    tokio::time::timeout(READY_WITHIN, asking)
        .await
        .unwrap_or_else(|_| {
            Err(anyhow!(
                "waited {} s in vain until {what}",
                READY_WITHIN.as_secs()
            ))
        })
}
