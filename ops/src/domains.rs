//! `cargo ops domains`: WeChat's check files, fetched from WeChat or added by hand, and checked at the public URL.
//!
//! WeChat is called through the deployment's own routes `/wechat/…`, since WeChat accepts no address but the
//! platform's: a call from this machine would end with 61004. The routes require an IAM signature, for which the user
//! has credentials. The table is written directly, as by `cargo ops keys`.

mod fetch;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base::clock::Timestamp;
use platform::secret::{Platform, PlatformError};
use runtime::config::Environment;
use store::{CheckFile, CheckFileOrigin, CheckFiles, MAX_CHECK_FILES, NewCheckFile, StoreError};
use wechat::check_file::{CheckFileContent, CheckFileError, CheckFileName};

use crate::args::{DomainsCommand, SyncDomainsArgs};
use crate::check_files::all;
use crate::deployment::{self, Addresses, Deployment};
use crate::doctor::secret;
use crate::finding::{Diagnosis, Finding};

/// How much is read of a file at most, which is more than the longest check file.
const LONGEST_FILE: u64 = 1_024;

/// The byte order marks of UTF-16, which some editors write.
const UTF_16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// Why nothing was done, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum DomainsError {
    /// The deployment, or its secret, is not usable.
    #[error("{0}")]
    Unusable(Finding),
    /// The secret is unusable, so the platform and the keys of its items are unknown.
    #[error("secret: {0}: ops doctor says more")]
    Secret(#[from] PlatformError),
    /// The file on this machine cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, #[source] io::Error),
    /// It is not a check file.
    #[error("{0}")]
    File(#[from] CheckFileError),
    /// There is no such file.
    #[error("there is no such check file: ops domains list shows those that are served")]
    Unknown,
    /// The greatest number of files is already stored.
    #[error(
        "{MAX_CHECK_FILES} check files are stored, which is the limit: remove those of domains that WeChat has checked, with \
         ops domains remove"
    )]
    TooMany,
    /// The table could not be read or written.
    #[error("{0}; ops domains list shows what is stored")]
    Store(#[from] StoreError),
}

/// The outcome of a command.
#[derive(Debug)]
pub enum Outcome {
    /// A text to be printed.
    Text(String),
    /// The findings about files that were stored and checked.
    Diagnosis(Diagnosis),
}

/// Finds the deployment that the arguments name, and runs the command.
///
/// # Errors
/// [`DomainsError`]: it may have been done in part, and can be repeated.
pub async fn run(command: &DomainsCommand, environment: &impl Environment) -> Result<Outcome, DomainsError> {
    let (public, api) = command.addresses();
    let located = deployment::locate(command.deployment(), Addresses { public, api }, environment).await;
    let subject = format!("WeChat's check files. {}", located.subject);
    let deployment = located.usable().map_err(DomainsError::Unusable)?;
    match deployment.domains(command).await? {
        Outcome::Diagnosis(diagnosis) => Ok(Outcome::Diagnosis(Diagnosis { subject, ..diagnosis })),
        text @ Outcome::Text(_) => Ok(text),
    }
}

impl Deployment {
    /// Runs `command` on its check files.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn domains(&self, command: &DomainsCommand) -> Result<Outcome, DomainsError> {
        let text = secret::read(self).await.map_err(DomainsError::Unusable)?;
        let files = self.store(Platform::parse(&text)?.keyring.component()).check_files;
        match command {
            DomainsCommand::Sync(options) => self.sync(&files, options).await,
            DomainsCommand::List(_) => Ok(Outcome::Text(table(&all(&files).await?))),
            DomainsCommand::Put(options) => {
                let file = read(&options.file, self.clock.now())?;
                store(&files, &file).await?;
                Ok(looked(vec![is_stored(&file)], self.served(&[file]).await))
            }
            DomainsCommand::Remove(options) => {
                let was_there = files.remove(&options.name).await?;
                let done = format!("{} is removed, and no longer served.\n", options.name);
                if was_there { Ok(Outcome::Text(done)) } else { Err(DomainsError::Unknown) }
            }
        }
    }

    /// Fetches the platform's file and those of accounts, stores them, and checks whether they are served. If one
    /// fails, the others are still fetched.
    async fn sync(&self, files: &CheckFiles, options: &SyncDomainsArgs) -> Result<Outcome, DomainsError> {
        let accounts = options.accounts.iter().cloned().map(CheckFileOrigin::Account);
        let (mut findings, mut stored) = (Vec::new(), Vec::new());
        for origin in std::iter::once(CheckFileOrigin::Platform).chain(accounts) {
            match self.fetch(origin).await {
                Ok(file) => match store(files, &file).await {
                    Ok(()) => {
                        findings.push(is_stored(&file));
                        stored.push(file);
                    }
                    Err(error) => findings.push(is_not_stored(&file, &error)),
                },
                Err(finding) => findings.push(finding),
            }
        }
        let served = if stored.is_empty() { Vec::new() } else { self.served(&stored).await };
        Ok(looked(findings, served))
    }
}

