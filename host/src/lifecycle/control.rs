//! The control thread: builds generations, puts them in force, and listens to signals and file changes.

use super::certificates::Certificates;
use super::operations::Admin;
use super::tend::{self, Looked, Tending};
use super::watch::Watch;
use super::worker::Worker;
use crate::config::{self, Config, Diagnostics, Loaded, LogFormat, LogLevel, Workers};
use crate::demo::Demos;
use crate::net::socket::{self, Listening, bind_shared};
use crate::observe::log::{Format, Logging};
use crate::plugin::Engine;
use crate::snapshot::{Catalog, Snapshot, SocketKey, chain, compile};
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::LocalSet;

/// What `run` was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    pub config: PathBuf,
}

/// Serves until told to stop. Exit code 0 after a stop that was asked for, 1 when it could not start; the reason is on standard error.
pub fn run(options: &Options) -> ExitCode {
    raise_descriptor_limit();
    let loaded = match load(&options.config) {
        Ok(loaded) => loaded,
        Err(refused) => return fail(&refused.render(std::io::stderr().is_terminal())),
    };
    let logging = Logging::start(level(&loaded.config), format(&loaded.config));
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(&format!(
                "the control thread could not be set up: {error}\n"
            ));
        }
    };
    use_small_pages();
    let engine = match Engine::new(cache_dir()) {
        Ok(engine) => engine,
        Err(error) => return fail(&format!("{}\n", chain(&error))),
    };
    // Health checks run over streams that stay on their thread.
    let exit = LocalSet::new().block_on(&runtime, serve(options, loaded, logging, engine));
    runtime.shutdown_timeout(Duration::ZERO);
    exit
}

/// Huge pages would double the memory of an idle process and make every guest's first page one of 2 MiB; a proxy touches little memory and
/// gains nothing by them that could be measured.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    {
        // Without it the process is larger, and right.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
}

fn fail(text: &str) -> ExitCode {
    // Without a standard error there is nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}

/// Reads the configuration with the bundled plugins and the process's environment.
pub(crate) fn load(path: &std::path::Path) -> Result<Loaded, config::Refused> {
    config::load(path, &Catalog, &|name| std::env::var(name).ok())
}

/// Where compiled components are kept between runs; none when no place is known.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    named("TOLLGATE_CACHE_DIR")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("tollgate")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/tollgate")))
}

async fn serve(options: &Options, loaded: Loaded, logging: Logging, engine: Engine) -> ExitCode {
    let (Ok(mut hangup), Ok(mut terminate), Ok(mut interrupt), Ok(mut upgrade)) = (
        signal(SignalKind::hangup()),
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::user_defined2()),
    ) else {
        return fail("signals cannot be listened to\n");
    };
    let mut control = match Control::start(&loaded.config, logging, engine) {
        Ok(control) => control,
        Err(error) => return fail(&format!("the workers could not be started: {error}\n")),
    };
    let mut watch = Watch::new();
    let started = tokio::select! {
        started = control.apply(Ok(loaded), &mut watch) => started,
        _ = terminate.recv() => return ExitCode::SUCCESS,
        _ = interrupt.recv() => return ExitCode::SUCCESS,
    };
    if let Err(refusal) = started {
        return fail(&refusal);
    }
    loop {
        let asked = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => true,
            _ = upgrade.recv() => {
                // Without a handler the signal would end the process.
                tracing::warn!("SIGUSR2: this version cannot upgrade its binary in place");
                continue;
            }
            () = watch.changed() => false,
        };
        // The look comes before the reading: what changes in between is then noticed by the next look.
        let differs = watch.differs();
        if !asked && !differs {
            continue;
        }
        tokio::select! {
            () = control.reload(options, &mut watch) => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    control.stop(&mut terminate, &mut interrupt).await;
    ExitCode::SUCCESS
}

struct Control {
    engine: Engine,
    logging: Logging,
    workers: Vec<Worker>,
    worker_setting: Workers,
    generation: u64,
    /// The generation in force; it lives as long as the workers have it.
    running: Weak<Snapshot>,
    sockets: HashSet<SocketKey>,
    demos: Demos,
    drain_timeout: Duration,
    drain_delay: Duration,
    tending: Tending,
    certificates: Certificates,
    admin: Admin,
}

/// New sockets, for each worker.
type SocketsOfWorkers = Vec<Vec<(SocketKey, Listening)>>;

/// A generation that is ready to be put in force.
struct Built {
    snapshot: Arc<Snapshot>,
    sockets: SocketsOfWorkers,
    keys: HashSet<SocketKey>,
    /// What sources of endpoints answered.
    looked: Looked,
    /// Admin sockets that no earlier generation has.
    admin: Vec<(SocketAddr, TcpListener)>,
}

