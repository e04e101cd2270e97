//! The reason why nothing runs, as one sentence for the user.

/// An error with its causes. A cause that is already part of the text is not repeated.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::DataDirError;

    #[test]
    fn a_cause_is_told_once() {
        let source = std::io::Error::other("no space left");
        let error = anyhow::Error::from(DataDirError::Unusable { path: "data".into(), source });
        assert_eq!(sentence(&error), "cannot use the folder data: no space left; choose another with --data-dir");
        assert_eq!(sentence(&anyhow::anyhow!("it is late").context("no answer")), "no answer: it is late");
    }
}
