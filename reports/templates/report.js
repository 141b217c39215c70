"use strict";
// Folds the details; sorts and filters the findings. Without it the page is complete and open, the controls hidden.
(() => {
  const get = (id) => document.getElementById(id);
  const folds = [...document.querySelectorAll("details.fold")];
  const unfold = (element) => {
    for (let at = element; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  const toTarget = () => {
    const target = get(location.hash.slice(1));
    if (!target) return;
    unfold(target);
    unfold(target.querySelector("summary"));
    target.scrollIntoView();
  };
  for (const fold of folds) fold.open = false;
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folds.filter((fold) => !fold.open);
    for (const fold of closed) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of closed) fold.open = false; });
  addEventListener("hashchange", toTarget);
  toTarget();

  const bar = get("filter"), tables = [...document.querySelectorAll("table.findings")];
  if (!bar || !tables.length) return;
  const [status, attack, text, sort] = ["status", "attack", "text", "sort"].map((name) => get("filter-" + name));
  const rows = [...document.querySelectorAll(".findings tr[id]")];
  const kinds = [...document.querySelectorAll(".findings tr.kind")];
  const home = new Map(rows.map((row) => [row, row.parentNode]));
  const severity = [...status.options].map((option) => option.value);
  const names = [...tables[0].tHead.rows[0].cells].map((cell) => cell.textContent);
  const STATUS = 6, SORTABLE = 7;
  let column = -1, direction = 1;

  const key = (row) => {
    if (column === STATUS) return severity.indexOf(row.dataset.status);
    const cell = row.cells[column], number = cell.querySelector("data");
    if (column === 0) return cell.textContent.trim().toLowerCase();
    return number ? Number(number.value.split(" ").pop()) : null;
  };
  const compare = (a, b) => {
    if (a[0] === b[0]) return 0;
    if (a[0] === null || b[0] === null) return a[0] === null ? 1 : -1;
    return a[0] < b[0] ? -direction : direction;
  };
  const filter = () => {
    const words = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = (status.value && row.dataset.status !== status.value)
        || (attack.value && row.dataset.attack !== attack.value)
        || (words && !row.textContent.toLowerCase().includes(words));
      shown += !row.hidden;
    }
    for (const kind of kinds) kind.hidden = column >= 0 || !kind.parentNode.querySelector("tr[id]:not([hidden])");
    const order = column < 0 ? "" : ", sorted by " + names[column] + (direction > 0 ? ", ascending" : ", descending");
    get("filter-shown").textContent = shown + " of " + rows.length + " findings shown" + order;
  };
  const arrange = (chosen, way) => {
    [column, direction] = [chosen, way];
    for (const table of tables) {
      [...table.tHead.rows[0].cells].forEach((head, at) => {
        if (at === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
      const own = rows.filter((row) => table.contains(home.get(row)));
      const ordered = column < 0 ? own : own.map((row) => [key(row), row]).sort(compare).map((pair) => pair[1]);
      for (const row of ordered) (column < 0 ? home.get(row) : table.tBodies[0]).append(row);
    }
    sort.value = column < 0 ? "" : column + " " + direction;
    filter();
  };
  const reset = () => {
    status.value = attack.value = text.value = "";
    arrange(-1, 1);
  };
  const add = (parent, tag, words) => {
    const made = parent.appendChild(document.createElement(tag));
    made.textContent = words;
    return made;
  };

  for (const table of tables) {
    [...table.tHead.rows[0].cells].slice(0, SORTABLE).forEach((head, at) => {
      head.textContent = "";
      add(head, "span", names[at]);
      const button = add(head, "button", names[at]);
      button.type = "button";
      button.addEventListener("click", () => {
        if (column !== at) arrange(at, 1);
        else if (direction > 0) arrange(at, -1);
        else arrange(-1, 1);
      });
    });
  }
  for (let at = 0; at < SORTABLE; at++) {
    for (const way of [1, -1]) {
      add(sort, "option", names[at] + (way > 0 ? ", ascending" : ", descending")).value = at + " " + way;
    }
  }
  sort.addEventListener("change", () => {
    const [at, way] = sort.value ? sort.value.split(" ").map(Number) : [-1, 1];
    arrange(at, way);
  });
  for (const control of [status, attack, text]) control.addEventListener("input", filter);
  get("filter-reset").addEventListener("click", reset);
  addEventListener("beforeprint", reset); // on paper nothing may be missing
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#finding-"]');
    if (link && get(link.hash.slice(1)).hidden) reset();
    if (link) unfold(get(link.hash.slice(1)));
  });
  bar.hidden = false;
  reset();
})();