impl Control {
    fn start(config: &Config, logging: Logging, engine: Engine) -> std::io::Result<Control> {
        let count = match config.process.workers {
            Workers::Count(count) => count.get(),
            Workers::Auto => std::thread::available_parallelism().map_or(1, |count| count.get()),
        };
        let workers = (0..count).map(Worker::start).collect::<Result<_, _>>()?;
        Ok(Control {
            engine,
            logging,
            workers,
            worker_setting: config.process.workers,
            generation: 0,
            running: Weak::new(),
            sockets: HashSet::new(),
            demos: Demos::default(),
            drain_timeout: config.process.drain_timeout,
            drain_delay: config.process.drain_delay,
            tending: Tending::default(),
            certificates: Certificates::default(),
            admin: Admin::default(),
        })
    }

    /// Reads the files again and puts them in force, or says why not.
    async fn reload(&mut self, options: &Options, watch: &mut Watch) {
        let path = options.config.clone();
        let began = Instant::now();
        let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
        let Ok(loaded) = loaded else {
            return tracing::error!("reading the configuration failed inside the proxy");
        };
        match self.apply(loaded, watch).await {
            Ok(()) => tracing::info!(
                generation = self.generation,
                took_ms = began.elapsed().as_millis() as u64,
                "reloaded"
            ),
            Err(refusal) => {
                tracing::error!(
                    generation = self.generation,
                    "reload refused, the running configuration stays in force:\n{refusal}"
                );
            }
        }
    }

