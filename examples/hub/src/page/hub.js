// The page of the hub. Names of models are strangers' text: they only ever become text nodes.
"use strict";

const el = (id) => document.getElementById(id);

/** Makes an element with classes and children; strings become text. */
function make(tag, classes, ...children) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

async function ask(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ? body.error.message : response.statusText);
  return body;
}

const percent = (share) => {
  if (share === null || share === undefined) return "";
  const value = 100 * share;
  if (value > 99.9 && value < 100) return "> 99.9 %";
  return `${value.toFixed(value < 10 || value > 99 ? 1 : 0)} %`;
};

const address = (id) => `/models/${encodeURIComponent(id)}`;

// ---- The list -------------------------------------------------------------------------------------------

const list = { query: "", after: null, asked: 0, generation: 0 };

async function showList(more) {
  const asked = ++list.asked;
  const after = more ? list.after : "";
  const query = new URLSearchParams({ query: list.query, after, limit: "100" });
  const found = await ask(`/models?${query}`);
  if (asked !== list.asked) return;
  const rows = found.models.map((model) => {
    const from = model.pending
      ? "being worked out"
      : model.parent === null ? "no parent here" : `from ${model.parent}`;
    const button = make("button", "", model.id, make("span", "from", from));
    button.type = "button";
    button.dataset.id = model.id;
    button.addEventListener("click", () => choose(model.id));
    return make("li", "", button);
  });
  if (more) el("results").append(...rows);
  else el("results").replaceChildren(...rows);
  list.after = found.next;
  el("more").hidden = found.next === null;
  el("summary").textContent = list.query
    ? `${found.matches} of ${found.total} models match`
    : `${found.total} models`;
  markCurrent();
}

