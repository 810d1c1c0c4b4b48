//! Where the emulator's tasks run: on a thread of their own, or on the runtime that started them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::edge::Edge;
use super::instance::Instance;
use super::server::{self, Limits};
use super::snapshot;

/// What the tasks need.
pub(crate) struct Tasks {
    pub(crate) listener: TcpListener,
    pub(crate) limits: Limits,
    pub(crate) instance: Arc<Instance>,
    pub(crate) snapshot_file: Option<PathBuf>,
}

/// The running tasks. Dropping it ends them soon after; [`stop`](Self::stop) waits for their end.
pub(crate) enum Running {
    /// The thread ends when `stop` is dropped, and drops `ended` when all tasks are gone.
    OnItsThread {
        stop: oneshot::Sender<()>,
        ended: oneshot::Receiver<()>,
    },
    OnThisRuntime(Vec<JoinHandle<()>>),
}

impl Running {
    /// Starts a thread with a runtime, so that the tasks live on when the caller's runtime ends.
    pub(crate) fn on_its_thread(tasks: Tasks) -> std::io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("descope-emulator".to_owned())
            .spawn(move || {
                {
                    let _inside = runtime.enter();
                    match tasks.spawn() {
                        Ok(_) => drop(runtime.block_on(stopped)),
                        Err(error) => tracing::error!(%error, "the emulator cannot serve"),
                    }
                }
                // Drops all tasks. A signing key that is being made on a blocking thread is not waited for.
                runtime.shutdown_background();
                drop::<oneshot::Sender<()>>(end);
            })?;
        Ok(Self::OnItsThread { stop, ended })
    }

    /// Needs a runtime. The tasks end with it.
    pub(crate) fn on_this_runtime(tasks: Tasks) -> std::io::Result<Self> {
        tasks.spawn().map(Self::OnThisRuntime)
    }

    /// Ends the tasks and waits until they are gone.
    pub(crate) async fn stop(&mut self) {
        match self {
            Self::OnItsThread { stop, ended } => {
                let (closed, _) = oneshot::channel();
                drop(std::mem::replace(stop, closed));
                // The thread never sends a value. The error of the receiver means that the thread is done.
                let _ = ended.await;
            }
            Self::OnThisRuntime(tasks) => {
                for task in tasks {
                    task.abort();
                    // The result says that it was aborted.
                    let _ = task.await;
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::OnThisRuntime(tasks) = self {
            tasks.iter().for_each(JoinHandle::abort);
        }
    }
}

impl Tasks {
    fn spawn(self) -> std::io::Result<Vec<JoinHandle<()>>> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let edge = Edge::new(Arc::clone(&self.instance));
        let limits = self.limits;
        let server =
            tokio::spawn(async move { match server::serve(listener, edge, limits).await {} });
        let saver = self
            .snapshot_file
            .map(|path| tokio::spawn(snapshot::keep_saving(self.instance, path)));
        Ok([Some(server), saver].into_iter().flatten().collect())
    }
}

/// Whether tokio's clock is paused, as in `#[tokio::test(start_paused = true)]`. tokio has no function for this. But a
/// paused clock does not move while this function occupies the only thread of its runtime.
pub(crate) fn clock_is_paused() -> bool {
    let (real, virtual_) = (Instant::now(), tokio::time::Instant::now());
    while real.elapsed().as_micros() < 20 {}
    tokio::time::Instant::now() == virtual_
}