    /// Builds all, swaps once, retires the old. The error is for the operator; nothing has changed then.
    async fn apply(
        &mut self,
        loaded: Result<Loaded, config::Refused>,
        watch: &mut Watch,
    ) -> Result<(), String> {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(refused) => {
                watch.files(
                    refused
                        .watched
                        .files
                        .iter()
                        .chain(&refused.watched.directories),
                );
                return Err(refused.render(false));
            }
        };
        let plugins = loaded.config.plugin_files();
        watch.files(
            loaded
                .watched
                .files
                .iter()
                .chain(&loaded.watched.directories)
                .chain(plugins),
        );
        if !loaded.warnings.is_empty() {
            tracing::warn!(
                "configuration warnings:\n{}",
                loaded.warnings.render(&loaded.sources, false)
            );
        }
        let built = self
            .build(&loaded)
            .await
            .map_err(|errors| errors.render(&loaded.sources, false))?;
        self.put_in_force(built, &loaded.config).await;
        Ok(())
    }

    async fn build(&mut self, loaded: &Loaded) -> Result<Built, Diagnostics> {
        let (config, generation, engine) = (
            loaded.config.clone(),
            self.generation + 1,
            self.engine.clone(),
        );
        let running = self.running.upgrade();
        let compiled = tokio::task::spawn_blocking(move || {
            compile(&config, generation, &engine, running.as_deref())
        })
        .await;
        let snapshot = match compiled {
            Ok(compiled) => Arc::new(compiled?),
            Err(panicked) => {
                return Err(one_error(
                    &loaded.config,
                    format!("compiling failed inside the proxy: {panicked}"),
                ));
            }
        };
        let (sockets, keys) = self.bind(&snapshot, &loaded.config)?;
        let admin = self
            .bind_others(&loaded.config)
            .inspect_err(|_| remove_files(&sockets))?;
        let looked = tend::look(&snapshot.clusters).await;
        Ok(Built {
            snapshot,
            sockets,
            keys,
            looked,
            admin,
        })
    }

    /// What listens beside the listeners: the admin API and the demo origins.
    fn bind_others(
        &mut self,
        config: &Config,
    ) -> Result<Vec<(SocketAddr, TcpListener)>, Diagnostics> {
        let admin = self.admin.bind(&config.admin)?;
        self.demos.start_new(&config.demo_origins)?;
        Ok(admin)
    }

    /// Sockets for addresses that no earlier generation has.
    fn bind(
        &self,
        snapshot: &Snapshot,
        config: &Config,
    ) -> Result<(SocketsOfWorkers, HashSet<SocketKey>), Diagnostics> {
        let mut per_worker: Vec<Vec<_>> = self.workers.iter().map(|_| Vec::new()).collect();
        let mut keys = HashSet::new();
        let mut errors = Diagnostics::default();
        for (listener, written) in snapshot.listeners.iter().zip(&config.listeners) {
            for (key, address) in listener.socket_keys().zip(&written.addresses) {
                let known = self.sockets.contains(&key) || !keys.insert(key.clone());
                keys.insert(key.clone());
                if known {
                    continue;
                }
                let bound = bind_shared(&address.value, self.workers.len(), written.unix_mode);
                match bound {
                    Ok(sockets) => {
                        let bound = sockets.first().and_then(Listening::address);
                        match bound {
                            Some(bound) => {
                                tracing::info!(listener = %listener.name, address = %bound, "listening");
                            }
                            None => {
                                tracing::info!(listener = %listener.name, address = %address.value, "listening");
                            }
                        }
                        per_worker
                            .iter_mut()
                            .zip(sockets)
                            .for_each(|(list, socket)| list.push((key.clone(), socket)));
                    }
                    Err(error) => errors.error(
                        address.place,
                        format!("cannot listen on {}: {error}", address.value),
                        None,
                    ),
                }
            }
        }
        if errors.has_errors() {
            remove_files(&per_worker);
            Err(errors)
        } else {
            Ok((per_worker, keys))
        }
    }

    async fn put_in_force(&mut self, built: Built, config: &Config) {
        self.generation = built.snapshot.generation;
        self.running = Arc::downgrade(&built.snapshot);
        self.drain_timeout = config.process.drain_timeout;
        self.drain_delay = config.process.drain_delay;
        if config.process.workers != self.worker_setting {
            tracing::warn!("`workers` changes with the next start; everything else is in force");
        }
        self.logging.set(level(config), format(config));
        let mut looked = built.looked;
        for cluster in &built.snapshot.clusters {
            cluster.activate(looked.remove(&cluster.name).unwrap_or_default());
        }
        built.snapshot.limit_stores();
        self.tending.apply(&built.snapshot);
        let answers: Vec<_> = self
            .workers
            .iter()
            .zip(built.sockets)
            .map(|(worker, sockets)| worker.apply(built.snapshot.clone(), sockets))
            .collect();
        for answer in answers {
            // A worker that has died answers nothing; the others go on.
            let _ = answer.await;
        }
        for (address, _) in self.sockets.difference(&built.keys) {
            socket::remove_file(address);
        }
        self.sockets = built.keys;
        set_modes(config);
        self.certificates.apply(&built.snapshot, config);
        self.demos.stop_unwanted(&config.demo_origins);
        self.admin
            .apply(&built.snapshot, &config.admin, built.admin);
        tracing::info!(
            generation = self.generation,
            workers = self.workers.len(),
            "generation in force"
        );
    }

    /// Accepts nothing more, lets the work end within the drain timeout, or at once on a second signal.
    ///
    /// Before that `/ready` answers 503 for the drain delay, while everything goes on: whoever sends traffic here looks elsewhere meanwhile.
    async fn stop(self, terminate: &mut Signal, interrupt: &mut Signal) {
        self.admin.set_ready(false);
        if !self.drain_delay.is_zero() {
            tracing::info!(
                delay_ms = self.drain_delay.as_millis() as u64,
                "not ready any more; draining begins after the delay"
            );
            tokio::select! {
                () = tokio::time::sleep(self.drain_delay) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        tracing::info!(
            timeout_ms = self.drain_timeout.as_millis() as u64,
            "draining"
        );
        // Before the listening ends: from then on the file may be a successor's.
        for (address, _) in &self.sockets {
            socket::remove_file(address);
        }
        let answers: Vec<_> = self.workers.iter().map(Worker::drain).collect();
        let drained = async {
            for answer in answers {
                let _ = answer.await;
            }
        };
        tokio::select! {
            () = drained => tracing::info!("drained"),
            () = tokio::time::sleep(self.drain_timeout) => tracing::warn!("drain timeout: closing what is left"),
            _ = terminate.recv() => tracing::warn!("told again: closing what is left"),
            _ = interrupt.recv() => tracing::warn!("told again: closing what is left"),
        }
        self.workers.into_iter().for_each(Worker::stop);
    }
}

/// Removes the files of Unix sockets that were bound for nothing: their generation is refused.
fn remove_files(bound: &SocketsOfWorkers) {
    for ((address, _), _) in bound.iter().take(1).flatten() {
        socket::remove_file(address);
    }
}

/// The files of sockets that stay get the permissions that are written now.
fn set_modes(config: &Config) {
    for listener in &config.listeners {
        let Some(mode) = listener.unix_mode else {
            continue;
        };
        for address in &listener.addresses {
            if let Err(error) = socket::set_mode(&address.value, mode) {
                tracing::warn!(listener = %listener.name.value, address = %address.value, %error, "unix-mode could not be set");
            }
        }
    }
}

fn one_error(config: &Config, message: String) -> Diagnostics {
    let mut errors = Diagnostics::default();
    let place = config
        .listeners
        .first()
        .map(|listener| listener.name.place)
        .unwrap_or_default();
    errors.error(place, message, None);
    errors
}

fn level(config: &Config) -> tracing::Level {
    match config.process.log.level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    }
}

fn format(config: &Config) -> Format {
    match config.process.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    }
}

/// A proxy needs two descriptors a connection; the soft limit is there for programs that cannot handle many.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, the old limit holds and accepting rests when it is reached.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
