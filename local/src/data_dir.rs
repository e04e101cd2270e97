//! The folder in which `cargo run` keeps everything between two starts: the table and the generated secret.
//!
//! One folder, one process: two writers of one database file lose index entries without a word. A lock on a file in the
//! folder holds that; the operating system releases it however the process ends. Only the user may look inside.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the folder cannot be used. Each is a sentence for the person at the keyboard.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has the folder's lock.
    #[error("another `cargo run` is using {}: stop it, or choose another folder with --data-dir", .0.display())]
    InUse(PathBuf),
    /// The folder or its lock file cannot be made.
    #[error("cannot use the folder {}: {source}; choose another with --data-dir", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// A folder that this process alone uses, as long as a clone of this value lives.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    _lock: Arc<File>,
}

impl DataDir {
    /// Makes the folder where it is missing, and takes its lock.
    ///
    /// # Errors
    /// [`DataDirError`]: the folder is in use, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |source| DataDirError::Unusable { path: path.to_owned(), source };
        private_folder(path).map_err(unusable)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The path of a file in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_with_a_sentence() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let sentence = DataDir::open(&path).unwrap_err().to_string();
        assert!(sentence.contains("another `cargo run` is using"), "{sentence}");
        assert!(sentence.contains("--data-dir"), "{sentence}");
        drop(first);
        DataDir::open(&path).expect("the lock ends with the value");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let blocked = parent.path().join("file");
        fs::write(&blocked, "").unwrap();
        let sentence = DataDir::open(&blocked.join("data")).unwrap_err().to_string();
        assert!(sentence.contains("data") && sentence.contains("--data-dir"), "{sentence}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_look_into_the_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/data");
        let _dir = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
