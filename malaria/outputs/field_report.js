"use strict";
// All is in the page already; this chooses, orders and moves. Links lead from box to cell and back.
const all = (selector) => [...document.querySelectorAll(selector)];
const find = (id) => document.getElementById(id);
const form = find("choose"), fields = find("all-fields");
// [of fields, of the cells of each]: the smallest comes first.
const orders = {
  given: [() => 0, () => 0],
  doubtful: [(field) => -field.doubtful, () => 0],
  probable: [(field) => -field.positive, (cell) => -cell.probability],
};
let ordered = "given";
let last = fields; // what had the focus last, of the fields and all in them

function choose() {
  const kinds = new FormData(form).getAll("kind"), patient = form.patient?.value;
  for (const element of all("[data-kind]")) {
    element.toggleAttribute("hidden", !kinds.includes(element.dataset.kind));
  }
  for (const field of fields.children) {
    field.hidden = Boolean(patient) && field.dataset.patient !== patient;
  }
  if (form.order.value !== ordered) order(form.order.value);
  const shown = all(".whole-field:not([hidden])").length, count = (number) => number.toLocaleString("en");
  find("status").textContent = `${count(shown)} of ${count(fields.childElementCount)} fields`;
}

function order(name) {
  const [ofField, ofCell] = orders[ordered = name];
  sort(fields, ofField);
  all(".seen").forEach((cells) => sort(cells, ofCell));
}

function sort(parent, key) {
  const compare = (a, b) => key(a) - key(b) || a.place - b.place;
  parent.append(...[...parent.children].sort((a, b) => compare(a.dataset, b.dataset)));
}

// To the next of these after what had the focus last, or, by -1, to the one before it.
function move(selector, by) {
  const side = by > 0 ? Node.DOCUMENT_POSITION_FOLLOWING : Node.DOCUMENT_POSITION_PRECEDING;
  const there = all(selector).filter((element) =>
    !element.closest("[hidden]") && last.compareDocumentPosition(element) & side);
  there.at(by > 0 ? 0 : -1)?.focus();
}

function moveByKey(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, select, .scroll")) return;
  event.preventDefault();
  move(event.shiftKey ? ".whole-field" : ".seen a", by);
}

// The box of the cell that has the focus, or the cell of the box, is seen too.
function mark(event) {
  last = event.target;
  document.querySelector(".is-current")?.classList.remove("is-current");
  const other = last.getAttribute("href");
  if (other) find(other.slice(1)).classList.add("is-current");
}

if (form) {
  all("[hidden]").forEach((element) => { element.hidden = false; });
  form.addEventListener("reset", () => setTimeout(choose)); // the fields are emptied after this event
  document.addEventListener("input", choose);
  document.addEventListener("keydown", moveByKey);
  document.addEventListener("click", ({ target }) => {
    if (target.dataset.move) move(target.dataset.move, Number(target.dataset.by));
  });
  fields.addEventListener("focusin", mark);
  choose();
}
