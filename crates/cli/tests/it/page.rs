//! Pages about conversions, in a real browser.

use std::fs;
use std::process::Command;

use crate::common::{Folder, copy_checkpoint};
use serde_json::{Value, json};

/// A page that shows another one as wide as a telephone, and says how it looks.
const FRAME: &str = r#"<!DOCTYPE html><meta charset="utf-8"><pre id="said"></pre>
<iframe id="page" src="made.html" style="border: 0; width: 390px; height: 2000px"></iframe>
<script>
document.getElementById("page").onload = event => {
  const page = event.target.contentDocument, root = page.documentElement;
  const style = event.target.contentWindow.getComputedStyle(page.body);
  const isSeen = rect => rect.getBoundingClientRect().width > 0;
  console.info("looked at");
  document.getElementById("said").textContent = JSON.stringify({
    title: page.title,
    fits: root.scrollWidth <= root.clientWidth,
    paper: style.backgroundColor,
    ink: style.color,
    words: page.body.innerText.split(/\s+/).length,
    rectangles: [...page.querySelectorAll("svg rect")].filter(isSeen).length,
    outside: [...page.querySelectorAll("[src], [href]")].map(it => it.src || it.href)
      .filter(it => !/^(data:|file:.*#)/.test(it)),
  });
};
</script>
"#;

/// A page needs no network and no other file, fits a telephone, has light and dark colours, and
/// leaves nothing on the console.
#[test]
#[ignore = "needs Chromium, whose program CHROMIUM names: `cargo xtask ci page`"]
fn a_page_in_a_browser() {
    let browser = std::env::var("CHROMIUM").expect("CHROMIUM names the program");
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.run("convert ck -t Q4_K_M --effort 1 -o a.gguf --report made.html --quiet").ok();
    fs::write(folder.path("frame.html"), FRAME).unwrap();
    let mut papers = Vec::new();
    for (scheme, name) in [(0, "dark"), (1, "light")] {
        let output = Command::new(&browser)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .args(["--allow-file-access-from-files", "--enable-logging=stderr"])
            .args(["--virtual-time-budget=5000", "--timeout=60000"])
            .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
            .arg(format!("--user-data-dir={}", folder.path("profile").display()))
            .arg(format!("file://{}", folder.path("frame.html").display()))
            .output()
            .unwrap();
        let [dom, log] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(output.status.success(), "{log}");
        let console: Vec<_> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.len() == 1 && console[0].contains("looked at"), "{name}: {console:?}");
        let said = dom.split_once("<pre id=\"said\">").unwrap().1.split_once("</pre>").unwrap().0;
        let said: Value =
            serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {dom}"));
        assert_eq!((&said["fits"], &said["outside"]), (&json!(true), &json!([])), "{name}: {said}");
        assert!(said["title"].as_str().unwrap().contains("Ck"), "{said}");
        assert!(said["words"].as_u64() > Some(200), "{name}: {said}");
        assert!(said["rectangles"].as_u64() > Some(20), "{name}: {said}");
        let [paper, ink] = ["paper", "ink"].map(|key| brightness(said[key].as_str().unwrap()));
        assert!(paper.abs_diff(ink) > 450, "{name}: {said}");
        papers.push(paper);
    }
    assert!(papers[0] < 200 && papers[1] > 600, "{papers:?}");
}

/// The sum of the three parts of a colour such as `rgb(1, 2, 3)`.
fn brightness(colour: &str) -> u32 {
    let numbers = colour.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
    numbers.map(|text| text.parse::<u32>().unwrap()).sum()
}
