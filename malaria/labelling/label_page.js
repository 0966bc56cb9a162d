"use strict";
const find = (id) => document.getElementById(id);
// What the program told once; the label of each cell: null for none, "" for skipped.
let setup, labels = [], version = 0;
// The cell that is shown, its label when it was, and the presses of this window that can be taken back.
let current = 0, seen = null, done = [];
// Requests wait for each other, so that presses arrive in the order in which they were made.
let queue = Promise.resolve(), hasFailed = false;
const presses = [], AHEAD = 4, POLL = 2000, LONG = 60;

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function ask(address, content) {
  const options = content === undefined ? {} : { method: "POST", body: JSON.stringify(content),
    headers: { "Content-Type": "application/json" } };
  const answer = await fetch(address, { cache: "no-store", ...options });
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({ error: `the program answered ${answer.status}` }));
  throw new Error(told.error);
}

function complain(error) {
  const text = error instanceof TypeError
    ? `The program has ended. All labels up to here are in ${setup?.table ?? "the table"}; start it again to go on.`
    : `Not saved: ${error.message}`;
  if (find("error").textContent !== text) find("error").textContent = text;
  find("error").hidden = false;
  hasFailed = true;
}

function recover() {
  if (!hasFailed) return;
  hasFailed = false;
  find("error").hidden = true;
}

// ---- labels

const nameOf = (label) => setup.labels.find((one) => one.label === label)?.name ?? "no label";

function take(told) {
  version = told.version;
  const changed = Object.entries(told.labels).filter(([number, label]) => labels[number] !== label);
  put(changed.map(([number, label]) => [Number(number), label]));
  return changed.length;
}

function put(pairs) {
  if (!pairs.length) return;
  for (const [number, label] of pairs) labels[number] = label;
  showProgress();
  drawSoon();
}

function send(changes) {
  put(changes.map(([number, , after]) => [number, after]));
  queue = queue.then(async () => {
    try {
      const told = await ask("labels", { version, changes });
      recover();
      take(told);
      if (told.refused.length) await refuse(told.refused);
      askFigures();
    } catch (error) {
      put(changes.map(([number, before]) => [number, before]));
      complain(error);
    }
  });
}

// Labelled in another window meanwhile: that label stays, until somebody presses again.
async function refuse(numbers) {
  take(await ask("labels/0"));
  done = done.filter((changes) => !changes.some(([number]) => numbers.includes(number)));
  const [first] = numbers;
  if (find("many").hidden) show(first);
  say(numbers.length === 1
    ? `Labelled ${nameOf(labels[first])} in another window; press again to change it.`
    : `${numbers.length} cells were labelled in another window and are as they were.`);
}

function press(label) {
  const isMany = !find("many").hidden;
  if (!isMany && !isSeen(label)) return say("The image is not there yet.");
  const numbers = isMany ? [...selected] : [current];
  // Not its label of now: another window may have given it since this one showed the cell.
  const changes = numbers.map((number) => [number, isMany ? labels[number] : seen, label]);
  if (!changes.length) return say("No cell is selected.");
  done.push(changes);
  presses.push([performance.now() / 1000, changes.length]);
  send(changes);
  if (isMany) {
    select([]);
    say(`${changes.length === 1 ? "1 cell" : `${changes.length} cells`}: ${nameOf(label)}`);
  } else {
    say(`${nameOf(label)}. ${find("progress").textContent}`);
    showNext();
  }
}

function undo() {
  const changes = done.pop();
  if (!changes) return say("Nothing to take back.");
  send(changes.map(([number, before, after]) => [number, after, before]));
  say(changes.length === 1 ? "Taken back." : `Taken back: ${changes.length} cells.`);
  if (find("many").hidden) show(changes[0][0]);
}

function say(text) { find("said").textContent = text; }

function showProgress() {
  const count = labels.filter((label) => label !== null).length, left = labels.length - count;
  find("bar").max = labels.length;
  find("bar").value = count;
  const gaps = presses.slice(1).map(([time, cells], place) => [time - presses[place][0], cells]);
  const [seconds, cells] = gaps.filter(([gap]) => gap < LONG).slice(-20)
    .reduce((sum, gap) => [sum[0] + gap[0], sum[1] + gap[1]], [0, 0]);
  const minutes = Math.round(seconds / cells * left / 60);
  const time = !cells || !left ? "" : minutes < 1 ? ", less than a minute left"
    : `, about ${minutes} minute${minutes === 1 ? "" : "s"} left`;
  find("progress").textContent = `${count} of ${labels.length} labelled${time}`;
  find("finished").hidden = left > 0;
}

// ---- one cell

// Its own element for each: an element with a new address shows the old picture until the new one is
// there, and a press would label a cell that nobody has seen.
const images = new Map();

function imageOf(number) {
  if (!images.has(number)) {
    const image = make("img", undefined, { src: `cell/${number}`, alt: "The cell to label", draggable: "false" });
    image.addEventListener("error", () => number === current && say("The image of this cell cannot be read any more: skip it."));
    images.set(number, image);
  }
  return images.get(number);
}

