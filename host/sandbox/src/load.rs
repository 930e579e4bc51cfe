//! From the bytes of a component to a strategy that can be asked.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};

use crate::{
    Limits, LoadError, Manifest, cache,
    cache::Cache,
    code,
    contract::{BackupStrategy, BackupStrategyPre},
    engine::{Machine, Settings},
    host::Host,
    imports::{self, Surface},
};

/// Fuel for `describe` at load: a hundred times what the slowest language that was measured needs to start and
/// to return a text.
const DESCRIBE_FUEL: u64 = 100_000_000;

/// Wall clock for `describe` at load, whatever the evaluations get.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(1);

/// Where components are loaded: an engine, its clock, the compiler and the cache of compiled code. Make one for
/// a process and share it: each has a pool of its own. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    machine: Arc<Machine>,
    linker: Linker<Host>,
    cache: Cache,
    settings: Settings,
    /// One compilation at a time, so that the memory for it is counted once.
    compiling: Mutex<()>,
}

/// A component that was loaded: it fits the contract and has described itself. Cheap to clone, and independent
/// of the [`Sandbox`] it came from.
#[derive(Clone)]
pub struct Strategy {
    pub(crate) guest: Guest,
    about: Arc<About>,
}

/// What it takes to run a component.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) machine: Arc<Machine>,
    pub(crate) pre: Arc<BackupStrategyPre<Host>>,
    pub(crate) limits: Arc<Limits>,
}

/// What is known of a component.
struct About {
    digest: String,
    size: usize,
    surface: Surface,
    manifest: Manifest,
}

impl Sandbox {
    /// Sets up an engine and opens the cache.
    ///
    /// # Errors
    /// [`LoadError::Internal`] where the machine lacks what the engine needs; [`LoadError::Cache`] where the
    /// folder cannot be used, or is not this user's alone.
    pub fn new(settings: Settings) -> Result<Self, LoadError> {
        let machine = Machine::new(&settings).map_err(LoadError::Internal)?;
        let cache = Cache::open(&settings.cache, &machine.engine).map_err(LoadError::Cache)?;
        let mut linker = Linker::new(&machine.engine);
        BackupStrategy::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host).map_err(
            |error| LoadError::Internal(format!("the contract cannot be linked: {error:#}")),
        )?;
        let inner = Inner {
            machine,
            linker,
            cache,
            settings,
            compiling: Mutex::new(()),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Turns a component into a strategy: checks what it imports, compiles it or takes it from the cache, links
    /// it, instantiates it once and asks it to describe itself. Blocks for as long as the compiler takes.
    ///
    /// # Errors
    /// Every [`LoadError`].
    pub fn load(&self, bytes: &[u8], limits: Limits) -> Result<Strategy, LoadError> {
        self.fits(&limits)?;
        imports::check_names(bytes)?;
        let digest = cache::digest(bytes);
        let component = self.compiled(&digest, bytes)?;
        let surface = imports::check_functions(&self.inner.machine.engine, &component)?;
        let pre = self
            .inner
            .linker
            .instantiate_pre(&component)
            .and_then(BackupStrategyPre::new)
            .map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
        let guest = Guest {
            machine: Arc::clone(&self.inner.machine),
            pre: Arc::new(pre),
            limits: Arc::new(limits),
        };
        let manifest = described(&guest)?;
        let about = About {
            digest: format!("sha256:{digest}"),
            size: bytes.len(),
            surface,
            manifest,
        };
        Ok(Strategy {
            guest,
            about: Arc::new(about),
        })
    }

    /// Removes a component's compiled code from the cache. A strategy that is loaded keeps it until it is
    /// dropped.
    ///
    /// # Errors
    /// The folder cannot be read or changed.
    pub fn discard(&self, digest: &str) -> Result<(), LoadError> {
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.inner.cache.discard(digest).map_err(LoadError::Cache)
    }

    /// The pool cannot give more than it was made for.
    fn fits(&self, limits: &Limits) -> Result<(), LoadError> {
        let Settings {
            memory_bytes,
            table_elements,
            ..
        } = self.inner.settings;
        if limits.memory_bytes > memory_bytes {
            let wanted = limits.memory_bytes;
            return Err(LoadError::Limits(format!(
                "{wanted} bytes of memory; this host allows {memory_bytes}"
            )));
        }
        if limits.table_elements > table_elements {
            let wanted = limits.table_elements;
            return Err(LoadError::Limits(format!(
                "tables of {wanted} elements; this host allows {table_elements}"
            )));
        }
        Ok(())
    }

    /// The compiled code, from the cache where it is there.
    fn compiled(&self, digest: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        let Inner {
            machine,
            cache,
            settings,
            compiling,
            ..
        } = &*self.inner;
        let find = || cache.find(digest).map_err(LoadError::Cache);
        if let Some(file) = find()? {
            return map(&machine.engine, &file);
        }
        let _one_at_a_time = compiling.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have waited for the same.
        if let Some(file) = find()? {
            return map(&machine.engine, &file);
        }
        let temporary = cache.temporary().map_err(LoadError::Cache)?;
        settings
            .compiler
            .compile(&machine.engine, bytes, temporary.as_file())
            .map_err(LoadError::Compile)?;
        let file = cache.store(digest, temporary).map_err(LoadError::Cache)?;
        map(&machine.engine, &file)
    }
}

impl Strategy {
    /// SHA-256 of the component: `sha256:<hex>`.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.about.digest
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.about.manifest
    }

    /// Bytes of the component.
    #[must_use]
    pub fn size(&self) -> usize {
        self.about.size
    }

    /// What it imports: `cozystack:backup-strategy/cluster@1.0.0#get` and so on.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.about.surface.imports
    }

    /// What it exports, in the same form.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.about.surface.exports
    }

    /// What an evaluation may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.guest.limits
    }

    /// The same component with the limits of another that its [`Sandbox`] has loaded, and found that they fit.
    #[must_use]
    pub fn within_limits_of(&self, other: &Self) -> Self {
        self.limited(Arc::clone(&other.guest.limits))
    }

    /// The same component with another wall clock, all other limits as they are: where only what it does counts, and not
    /// how busy the machine is.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        self.limited(Arc::new(Limits {
            deadline,
            ..Limits::clone(self.limits())
        }))
    }

    fn limited(&self, limits: Arc<Limits>) -> Self {
        let guest = Guest {
            limits,
            ..self.guest.clone()
        };
        Self {
            guest,
            about: Arc::clone(&self.about),
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About {
            digest, manifest, ..
        } = &*self.about;
        f.debug_struct("Strategy")
            .field("name", &manifest.name)
            .field("digest", digest)
            .finish_non_exhaustive()
    }
}

/// Asks a component what it is. Types of exports are only checked when a component is instantiated, so one that
/// never was may still not fit.
fn described(guest: &Guest) -> Result<Manifest, LoadError> {
    let limits = Limits {
        fuel: DESCRIBE_FUEL,
        deadline: DESCRIBE_DEADLINE,
        ..Limits::clone(&guest.limits)
    };
    let guest = Guest {
        limits: Arc::new(limits),
        ..guest.clone()
    };
    guest.trial()?;
    Manifest::parse(&guest.describe().map_err(LoadError::Describe)?).map_err(LoadError::Manifest)
}

fn map(engine: &Engine, file: &std::path::Path) -> Result<Component, LoadError> {
    // The pool refuses here what has more memories or tables, or larger ones, than it was made for.
    code::map(engine, file).map_err(|error| LoadError::Compile(format!("{error:#}")))
}
