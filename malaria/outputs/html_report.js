"use strict";
const { cells, labels, positive, unknownGroup } = JSON.parse(find("data").textContent);
const form = find("choose"), grid = find("grid"), dialog = find("cell");
const compareText = new Intl.Collator("en", { numeric: true }).compare;
// So many tiles are added at a time: the first are there at once, however many follow. Not
// content-visibility for each tile: with 27,000 of them Chromium needs 20 seconds instead of 5.
const CHUNK = 1000;
const tiles = []; // of `cells`, each made when it is first shown
let shown = [];   // places in `cells`: those that the choice leaves, in its order
let current = 0;  // the place in `shown` that the keyboard stands on
let standing;     // its button, the one that Tab reaches
let filling;      // the timer of the next tiles

function find(id) { return document.getElementById(id); }

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function makeTile(cell, place) {
  const item = make("li"), button = make("button", "tile");
  button.type = "button";
  button.tabIndex = -1;
  button.title = cell.unlike === null ? cell.name : `${cell.name}: ${cell.unlike}`;
  button.dataset.place = place;
  const reason = () => make("span", "reason", cell.error);
  button.append(cell.image ? makeImage(cell.image, baseName(cell)) : reason(), ...captions(cell));
  item.append(button);
  return item;
}

function makeImage(address, description) {
  const image = make("img");
  image.alt = description;
  image.decoding = "async";
  image.src = address;
  return image;
}

function baseName(cell) { return cell.name.split("/").pop(); }

// Colour is never alone: a filled circle is positive, an empty one is not, a cross is a mistake.
function captions(cell) {
  if (cell.label === null) {
    return ["\u26a0 unreadable", baseName(cell)].map((text) => make("span", "says", text));
  }
  const sign = cell.label === positive ? "\u25cf" : labels.includes(cell.label) ? "\u25cb" : "?";
  const number = make("span", "says number");
  number.append(make("span", "", format(cell.positive, 3)));
  if (cell.wrong) number.append(make("span", "is-wrong", "\u2717 wrong"));
  return [make("span", `says ${colourOf(cell)}`, `${sign} ${cell.label}`), number];
}

function colourOf(cell) { return cell.label === positive ? "is-positive" : ""; }

function format(probability, digits) {
  return probability === null ? "\u2013" : probability.toFixed(digits);
}

// ---- which tiles, in which order

const orders = {
  path: () => 0,
  high: (a, b) => (b.positive ?? -1) - (a.positive ?? -1),
  low: (a, b) => (a.positive ?? 2) - (b.positive ?? 2),
  group: (a, b) => compareText(groupOf(a), groupOf(b)),
  mistakes: (a, b) => b.wrong - a.wrong || trueProbability(a) - trueProbability(b),
};

function groupOf(cell) { return cell.group ?? unknownGroup; }

function trueProbability(cell) { return cell.probabilities[labels.indexOf(cell.truth)] ?? 2; }

// The value of an option is "=" and a name, so that no name can mean "all" or "unreadable".
function makeFilter() {
  const label = form.label.value, group = form.group?.value, text = form.text.value.toLowerCase();
  const from = Number(form.from.value || 0), to = Number(form.to.value || 1);
  const every = from <= 0 && to >= 1, onlyWrong = form.wrong?.checked;
  return (cell) =>
    (!label || label === (cell.label === null ? "unreadable" : `=${cell.label}`)) &&
    (!group || group === `=${groupOf(cell)}`) &&
    (every || (cell.positive !== null && cell.positive >= from && cell.positive <= to)) &&
    (!onlyWrong || cell.wrong) &&
    cell.name.toLowerCase().includes(text);
}

function choose() {
  const fits = makeFilter(), order = orders[form.order.value];
  shown = [...cells.keys()].filter((place) => fits(cells[place]));
  shown.sort((a, b) => order(cells[a], cells[b]) || a - b);
  grid.replaceChildren();
  fill();
  const count = (number) => number.toLocaleString("en");
  find("status").textContent = shown.length
    ? `${count(shown.length)} of ${count(cells.length)} images` : "No image fits this choice.";
  stand(0);
}

