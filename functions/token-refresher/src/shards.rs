//! What stands in the shards of the index, as one stream: shard by shard, a page at a time, so that memory stays flat
//! however much there is.

use futures::TryStreamExt as _;
use futures::stream::{self, Stream};
use shared::vault::{PagePosition, VaultError};

/// All items of `shards` shards, beginning with shard `first`. `page` reads one page of a shard, behind the position of
/// the page before.
pub(crate) fn shard_by_shard<T, Page>(
    first: u64,
    shards: u64,
    page: impl Fn(u64, Option<PagePosition>) -> Page,
) -> impl Stream<Item = Result<T, VaultError>>
where
    Page: Future<Output = Result<(Vec<T>, Option<PagePosition>), VaultError>>,
{
    stream::try_unfold(Some((0, None)), move |place| {
        let asked = place.map(|(passed, after)| (passed, page((first + passed) % shards, after)));
        async move {
            let Some((passed, page)) = asked else { return Ok(None) };
            let (items, next) = page.await?;
            let next = match next {
                Some(position) => Some((passed, Some(position))),
                None if passed + 1 < shards => Some((passed + 1, None)),
                None => None,
            };
            Ok(Some((stream::iter(items.into_iter().map(Ok)), next)))
        }
    })
    .try_flatten()
}
