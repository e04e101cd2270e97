//! The contents of the index's shards as one stream: shard by shard, a page at a time, so that memory stays flat however
//! much there is.

use std::collections::VecDeque;

use base::random::Random;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use store::{PagePosition, StoreError};

/// All items of some shards. `page` reads one page of a shard, behind the position of the page before. A page that
/// cannot be read ends its shard, not the stream.
///
/// Each stream starts at a random shard, so that runs that never get to the end do not leave out the same shards every
/// time.
pub(crate) fn shard_by_shard<T, Page>(
    random: &Random,
    shards: impl IntoIterator<Item = u64>,
    page: impl Fn(u64, Option<PagePosition>) -> Page,
) -> impl Stream<Item = Result<T, StoreError>>
where
    Page: Future<Output = Result<(Vec<T>, Option<PagePosition>), StoreError>>,
{
    let mut shards: VecDeque<u64> = shards.into_iter().collect();
    let first = random.up_to(u64::try_from(shards.len()).unwrap_or(1).saturating_sub(1));
    shards.rotate_left(usize::try_from(first).unwrap_or(0));
    stream::unfold((shards, None), move |(mut shards, after)| {
        let asked = shards.front().map(|shard| page(*shard, after));
        async move {
            let (items, position) = match asked?.await {
                Ok((items, position)) => (items.into_iter().map(Ok).collect(), position),
                Err(error) => (vec![Err(error)], None),
            };
            if position.is_none() {
                shards.pop_front();
            }
            Some((items, (shards, position)))
        }
    })
    .flat_map(|items: Vec<Result<T, StoreError>>| stream::iter(items))
}
