//! The contents of the index's shards as one stream: shard by shard, a page at a time, so that memory stays flat however
//! much there is.

use base::random::Random;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use store::{PagePosition, StoreError};

/// All items of `shards` shards. `page` reads one page of a shard, behind the position of the page before. A page that
/// cannot be read ends its shard, not the stream.
///
/// Each stream starts at a random shard, so that runs that never get to the end do not leave out the same shards every
/// time.
pub(crate) fn shard_by_shard<T, Page>(
    random: &Random,
    shards: u64,
    page: impl Fn(u64, Option<PagePosition>) -> Page,
) -> impl Stream<Item = Result<T, StoreError>>
where
    Page: Future<Output = Result<(Vec<T>, Option<PagePosition>), StoreError>>,
{
    let first = random.up_to(shards.saturating_sub(1));
    stream::unfold(Some((0, None)), move |place| {
        let asked = place.map(|(passed, after)| (passed, page((first + passed) % shards, after)));
        async move {
            let (passed, page) = asked?;
            let next_shard = (passed + 1 < shards).then_some((passed + 1, None));
            Some(match page.await {
                Ok((items, Some(position))) => (items.into_iter().map(Ok).collect(), Some((passed, Some(position)))),
                Ok((items, None)) => (items.into_iter().map(Ok).collect(), next_shard),
                Err(error) => (vec![Err(error)], next_shard),
            })
        }
    })
    .flat_map(|items: Vec<Result<T, StoreError>>| stream::iter(items))
}
