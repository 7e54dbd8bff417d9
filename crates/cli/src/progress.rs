//! The progress bar of long work, on standard error.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use granule_convert::run::Event;
use granule_infer::stream::Observed;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::interrupt;
use crate::output::{count, printable, size};

/// Shows how far a conversion is. Nothing is shown where standard error is not a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that appears with [`Event::Started`], unless it is not `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        let target = if wanted && stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style =
            ProgressStyle::with_template("{bar:30} {percent:>3} %  {rate}  {eta} left  {msg:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
                .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    // the bar has no way to report a failure to draw
                    let _ = write!(out, "{} weights/s", count(state.per_sec() as u64));
                });
        Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style) }
    }

    /// A bar for a number of bytes, unless it is not `wanted`.
    pub(crate) fn of_bytes(wanted: bool, bytes: u64) -> Self {
        let Self { bar } = Self::new(wanted);
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {rate}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
            .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // the bar has no way to report a failure to draw
                let _ = write!(out, "{}/s", size(state.per_sec() as u64));
            });
        bar.set_length(bytes);
        Self { bar: bar.with_style(style) }
    }

    /// This number of bytes is done; called from all threads.
    pub(crate) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Take note of an event; called from all threads.
    pub(crate) fn on(&self, event: &Event<'_>) {
        match event {
            Event::Started { values, .. } => self.bar.set_length(*values),
            Event::Tensor { name } => self.bar.set_message(printable(name)),
            Event::Progress { values } => self.bar.set_position(*values),
            Event::Layer { layer, layers } => {
                self.bar.set_message(format!("layer {} of {layers}", layer + 1));
            }
            Event::Finishing => self.bar.set_message("flushing to the disk"),
            _ => {}
        }
    }

    /// Remove the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows which layer of a model is computed, and ends the run at the next one when a signal asks
/// for it.
#[derive(Debug)]
pub(crate) struct Steps {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Steps {
    /// A bar for a number of layers, and the output after them, unless it is not `wanted`.
    pub(crate) fn new(wanted: bool, layers: usize) -> Self {
        let target = if wanted && stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{bar:30} layer {pos} of {len}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let length = Some(layers as u64 + 1);
        let bar = ProgressBar::with_draw_target(length, target).with_style(style);
        Self { bar, stop: interrupt::flag() }
    }

    /// A layer begins.
    pub(crate) fn on(&self, layer: usize) -> Observed {
        self.bar.set_position(layer as u64);
        if self.stop.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
    }

    /// Remove the bar. `kept` says whether the run can be continued.
    ///
    /// # Errors
    /// If a signal has ended the run.
    pub(crate) fn finish(&self, kept: bool) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        match self.stop.load(Ordering::Relaxed) {
            true => Err(granule_convert::Error::Interrupted { kept }.into()),
            false => Ok(()),
        }
    }
}
