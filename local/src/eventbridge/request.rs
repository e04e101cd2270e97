//! A `PutEvents` request, checked as AWS documents it.

use base::clock::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The most entries of one request.
const ENTRIES: usize = 10;

/// The most bytes of all entries of a request that every region accepts: 256 KB.
pub(super) const ENTRIES_SIZE: usize = 256 * 1024;

/// The bytes that are counted for an entry's time.
const TIME_SIZE: usize = 14;

/// The most characters of a detail-type. AWS documents no limit for the source, which gets the same.
const NAME_LENGTH: usize = 128;

/// AWS's error for a whole request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn unknown_operation() -> Self {
        Self { kind: "UnknownOperationException", message: "Only PutEvents is available locally.".to_owned() }
    }

    pub(super) fn no_bus(name: &str) -> Self {
        Self { kind: "ResourceNotFoundException", message: format!("Event bus {name} does not exist.") }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self { kind: "ValidationException", message: message.into() }
    }
}

/// Why one entry is not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    /// A member is missing or empty.
    #[error("Parameter {0} is not valid. Reason: {0} is a required argument.")]
    Missing(&'static str),
    /// A member is too long.
    #[error("Parameter {0} is not valid. Reason: it has more than {NAME_LENGTH} characters.")]
    TooLong(&'static str),
    /// Only AWS's own services have sources that begin with `aws.`.
    #[error("Not authorized for the source.")]
    ForeignSource,
    /// The detail is not a JSON object.
    #[error("Detail is malformed.")]
    MalformedDetail,
    /// A failure that a test requested.
    #[error("The bus refuses this entry because it was asked to.")]
    Troubled,
}

impl EntryError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::TooLong(_) => "InvalidArgument",
            Self::ForeignSource => "NotAuthorizedForSourceException",
            Self::MalformedDetail => "MalformedDetail",
            Self::Troubled => "InternalFailure",
        }
    }
}

/// The request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutEvents {
    #[serde(default)]
    entries: Vec<Entry>,
}

impl PutEvents {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body).map_err(|_| Refusal {
            kind: "SerializationException",
            message: "The request is not a valid PutEvents.".to_owned(),
        })
    }

    /// The entries, if their number and size are valid and at least one of them could be accepted.
    pub(super) fn checked(self, most_bytes: usize) -> Result<Vec<Entry>, Refusal> {
        let out_of_bounds = |bound: &str| {
            Refusal::invalid(format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length {bound}"
            ))
        };
        if self.entries.is_empty() {
            return Err(out_of_bounds("greater than or equal to 1"));
        }
        if self.entries.len() > ENTRIES {
            return Err(out_of_bounds("less than or equal to 10"));
        }
        if self.entries.iter().map(Entry::size).sum::<usize>() > most_bytes {
            return Err(Refusal::invalid("Total size of the entries in the request is over the limit."));
        }
        if self.entries.iter().all(|entry| entry.required().is_err()) {
            return Err(Refusal::invalid("No entry of the request has Source, DetailType and Detail."));
        }
        Ok(self.entries)
    }
}

/// One event.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    #[serde(default)]
    source: String,
    #[serde(default)]
    detail_type: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    resources: Vec<String>,
    event_bus_name: Option<String>,
    /// Unix time in seconds, possibly with a fraction.
    time: Option<f64>,
}

impl Entry {
    /// The bus it is for, by name or ARN.
    pub(super) fn bus(&self) -> &str {
        self.event_bus_name.as_deref().unwrap_or("default")
    }

    /// Its size as AWS counts it.
    fn size(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail].into_iter().chain(&self.resources);
        texts.map(String::len).sum::<usize>() + self.time.map_or(0, |_| TIME_SIZE)
    }

    fn required(&self) -> Result<(), EntryError> {
        let members = [("Source", &self.source), ("DetailType", &self.detail_type), ("Detail", &self.detail)];
        match members.into_iter().find(|(_, value)| value.is_empty()) {
            Some((name, _)) => Err(EntryError::Missing(name)),
            None => Ok(()),
        }
    }

    /// Source, detail-type, detail and time, if all of them are valid.
    pub(super) fn parts(self) -> Result<(String, String, Value, Option<Timestamp>), EntryError> {
        self.required()?;
        for (name, value) in [("Source", &self.source), ("DetailType", &self.detail_type)] {
            if value.chars().count() > NAME_LENGTH {
                return Err(EntryError::TooLong(name));
            }
        }
        if self.source.starts_with("aws.") {
            return Err(EntryError::ForeignSource);
        }
        let detail = serde_json::from_str(&self.detail).ok().filter(Value::is_object);
        let detail = detail.ok_or(EntryError::MalformedDetail)?;
        let time =
            self.time.map(|seconds| Timestamp::from_unix(aws_smithy_types::DateTime::from_secs_f64(seconds).secs()));
        Ok((self.source, self.detail_type, detail, time))
    }
}
