"use strict";
(() => {
  // IDs are the JSON text that the page came with: numbers would be rounded, and 1 be '1'.
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const list = one("#list");
  const run = JSON.parse(document.body.dataset.run);
  const pairs = all(".pair").map((article, index) => ({
    article,
    index,
    id: article.dataset.id,
    keeper: article.dataset.keeper || `none ${index}`,
    signs: article.dataset.signs.split("|"),
    pixels: Number(article.dataset.pixels),
    text: all("bdi, .score, .badge, .note", article).map((part) => part.textContent).join("\n").toLowerCase(),
  }));
  const known = new Set(pairs.map((pair) => pair.id));
  const marks = new Set();
  const undone = [];
  let downloaded = "[]";
  let current = null;
  let keysWork = true;

  const memory = {
    key: `dedup-review:${run}`,
    load() {
      try {
        return JSON.parse(localStorage.getItem(this.key)) || {};
      } catch {
        return {}; // a browser may keep nothing for files
      }
    },
    save() {
      try {
        localStorage.setItem(this.key, JSON.stringify({ marks: [...marks], downloaded, keysWork }));
      } catch {
        // as above: marks last as long as the page is open
      }
    },
  };

  const ids = () => [...known].filter((id) => marks.has(id));
  const shown = () => pairs.filter((pair) => !pair.article.hidden);
  const inOrder = () => {
    const order = new Map([...list.children].map((article, place) => [article, place]));
    return shown().sort((a, b) => order.get(a.article) - order.get(b.article));
  };

  function showMarks() {
    for (const { article, id } of pairs) {
      article.classList.toggle("marked", marks.has(id));
      one(".keep", article).setAttribute("aria-pressed", String(marks.has(id)));
    }
    const hidden = new Set(pairs.filter((pair) => pair.article.hidden && marks.has(pair.id)).map((pair) => pair.id));
    const open = marks.size && JSON.stringify(ids()) !== downloaded ? ", not downloaded yet" : "";
    one("#marks").textContent =
      `${marks.size} marked keep${hidden.size ? ` (${hidden.size} not shown)` : ""}${open}`;
    one("#undo").disabled = !undone.length;
    for (const button of all("[data-download^=protect]")) button.disabled = !marks.size;
  }

  function showPlace() {
    const those = inOrder();
    const place = those.findIndex((pair) => pair === current);
    one("#place").textContent = place < 0 ? `${those.length} pairs` : `${place + 1} of ${those.length}`;
    one("#none").hidden = those.length > 0 || !pairs.length;
  }

  function change(changedIds, keep) {
    const changed = changedIds.filter((id) => marks.has(id) !== keep);
    if (!changed.length) return;
    undone.push({ changed, keep });
    set(changed, keep);
  }

  function set(changed, keep) {
    for (const id of changed) keep ? marks.add(id) : marks.delete(id);
    memory.save();
    showMarks();
  }

  function undo() {
    const last = undone.pop();
    if (last) set(last.changed, !last.keep);
  }

  function toggle(pair) {
    change([pair.id], !marks.has(pair.id));
  }

  function swap(pair) {
    pair.article.classList.toggle("swapped");
  }

  function goTo(pair, focus = true) {
    current = pair;
    if (focus) {
      pair.article.focus({ preventScroll: true });
      pair.article.scrollIntoView({ block: "start" });
    }
    showPlace();
  }

  function step(by) {
    const those = inOrder();
    if (!those.length) return;
    const place = those.indexOf(current);
    const next = place < 0 ? (by > 0 ? 0 : those.length - 1) : place + by;
    goTo(those[Math.min(Math.max(next, 0), those.length - 1)]);
  }

  function filter() {
    const words = one("#filter").value.toLowerCase().trim();
    const wanted = one("#show").value;
    const isWanted = (pair) =>
      !wanted ||
      (wanted === "marked" && marks.has(pair.id)) ||
      (wanted === "unmarked" && !marks.has(pair.id)) ||
      pair.signs.includes(wanted);
    for (const pair of pairs) pair.article.hidden = !(isWanted(pair) && pair.text.includes(words));
    showMarks();
    showPlace();
  }

  function sort() {
    const group = new Map();
    for (const { keeper, index } of pairs) if (!group.has(keeper)) group.set(keeper, index);
    const orders = {
      "": (a, b) => a.index - b.index,
      certain: (a, b) => b.index - a.index,
      keeper: (a, b) => group.get(a.keeper) - group.get(b.keeper) || a.index - b.index,
      pixels: (a, b) => b.pixels - a.pixels || a.index - b.index,
    };
    const sorted = [...pairs].sort(orders[one("#sort").value]);
    list.append(...sorted.map((pair) => pair.article));
    showPlace();
  }

  function csvField(id) {
    const value = JSON.parse(id);
    return typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : id;
  }

  function download(what) {
    const [name, format] = what.split("-");
    const isProtect = name === "protect";
    const chosen = isProtect ? ids() : [...known].filter((id) => !marks.has(id));
    const lines = format === "csv" ? ["id", ...chosen.map(csvField)] : chosen.map((id) => `{"id": ${id}}`);
    const blob = new Blob([lines.map((line) => `${line}\n`).join("")], { type: "application/octet-stream" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    const label = run.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60);
    link.download = `${isProtect ? "protect-ids" : "sample-to-remove"}-${label}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    if (isProtect) downloaded = JSON.stringify(ids());
    memory.save();
    showMarks();
  }

  const keys = {
    j: () => step(1),
    ArrowRight: () => step(1),
    k: () => step(-1),
    ArrowLeft: () => step(-1),
    x: () => current && !current.article.hidden && toggle(current),
    u: undo,
    s: () => current && swap(current),
    "/": () => one("#filter").focus(),
    "?": () => one("#keys").showModal(),
  };

  function onKey(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.target.id === "filter" && key === "Escape") {
      event.target.value = "";
      filter();
      event.target.blur();
      return;
    }
    const isTyping = event.target.closest("input, select, textarea, dialog, .scroll");
    if (!keysWork || isTyping || event.ctrlKey || event.metaKey || event.altKey || !(key in keys)) return;
    event.preventDefault();
    keys[key]();
  }

  function listen() {
    document.addEventListener("keydown", onKey);
    list.addEventListener("click", (event) => {
      const article = event.target.closest(".pair");
      const pair = pairs.find((it) => it.article === article);
      if (!pair) return;
      if (event.target.closest(".keep")) toggle(pair);
      if (event.target.closest(".swap")) swap(pair);
      goTo(pair, false);
    });
    list.addEventListener("focusin", (event) => {
      const article = event.target.closest(".pair");
      const pair = pairs.find((it) => it.article === article);
      if (pair) goTo(pair, false);
    });
    one("#filter").addEventListener("input", filter);
    one("#show").addEventListener("change", filter);
    one("#sort").addEventListener("change", sort);
    one("#keep-all").addEventListener("click", () => change(shown().map((pair) => pair.id), true));
    one("#help").addEventListener("click", () => one("#keys").showModal());
    one("#previous").addEventListener("click", () => step(-1));
    one("#next").addEventListener("click", () => step(1));
    one("#undo").addEventListener("click", undo);
    one("#keys-on").addEventListener("change", (event) => {
      keysWork = event.target.checked;
      memory.save();
    });
    for (const button of all("[data-download]")) {
      button.addEventListener("click", () => download(button.dataset.download));
    }
    window.addEventListener("beforeunload", (event) => {
      if (marks.size && JSON.stringify(ids()) !== downloaded) event.preventDefault();
    });
  }

  function begin() {
    const kept = memory.load();
    for (const id of kept.marks || []) if (known.has(id)) marks.add(id);
    downloaded = kept.downloaded || "[]";
    keysWork = kept.keysWork !== false;
    one("#keys-on").checked = keysWork;
    for (const element of all(".scripted")) element.hidden = false;
    listen();
    filter();
  }

  begin();
})();
