//! The number that is sent to the caller instead of an internal error.

use std::fmt;

use base::random::Random;

/// A number that a merchant can read out, and that is in the log together with the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// References have ten digits: easy to read out, and rarely twice in a log.
const LARGEST: u64 = 9_999_999_999;

impl Reference {
    /// Generates a number.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(format!("{:010}", random.up_to(LARGEST)))
    }

    /// The ten digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
