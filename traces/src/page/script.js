"use strict";
// Draws the trace in the data block. Text enters the page as text nodes only; nothing is parsed.
(() => {
  const data = JSON.parse(document.getElementById("trace").textContent);
  const str = (n) => data.strings[n];
  const find = (id) => document.getElementById(id);
  const [agents, links] = [data.agents, data.links];
  const steps = data.steps.map(([said, around, is, status, changed]) => {
    const [agent, name, fn, file] = said;
    const [locks, guards, enabled, blocked] = around;
    return { agent, name, fn, file, locks, guards, enabled, blocked, is, status, changed };
  });
  const [MODULE, LAST] = [agents.length, steps.length];
  const KINDS = {
    // A store is named by its value, the others by what they are.
    store: { of: "the store of ", to: "stored at step ", from: "reaches memory at step " },
    kick: { of: "", to: "sent at step ", from: "acknowledged at step " },
    busy: { of: "", to: "held since step ", from: "in the way at step " },
  };

  /** An element; children are elements or text. */
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== undefined && child !== ""));
    return element;
  }

  // The trace.
  const step = (n) => steps[n - 1];
  const is = (n, letter) => step(n).is.includes(letter);
  const agentName = (a) => str(agents[a][1]);
  const entries = (list, table) => data.lists[list].map((n) => data[table][n]);
  const locks = (n) => (n < 1 ? [] : entries(step(n).locks, "held"));
  const sameLock = (a, b) => a[0] === b[0] && a[1] === b[1] && a[2] === b[2];
  const without = (some, others) => some.filter((lock) => !others.some((other) => sameLock(lock, other)));
  const acquired = (n) => without(locks(n), locks(n - 1));
  const released = (n) => without(locks(n - 1), locks(n));
  const inLoop = (n) => data.loop !== null && n >= data.loop;
  const fieldsAfter = (n) => {
    const fields = new Map(data.initial);
    for (let i = 1; i <= n; i++) for (const [field, , to] of step(i).changed) fields.set(field, to);
    return fields;
  };
  const busy = steps.map((_, i) => i + 1).filter((n) => is(n, "b"));
  /** What a search looks through: everything a row or the panel says a step did. */
  const haystacks = steps.map((s, i) => [
    agentName(s.agent), str(s.fn), str(s.file), str(s.name), ...s.status.map(str),
    ...s.changed.flat().map(str), ...acquired(i + 1).map((lock) => str(lock[0])),
  ].join(" ").toLowerCase());

  // What is looked at; all of it is in the address, so that a link leads back here.
  const view = { selected: LAST, all: false, query: "", field: "", hidden: new Set() };
  let rows = [];

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const number = Number.parseInt(given.get("s"), 10);
    view.selected = Math.min(Math.max(number || busy[busy.length - 1] || LAST, 1), LAST);
    view.query = given.get("q") || "";
    view.field = given.get("f") || "";
    view.hidden = new Set((given.get("hide") || "").split(",").filter(Boolean));
    const inShort = data.rows.some(([first]) => first === view.selected);
    view.all = given.has("all") || (number > 0 && !inShort);
  }
  function writeAddress() {
    const parts = ["s=" + view.selected];
    const put = (name, value) => value && parts.push(name + "=" + encodeURIComponent(value));
    put("all", view.all ? "1" : "");
    put("f", view.field);
    put("hide", [...view.hidden].join(","));
    put("q", view.query);
    const hash = "#" + parts.join("&");
    if (location.hash !== hash) location.replace(hash);
  }

  // The lanes.
  function visibleRows() {
    const source = view.all ? steps.map((_, i) => [i + 1, i + 1]) : data.rows;
    return source.filter(([first, last]) => {
      if (view.hidden.has(str(agents[step(first).agent][0]))) return false;
      if (!view.field) return true;
      for (let n = first; n <= last; n++) {
        if (step(n).changed.some(([field]) => str(field) === view.field)) return true;
      }
      return false;
    });
  }
  function changesOf(first, last) {
    const changes = [];
    for (let n = first; n <= last; n++) changes.push(...step(n).changed);
    return changes.filter(([field]) => !view.field || str(field) === view.field);
  }
  /** What a module step did to its locks, for the module's own lane. */
  function moduleText(n) {
    const parts = [
      ...acquired(n).map((lock) => "+ " + str(lock[0]) + " " + str(lock[1])),
      ...released(n).map((lock) => "\u2212 " + str(lock[0])),
    ];
    if (is(n, "b")) parts.push("\u2717 BUSY");
    return parts.join(", ");
  }
  function drawRow([first, last], inside, known) {
    const s = step(first);
    const whole = first !== last;
    const inModule = is(first, "m");
    const isBusy = is(first, "b");
    const follows = links.filter(([, to]) => to >= first && to <= last);
    const name = str(s.name) + (whole ? " \u2192 TDX_SUCCESS" : "");
    const said = [
      "Step " + first, agentName(s.agent), str(s.fn) + ": " + name, isBusy ? "BUSY" : "",
      ...follows.map(([from, , kind]) => KINDS[kind].to + from),
    ].filter(Boolean).join(", ");
    const row = make("li", {
      class: "row" + (isBusy ? " busy" : ""), role: "option", id: "s" + first, "data-step": first, "aria-label": said,
      "aria-selected": "false",
    });
    row.append(make("span", { class: "num" }, (isBusy ? "! " : inLoop(first) ? "\u21bb " : "") + first));
    for (let lane = 0; lane <= MODULE; lane++) {
      const on = lane === s.agent || (lane === MODULE && (inModule || whole));
      const cell = make("span", { class: "cell" + (on ? " on" : "") + (inside.has(lane) ? " in" : "") });
      cell.style.gridColumn = String(lane + 2);
      row.append(cell);
    }
    const text = make("span", { class: "text" });
    text.style.setProperty("--lane", s.agent);
    if (str(s.fn) && known.get(s.agent) !== s.fn && s.fn !== s.name) text.append(make("b", {}, str(s.fn)));
    known.set(s.agent, s.fn);
    text.append(make("span", {}, name));
    if (isBusy) text.append(make("small", {}, s.status.map(str).reverse().join(" ")));
    for (const [field, from, to] of changesOf(first, last)) {
      text.append(make("small", { class: "change" }, str(field) + ": " + str(from) + " \u2192 " + str(to)));
    }
    for (const [from, , kind, what] of follows) {
      text.append(make("small", { class: "from-" + kind }, "\u21e0 " + KINDS[kind].of + str(what) + ", " + KINDS[kind].to + from));
    }
    row.append(text);
    const effect = inModule ? moduleText(first) : "";
    if (effect) {
      const beside = make("span", { class: "text of-module" }, effect);
      beside.style.setProperty("--lane", MODULE);
      row.append(beside);
    }
    row.addEventListener("click", () => select(first));
    return row;
  }
  function drawLanes() {
    const list = find("steps");
    rows = visibleRows();
    const known = new Map();
    const inside = new Set();
    const drawn = [];
    let at = 1;
    let looping = false;
    for (const row of rows) {
      for (; at < row[0]; at++) note(at);
      if (!looping && inLoop(row[0])) {
        looping = true;
        known.clear();
        drawn.push(make("li", { class: "divider", role: "presentation" }, "From here on again and again, for ever:"));
      }
      drawn.push(drawRow(row, inside, known));
    }
    function note(n) {
      const s = step(n);
      if (is(n, "m")) inside.add(s.agent); else if (str(s.fn)) inside.delete(s.agent);
      const next = steps[n];
      if (is(n, "m") && next && next.agent === s.agent && !next.is.includes("m") && str(next.fn)) inside.delete(s.agent);
    }
    if (data.loop !== null) {
      const end = looping ? "Back to step " + data.loop + "." : data.loop > LAST ? "Nobody has to do anything more." : "";
      if (end) drawn.push(make("li", { class: "divider", role: "presentation" }, end));
    }
    if (!rows.length) drawn.push(make("li", { class: "divider", role: "presentation" }, "No step passes the filters."));
    list.replaceChildren(...drawn, arrowsSvg());
  }

  // Arrows from cause to consequence.
  const SVG = "http://www.w3.org/2000/svg";
  function arrowsSvg() {
    const svg = document.createElementNS(SVG, "svg");
    svg.id = "arrows";
    svg.setAttribute("aria-hidden", "true");
    return svg;
  }
  function rowOf(n) {
    const row = rows.find(([first, last]) => first <= n && n <= last);
    return row && find("s" + row[0]);
  }
  function drawArrows() {
    const svg = find("arrows");
    const shapes = [];
    const shape = (name, attributes) => {
      const element = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      shapes.push(element);
    };
    const place = (n) => {
      const row = rowOf(n);
      const cell = row && row.children[step(n).agent + 1];
      const inset = innerWidth <= 700 ? 8 : 10.4;
      return cell && { x: cell.offsetLeft + inset, y: row.offsetTop + 10 };
    };
    for (const [from, to, kind] of links) {
      const [a, b] = [place(from), place(to)];
      if (!a || !b || a.y === b.y) continue;
      const off = from === view.selected || to === view.selected ? "" : " off";
      const bend = Math.min(60, 14 + Math.abs(b.y - a.y) / 14);
      const [side, end] = a.x === b.x ? [-1, -6] : [0, a.x < b.x ? -6 : 6];
      const path = side
        ? `M${a.x - 5} ${a.y} C${a.x - bend} ${a.y} ${b.x - bend} ${b.y} ${b.x + end} ${b.y}`
        : `M${a.x} ${a.y + 5} C${a.x} ${(a.y + b.y) / 2} ${(a.x + b.x) / 2} ${b.y} ${b.x + end} ${b.y}`;
      shape("path", { d: path, class: kind + off });
      const tip = end < 0 ? -5 : 5;
      shape("path", { d: `M${b.x + end} ${b.y} l${tip} -3.5 l0 7 z`, class: kind + " tip" + off });
    }
    svg.replaceChildren(...shapes);
  }

  // The panel about the selected step.
  const link = (n, text) => make("a", { href: "#s=" + n }, text || "step " + n);
  const section = (title, ...content) => [make("h3", {}, title), ...content];
  const table = (heads, lines) => make("table", {},
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, lines));
  const guardItem = ([text, value]) => make("li", {},
    make("span", { class: value ? "true" : "false" }, value ? "\u2713 true: " : "\u2717 false: "), str(text));

  function lockTable(n) {
    const before = locks(n - 1);
    const blockers = links.filter(([, to, kind]) => to === n && kind === "busy").map(([, , , what]) => str(what));
    const line = (lock, className, sign) => make("tr", { class: className },
      make("td", {}, sign), make("td", {}, str(lock[0])), make("td", {}, str(lock[1])),
      make("td", {}, agentName(lock[2])), make("td", {}, str(lock[3])));
    const lines = locks(n).map((lock) => {
      const fresh = !before.some((other) => sameLock(other, lock));
      const inTheWay = lock[2] !== step(n).agent && blockers.includes(str(lock[0]) + " " + str(lock[1]));
      return line(lock, inTheWay ? "against" : fresh ? "new" : "", inTheWay ? "\u2717" : fresh ? "+" : "");
    });
    lines.push(...released(n).map((lock) => line(lock, "gone", "\u2212")));
    return lines.length ? table(["", "lock", "mode", "holder", "under"], lines) : make("p", { class: "faint" }, "None.");
  }
  function storeBuffers(n) {
    const fields = [...fieldsAfter(n)].filter(([field]) => str(field).endsWith(".store_buffer"));
    const lines = fields.map(([field, value]) => {
      const id = str(field).slice(0, -".store_buffer".length);
      const owner = agents.find((agent) => str(agent[0]) === id);
      return make("tr", {}, make("td", {}, owner ? str(owner[1]) : id),
        make("td", {}, str(value) === "empty" ? make("span", { class: "faint" }, "empty") : str(value)));
    });
    return lines.length ? table(["CPU of", "oldest store first"], lines) : make("p", { class: "faint" }, "None.");
  }
  function stateTable(n) {
    const changed = new Set(step(n).changed.map(([field]) => field));
    const lines = [...fieldsAfter(n)].map(([field, value]) => {
      const button = make("button", { class: "field", type: "button", title: "show the steps that change it" }, str(field));
      button.addEventListener("click", () => change({ field: str(field) }));
      return make("tr", { class: changed.has(field) ? "new" : "" },
        make("td", {}, changed.has(field) ? "\u2260" : ""), make("td", {}, button), make("td", {}, str(value)));
    });
    return table(["", "field", "value"], lines);
  }
  function drawDetails() {
    const n = view.selected;
    const s = step(n);
    const said = [];
    if (is(n, "m")) said.push("in the TDX module");
    if (is(n, "f")) said.push("taken in one transition with the step before");
    if (inLoop(n)) said.push("part of the loop");
    const related = [
      ...links.filter(([, to]) => to === n).map(([from, , kind, what]) =>
        make("li", {}, KINDS[kind].of + str(what) + ", " + agentName(step(from).agent) + ": " + KINDS[kind].to.replace(/step $/, ""), link(from))),
      ...links.filter(([from]) => from === n).map(([, to, kind, what]) =>
        make("li", {}, KINDS[kind].of + str(what) + ": " + KINDS[kind].from.replace(/step $/, ""), link(to))),
    ];
    const changed = s.changed.map(([field, from, to]) => make("tr", {},
      make("td", {}, str(field)), make("td", {}, make("del", {}, "\u2212 " + str(from))),
      make("td", {}, make("ins", {}, "+ " + str(to)))));
    const guards = entries(s.guards, "guards").map(guardItem);
    const enabled = entries(s.enabled, "enabled").map(([a, name]) => make("li", {}, agentName(a) + ": " + str(name)));
    const blocked = entries(s.blocked, "blocked").map(([a, name, because, asked]) => make("li", {},
      agentName(a) + ": " + str(name) + ", because " + str(because),
      data.lists[asked].length ? make("ul", {}, entries(asked, "guards").map(guardItem)) : ""));
    const faint = (text) => make("p", { class: "faint" }, text);
    find("details").replaceChildren(
      make("h2", {}, "Step " + n + " of " + LAST + ": " + agentName(s.agent)),
      make("p", {}, make("code", {}, str(s.fn) || "the processor"), " ", make("span", { class: "faint" }, str(s.file))),
      make("p", { class: "code" }, str(s.name)),
      ...(s.status.length ? [make("p", { class: is(n, "b") ? "code false" : "code" }, s.status.map(str).join(" = "))] : []),
      ...(said.length ? [faint(said.join("; "))] : []),
      ...section("What it changed", changed.length ? table(["field", "before", "after"], changed) : faint("No field.")),
      ...(related.length ? section("What it follows from and leads to", make("ul", {}, related)) : []),
      ...section("What it asked, with the answers", guards.length ? make("ul", {}, guards) : faint("Nothing: it could run in any case.")),
      ...section("What else could have run", enabled.length ? make("ul", {}, enabled) : faint("Nothing.")),
      ...section("Who could not run, and why", blocked.length ? make("ul", {}, blocked) : faint("Everybody could.")),
      ...section("Locks held after it", lockTable(n)),
      ...section("Store buffers after it", storeBuffers(n)),
      ...section("State after it", stateTable(n)),
    );
    find("details").scrollTop = 0;
  }

  // Choosing.
  function matches() {
    const query = view.query.trim().toLowerCase();
    return query ? rows.filter(([first, last]) => {
      for (let n = first; n <= last; n++) if (haystacks[n - 1].includes(query)) return true;
      return false;
    }).map(([first]) => first) : [];
  }
  function markMatches() {
    const found = matches();
    const set = new Set(found);
    for (const row of find("steps").querySelectorAll(".row")) row.classList.toggle("match", set.has(Number(row.dataset.step)));
    const place = found.indexOf(view.selected) + 1;
    find("found").textContent = !view.query ? "" : !found.length ? "no match" : (place || "\u2013") + " of " + found.length;
  }
  /** The step as close as possible to the wanted one among those shown. */
  function nearest(n) {
    if (!rows.length || rows.some(([first]) => first === n)) return n;
    const before = rows.filter(([first]) => first <= n);
    return (before[before.length - 1] || rows[0])[0];
  }
  function showSelected(scroll = true) {
    for (const row of find("steps").querySelectorAll('[aria-selected="true"]')) row.setAttribute("aria-selected", "false");
    const row = find("s" + view.selected);
    if (row) {
      row.setAttribute("aria-selected", "true");
      if (scroll) row.scrollIntoView({ block: "nearest" });
      find("steps").setAttribute("aria-activedescendant", row.id);
      find("status").textContent = row.getAttribute("aria-label");
    }
    markMatches();
    drawDetails();
    drawArrows();
    writeAddress();
  }
  function select(n) {
    const inShort = rows.some(([first]) => first === n);
    if (!inShort) {
      // A step that filters hide is asked for: show it.
      Object.assign(view, { selected: n, all: view.all || !data.rows.some(([first]) => first === n), field: "", hidden: new Set() });
      redraw();
      return;
    }
    view.selected = n;
    showSelected();
  }
  function redraw(scroll = true) {
    drawLanes();
    view.selected = nearest(view.selected);
    find("all").checked = view.all;
    find("search").value = view.query;
    find("field").value = view.field;
    for (const box of find("agents").querySelectorAll("input")) box.checked = !view.hidden.has(box.value);
    showSelected(scroll);
  }
  function change(what) {
    Object.assign(view, what);
    redraw();
  }
  const move = (by) => {
    const at = rows.findIndex(([first]) => first === view.selected);
    const row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    if (row) select(row[0]);
  };
  /** The next of these steps after, or before, the selected one; round the end. */
  const jump = (targets, back) => {
    if (!targets.length) return;
    const next = back ? targets.filter((n) => n < view.selected).pop() : targets.find((n) => n > view.selected);
    select(next || (back ? targets[targets.length - 1] : targets[0]));
  };
  const origin = () => {
    const from = links.filter(([, to]) => to === view.selected).map(([n]) => n);
    if (from.length) select(from[0]);
  };
  const toggleAgent = (index) => {
    if (index >= agents.length) return;
    const [id, hidden] = [str(agents[index][0]), new Set(view.hidden)];
    if (!hidden.delete(id)) hidden.add(id);
    change({ hidden });
  };
  const toggleTheme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };
  const KEYS = {
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    PageDown: () => move(10), PageUp: () => move(-10),
    g: () => move(-Infinity), Home: () => move(-Infinity), G: () => move(Infinity), End: () => move(Infinity),
    b: () => jump(busy, false), B: () => jump(busy, true), v: () => select(LAST),
    l: () => data.loop !== null && data.loop <= LAST && select(data.loop),
    o: origin, d: () => change({ all: !view.all }), t: toggleTheme,
    "/": () => find("search").focus(), f: () => find("field").focus(),
    n: () => jump(matches(), false), N: () => jump(matches(), true),
    "?": () => find("help").showModal(), Escape: () => change({ query: "" }),
  };
  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (find("help").open) {
      if (event.key === "Escape" || event.key === "?") find("help").close();
      return;
    }
    const target = event.target;
    if (target.matches("input[type=search], select")) {
      if (event.key === "Escape") target.blur();
      if (target.id === "search" && event.key === "Enter") {
        target.blur();
        if (!matches().includes(view.selected)) jump(matches(), false);
        find("steps").focus({ preventScroll: true });
      } else if (event.key !== "Escape") {
        return;
      }
    } else if (/^[1-9]$/.test(event.key)) {
      toggleAgent(Number(event.key) - 1);
    } else if (Object.hasOwn(KEYS, event.key)) {
      KEYS[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  }

  // Once.
  function start() {
    find("lanes").style.setProperty("--lanes", agents.length);
    find("heads").append(make("span", {}, "#"), ...agents.map((agent) => make("span", {}, str(agent[1]))), make("span", {}, "TDX module"));
    agents.forEach((agent, index) => {
      const box = make("input", { type: "checkbox", value: str(agent[0]) });
      box.addEventListener("change", () => toggleAgent(index));
      find("agents").append(make("label", { title: String(index + 1) }, box, " " + str(agent[1])));
    });
    for (const [field] of data.initial) find("field").append(make("option", { value: str(field) }, str(field)));
    const on = (id, type, action) => find(id).addEventListener(type, action);
    on("previous", "click", () => move(-1));
    on("next", "click", () => move(1));
    on("busy", "click", () => jump(busy, false));
    on("verdict", "click", () => select(LAST));
    on("theme", "click", toggleTheme);
    on("keys", "click", () => find("help").showModal());
    on("all", "change", () => change({ all: find("all").checked }));
    on("field", "change", () => change({ field: find("field").value }));
    on("search", "input", () => { view.query = find("search").value; markMatches(); writeAddress(); });
    addEventListener("keydown", onKey);
    addEventListener("hashchange", () => {
      const before = JSON.stringify([view.selected, view.all, view.query, view.field, [...view.hidden]]);
      readAddress();
      if (before !== JSON.stringify([view.selected, view.all, view.query, view.field, [...view.hidden]])) redraw();
    });
    new ResizeObserver(drawArrows).observe(find("steps"));
    const bar = find("toolbar");
    const keepBelow = () => document.documentElement.style.setProperty("--bar", bar.offsetHeight + "px");
    new ResizeObserver(keepBelow).observe(bar);
    readAddress();
    // Without a step in the address, what it all comes to is read first.
    redraw(location.hash.length > 1);
    find("steps").focus({ preventScroll: true });
  }
  start();
})();
