//! The contents of the index's shards as one stream, a page of each at a time, so that memory stays flat however much
//! there is.

use base::random::Random;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use store::{PagePosition, StoreError};

/// All items of some shards, one of each shard in turn, those of a shard in its order. `page` reads one page of a
/// shard, after the position of the page before. A page that cannot be read ends its shard, not the stream.
///
/// In turn, since a run that does not get to the end then leaves over the last items of each shard instead of whole
/// shards, and since each shard accepts only so many writes per second. Each stream begins with a random shard:
/// otherwise runs that are stopped after a few items would leave out the same shards every time.
pub(crate) fn shards_by_turns<'a, T, Page>(
    random: &Random,
    shards: impl IntoIterator<Item = u64>,
    page: impl Fn(u64, Option<PagePosition>) -> Page + Copy + Send + 'a,
) -> impl Stream<Item = Result<T, StoreError>> + 'a
where
    T: Send + 'a,
    Page: Future<Output = Result<(Vec<T>, Option<PagePosition>), StoreError>> + Send + 'a,
{
    let mut shards: Vec<u64> = shards.into_iter().collect();
    let first = random.up_to(u64::try_from(shards.len()).unwrap_or(1).saturating_sub(1));
    shards.rotate_left(usize::try_from(first).unwrap_or(0));
    stream::select_all(shards.into_iter().map(move |shard| pages(move |after| page(shard, after)).boxed()))
}

/// All items of one shard.
fn pages<T, Page>(page: impl Fn(Option<PagePosition>) -> Page) -> impl Stream<Item = Result<T, StoreError>>
where
    Page: Future<Output = Result<(Vec<T>, Option<PagePosition>), StoreError>>,
{
    stream::unfold(Some(None), move |place| {
        let asked = place.map(&page);
        async move {
            Some(match asked?.await {
                Ok((items, position)) => (items.into_iter().map(Ok).collect(), position.map(Some)),
                Err(error) => (vec![Err(error)], None),
            })
        }
    })
    .flat_map(|items: Vec<Result<T, StoreError>>| stream::iter(items))
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn the_shards_come_by_turns_and_one_that_cannot_be_read_ends_only_itself() {
        let page = |shard: u64, _: Option<PagePosition>| {
            let gone = StoreError::Unbuildable;
            ready(if shard == 2 { Err(gone) } else { Ok((vec![(shard, 'a'), (shard, 'b'), (shard, 'c')], None)) })
        };
        let items: Vec<_> = shards_by_turns(&Random::system(), 0..4, page).collect().await;
        let (found, failed): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
        assert_eq!(failed.len(), 1);
        let found: Vec<(u64, char)> = found.into_iter().map(Result::unwrap).collect();
        let order: String = found.iter().map(|(_, item)| *item).collect();
        assert_eq!(order, "aaabbbccc");
        let mut first: Vec<u64> = found.iter().take(3).map(|(shard, _)| *shard).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 3]);
    }
}
