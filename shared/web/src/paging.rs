//! Paged lists: the size of a page, and where the next one begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{Parameters, QueryError};

/// The default number of items on a page.
pub(crate) const USUAL_PAGE: usize = 50;

/// The greatest number of items on a page.
pub(crate) const LARGEST_PAGE: usize = 100;

/// The number of bytes of the filters' digest in a cursor: it only has to detect mistakes, not to keep a secret.
const DIGEST: usize = 6;

/// The number of items on a page: the parameter `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(pub usize);

impl PageSize {
    /// Reads `limit`, 50 if it is missing.
    pub fn read(parameters: &mut Parameters) -> Result<Self, QueryError> {
        let number = |text: &str| text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
        Ok(Self(parameters.parsed("limit", "a number from 1 to 100", number)?.unwrap_or(USUAL_PAGE)))
    }
}

/// Where the next page begins. It contains a position in the list and a digest of the filters: it is refused with other
/// filters, since the position would be in another list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor after `place`, for the same `filters`.
    #[must_use]
    pub fn at(place: &str, filters: &[&str]) -> Self {
        let mut bytes = digest(filters).to_vec();
        bytes.extend(place.as_bytes());
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the position in the parameter `cursor`; `None` for the first page.
    pub fn read<T>(
        parameters: &mut Parameters,
        filters: &[&str],
        place: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, QueryError> {
        parameters.parsed("cursor", "the next_cursor of a page with the same filters", |cursor| {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let (of_filters, behind) = bytes.split_at_checked(DIGEST)?;
            if of_filters == digest(filters) { place(std::str::from_utf8(behind).ok()?) } else { None }
        })
    }
}

fn digest(filters: &[&str]) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    for filter in filters {
        hash.update(filter.len().to_be_bytes());
        hash.update(filter.as_bytes());
    }
    std::array::from_fn::<_, DIGEST, _>({
        let hash = hash.finalize();
        move |place| hash[place]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, filters: &[&str]) -> Result<Option<String>, QueryError> {
        Cursor::read(&mut Parameters::parse(query).unwrap(), filters, |place| Some(place.to_owned()))
    }

    #[test]
    fn a_cursor_leads_to_its_place_and_only_with_its_filters() {
        let Cursor(cursor) = Cursor::at("wx1#号", &["active", "a"]);
        let query = format!("cursor={cursor}");
        assert_eq!(read(&query, &["active", "a"]).unwrap().as_deref(), Some("wx1#号"));
        assert_eq!(read("", &[]), Ok(None));
        for (query, filters) in [
            (query.as_str(), ["activea", ""]),
            (query.as_str(), ["activ", "ea"]),
            ("cursor=x", ["active", "a"]),
            ("cursor=%FF", ["active", "a"]),
            ("cursor=AAAA", ["active", "a"]),
        ] {
            let told = read(query, &filters).unwrap_err().to_string();
            assert!(told.contains("next_cursor of a page with the same filters"), "{told}");
        }
    }

    #[test]
    fn a_page_has_from_1_to_100_items() {
        let size = |query: &str| PageSize::read(&mut Parameters::parse(query).unwrap()).ok().map(|PageSize(size)| size);
        assert_eq!((size(""), size("limit=1"), size("limit=100")), (Some(50), Some(1), Some(100)));
        assert_eq!((size("limit=0"), size("limit=101"), size("limit=-1"), size("limit=x")), (None, None, None, None));
    }
}