function show(number) {
  current = number;
  seen = labels[number];
  const image = imageOf(number), kept = new Set([number]);
  find("cell").replaceChildren(image);
  const [name, group] = setup.cells[number];
  const label = labels[number] === null ? "" : ` \u2013 labelled ${nameOf(labels[number])}`;
  find("name").textContent = `${name}${group === null ? "" : `, patient ${group}`}${label}`;
  showAround();
  for (let ahead = number; kept.size <= AHEAD;) {
    ahead = nextAfter(ahead);
    if (ahead === null || kept.has(ahead)) break;
    imageOf(ahead);
    kept.add(ahead);
  }
  for (const one of images.keys()) if (!kept.has(one)) images.delete(one);
}

function isSeen(label) {
  const image = imageOf(current);
  return image.complete && (image.naturalWidth > 0 || label === "");
}

function nextAfter(number) {
  for (let step = 1; step <= labels.length; step++) {
    const next = (number + step) % labels.length;
    if (labels[next] === null) return next;
  }
  return null;
}

function showNext() {
  const next = nextAfter(current);
  show(next === null ? current : next);
}

function showField() {
  find("around").hidden = !find("around").hidden;
  find("around-button").setAttribute("aria-pressed", !find("around").hidden);
  showAround();
}

function showAround() {
  const shown = find("around").hidden ? [] : [make("img", undefined, { src: `field/${current}`,
    alt: "The field around the cell, with its box", draggable: "false" })];
  find("field").replaceChildren(...shown);
}

// ---- many cells: only the rows on the screen are elements; the grid is one stop of Tab

// The numbers of the cells that fit the filter; the place among them of the one that has the focus.
let list = [], standing = 0, anchor = 0, isPainting = null;
const tiles = new Map(), selected = new Set(), WIDE = 104, HIGH = 124, AROUND = 3;

function fits(number) {
  const value = find("filter").value, label = labels[number];
  return value === "all" || (label === null ? value === "none" : value === `=${label}`);
}

function filter() {
  list = [...labels.keys()].filter(fits);
  const shown = new Set(list);
  for (const number of selected) if (!shown.has(number)) selected.delete(number);
  standing = Math.max(0, Math.min(standing, list.length - 1));
  draw();
}

const columnsOf = () => Math.max(1, Math.floor(find("grid").clientWidth / WIDE));

function draw() {
  if (find("many").hidden) return;
  const grid = find("grid"), columns = columnsOf(), rows = Math.ceil(list.length / columns);
  const top = -grid.getBoundingClientRect().top / HIGH;
  const first = Math.max(0, Math.floor(top) - AROUND), last = Math.ceil(top + innerHeight / HIGH) + AROUND;
  const shown = list.slice(first * columns, Math.max(0, last) * columns);
  grid.style.height = `${rows * HIGH}px`;
  find("window").style.transform = `translateY(${first * HIGH}px)`;
  find("window").style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
  const isShown = new Set(shown);
  for (const number of tiles.keys()) if (!isShown.has(number)) tiles.delete(number);
  shown.forEach((number, place) => showTile(number, first * columns + place));
  const elements = shown.map((number) => tiles.get(number)), now = find("window").children;
  if (elements.length !== now.length || elements.some((tile, place) => tile !== now[place])) {
    const focused = document.activeElement;
    find("window").replaceChildren(...elements);
    if (focused.isConnected && focused.matches(".tile")) focused.focus({ preventScroll: true });
  }
  find("selected").textContent = selected.size ? `${selected.size} selected` : "";
}

// Once for all that happens until the next picture of the screen.
let isDue = false;
function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; draw(); });
}

function makeTile(number) {
  const tile = make("div", undefined, { class: "tile", role: "option" });
  tile.append(make("img", undefined, { src: `cell/${number}`, alt: "", draggable: "false" }), make("span"));
  tile.dataset.number = number;
  tiles.set(number, tile);
  return tile;
}

function showTile(number, place) {
  const tile = tiles.get(number) ?? makeTile(number), label = labels[number];
  tile.lastChild.textContent = label === null ? "" : nameOf(label);
  tile.tabIndex = place === standing ? 0 : -1;
  for (const [name, value] of Object.entries({ "aria-selected": selected.has(number), "aria-setsize": list.length,
    "aria-posinset": place + 1, "aria-label": `Cell ${number + 1}, ${label === null ? "not labelled" : nameOf(label)}` })) {
    tile.setAttribute(name, value);
  }
}

function select(numbers) {
  selected.clear();
  for (const number of numbers) selected.add(number);
  draw();
}

function mark(number, isSelected) {
  if (isSelected) selected.add(number); else selected.delete(number);
}

function showMany() {
  const isMany = find("many").hidden;
  find("many").hidden = !isMany;
  find("one").hidden = isMany;
  find("around-button").hidden = isMany;
  find("many-button").setAttribute("aria-pressed", isMany);
  if (isMany) return filter();
  show(labels[current] === null ? current : nextAfter(current) ?? current);
}

