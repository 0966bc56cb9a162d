#!/usr/bin/env python3
"""Make the pictures of docs/laboratory.md, and docs/laboratory/run.txt, by which its figures stand.

    python docs/draw_laboratory.py

It does what the page tells, on drawn fields: a browser labels them by their truth.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from chromium import open_browser, press, run, set_screen
from selenium.webdriver.support.ui import WebDriverWait

from malaria.annotations.matching import match
from malaria.annotations.read_annotations import read_annotations
from malaria.data.dataset import LABELS
from malaria.labelling.label_table import read_labels

TOP = Path(__file__).resolve().parent.parent
INTO = TOP / "docs" / "laboratory"
WIDTH, QUALITY = 1000, 70
PATIENTS = {"P01": 1, "P02": 2}  # the seed of each one's fields
COUNTS = 200, 400
READ = "--image fields/ --fields --group_by folder --count_only"
LABEL = "python run.py --label fields/ --group_by folder --who Ana"
SHOWN = """
    const [done] = arguments;
    const isShown = (image) => image.getBoundingClientRect().top < innerHeight;
    const shown = [...document.images].filter(isShown);
    Promise.all(shown.map((one) => one.decode())).then(() => setTimeout(done, 500));
"""
TERMINAL = (
    "<body style='margin:0;background:#1e1e2e'><pre style='margin:0;padding:16px;color:#e6e6ee;"
    "font:14px/1.45 monospace;white-space:pre-wrap'>"
)


def main():
    """Go through it in a folder that is no more afterwards."""
    INTO.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        browser = open_browser(Path(folder, "profile"))
        try:
            (INTO / "run.txt").write_text("\n".join(go_through(browser)), encoding="utf-8")
        finally:
            browser.quit()


def go_through(browser):
    """Take every step, with its picture; gives what each one told."""
    started = time.monotonic()
    yield shoot_text(browser, "1-install", describe_machine())
    for patient, seed in PATIENTS.items():
        drawn = f"--strange_fields 10 --patients 1 --seed {seed} --out fields/{patient}"
        yield tell(f"python -m malaria draw {drawn}")
    draw_photographs()
    shoot_text(browser, "3-names", list_fields())
    before = tell(f"python run.py {READ} --report before.html")
    yield shoot_text(browser, "4-run", before)
    browser.get(Path("before.html").absolute().as_uri())
    shoot(browser, "5-page", "figure.whole-field")
    for count in COUNTS:
        yield label_all(browser, count)
    calibrate = "python run.py --calibrate labels.csv --threshold counting --save own.h5"
    yield shoot_text(browser, "8-calibrate", tell(calibrate))
    after = tell(f"python run.py --model own.h5 {READ} --report after.html")
    yield after
    browser.get(Path("after.html").absolute().as_uri())
    shoot(browser, "9-again", "h1")
    yield draw_shares(before, after)
    yield f"[all of it, with drawing and pictures: {time.monotonic() - started:.0f} s]\n"


def tell(command):
    """The command, what it tells but of each field, and how long it took."""
    _, *words = shlex.split(command)
    words = [str(TOP / one) if one == "run.py" else one for one in words]
    started = time.monotonic()
    known = os.environ | {"PYTHONPATH": str(TOP)}
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([sys.executable, *words], env=known, **piped)
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.splitlines() if "_field_" not in line]
    return "\n".join([f"$ {command}", *lines, f"[{time.monotonic() - started:.0f} s]", ""])


def describe_machine():
    """The versions, without where Python lies."""
    versions = tell("python -m malaria doctor").split("\ncores")[0]
    return re.sub(r"^(Python .*?),.*", r"\1", versions, flags=re.MULTILINE)


def list_fields():
    """How folders should look."""
    lines = ["fields/"]
    for patient in PATIENTS:
        lines += [f"    {patient}/", *(f"        IMG_{number:04}.png" for number in (1, 2, 3))]
        lines.append("        ...")
    return "\n".join(lines)


def shoot_text(browser, name, text):
    """A picture of the text as a terminal shows it; gives the text."""
    browser.get("about:blank")
    plain = text.replace("&", "&amp;").replace("<", "&lt;")
    browser.execute_script("document.write(arguments[0])", TERMINAL + plain)
    height = run(browser, "document.querySelector('pre').offsetHeight")
    set_screen(browser, width=WIDTH, height=height)
    shoot(browser, name, None)
    return text


def shoot(browser, name, selector):
    """A picture of the screen, scrolled to what is selected."""
    if selector:
        set_screen(browser, width=WIDTH, height=820)
        browser.execute_script("document.querySelector(arguments[0]).scrollIntoView()", selector)
    # A picture that has come is not yet on the screen.
    browser.execute_async_script(SHOWN)
    browser.save_screenshot("screen.png")
    save(Image.open("screen.png"), name)


def save(picture, name):
    picture.convert("RGB").save(INTO / f"{name}.webp", quality=QUALITY, method=6)


def draw_photographs():
    """One field as it should be, out of focus, and in other light."""
    with Image.open(sorted(Path("fields/P01").glob("*.png"))[0]) as field:
        good = field.convert("RGB").crop((0, 0, 500, 420))
    blurred = good.filter(ImageFilter.GaussianBlur(7))
    dim = Image.blend(good, Image.new("RGB", good.size, (110, 80, 10)), 0.55)
    whole = Image.new("RGB", (3 * 320 + 2 * 20, 269), "white")
    for place, one in enumerate((good, blurred, dim)):
        whole.paste(one.resize((320, 269)), (place * 340, 0))
    save(whole, "2-photographs")


def label_all(browser, count):
    """Label every cell that the page shows by its truth; gives what the page tells in the end."""
    command = f"{LABEL} --count {count}"
    words = [sys.executable, "-u", str(TOP / "run.py"), *shlex.split(command)[2:], "--no_browser"]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    address = next(filter(None, (re.search(r"http://\S+/", line) for line in server.stderr)))[0]
    set_screen(browser, width=WIDTH, height=820)
    browser.get(address)
    wait(browser, "setup !== undefined && find('cell').firstChild?.complete === true")
    keys, pressed, started = find_keys(browser), 0, time.monotonic()
    while run(browser, "labels.includes(null)"):
        wait(browser, "isSeen('')")
        if count == COUNTS[0] and pressed == 5:
            shoot_field(browser)
        press(browser, keys[run(browser, "current")])
        pressed += 1
    browser.execute_async_script("queue.then(arguments[0])")
    took = time.monotonic() - started
    wait(browser, f"find('lines').textContent.includes('labelled {count}, ')")
    shoot(browser, "7-figures", "#figures")
    told = run(browser, "find('figures').innerText")
    server.send_signal(signal.SIGINT)
    server.communicate()
    lines = [line for line in told.splitlines() if "_field_" not in line]
    return "\n".join([f"$ {command}", *lines, f"[{pressed} keys pressed in {took:.0f} s]", ""])


def shoot_field(browser):
    press(browser, "f")
    wait(browser, "find('field').firstChild.complete")
    shoot(browser, "6-label", "h1")
    press(browser, "f")


def find_keys(browser):
    """The right key for each cell: all are skipped at once, looked up in the table, taken back."""
    press(browser, "g")
    browser.execute_script("find('all').click()")
    press(browser, "s")
    browser.execute_async_script("queue.then(arguments[0])")
    rows = [*read_labels(Path("labels.csv")).values()][-run(browser, "labels.length") :]
    press(browser, "z", "g")
    browser.execute_async_script("queue.then(arguments[0])")
    known = {}
    for path in {row.path for row in rows}:
        annotations = read_annotations(path.with_name("truth.csv"))
        annotations.assign([path])
        cells, _ = annotations.read(path, Image.open(path).size)
        ours = [row for row in rows if row.path == path]
        pairs = match([row.box for row in ours], [one.box for one in cells])
        known |= {ours[found].key: cells[place].label for found, place in pairs.items()}
    return [known.get(row.key, "x")[0].lower() for row in rows]


def wait(browser, condition):
    WebDriverWait(browser, 20, poll_frequency=0.02).until(lambda browser: run(browser, condition))


def draw_shares(before, after):
    """The shares of each patient before and after beside the drawn truth; gives the latter."""
    plt.rcParams["svg.hashsalt"] = "laboratory"  # the same names of its parts each time
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    told = []
    for place, patient in enumerate(PATIENTS):
        table = Path("fields", patient, "truth.csv").read_text("utf-8-sig")
        cells, sick = table.count("_field_"), table.count(LABELS[0])
        told.append(f"truth of {patient}: {sick} of {cells} cells, {sick / cells:.1%}")
        for text, shift, colour in ((before, -0.15, "#b5472f"), (after, 0.15, "#2f6db5")):
            share, low, high = map(float, find_share(text, patient))
            around = [[share - low], [high - share]]
            axes.errorbar(share, place + shift, xerr=around, fmt="o", color=colour, capsize=4)
        axes.plot([100 * sick / cells] * 2, [place - 0.35, place + 0.35], color="black")
    axes.set(xlabel="parasitized, % of red cells", ylim=(-0.6, len(PATIENTS) - 0.4), xlim=(0, None))
    axes.invert_yaxis()
    axes.set_yticks(range(len(PATIENTS)), PATIENTS)
    title = f"upper, red: before; lower, blue: with {COUNTS[-1]} labels; line: the drawn truth"
    axes.set_title(title, size=9)
    figure.savefig(INTO / "10-number.svg", metadata={"Date": None})
    return "\n".join(told) + "\n"


def find_share(text, patient):
    """Share, low and high of a patient in the table of --fields, %."""
    line = re.search(rf"^patient {patient} .*$", text, re.MULTILINE)[0]
    return re.findall(r"([\d.]+)%", line)


if __name__ == "__main__":
    main()