fn looked(findings: Vec<Finding>, served: Vec<Finding>) -> Outcome {
    let findings = [findings, served].concat();
    Outcome::Diagnosis(Diagnosis { subject: "WeChat's check files".to_owned(), findings, examined: true })
}

async fn store(files: &CheckFiles, file: &CheckFile) -> Result<(), DomainsError> {
    match files.put(file).await? {
        NewCheckFile::Stored => Ok(()),
        NewCheckFile::TooMany => Err(DomainsError::TooMany),
    }
}

fn is_not_stored(file: &CheckFile, error: &DomainsError) -> Finding {
    let advice = "remove files that no domain needs with ops domains remove, or try again";
    Finding::wrong(fetch::check(&file.origin), format!("{} is not stored: {error}", file.name), advice)
}

fn is_stored(file: &CheckFile) -> Finding {
    Finding::ok(fetch::check(&file.origin), format!("{} is stored{}", file.name, of(&file.origin)))
}

/// The owner of a file, to be written after its name.
fn of(origin: &CheckFileOrigin) -> String {
    origin.account().map(|account| format!(", for domains of {account}")).unwrap_or_default()
}

/// Reads a file on this machine that was downloaded from WeChat.
fn read(path: &Path, now: Timestamp) -> Result<CheckFile, DomainsError> {
    let unreadable = |error| DomainsError::Unreadable(path.display().to_string(), error);
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(CheckFileError::Name)?;
    let name = CheckFileName::parse(name)?;
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut bytes)).map_err(unreadable)?;
    if UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(CheckFileError::ByteOrderMark.into());
    }
    let content = CheckFileContent::parse(std::str::from_utf8(&bytes).map_err(|_| CheckFileError::Content)?)?;
    Ok(CheckFile { name, content, origin: CheckFileOrigin::Manual, stored_at: now })
}

/// The files in columns, the widest last.
fn table(files: &[CheckFile]) -> String {
    if files.is_empty() {
        return "There are no check files.\n".to_owned();
    }
    let mut text = format!("{:<30}  {:<20}  {}\n", "FILE", "STORED", "FROM");
    for file in files {
        let from = match &file.origin {
            CheckFileOrigin::Manual => "added by hand".to_owned(),
            CheckFileOrigin::Platform => "WeChat, for the platform".to_owned(),
            CheckFileOrigin::Account(account) => format!("WeChat, for {account}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<30}  {:<20}  {from}", file.name.as_str(), file.stored_at.rfc3339());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(name: &str, bytes: &[u8]) -> Result<CheckFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path, Timestamp::from_unix(1)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_downloaded_file_is_taken_as_it_is_and_an_edited_one_is_not() {
        let content = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let file = read_of("87PweoaRBw.txt", content).unwrap();
        assert_eq!((file.name.as_str(), file.content.as_str().as_bytes()), ("87PweoaRBw.txt", &content[..]));
        let utf_16: Vec<u8> = [0xff, 0xfe].into_iter().chain(content.iter().flat_map(|byte| [*byte, 0])).collect();
        for (name, bytes, reason) in [
            ("87PweoaRBw.txt", &[b"\xef\xbb\xbf", &content[..]].concat()[..], "byte order mark"),
            ("87PweoaRBw.txt", &utf_16, "byte order mark"),
            ("87PweoaRBw.txt", &[&content[..], b"\r\n"].concat(), "line break"),
            ("87PweoaRBw.txt", &[0xf0; 32], "16 to 64 letters or digits"),
            ("87PweoaRBw.txt", &[b'a'; 5_000], "16 to 64 letters or digits"),
            ("87PweoaRBw (1).txt", content, "use the name that WeChat gave it"),
        ] {
            let error = read_of(name, bytes).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
        let missing = read(Path::new("no-such-folder/87PweoaRBw.txt"), Timestamp::from_unix(1)).unwrap_err();
        assert!(missing.to_string().starts_with("no-such-folder/87PweoaRBw.txt cannot be read"), "{missing}");
    }

    #[test]
    fn files_are_listed_in_columns_with_whose_they_are() {
        let file = |origin| CheckFile { origin, ..read_of("87PweoaRBw.txt", &[b'a'; 16]).unwrap() };
        let account = base::ids::AppId::parse("wx1234567890abcdef").unwrap();
        let files = [CheckFileOrigin::Manual, CheckFileOrigin::Platform, CheckFileOrigin::Account(account)].map(file);
        assert_eq!(
            table(&files),
            "FILE                            STORED                FROM\n\
             87PweoaRBw.txt                  1970-01-01T00:00:01Z  added by hand\n\
             87PweoaRBw.txt                  1970-01-01T00:00:01Z  WeChat, for the platform\n\
             87PweoaRBw.txt                  1970-01-01T00:00:01Z  WeChat, for wx1234567890abcdef\n"
        );
        assert_eq!(table(&[]), "There are no check files.\n");
    }
}