function stand(place) {
  standing = place;
  const top = Math.floor(place / columnsOf()) * HIGH + find("grid").getBoundingClientRect().top;
  if (top < 0) scrollBy(0, top);
  const below = top + HIGH - find("answers").getBoundingClientRect().top;
  if (below > 0) scrollBy(0, below);
  draw();
  tiles.get(list[place])?.focus({ preventScroll: true });
}

function moveInGrid(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || !list.length) return;
  const columns = columnsOf(), number = list[standing];
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[event.key];
  if (step === undefined && event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  if (event.key === "Enter") { showMany(); return show(number); }
  if (event.key === " ") { mark(number, !selected.has(number)); return draw(); }
  stand(Math.max(0, Math.min(standing + step, list.length - 1)));
}

const numberOf = (event) => Number(event.target.closest?.(".tile")?.dataset.number ?? NaN);

find("grid").addEventListener("pointerdown", (event) => {
  const number = numberOf(event), place = list.indexOf(number);
  if (place < 0 || event.button !== 0) return;
  const isOn = !selected.has(number);
  if (event.pointerType === "mouse") isPainting = isOn;
  if (event.shiftKey) {
    const [from, to] = [anchor, place].sort((a, b) => a - b);
    list.slice(from, to + 1).forEach((one) => mark(one, isOn));
  } else if (event.pointerType === "mouse") mark(number, isOn);
  anchor = standing = place;
  drawSoon();
});
find("grid").addEventListener("pointerover", (event) => {
  const number = numberOf(event);
  if (isPainting === null || Number.isNaN(number)) return;
  mark(number, isPainting);
  drawSoon();
});
addEventListener("pointerup", () => { isPainting = null; });
// By finger, which may have scrolled; the mouse has done it already.
find("grid").addEventListener("click", (event) => {
  const number = numberOf(event);
  if (Number.isNaN(number) || event.pointerType === "mouse") return;
  mark(number, !selected.has(number));
  drawSoon();
});
find("grid").addEventListener("keydown", moveInGrid);
addEventListener("scroll", drawSoon, { passive: true });
addEventListener("resize", drawSoon);

// ---- what the labels say

let asking;
function askFigures() {
  clearTimeout(asking);
  asking = setTimeout(async () => {
    try { showFigures(await ask("figures")); } catch (error) { complain(error); }
  }, 500);
}

function showFigures(told) {
  find("lines").replaceChildren(...told.lines.map((line) => make("li", line)));
  find("rows").replaceChildren(...told.rows.map(([name, ...shares]) => {
    const row = make("tr");
    row.append(make("th", name, { scope: "row" }), ...shares.map((share) => make("td", share)));
    return row;
  }));
  find("shares").hidden = !told.rows.length;
}

// ---- keys, buttons, start

function makeButton(name, key, act) {
  const button = make("button", name, { type: "button", "aria-keyshortcuts": key });
  button.append(make("kbd", key));
  button.addEventListener("click", act);
  return button;
}

addEventListener("keydown", (event) => {
  if (!setup || event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("select")) return;
  const key = event.key.toUpperCase(), known = setup.labels.find((one) => one.key === key);
  const own = { Z: undo, F: () => find("many").hidden && showField(), G: showMany }[key];
  if (!known && !own) return;
  event.preventDefault();
  if (event.repeat) return; // a key that is held down labels one cell only
  if (known) press(known.label); else own();
});

async function poll() {
  if (document.hidden) return;
  queue = queue.then(async () => {
    try {
      const told = await ask(`labels/${version}`);
      recover();
      if (take(told)) askFigures();
    } catch (error) { complain(error); }
  });
}

async function start() {
  setup = await ask("cells");
  labels = setup.cells.map(() => null);
  for (const { label, name, key } of setup.labels) find("answers").append(makeButton(name, key, () => press(label)));
  find("answers").append(makeButton("Take back", "Z", undo));
  const around = makeButton("Field around it", "F", showField);
  around.id = "around-button";
  around.setAttribute("aria-pressed", false);
  find("answers").append(around);
  const choices = [["all", "all cells"], ["none", "not labelled"], ...setup.labels.map(({ label, name }) => [`=${label}`, label ? name : "skipped"])];
  find("filter").append(...choices.map(([value, text]) => make("option", text, { value })));
  find("notes").append(...setup.notes.map((note) => make("li", note)));
  find("where").textContent = `Labels of ${setup.who} go to ${setup.table} at each press.`;
  take(await ask("labels/0"));
  showProgress();
  show(nextAfter(labels.length - 1) ?? 0);
  askFigures();
  setInterval(poll, POLL);
  document.addEventListener("visibilitychange", poll);
}

find("filter").addEventListener("input", filter);
find("all").addEventListener("click", () => select(list));
find("none").addEventListener("click", () => select([]));
find("many-button").addEventListener("click", showMany);
start().catch(complain);
