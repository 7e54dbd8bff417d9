use crate::Header;

/// Another file of a split set.
#[derive(Clone, Copy, Debug)]
pub struct Sibling<'a> {
    /// Its name without folders.
    pub name: &'a str,
    /// Its header, if that could be read.
    pub header: Option<&'a Header>,
}

/// Whether the files with these names (without folders) say by their names that they belong to
/// the same split set. A file is no sibling of itself.
pub fn is_sibling(name: &str, other: &str) -> bool {
    match (set_of(name), set_of(other)) {
        (Some(one), Some(two)) => one == two && name != other,
        _ => false,
    }
}

/// What the files of a split set have in common: the stem and the count. Unlike
/// [`ShardName::parse`], any number will do, so that superfluous shards are seen.
fn set_of(name: &str) -> Option<(&str, &str)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let five = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (five(number) && five(count)).then_some((stem, count))
}
