//! The folder in which `cargo run` keeps everything between two starts: the table and the generated secret.
//!
//! One folder, one process: two writers of one database file lose index entries silently. A lock on a file in the
//! folder prevents that; the operating system releases it however the process ends. Only the user may look inside: at
//! each start, other users' permissions are removed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

/// Why the folder cannot be used, each as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has the folder's lock.
    #[error("another `cargo run` is using {}: stop it, or choose another folder with --data-dir", .0.display())]
    InUse(PathBuf),
    /// Every user of the machine can create files there.
    #[error("{} is shared by all users of this machine: choose a folder of its own with --data-dir", .0.display())]
    Shared(PathBuf),
    /// The folder or its lock file cannot be created.
    #[error("cannot use the folder {}: {source}; choose another with --data-dir", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The error of the operating system.
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
    /// Creates the folder if it is missing, removes other users' permissions, and takes its lock.
    ///
    /// # Errors
    /// [`DataDirError`]: the folder is in use, is shared with other users, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |source| DataDirError::Unusable { path: path.to_owned(), source };
        make_folder(path).map_err(unusable)?;
        if privacy::is_shared(path).map_err(unusable)? {
            return Err(DataDirError::Shared(path.to_owned()));
        }
        privacy::restrict(path, privacy::FOLDER);
        let file = path.join("lock");
        let lock = privacy::open(&file).map_err(unusable)?;
        privacy::restrict(&file, privacy::FILE);
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The path of a file in the folder. Only the user can read it, and the files stored next to it under longer names
    /// (a draft, a journal), even if an earlier version left them open to others.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name)) {
            privacy::restrict(&entry.path(), privacy::FILE);
        }
        self.path.join(name)
    }

    /// The same for a file that another library writes: if there is none, an empty one is created first, for the user
    /// only.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn private_file(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.file(name);
        privacy::open(&path)?;
        Ok(path)
    }

    /// Writes a file of secrets, for the user only. It is renamed into place, so that a crash cannot leave half a
    /// secret.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn keep(&self, name: &str, content: &SecretString) -> io::Result<()> {
        let draft = self.private_file(&format!("{name}.new"))?;
        let mut file = OpenOptions::new().write(true).truncate(true).open(&draft)?;
        file.write_all(content.expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(draft, self.path.join(name))
    }

    /// What to do if a file in the folder is broken.
    #[must_use]
    pub fn begin_anew(&self) -> String {
        format!("delete the folder {} to begin anew, or choose another with --data-dir", self.path.display())
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, privacy::FOLDER);
    builder.recursive(true).create(path)
}

/// File permissions. Systems other than Unix protect a user's folders from other users themselves.
mod privacy {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    /// The mode of a folder.
    pub(super) const FOLDER: u32 = 0o700;

    /// The mode of a file.
    pub(super) const FILE: u32 = 0o600;

    /// Opens a file for writing; a missing file is created for the user only.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE);
        options.open(path)
    }

    /// Whether every user may create files in a folder, as in /tmp: its mode is not ours to change.
    #[cfg(unix)]
    pub(super) fn is_shared(path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::PermissionsExt as _;
        const STICKY: u32 = 0o1000;
        Ok(std::fs::metadata(path)?.permissions().mode() & STICKY != 0)
    }

    #[cfg(not(unix))]
    pub(super) fn is_shared(_: &Path) -> io::Result<bool> {
        Ok(false)
    }

    /// Removes other users' permissions from a folder or file, and warns if that fails. A symbolic link is left alone:
    /// its target may be anything.
    #[cfg(unix)]
    pub(super) fn restrict(path: &Path, mode: u32) {
        use std::fs::{Permissions, metadata, set_permissions, symlink_metadata};
        use std::os::unix::fs::PermissionsExt as _;
        let is = |mode: u32| metadata(path).is_ok_and(|found| found.permissions().mode() & 0o777 == mode);
        let is_link = mode == FILE && symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if is_link || is(mode) {
            return;
        }
        let changed = set_permissions(path, Permissions::from_mode(mode));
        if changed.is_err() || !is(mode) {
            let path = path.display();
            tracing::warn!(
                "other users of this machine may read {path}, which contains secrets: set its mode to {mode:o}, or choose \
                 another folder with --data-dir"
            );
        }
    }

    #[cfg(not(unix))]
    pub(super) fn restrict(_: &Path, _: u32) {}
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
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_look_into_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/data");
        let _dir = DataDir::open(&path).unwrap();
        assert_eq!((mode(&path), mode(&path.join("lock"))), (0o700, 0o600));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_and_files_that_others_could_read_are_taken_from_them() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        let names = ["lock", "table", "table-wal", "table-shm", "table-journal", "table.new"];
        for name in names.iter().chain(&["other"]) {
            fs::write(path.join(name), "").unwrap();
            set_mode(&path.join(name), 0o644);
        }
        set_mode(path, 0o755);
        let folder = DataDir::open(path).unwrap();
        assert_eq!(folder.file("table"), path.join("table"));
        assert_eq!(mode(path), 0o700);
        for name in names {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&path.join("other")), 0o644, "not ours");
        folder.private_file("made").unwrap();
        assert_eq!(mode(&path.join("made")), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_folder_is_not_followed_to_a_file_elsewhere() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = parent.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        set_mode(&elsewhere, 0o644);
        let folder = DataDir::open(&parent.path().join("data")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.file("table")).unwrap();
        assert!(folder.file("table").is_symlink());
        assert_eq!(mode(&elsewhere), 0o644);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_all_users_share_is_refused_and_left_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        set_mode(parent.path(), 0o1777);
        let sentence = DataDir::open(parent.path()).unwrap_err().to_string();
        assert!(sentence.contains("shared by all users") && sentence.contains("--data-dir"), "{sentence}");
        assert_eq!(mode(parent.path()), 0o1777);
    }
}
