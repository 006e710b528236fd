"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const form = find("filters");
  if (!form) return;
  const items = [...document.querySelectorAll(".finding")];
  const facts = items.map((item) => ({ ...item.dataset }));
  let texts;

  const textOf = (index) => {
    texts ??= items.map((item) => item.textContent.toLowerCase());
    return texts[index];
  };

  const checked = (name) => new Set([...form.querySelectorAll(`[name=${name}]:checked`)].map((box) => box.value));

  const filter = () => {
    const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const severities = checked("severity");
    const statuses = checked("status");
    const rule = find("rule").value;
    const file = find("file").value;
    let left = 0;
    items.forEach((item, index) => {
      const fact = facts[index];
      item.hidden = !(
        (!severities.size || severities.has(fact.severity)) &&
        (!statuses.size || statuses.has(fact.status)) &&
        (!rule || fact.rule === rule) &&
        (!file || fact.file === file) &&
        words.every((word) => textOf(index).includes(word))
      );
      left += item.hidden ? 0 : 1;
    });
    const total = items.length.toLocaleString("en");
    find("count").textContent = left === items.length ? total : `${left.toLocaleString("en")} of ${total}`;
    find("nothing").hidden = left > 0;
  };

  const cell = (row, className, content) => {
    const made = row.insertCell();
    made.className = className;
    made.append(content);
    return made;
  };

  const code = (line) => {
    const part = document.createDocumentFragment();
    part.append(...line.cloneNode(true).childNodes);
    part.firstChild.data = part.firstChild.data.slice(1);
    part.lastChild.data = part.lastChild.data.replace(/\n$/, "");
    return part;
  };

  const side = (row, line, name, number) => {
    cell(row, "no", line ? line.dataset[number] : "");
    cell(row, line ? name : "", line ? code(line) : "");
  };

  const flush = (table, removed, added) => {
    for (let index = 0; index < Math.max(removed.length, added.length); index++) {
      const row = table.insertRow();
      side(row, removed[index], "del", "o");
      side(row, added[index], "ins", "n");
    }
    removed.length = added.length = 0;
  };

  const pairUp = (diff) => {
    const table = document.createElement("table");
    const body = table.createTBody();
    const removed = [];
    const added = [];
    for (const line of diff.children) {
      if (line.tagName === "DEL") removed.push(line);
      else if (line.tagName === "INS") added.push(line);
      else {
        flush(body, removed, added);
        const row = body.insertRow();
        if (line.dataset.o) {
          side(row, line, "", "o");
          side(row, line, "", "n");
        } else {
          row.className = "hunk";
          cell(row, "", line.textContent).colSpan = 4;
        }
      }
    }
    flush(body, removed, added);
    table.className = "split";
    const head = table.createTHead().insertRow();
    for (const words of ["Before", "After"]) {
      const title = document.createElement("th");
      title.scope = "colgroup";
      title.colSpan = 2;
      title.textContent = words;
      head.append(title);
    }
    const columns = document.createElement("colgroup");
    for (const name of ["no", "", "no", ""]) columns.appendChild(document.createElement("col")).className = name;
    table.prepend(columns);
    diff.classList.add("paired");
    diff.after(table);
  };

  const draw = (details) => {
    if (!details.open || !document.body.classList.contains("by-side")) return;
    details.querySelectorAll(".body > .diff:not(.paired)").forEach(pairUp);
  };

  const boxes = items.map((item) => item.querySelector("details"));
  boxes.forEach((box) => box.addEventListener("toggle", () => draw(box)));

  find("split").addEventListener("click", (event) => {
    const on = document.body.classList.toggle("by-side");
    event.currentTarget.setAttribute("aria-pressed", on);
    boxes.forEach(draw);
  });

  find("unfold").addEventListener("click", (event) => {
    const open = event.currentTarget.textContent === "Open all";
    boxes.forEach((box, index) => {
      if (!items[index].hidden) box.open = open;
    });
    event.currentTarget.textContent = open ? "Close all" : "Open all";
  });

  find("clear").addEventListener("click", () => {
    form.reset();
    filter();
  });

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-rule], a[data-file]");
    if (!link) return;
    form.reset();
    for (const name of ["rule", "file"]) find(name).value = link.dataset[name] ?? "";
    filter();
  });

  const reveal = () => {
    const box = document.querySelector(".finding:target > details");
    if (box) box.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  form.hidden = false;
})();
