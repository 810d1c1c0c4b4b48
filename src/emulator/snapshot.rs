//! The snapshot file: what survives a restart.
//!
//! It holds private keys, authenticator secrets and personal data in plain text. On Unix it is created readable by
//! its owner only. Elsewhere the standard library has no way to ask for that: the file gets what its directory
//! gives to new files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{ApiError, EmulatorError, EmulatorErrorKind};
use super::instance::Instance;
use super::keys::{KeyRing, SavedKey};
use super::state::{SavedAccessKey, SavedSessions, SavedUsers, State};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    project_id: String,
    keys: Vec<SavedKey>,
    #[serde(default)]
    users: SavedUsers,
    #[serde(default)]
    sessions: SavedSessions,
    #[serde(default)]
    access_keys: Vec<SavedAccessKey>,
}

impl Snapshot {
    pub(crate) fn of(state: &State) -> Result<Self, ApiError> {
        Ok(Self {
            project_id: state.project_id().to_owned(),
            keys: state.keys.to_saved()?,
            users: state.save_users(),
            sessions: state.save_sessions(),
            access_keys: state.save_access_keys(),
        })
    }

    /// The file's snapshot; `None` if there is no file yet.
    pub(crate) fn read(path: &Path, project_id: &str) -> Result<Option<Self>, EmulatorError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure("cannot read", path).with_source(error)),
        };
        let snapshot: Self = serde_json::from_slice(&bytes)
            .map_err(|error| failure("cannot understand", path).with_source(error))?;
        if snapshot.project_id == project_id {
            Ok(Some(snapshot))
        } else {
            Err(failure("another project's data are in", path))
        }
    }

    pub(crate) fn key_ring(&self, path: &Path) -> Result<KeyRing, EmulatorError> {
        KeyRing::from_saved(&self.keys).ok_or_else(|| failure("there is no usable key in", path))
    }

    pub(crate) fn restore(self, state: &mut State) {
        state.restore_users(self.users);
        state.restore_sessions(self.sessions);
        state.restore_access_keys(self.access_keys);
    }

    fn write(&self, path: &Path) -> Result<(), EmulatorError> {
        let cannot = |error: io::Error| failure("cannot write", path).with_source(error);
        let bytes = serde_json::to_vec(self).map_err(|error| cannot(error.into()))?;
        // Written to a second file, which is then renamed, so that a reader sees the old content or the new, never a
        // part.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        // Somebody else may have put a file there that they can read, or a link to a file that they want
        // overwritten. Removing takes away the link and not what it points to, and `create_new` follows no link.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside).map_err(cannot)?;
        file.write_all(&bytes).map_err(cannot)?;
        drop(file);
        fs::rename(&beside, path).map_err(cannot)
    }
}

fn failure(what: &str, path: &Path) -> EmulatorError {
    EmulatorError::new(
        EmulatorErrorKind::Snapshot,
        format!("{what} the snapshot file {}", path.display()),
    )
}

/// Writes the state of this moment.
pub(crate) fn save(instance: &Instance, path: &Path) -> Result<(), EmulatorError> {
    write_unless_closed(instance, path, false)
}

/// Writes the state for the last time: a save that is still under way must not overwrite what the next emulator
/// writes into the file.
pub(crate) fn save_for_good(instance: &Instance, path: &Path) -> Result<(), EmulatorError> {
    write_unless_closed(instance, path, true)
}

fn write_unless_closed(instance: &Instance, path: &Path, close: bool) -> Result<(), EmulatorError> {
    let mut closed = instance
        .saved_for_good
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if *closed {
        return Ok(());
    }
    *closed = close;
    let snapshot = Snapshot::of(&instance.state());
    snapshot?.write(path)
}

/// Writes the state soon after each change, until the task is aborted.
pub(crate) async fn keep_saving(instance: Arc<Instance>, path: PathBuf) {
    loop {
        instance.changed.notified().await;
        // Several changes often follow each other closely, so wait a moment and write them together.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let task = {
            let (instance, path) = (Arc::clone(&instance), path.clone());
            tokio::task::spawn_blocking(move || save(&instance, &path))
        };
        if let Ok(Err(error)) = task.await {
            tracing::error!(%error, "the emulator's snapshot was not written");
        }
    }
}
