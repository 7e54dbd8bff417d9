//! What the steps cost, as a table.

use std::fmt;
use std::time::Instant;

/// Seconds that a step took.
#[derive(Clone, Copy, Default)]
pub(super) struct Cost {
    wall: f64,
    /// Of all processors, by the processes that the step started. Known on Linux only.
    cpu: Option<f64>,
}

/// The clocks when a step began.
pub(super) struct Start {
    wall: Instant,
    cpu: Option<f64>,
}

impl Start {
    pub(super) fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_of_children() }
    }

    pub(super) fn cost(&self) -> Cost {
        let cpu = self.cpu.zip(cpu_of_children()).map(|(begin, end)| end - begin);
        Cost { wall: self.wall.elapsed().as_secs_f64(), cpu }
    }
}

/// CPU seconds of all processes that this one started and waited for, and of theirs.
fn cpu_of_children() -> Option<f64> {
    let line = std::fs::read_to_string("/proc/self/stat").ok()?;
    children_seconds(&line)
}

/// Sums `cutime` and `cstime`, fields 16 and 17. Their unit is a tick; Linux has 100 a second.
fn children_seconds(stat: &str) -> Option<f64> {
    // the name of the program, field 2, may contain blanks
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(13).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
    Some(ticks as f64 / 100.0)
}

/// How a step ended.
pub(super) enum Ended {
    Passed,
    Failed,
    Skipped(String),
    NotRun,
}

/// The steps so far.
#[derive(Default)]
pub(super) struct Report(Vec<(&'static str, Cost, Ended)>);

impl Report {
    pub(super) fn add(&mut self, name: &'static str, cost: Cost, ended: Ended) {
        self.0.push((name, cost, ended));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cost: &Cost, ended: &str| {
            let cpu = cost.cpu.map_or("-".to_owned(), |cpu| format!("{cpu:.1}"));
            let text = format!("{name:<10} {:>8.1} {cpu:>8}  {ended}", cost.wall);
            writeln!(f, "{}", text.trim_end())
        };
        writeln!(f, "{:<10} {:>8} {:>8}", "step", "wall s", "CPU s")?;
        let mut total = Cost::default();
        for (name, cost, ended) in &self.0 {
            total.wall += cost.wall;
            total.cpu = cost.cpu.map(|cpu| cpu + total.cpu.unwrap_or_default()).or(total.cpu);
            match ended {
                Ended::Passed => line(f, name, cost, "passed")?,
                Ended::Failed => line(f, name, cost, "failed")?,
                Ended::Skipped(reason) => line(f, name, cost, &format!("skipped: {reason}"))?,
                Ended::NotRun => line(f, name, cost, "not run")?,
            }
        }
        line(f, "all", &total, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_every_step_and_their_sum() {
        let mut report = Report::default();
        report.add("lint", Cost { wall: 1.5, cpu: Some(2.25) }, Ended::Passed);
        report.add("deny", Cost { wall: 0.5, cpu: Some(0.5) }, Ended::Skipped("no such".into()));
        report.add("docs", Cost { wall: 1.0, cpu: Some(1.0) }, Ended::Failed);
        report.add("test", Cost::default(), Ended::NotRun);
        assert_eq!(
            report.to_string(),
            "step         wall s    CPU s\n\
             lint            1.5      2.2  passed\n\
             deny            0.5      0.5  skipped: no such\n\
             docs            1.0      1.0  failed\n\
             test            0.0        -  not run\n\
             all             3.0      3.8\n"
        );
    }

    #[test]
    fn the_name_of_the_program_may_hold_anything() {
        let stat = "1 (a) b (c) S 4 5 6 7 8 9 10 11 12 13 14 15 1600 50 18";
        assert_eq!(children_seconds(stat), Some(16.5));
        assert_eq!(children_seconds("1 (a) S 4"), None);
    }
}
