//! Pictures of a report, as SVG.

use std::fmt::Write;

use super::html::{escape, percent, size};
use super::{Report, Scales, TensorFacts};

/// Side of a cell of the grid, and the distance to the next.
const CELL: usize = 13;
const STEP: usize = 15;
/// Room for the names of roles, in units of the picture.
const NAMES: usize = 150;

/// What the colour of a cell tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shade {
    Bits,
    Error,
}

/// The classes of bits for each weight: the upper limit and a label.
pub(super) const BITS: &[(f64, &str)] = &[
    (2.2, "up to 2"),
    (3.2, "3"),
    (3.9, "3.5"),
    (4.6, "4 to 4.5"),
    (5.6, "5 to 5.5"),
    (7.0, "6 to 6.5"),
    (9.0, "8 to 8.5"),
    (f64::INFINITY, "16 or 32"),
];

/// The classes of relative errors.
pub(super) const ERRORS: &[(f64, &str)] = &[
    (0.0, "none"),
    (0.01, "up to 1 %"),
    (0.03, "3 %"),
    (0.06, "6 %"),
    (0.1, "10 %"),
    (0.2, "20 %"),
    (0.4, "40 %"),
    (f64::INFINITY, "more"),
];

fn class(shade: Shade, tensor: &TensorFacts) -> Option<usize> {
    let (value, table) = match shade {
        Shade::Bits => (tensor.bits?, BITS),
        Shade::Error => (tensor.error?, ERRORS),
    };
    table.iter().position(|(limit, _)| value <= *limit)
}

/// Tensors of the layers: a row for each role, a column for each layer.
pub(super) fn grid(report: &Report, shade: Shade) -> Option<String> {
    let layered = || {
        let of_layers = report.tensors.iter().filter_map(|tensor| Some((tensor.layer?, tensor)));
        // norms and biases are small, and there are many
        of_layers.filter(|(_, tensor)| !tensor.shape.chars().all(|c| c.is_ascii_digit()))
    };
    let mut roles: Vec<&str> = Vec::new();
    for (_, tensor) in layered() {
        if class(shade, tensor).is_some() && !roles.contains(&tensor.role.as_str()) {
            roles.push(&tensor.role);
        }
    }
    // numbers from a file may be anything
    let layers = layered().map(|(layer, _)| layer).max()?.min(1023) as usize + 1;
    if roles.is_empty() || roles.len() > 64 {
        return None;
    }
    let (width, height) = (NAMES + layers * STEP + 8, roles.len() * STEP + 22);
    let what = match shade {
        Shade::Bits => "Bits for each weight of every tensor",
        Shade::Error => "Relative error of every tensor",
    };
    let mut svg = format!(
        "<svg class=\"grid\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{what}: rows are roles, columns are \
         layers\">\n"
    );
    for (row, role) in roles.iter().enumerate() {
        let y = row * STEP + 11;
        let _ = writeln!(
            svg,
            "<text class=\"role\" x=\"{}\" y=\"{y}\">{}</text>",
            NAMES - 8,
            escape(role)
        );
    }
    for (layer, tensor) in layered() {
        let row = roles.iter().position(|role| *role == tensor.role);
        let (Some(row), Some(class), true) = (row, class(shade, tensor), layer < layers as u64)
        else {
            continue;
        };
        let (x, y) = (NAMES + layer as usize * STEP, row * STEP + 1);
        let error =
            tensor.error.map_or(String::new(), |error| format!(", error {}", percent(error)));
        let _ = writeln!(
            svg,
            "<rect class=\"{}{class}\" x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" \
             rx=\"2\"><title>{}: {}, {}{error}</title></rect>",
            if shade == Shade::Bits { "b" } else { "e" },
            escape(&tensor.name),
            escape(&tensor.ty),
            size(tensor.bytes),
        );
    }
    let every = [1, 2, 5, 10, 20, 50, 100].into_iter().find(|every| layers / every <= 16);
    for layer in (0..layers).step_by(every.unwrap_or(200)) {
        let x = NAMES + layer * STEP + CELL / 2;
        let y = roles.len() * STEP + 16;
        let _ = writeln!(svg, "<text class=\"layer\" x=\"{x}\" y=\"{y}\">{layer}</text>");
    }
    Some(svg + "</svg>\n")
}

/// The colours of a grid with their meaning.
pub(super) fn legend(report: &Report, shade: Shade) -> String {
    let (table, prefix) = match shade {
        Shade::Bits => (BITS, "b"),
        Shade::Error => (ERRORS, "e"),
    };
    let mut out = String::from("<ul class=\"legend\">");
    for (number, (_, label)) in table.iter().enumerate() {
        let is_there =
            |tensor: &TensorFacts| tensor.layer.is_some() && class(shade, tensor) == Some(number);
        if report.tensors.iter().any(is_there) {
            let _ = write!(
                out,
                "<li><svg width=\"13\" height=\"13\" aria-hidden=\"true\"><rect \
                 class=\"{prefix}{number}\" width=\"13\" height=\"13\" rx=\"2\"/></svg> \
                 {label}</li>"
            );
        }
    }
    out + "</ul>\n"
}

/// A histogram of the sizes of blocks.
pub(super) fn histogram(scales: &Scales) -> String {
    const BAR: usize = 20;
    const HEIGHT: u64 = 90;
    let most = scales.counts.iter().copied().max().unwrap_or(0).max(1);
    let (width, height) = (scales.counts.len().max(8) * BAR + 4, HEIGHT + 22);
    let ty = escape(&scales.ty);
    let mut svg = format!(
        "<svg class=\"histogram\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Largest values of the blocks of {ty}, by \
         powers of two\">\n"
    );
    for (bin, count) in scales.counts.iter().enumerate() {
        let bar = (count * HEIGHT).div_ceil(most);
        let power = scales.first + bin as i32;
        let _ = writeln!(
            svg,
            "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{bar}\" rx=\"1\"><title>\
             2^{power} to 2^{}: {count} blocks</title></rect>",
            bin * BAR + 2,
            HEIGHT - bar,
            BAR - 3,
            power + 1,
        );
        if (power.rem_euclid(4)) == 0 {
            let _ = writeln!(
                svg,
                "<text class=\"layer\" x=\"{}\" y=\"{}\">2<tspan dy=\"-4\" \
                 class=\"power\">{power}</tspan></text>",
                bin * BAR + 2,
                HEIGHT + 15,
            );
        }
    }
    svg + "</svg>\n"
}

/// Bytes by role, as bars of a table.
pub(super) fn bar(share: f64) -> String {
    let width = (share * 100.0).clamp(0.0, 100.0);
    format!(
        "<svg class=\"share\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><rect class=\"track\" width=\"100\" height=\"8\"/><rect \
         class=\"bar\" width=\"{width:.2}\" height=\"8\"/></svg>"
    )
}
