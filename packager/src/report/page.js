"use strict";
// The page is whole without this: it adds sorting by a click on a heading, and tips that also work by touch.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const value = row => {
      const cell = row.cells[column];
      return cell.dataset.v ?? cell.textContent;
    };
    if (original.every(row => row.cells[column].classList.contains("picture"))) {
      head.style.cursor = "default";
      return;
    }
    head.addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const states = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = states[(states.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      let rows = [...original];
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          const [p, q] = [Number(x), Number(y)];
          return sign * (numeric && p === p && q === q ? (p > q) - (p < q) : x.localeCompare(y));
        });
      }
      body.append(...rows);
    });
  });
}
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg rect > title, svg circle > title, svg text > title")) {
  const owner = title.parentElement;
  owner.dataset.tip = title.textContent;
  owner.setAttribute("aria-label", title.textContent);
  title.remove();
}
const show = event => {
  const owner = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  tip.hidden = !owner;
  if (!owner) return;
  tip.textContent = owner.dataset.tip;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, event.clientX + 14), innerWidth - width - 8);
  const top = event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18;
  tip.style.left = left + "px";
  tip.style.top = Math.max(8, top) + "px";
};
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { capture: true, passive: true });
document.documentElement.dataset.ready = "true";