function markCurrent() {
  for (const button of el("results").querySelectorAll("button")) {
    if (button.dataset.id === shown.id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

// ---- The tree -------------------------------------------------------------------------------------------

/** The tree that is shown: nodes with their children, and the elements of those that were drawn. */
const shown = { id: null, generation: 0, nodes: [], byId: new Map(), active: null };

/** How many rows are open at first. */
const OPEN_AT_FIRST = 200;

/** How many rows are added to the page at once. */
const AT_ONCE = 400;

async function choose(id, keepFocus) {
  shown.id = id;
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  markCurrent();
  el("message").textContent = "Loading…";
  try {
    const lineage = await ask(`${address(id)}?wait=20`);
    const isShown = shown.byId.has(id) && shown.generation === lineage.generation;
    const tree = isShown || lineage.pending || lineage.problem ? null : await ask(`${address(id)}/tree`);
    if (shown.id !== id) return;
    el("message").textContent = "";
    if (tree) setTree(tree);
    reveal(shown.byId.get(id), keepFocus);
    showDetail(lineage);
  } catch (error) {
    if (shown.id === id) el("message").textContent = error.message;
  }
}

function setTree(tree) {
  const before = shown.byId;
  shown.generation = tree.generation;
  shown.nodes = tree.models.map((model) => ({ ...model, children: [], element: null, open: false, below: 0 }));
  shown.byId = new Map(shown.nodes.map((node) => [node.id, node]));
  for (const node of shown.nodes) {
    node.up = node.at === null ? null : shown.nodes[node.at];
    if (node.up) node.up.children.push(node);
  }
  for (const node of [...shown.nodes].reverse()) {
    for (const child of node.children) node.below += child.below + 1;
  }
  // The first levels are open, as many as there is room for.
  let level = shown.nodes.filter((node) => !node.up);
  let rows = level.length;
  while (level.length) {
    const next = level.flatMap((node) => node.children);
    rows += next.length;
    if (rows > OPEN_AT_FIRST && level[0].up) break;
    for (const node of level) node.open = node.children.length > 0;
    level = next;
  }
  // What was open stays open where the family is the one that was shown.
  for (const node of shown.nodes) {
    const old = before.get(node.id);
    if (old) node.open = old.open && node.children.length > 0;
  }
  const roots = shown.nodes.filter((node) => !node.up);
  const count = shown.nodes.length;
  el("family-title").textContent = `Family of ${roots[0].id} (${count} model${count === 1 ? "" : "s"})`;
  drawAll(roots);
  shown.active = null;
  setActive(roots[0]);
}

/** What a screen reader says of a row. */
function label(node) {
  const parts = [node.id];
  if (node.parent !== null) {
    parts.push(`${node.kind} from ${node.parent}`);
    if (node.probability !== null) parts.push(`probability ${percent(node.probability)}`);
  } else {
    parts.push(node.placed ? "root" : "nothing can be said of where it comes from");
  }
  if (node.merged_from) parts.push(`merged from ${node.merged_from.map((part) => part.parent).join(", ")}`);
  for (const warning of node.warnings) parts.push(`warning: ${warning}`);
  if (node.below) parts.push(`${node.below} below`);
  return parts.join(", ");
}

/** Draws the trees with these roots. */
function drawAll(roots) {
  const open = [];
  el("tree").replaceChildren(...roots.map((root, at) => draw(root, at, roots.length, open)));
  fill(open);
}

/** Draws the children of open nodes, and so on, without recursion: a chain may be thousands long. */
function fill(open) {
  while (open.length) {
    const node = open.pop();
    node.element.append(group(node, open));
  }
}

/** Draws a node; one that is open is added to the list of those whose children are to be drawn. */
function draw(node, at, siblings, open) {
  const row = make("div", "row", make("span", "turn"), make("span", "name", node.id));
  if (node.parent !== null) row.append(make("span", `kind ${node.kind}`, node.kind));
  if (node.probability !== null) {
    row.append(make("span", node.probability < 0.9 ? "sure low" : "sure", percent(node.probability)));
  }
  if (!node.placed) row.append(make("span", "count", "nothing can be said of where it comes from"));
  if (node.merged_from) row.append(make("span", "kind merged", `merged from ${node.merged_from.length}`));
  for (const warning of node.warnings) row.append(make("span", "warn", `⚠ ${warning}`));
  if (node.below) row.append(make("span", "count", `${node.below} below`));
  const item = make("li", "", row);
  item.setAttribute("role", "treeitem");
  item.setAttribute("aria-label", label(node));
  item.setAttribute("aria-posinset", at + 1);
  item.setAttribute("aria-setsize", siblings);
  item.setAttribute("aria-selected", "false");
  item.tabIndex = -1;
  let depth = 1;
  for (let above = node.up; above; above = above.up) depth += 1;
  item.setAttribute("aria-level", depth);
  row.addEventListener("click", (event) => {
    event.stopPropagation();
    if (event.target.classList.contains("turn") && node.children.length) toggle(node, !node.open);
    else pick(node);
  });
  row.addEventListener("dblclick", () => toggle(node, !node.open));
  item.node = node;
  node.element = item;
  if (node.children.length) item.setAttribute("aria-expanded", String(node.open));
  if (node.open) open.push(node);
  return item;
}

/** The list of a node's children, or of the first of them: the rest follows when there is time. */
function group(node, open) {
  const list = make("ul", "");
  list.setAttribute("role", "group");
  const count = node.children.length;
  const add = (from, open) => {
    const end = Math.min(from + AT_ONCE, count);
    for (let at = from; at < end; at += 1) list.append(draw(node.children[at], at, count, open));
    node.drawn = end;
  };
  const addNow = () => {
    const below = [];
    add(node.drawn, below);
    fill(below);
  };
  node.drawMore = () => { while (node.drawn < count) addNow(); };
  add(0, open);
  // The rest when the page has time, so that it answers while thousands of rows are made.
  const rest = () => {
    if (node.drawn >= count || !list.isConnected) return;
    addNow();
    setTimeout(rest, 0);
  };
  if (node.drawn < count) setTimeout(rest, 0);
  return list;
}

function toggle(node, open) {
  if (!node.children.length || node.open === open) return;
  if (!open && shown.active !== node && isBelow(shown.active, node)) setActive(node, true);
  node.open = open;
  if (!node.element) return;
  node.element.setAttribute("aria-expanded", String(open));
  if (open) {
    fill([node]);
  } else {
    node.element.querySelector(":scope > [role=group]").remove();
    forget(node);
  }
}

/** What is below a closed node isn't on the page. */
function forget(node) {
  const waiting = [...node.children];
  while (waiting.length) {
    const below = waiting.pop();
    if (below.element) {
      below.element = null;
      waiting.push(...below.children);
    }
  }
}

function isBelow(node, top) {
  for (let above = node; above; above = above.up) if (above === top) return true;
  return false;
}

function reveal(node, keepFocus) {
  if (!node) return;
  const path = [];
  for (let above = node.up; above; above = above.up) path.push(above);
  for (const above of path.reverse()) {
    toggle(above, true);
    if (above.drawMore) above.drawMore();
  }
  for (const other of el("tree").querySelectorAll('[aria-selected="true"]')) {
    other.setAttribute("aria-selected", "false");
  }
  node.element.setAttribute("aria-selected", "true");
  setActive(node, keepFocus);
}

/** One row at a time can be reached with the tab key. */
function setActive(node, focus) {
  if (shown.active && shown.active.element) shown.active.element.tabIndex = -1;
  shown.active = node;
  if (!node.element) return;
  node.element.tabIndex = 0;
  if (focus) node.element.focus({ preventScroll: true });
  node.element.querySelector(".name").scrollIntoView({ block: "nearest", inline: "nearest" });
}

function pick(node) {
  setActive(node, true);
  choose(node.id, true);
}

/** The row after or before one, of those that can be seen. */
function next(node) {
  if (node.open && node.children.length) return node.children[0];
  for (let at = node; at; at = at.up) {
    const sibling = siblings(at)[siblings(at).indexOf(at) + 1];
    if (sibling) return sibling;
  }
  return null;
}

function previous(node) {
  const before = siblings(node)[siblings(node).indexOf(node) - 1];
  return before ? last(before) : node.up;
}

function last(node) {
  while (node.open && node.children.length) node = node.children[node.children.length - 1];
  return node;
}

const siblings = (node) => (node.up ? node.up.children : shown.nodes.filter((other) => !other.up));

const typed = { text: "", at: 0 };

/** The next row that can be seen whose name begins with what was typed. */
function jump(node, key) {
  const now = Date.now();
  typed.text = now - typed.at < 700 ? typed.text + key : key;
  typed.at = now;
  const text = typed.text.toLowerCase();
  const root = siblings(shown.nodes[0])[0];
  let at = typed.text.length > 1 ? node : next(node) || root;
  for (let tries = 0; tries <= shown.nodes.length; tries += 1) {
    if (at.id.toLowerCase().startsWith(text)) return at;
    at = next(at) || root;
  }
  return null;
}

function onKey(event) {
  const node = shown.active;
  if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
  let to = null;
  switch (event.key) {
    case "ArrowDown": to = next(node); break;
    case "ArrowUp": to = previous(node); break;
    case "ArrowRight":
      if (!node.children.length) break;
      if (node.open) to = node.children[0];
      else toggle(node, true);
      break;
    case "ArrowLeft":
      if (node.open && node.children.length) toggle(node, false);
      else to = node.up;
      break;
    case "Home": to = shown.nodes[0]; break;
    case "End": to = last(siblings(shown.nodes[0]).at(-1)); break;
    case "Enter": case " ": pick(node); break;
    case "*": for (const sibling of siblings(node)) toggle(sibling, true); break;
    case "+": setZoom(zoom + 1); break;
    case "-": setZoom(zoom - 1); break;
    default:
      if (event.key.length !== 1) return;
      to = jump(node, event.key);
  }
  event.preventDefault();
  if (to) {
    if (to.up && to.up.drawMore && !to.element) to.up.drawMore();
    setActive(to, true);
  }
}

function setAll(open) {
  if (!shown.nodes.length) return;
  const active = shown.active;
  for (const node of shown.nodes) node.open = open && node.children.length > 0;
  for (const node of shown.nodes) node.element = null;
  const roots = siblings(shown.nodes[0]);
  drawAll(roots);
  if (open) {
    reveal(shown.byId.get(shown.id) || active);
  } else {
    setActive(roots[0]);
  }
}

// ---- Zoom -----------------------------------------------------------------------------------------------

const ZOOMS = [50, 60, 70, 80, 90, 100, 115, 130, 150, 180, 220];
let zoom = ZOOMS.indexOf(100);

function setZoom(to) {
  zoom = Math.max(0, Math.min(ZOOMS.length - 1, to));
  el("tree").style.fontSize = `${(14 * ZOOMS[zoom]) / 100}px`;
  el("zoom").textContent = `${ZOOMS[zoom]} %`;
}

// ---- One model ------------------------------------------------------------------------------------------

function link(id) {
  const button = make("button", "link", id);
  button.type = "button";
  button.addEventListener("click", () => choose(id));
  return button;
}

function showDetail(model) {
  const terms = [];
  const term = (name, ...values) => {
    if (values.some((value) => value !== null && value !== undefined && value !== "")) {
      terms.push(make("dt", "", name), make("dd", "", ...values));
    }
  };
  el("detail-title").textContent = model.id;
  if (model.pending) {
    el("detail").replaceChildren(make("p", "", "Where it comes from is being worked out."));
    return;
  }
  if (model.problem) {
    el("detail").replaceChildren(make("p", "warn", `This model can't be compared: ${model.problem}`));
    return;
  }
  if (model.parent !== null) term("Parent", link(model.parent), ` ${percent(model.probability)}`);
  else term("Parent", model.placed ? `none here ${percent(model.probability)}` : "unknown");
  if (model.joined !== undefined) term("In either direction", percent(model.joined));
  if (model.runner_up) {
    const other = model.runner_up.parent === null ? "no parent" : link(model.runner_up.parent);
    term("Runner-up", other, ` ${percent(model.runner_up.probability)}`);
  }
  term("Kind", model.rank === undefined ? model.kind : `${model.kind} of rank ${model.rank}`);
  if (model.matrices) term("Compared", `${model.matrices[0]} of ${model.matrices[1]} matrices`);
  if (model.kinship_log10_p !== undefined) term("Kinship", `p ≤ 10^${model.kinship_log10_p.toFixed(1)}`);
  if (model.distance !== undefined) term("Distance", model.distance.toPrecision(4));
  if (model.merged_from) {
    const parts = model.merged_from.map((part) => make("li", "", link(part.parent), ` × ${part.weight.toPrecision(3)}`));
    term("Merged from", make("ul", "", ...parts));
  }
  if (model.alike) term("Alike", `${model.alike.parents.length} models are equally likely to be the parent`);
  if (model.stated) term("Card", `base_model: ${model.stated.base_model.join(", ")}. ${model.stated.says}`);
  if (model.ancestors.length > 1) {
    term("Ancestors", make("ul", "", ...model.ancestors.slice(0, 50).map((id) => make("li", "", link(id)))));
  }
  if (model.child_count) {
    const most = 30;
    const children = model.children.slice(0, most);
    const rows = children.map((child) => make("li", "", link(child.id), ` ${percent(child.probability)}`));
    if (model.child_count > most) rows.push(make("li", "", `and ${model.child_count - most} more`));
    term(`Children (${model.child_count})`, make("ul", "", ...rows));
  }
  const documents = ["card", "bom", "graph", "graph.svg"].map((part) => {
    const anchor = make("a", "", part);
    anchor.href = `${address(model.id)}/${part}`;
    return anchor;
  });
  term("Documents", ...documents.flatMap((anchor) => [anchor, " "]));
  const warnings = model.warnings.map((warning) => make("p", "warn", `⚠ ${warning}`));
  el("detail").replaceChildren(...warnings, make("dl", "", ...terms));
}

// ---- Start ----------------------------------------------------------------------------------------------

let waiting = 0;
el("query").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    list.query = el("query").value;
    showList(false).catch(fail);
  }, 150);
});
el("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const first = el("results").querySelector("button");
  if (first) choose(first.dataset.id);
});
el("more").addEventListener("click", () => showList(true).catch(fail));
el("tree").addEventListener("keydown", onKey);
el("tree").addEventListener("focusin", (event) => {
  if (event.target.node && event.target.node !== shown.active) setActive(event.target.node);
});
el("expand").addEventListener("click", () => setAll(true));
el("collapse").addEventListener("click", () => setAll(false));
el("smaller").addEventListener("click", () => setZoom(zoom - 1));
el("larger").addEventListener("click", () => setZoom(zoom + 1));

/** Looks whether models came or went, and says so where the tree isn't the newest. */
async function refresh() {
  const health = await ask("/healthz");
  if (health.generation === list.generation) return;
  list.generation = health.generation;
  await showList(false);
  if (!shown.id || !shown.generation || shown.generation === health.generation) return;
  const button = make("button", "link", "Models came or went. Show the newest tree.");
  button.type = "button";
  button.addEventListener("click", () => choose(shown.id));
  el("message").replaceChildren(button);
}

function fail(error) {
  el("summary").textContent = error.message;
}

async function start() {
  list.generation = (await ask("/healthz")).generation;
  await showList(false);
  setInterval(() => refresh().catch(fail), 5000);
  let id = "";
  try {
    id = decodeURIComponent(location.hash.slice(1));
  } catch { /* An address that nobody wrote on purpose. */ }
  if (!id) {
    const first = el("results").querySelector("button");
    id = first ? first.dataset.id : "";
  }
  if (id) await choose(id);
  else el("message").textContent = "There are no models yet.";
}

window.addEventListener("hashchange", () => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && id !== shown.id) choose(id);
});

start().catch(fail);
