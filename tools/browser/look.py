#!/usr/bin/env python3
"""Look at pages of `granule report` in a real browser: screenshots, and what must not happen.

    look.py PAGE.html... [--out FOLDER] [--browser chromium]

Each page is shown light, dark and as wide as a phone, without scripts. It is a failure if the browser
logs anything, if something is fetched from elsewhere, if the page is wider than the window, if a
picture has no name, or if text has too little contrast. The screenshots are for the eye: FOLDER has
PAGE-light.png, PAGE-dark.png and PAGE-phone.png. Needs Chromium and nothing else; without Chromium
the exit status is 77.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

VIEWS = [("light", 1100, False), ("dark", 1100, True), ("phone", 390, False)]

# in the page: what is wrong with it
CHECK = """
(() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth) wrong.push(`${root.scrollWidth} wide`);
  for (const svg of document.querySelectorAll('svg'))
    if (!svg.hasAttribute('aria-label') && !svg.hasAttribute('aria-hidden')) wrong.push('a picture without a name');
  const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((x) => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(parse(getComputedStyle(document.body).backgroundColor));
  for (const one of document.querySelectorAll('h1, h2, p, dt, dd, th, td, summary, figcaption, li, footer')) {
    const ink = light(parse(getComputedStyle(one).color));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) { wrong.push(`contrast ${contrast.toFixed(1)} of ${one.tagName}`); break; }
  }
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one heading');
  return wrong;
})()
"""


class Browser:
    """A browser that is told what to do by its debugging pipe."""

    def __init__(self, program, profile):
        to_browser, self.out = os.pipe()
        self.input, from_browser = os.pipe()

        def connect():
            # the pipe is at the descriptors 3 and 4, which may be those of the other ends
            one, other = os.dup(to_browser), os.dup(from_browser)
            os.dup2(one, 3)
            os.dup2(other, 4)

        command = [program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
                   "--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(command, preexec_fn=connect, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.events = b"", 0, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self):
        while b"\0" not in self.buffer:
            more = os.read(self.input, 1 << 16)
            if not more:
                sys.exit("the browser has ended")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **parameters):
        self.number += 1
        question = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            question["sessionId"] = self.session
        os.write(self.out, json.dumps(question).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def end(self):
        self.process.terminate()
        self.process.wait()


def faults(events):
    """What the browser had to say, and what it asked the network for."""
    for event in events:
        method, about = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded":
            yield f"log: {about['entry']['text']}"
        elif method == "Runtime.consoleAPICalled":
            yield f"console: {about['type']}"
        elif method == "Runtime.exceptionThrown":
            yield f"exception: {about['exceptionDetails']['text']}"
        elif method == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if not url.startswith(("file:", "data:")):
                yield f"fetched: {url}"


def look(browser, page, folder):
    found = []
    for name, width, dark in VIEWS:
        browser.events.clear()
        for domain in ["Page", "Log", "Runtime", "Network"]:
            browser.ask(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.ask("Emulation.setEmulatedMedia", features=[scheme])
        browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
                    mobile=width < 500)
        browser.ask("Emulation.setScriptExecutionDisabled", value=True)
        browser.ask("Page.navigate", url=page.resolve().as_uri())
        browser.wait("Page.loadEventFired")
        wrong = browser.ask("Runtime.evaluate", expression=CHECK, returnByValue=True)["result"].get("value")
        found += [f"{page.name}, {name}: {fault}" for fault in ["not checked"] if wrong is None]
        found += [f"{page.name}, {name}: {fault}" for fault in [*(wrong or []), *faults(browser.events)]]
        shot = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        (folder / f"{page.stem}-{name}.png").write_bytes(base64.b64decode(shot))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--browser", default="chromium")
    options = parser.parse_args()
    program = shutil.which(options.browser)
    if not program:
        print(f"{options.browser} is not there; nothing was looked at", file=sys.stderr)
        sys.exit(77)
    options.out.mkdir(parents=True, exist_ok=True)
    found = []
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(program, profile)
        for page in options.pages:
            found += look(browser, page, options.out)
        browser.end()
    print("\n".join(found) if found else f"{len(options.pages)} pages, nothing to say")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
