//! A small model hub: it accepts models, reads each one once, and answers which models descend from which.
//!
//! README.md in this package says how to run it.

mod adapter;
mod answer;
mod catalogue;
mod config;
mod database;
mod error;
mod events;
mod folder;
mod hub;
mod id;
mod jobs;
mod lineage;
mod metrics;
mod page;
mod recovery;
mod routes;
mod stated;
mod worker;
#[path = "../../support/zoo.rs"]
#[allow(dead_code, reason = "only the commands use its true tree")]
mod zoo;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::{error, info};

use self::config::{Config, LogFormat};
use self::hub::Hub;

fn main() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(problem) => {
            start_log(&Config::default());
            error!("{problem}");
            return ExitCode::from(2);
        }
    };
    start_log(&config);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_max_level(config.log_level)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

fn run(config: Config) -> Result<(), Box<dyn Error>> {
    // One processor is left for answering.
    rayon::ThreadPoolBuilder::new()
        .num_threads(config.threads)
        .build_global()?;
    let (hub, changes) = Hub::open(config)?;
    let hub = Arc::new(hub);
    let background = hub::start(&hub, changes)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(Arc::clone(&hub)));
    hub.shutdown.begin();
    drop(runtime);
    background.join();
    info!("stopped");
    Ok(served?)
}

async fn serve(hub: Arc<Hub>) -> std::io::Result<()> {
    let listener = TcpListener::bind(hub.config.address).await?;
    let address = listener.local_addr()?;
    info!(%address, "listening on http://{address}");
    let stopping = Arc::clone(&hub);
    axum::serve(listener, routes::router(hub))
        .with_graceful_shutdown(async move {
            signal().await;
            info!("stopping");
            stopping.shutdown.begin();
        })
        .await
}

/// Waits for a signal to stop.
async fn signal() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            },
            Err(_) => drop(interrupted.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupted.await);
}
