//! An S3 server for tests, in the process of the test: a folder behind the S3 protocol.
//!
//! It has one bucket and one pair of keys, made for it alone, and refuses requests that another key has signed; more pairs
//! can be made, and withdrawn. What it does not have is what no strategy here asks for: versions, locks, tags, life cycles.
//!
//! ```
//! # fn example() -> anyhow::Result<()> {
//! let s3 = s3::S3::start()?;
//! println!("{}/{}", s3.endpoint, s3.bucket);
//! # Ok(())
//! # }
//! ```

mod keys;
mod objects;
mod tls;

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use anyhow::{Context as _, Result, anyhow};
use hyper::{Method, Request, StatusCode, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use keys::Keys;
use s3s::{
    Body, HttpError, HttpResponse,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tls::Tls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

pub use objects::Objects;

/// The one bucket.
const BUCKET: &str = "backups";

/// A running S3 server. It ends, and its objects with it, when dropped.
#[derive(Debug)]
pub struct S3 {
    /// Where it is: `http://127.0.0.1:PORT`. Buckets are paths, not host names.
    pub endpoint: String,
    /// Who asks.
    pub access_key: String,
    /// How that is proven.
    pub secret_key: String,
    /// The certificate authority that signed its certificate, in PEM, where it speaks TLS. Made for this server alone.
    pub authority: Option<String>,
    /// The bucket, which is there and empty. Any region will do.
    pub bucket: String,
    /// The folder with the objects. Look at objects through S3: the server has files of its own here.
    pub root: PathBuf,
    keys: Keys,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: Option<TempDir>,
}

impl S3 {
    /// Starts one on a free port of the loopback interface. It has a thread and a runtime of its own, so it serves
    /// also while the caller blocks.
    ///
    /// # Errors
    /// When there is no place for its files, or no port.
    pub fn start() -> Result<Self> {
        Self::start_in_passing(None)
    }

    /// The same behind TLS, with a private certificate authority.
    ///
    /// # Errors
    /// As [`S3::start`], and when no keys can be made.
    pub fn start_tls() -> Result<Self> {
        Self::start_in_passing(Some(Tls::new()?))
    }

    /// One that keeps its objects in a folder, which stays, and calls its bucket so.
    ///
    /// # Errors
    /// When the folder cannot be written, or there is no port.
    pub fn start_in(folder: &Path, bucket: &str) -> Result<Self> {
        Self::start_with(folder.to_owned(), None, bucket, None)
    }

    /// Makes another pair of keys: the access key, and the secret one. Those that are there stay valid.
    #[must_use]
    pub fn make_keys(&self) -> (String, String) {
        let (access_key, secret_key) = pair();
        self.keys.admit(&access_key, &secret_key);
        (access_key, secret_key)
    }

    /// Refuses from now on what is signed with a pair of keys.
    pub fn withdraw_keys(&self, access_key: &str) {
        self.keys.withdraw(access_key);
    }

    fn start_in_passing(tls: Option<Tls>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("s3-")
            .tempdir()
            .context("could not create a folder for the S3 server")?;
        Self::start_with(folder.path().to_owned(), Some(folder), BUCKET, tls)
    }

    fn start_with(
        root: PathBuf,
        folder: Option<TempDir>,
        bucket: &str,
        tls: Option<Tls>,
    ) -> Result<Self> {
        std::fs::create_dir_all(root.join(bucket)).context("could not create the bucket")?;
        let (access_key, secret_key) = pair();
        let files = FileSystem::new(&root)
            .map_err(|error| anyhow!("could not serve the folder: {error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        let keys = Keys::default();
        keys.admit(&access_key, &secret_key);
        service.set_auth(keys.clone());
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not find a free port")?;
        let address = listener
            .local_addr()
            .context("could not find a free port")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (acceptor, authority) = tls.map(|tls| (tls.acceptor, tls.authority)).unzip();
        Ok(Self {
            endpoint: format!("{scheme}://{address}"),
            authority,
            access_key,
            secret_key,
            bucket: bucket.to_owned(),
            root: root.clone(),
            keys,
            serving: Some(serve(listener, acceptor, service.build(), root)?),
            _folder: folder,
        })
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.serving.take() {
            drop(stop);
            // It can only have panicked, and then the test has seen more than this.
            let _ = thread.join();
        }
    }
}

/// A pair of keys.
fn pair() -> (String, String) {
    (random(), random() + &random())
}

/// Sixteen digits that nobody can know: the standard library's random keys, which are made to be unpredictable.
fn random() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Serves until the sender is dropped.
fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: S3Service,
    root: PathBuf,
) -> Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start a runtime")?;
    let listener = {
        let _entered = runtime.enter();
        listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener))
            .context("could not listen")?
    };
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("s3".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let accepting = tokio::spawn(accept(listener, tls, service, root));
                // An error is the drop that ends it.
                let _ = stopped.await;
                accepting.abort();
            });
        })
        .context("could not start a thread")?;
    Ok((stop, thread))
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    service: S3Service,
    root: PathBuf,
) {
    // An error ends the server: it means that the process has no file descriptors left.
    while let Ok((connection, _)) = listener.accept().await {
        let (tls, service, root) = (tls.clone(), service.clone(), root.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(connection, service, root).await,
                Some(tls) => {
                    // A client that trusts another authority leaves.
                    if let Ok(connection) = tls.accept(connection).await {
                        converse(connection, service, root).await;
                    }
                }
            }
        });
    }
}

/// Answers the requests of a connection.
async fn converse(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: S3Service,
    root: PathBuf,
) {
    let answer = |request| answer(service.clone(), root.clone(), request);
    // What goes wrong on a connection, the client is told or has caused.
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(connection), service_fn(answer))
        .await;
}

/// S3 has no folders. The files behind this server do, and it answers for them with an error of its own, where S3 would
/// say that there is no such object.
async fn answer(
    service: S3Service,
    root: PathBuf,
    request: Request<Incoming>,
) -> Result<HttpResponse, HttpError> {
    let path = request.uri().path().trim_matches('/');
    let is_folder = request.method() == Method::HEAD && root.join(path).is_dir();
    let mut answer = service.call(request.map(Body::from)).await?;
    if is_folder && answer.status().is_server_error() {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(answer)
}