function fill(count = CHUNK) {
  clearTimeout(filling);
  const fragment = document.createDocumentFragment(), first = grid.childElementCount;
  for (const place of shown.slice(first, first + count)) {
    fragment.append(tiles[place] ??= makeTile(cells[place], place));
  }
  grid.append(fragment);
  if (first + count < shown.length) filling = setTimeout(fill, 30);
}

// ---- the keyboard: the grid is one stop of Tab, arrows move within it

function stand(place) {
  if (place >= grid.childElementCount) fill(Infinity);
  current = Math.max(0, Math.min(place, shown.length - 1));
  if (standing) standing.tabIndex = -1;
  standing = grid.children[current]?.firstChild;
  if (standing) standing.tabIndex = 0;
  return standing;
}

function stepOf(key) {
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  return { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns,
    Home: -Infinity, End: Infinity }[key];
}

function moveInGrid(event) {
  const step = stepOf(event.key), next = current + step;
  if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (Number.isFinite(step) && (next < 0 || next >= shown.length)) return;
  stand(next)?.focus();
}

// ---- one image, large

function openCell(place) {
  stand(place);
  const cell = cells[shown[current]];
  find("cell-name").textContent = baseName(cell);
  find("cell-pictures").replaceChildren(...largeImages(cell));
  find("cell-details").replaceChildren(...details(cell).flatMap(([term, text, kind]) =>
    [make("dt", "", term), make("dd", kind, text)]));
  find("cell-link").hidden = !cell.link;
  if (cell.link) find("cell-link").href = cell.link;
  // Not `disabled`: that would take the focus, and the arrow keys with it.
  find("before").setAttribute("aria-disabled", current === 0);
  find("after").setAttribute("aria-disabled", current === shown.length - 1);
  find("cell-place").textContent = `${current + 1} of ${shown.length}`;
  if (!dialog.open) dialog.showModal();
}

function largeImages(cell) {
  const thumbnail = [cell.image, "Thumbnail, enlarged"];
  const overlay = [cell.overlay, "Grad-CAM: where the network looked"];
  return [thumbnail, overlay].filter(([address]) => address).map(([address, text]) => {
    const figure = make("figure");
    figure.append(makeImage(address, text), make("figcaption", "", text));
    return figure;
  });
}

function details(cell) {
  const lines = [["Path", cell.name]];
  const failure = cell.label === null ? "Unreadable" : "No image";
  if (cell.error !== null) lines.push([failure, cell.error]);
  if (cell.label !== null) lines.push(["Label", cell.label, colourOf(cell)]);
  if (cell.unlike !== null) lines.push(["Unlike a cell", cell.unlike]);
  if (cell.wrong) lines.push(["True label", `${cell.truth} \u2013 mistake`, "is-wrong"]);
  else if (cell.truth !== null) lines.push(["True label", cell.truth]);
  cell.probabilities.forEach((value, number) =>
    lines.push([`Probability of ${labels[number]}`, format(value, 4)]));
  if (cell.group !== null) lines.push(["Patient or folder", cell.group]);
  return lines;
}

function moveInDialog(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && shown[current + step] !== undefined) openCell(current + step);
}

// ---- tables that can be sorted

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (head.classList.contains("unsorted")) return;
    const button = make("button", "", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => sortTable(table, head, column));
    head.replaceChildren(button);
  });
}

// Names begin with A, numbers with the largest; again turns it round.
function sortTable(table, head, column) {
  const other = { ascending: "descending", descending: "ascending" };
  const direction = other[head.getAttribute("aria-sort")] ?? (column === 0 ? "ascending" : "descending");
  const compare = column === 0 ? compareText : (a, b) => a - b;
  const valueOf = (row) => row.cells[column].dataset.value;
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].sort((a, b) => sign * compare(valueOf(a), valueOf(b)));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  table.tBodies[0].append(...rows);
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
form.addEventListener("input", choose);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(choose)); // the fields are emptied after this event
grid.addEventListener("keydown", moveInGrid);
grid.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) openCell(shown.indexOf(Number(button.dataset.place)));
});
dialog.addEventListener("keydown", moveInDialog);
dialog.addEventListener("close", () => standing?.focus());
find("before").addEventListener("click", () => openCell(current - 1));
find("after").addEventListener("click", () => openCell(current + 1));
find("close").addEventListener("click", () => dialog.close());
addEventListener("beforeprint", () => fill(Infinity));
form.hidden = false;
choose();

