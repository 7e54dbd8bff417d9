//! One of several shares of the files of a result, each for a machine of its own.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::{OutputFile, RunOptions, Target};
use crate::Error;
use crate::tune::feedback::Inputs;

/// A share of the files of a result: one of `count` parts.
///
/// Every part has files that follow one another. The parts of one count have each file once, and
/// their numbers of files differ by at most one. Written as `2/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    number: u32,
    count: u32,
}

impl Part {
    /// Returns part `number`, from 1, of `count`; `None` if there is no such part.
    pub const fn new(number: u32, count: u32) -> Option<Self> {
        if number == 0 || number > count { None } else { Some(Self { number, count }) }
    }

    /// Returns its number, from 1.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Returns the number of parts.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Returns the indexes of its share of `count` files or chunks of text. It is empty for some
    /// parts if there are more parts than that.
    pub fn share(self, count: usize) -> Range<usize> {
        let before = |parts: u32| {
            // at most `count`, so it fits
            (count as u128 * u128::from(parts) / u128::from(self.count)) as usize
        };
        before(self.number - 1)..before(self.number)
    }

    /// Leaves the files of this part, and their targets.
    pub(super) fn only<'w>(
        self,
        mut files: Vec<OutputFile>,
        targets: &[Target<'w>],
        options: &RunOptions,
    ) -> Result<(Vec<OutputFile>, Vec<Target<'w>>), Error> {
        let inputs = options.calibration.as_ref().map(|calibration| &calibration.inputs);
        let runs = matches!(inputs, Some(Inputs::Text(_)));
        if runs && targets.iter().any(|target| target.calibrated) {
            return Err(Error::PartOfRun { part: self });
        }
        let own = self.share(files.len());
        if own.is_empty() {
            return Err(Error::EmptyPart { part: self, files: files.len() });
        }
        files.truncate(own.end);
        files.drain(..own.start);
        let targets = targets.iter().filter(|target| own.contains(&target.file));
        let renumbered = targets.map(|target| Target { file: target.file - own.start, ..*target });
        Ok((files, renumbered.collect()))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Part {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(number, count)| {
            Some((number.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        let part = numbers.and_then(|(number, count)| Self::new(number, count));
        part.ok_or_else(|| PartError { text: text.to_owned() })
    }
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no part; the form is NUMBER/COUNT, from 1/COUNT to COUNT/COUNT")]
pub struct PartError {
    text: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn parts_have_each_file_once() {
        for files in [1, 2, 3, 7, 16, 1000] {
            for count in [1, 2, 3, 16] {
                let parts = (1..=count).map(|number| Part::new(number, count).unwrap());
                let ranges: Vec<_> = parts.map(|part| part.share(files)).collect();
                let all: Vec<usize> = ranges.iter().cloned().flatten().collect();
                assert_eq!(all, (0..files).collect::<Vec<_>>(), "{files} files, {count} parts");
                let least = ranges.iter().map(Range::len).min().unwrap();
                let most = ranges.iter().map(Range::len).max().unwrap();
                assert!(most - least <= 1, "{files} files, {count} parts: {ranges:?}");
            }
        }
    }

    #[test]
    fn parts_are_written_as_they_are_read() {
        assert_eq!("2/16".parse(), Ok(Part { number: 2, count: 16 }));
        assert_eq!("2/16".parse::<Part>().unwrap().to_string(), "2/16");
        for text in ["", "2", "0/3", "4/3", "-1/3", "1/0", "1/2/3", "a/b"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
