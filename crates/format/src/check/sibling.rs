use crate::Header;

/// Another file of a split set.
///
/// Exhaustive: callers build it, and a name and a header are all that is compared.
#[derive(Clone, Copy, Debug)]
pub struct Sibling<'a> {
    /// Its name without folders.
    pub name: &'a str,
    /// Its header, if that could be read.
    pub header: Option<&'a Header>,
}

/// Returns whether two files belong to the same split set, judged by their names (without folders).
/// A file is not a sibling of itself.
pub fn is_sibling(name: &str, other: &str) -> bool {
    match (set_of(name), set_of(other)) {
        (Some(one), Some(two)) => one == two && name != other,
        _ => false,
    }
}

/// Returns what the names of all files of a split set share: the stem and the count. Unlike
/// [`ShardName::parse`](crate::container::ShardName::parse), accepts any number, so that extra
/// shards are found.
fn set_of(name: &str) -> Option<(&str, &str)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let five = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (five(number) && five(count)).then_some((stem, count))
}
