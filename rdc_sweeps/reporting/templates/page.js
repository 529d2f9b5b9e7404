// What the pages do: theme, sorting, seeds of a row, figures, pictures side by side, copying, and live refreshing.
"use strict";
(() => {
  const root = document.documentElement;
  const live = document.currentScript.hasAttribute("data-live");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Theme. Set before the page is painted; a browser that keeps nothing for files from disk follows the system.
  const stored = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("theme", value);
      return localStorage.getItem("theme") || "";
    } catch {
      return "";
    }
  };
  const useTheme = (theme) => (theme ? root.setAttribute("data-theme", theme) : root.removeAttribute("data-theme"));
  useTheme(stored());

  // Sorting: by the values that cells carry; a third press restores the order of the table.
  const setSort = (table, column, direction) => {
    const items = all(table.matches(".results") ? ":scope > tbody" : ":scope > tbody > tr", table);
    const holder = items[0]?.parentElement;
    items.forEach((item, place) => { item.dataset.place ??= place; });
    const value = (item) => item.querySelector(`[data-column="${column}"]`)?.dataset.value ?? "";
    const sign = direction === "descending" ? -1 : 1;
    items.sort((one, two) => {
      const order = Number(one.dataset.place) - Number(two.dataset.place);
      if (direction === "none") return order;
      const [a, b] = [value(one), value(two)];
      if (a === "" || b === "") return (a === "") - (b === "") || order;  // without a value: last
      const numbers = !isNaN(a) && !isNaN(b);
      return sign * (numbers ? a - b : a.localeCompare(b)) || order;
    });
    holder?.append(...items);
    table.classList.toggle("sorted", direction !== "none");
    all("[aria-sort]", table).forEach((head) => head.setAttribute("aria-sort", "none"));
    if (direction !== "none") table.querySelector(`button.sort[data-by="${column}"]`).parentElement.setAttribute("aria-sort", direction);
  };
  const pressSort = (button) => {
    const now = button.parentElement.getAttribute("aria-sort");
    const first = button.dataset.first || "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    setSort(button.closest("table"), button.dataset.by, now === "none" ? first : now === first ? second : "none");
  };

  const expand = (button, open) => {
    button.setAttribute("aria-expanded", open);
    all(":scope > .seed", button.closest("tbody")).forEach((row) => { row.hidden = !open; });
  };

  // Columns that a reader does not want.
  const showColumns = (box) =>
    box.closest("section").querySelector("table.results").classList.toggle(`show-no-${box.value}`, !box.checked);

  // Figures: drawn when they come into view, by a library that is loaded then.
  let library = null;
  const plotly = () =>
    (library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = all("script[src]")[0].src.replace("page.js", "plotly.min.js");
      script.onload = () => resolve(window.Plotly);
      script.onerror = reject;
      document.head.append(script);
    }));
  const draw = async (drawing) => {
    const figure = drawing.closest("section, figure");
    const { traces, x } = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const Plotly = await plotly();
    const selects = all("select[data-meta]", figure);
    const chosen = traces.filter((trace) => selects.every((select) => select.value === "" || trace.meta[select.dataset.meta] === select.value));
    const longest = Math.max(0, ...chosen.map((trace) => trace.x.length));
    const metric = selects.find((select) => select.dataset.meta === "metric");
    const style = getComputedStyle(root);
    const colour = (name) => {
      const probe = drawing.parentElement.appendChild(document.createElement("i"));
      probe.style.color = style.getPropertyValue(name);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found;
    };
    const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13, family: "system-ui, sans-serif" },
      margin: { t: 10, r: 10, b: 45, l: 60 }, hovermode: "closest", hoverlabel: { namelength: -1 }, uirevision: "kept",
      // Whole epochs only.
      xaxis: { ...axis, title: { text: x }, tickformat: "d", ...(longest <= 20 && { dtick: 1 }) },
      yaxis: { ...axis, title: { text: metric ? metric.selectedOptions[0].textContent : "" } },
      legend: { orientation: "h", y: -0.2, yanchor: "top" },
    };
    drawing.replaceChildren();
    await Plotly.newPlot(drawing, chosen, layout, { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
    drawing.dataset.drawn = "";
  };
  const seen = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => { seen.unobserve(entry.target); draw(entry.target); }),
    { rootMargin: "200px" });
  const redraw = (from = document) => all(".drawing[data-drawn]", from).forEach(draw);

  // Pictures of two rows on one another.
  const cut = (section, percent) => {
    section.querySelector("input[type='range']").value = percent;
    section.style.setProperty("--cut", `${percent}%`);
  };
  const showPictures = (section) => {
    const data = JSON.parse(section.querySelector("script[type='application/json']").textContent);
    const value = (name) => section.querySelector(`select[name="${name}"]`).value;
    const [image, left, right] = ["image", "left", "right"].map(value);
    all("img[data-task]", section).forEach((picture) => {
      const { task, side } = picture.dataset;
      const row = side === "right" ? right : left;
      const found = data.addresses[image]?.[row]?.[task];
      picture.hidden = !found;
      if (found) picture.src = found;
      picture.alt = found ? `${section.querySelector(`select[name="image"]`).selectedOptions[0].text}, ${task}${side ? `, ${row}` : ""}` : "";
    });
    all("[data-name]", section).forEach((place) => { place.textContent = value(place.dataset.name); });
    all("[data-score]", section).forEach((place) => {
      const score = data.scores[image]?.[value(place.dataset.score)]?.[place.dataset.task];
      place.textContent = score ? ` (${score})` : "";
    });
  };
  const drag = (pair, event) => {
    const box = pair.getBoundingClientRect();
    cut(pair.closest("section"), Math.round(Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width))));
  };

  const prepare = (from) => {
    all("[data-copy]", from).forEach((button) => { button.hidden = !navigator.clipboard; });
    all(".columns input", from).forEach(showColumns);
    all(".pictures", from).forEach(showPictures);
    all(".drawing", from).forEach((drawing) => seen.observe(drawing));
    all("[data-needs-script]", from).forEach((part) => { part.hidden = false; });
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches(".sort")) pressSort(button);
    if (button.matches(".open")) expand(button, button.getAttribute("aria-expanded") !== "true");
    if (button.dataset.copy) {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    }
  });
  document.addEventListener("input", (event) => {
    const control = event.target;
    if (control.matches(".pictures input[type='range']")) cut(control.closest("section"), control.value);
    if (control.matches(".pictures select")) showPictures(control.closest("section"));
    if (control.matches(".columns input")) showColumns(control);
    if (control.matches("select[data-meta]")) redraw(control.closest("section, figure"));
    if (control.id === "theme") {
      useTheme(stored(control.value) || control.value);
      redraw();
    }
  });
  for (const kind of ["pointerdown", "pointermove"]) {
    document.addEventListener(kind, (event) => {
      const pair = event.target.closest?.(".pair");
      if (pair && (kind === "pointerdown" || event.buttons)) drag(pair, event);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

  // Live: parts whose text has changed are replaced; what a reader has opened, chosen and sorted stays.
  const state = (part) => {
    const open = all("button.open[aria-expanded='true']", part).map((button) => button.id);
    const sorts = all("table[id]", part).map((table) => {
      const head = table.querySelector("[aria-sort]:not([aria-sort='none'])");
      return head && [table.id, head.querySelector("button").dataset.by, head.getAttribute("aria-sort")];
    });
    const controls = all("select, input", part).filter((one) => one.id).map((one) => [one.id, one.checked, one.value]);
    const shut = all("details[id]", part).filter((one) => one.open).map((one) => one.id);
    return { open, sorts: sorts.filter(Boolean), controls, shut, focus: document.activeElement?.id };
  };
  const restore = ({ open, sorts, controls, shut, focus }) => {
    const byId = (id) => document.getElementById(id);
    controls.forEach(([id, checked, value]) => {
      const control = byId(id);
      if (!control) return;
      if (control.type === "checkbox") control.checked = checked;
      else if (control.tagName !== "SELECT" || [...control.options].some((option) => option.value === value)) control.value = value;
    });
    open.forEach((id) => byId(id) && expand(byId(id), true));
    shut.forEach((id) => byId(id) && (byId(id).open = true));
    sorts.forEach(([id, column, direction]) => byId(id) && setSort(byId(id), column, direction));
    if (focus && document.activeElement === document.body) byId(focus)?.focus({ preventScroll: true });
  };
  const refresh = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of all("[data-live][id]")) {
      const next = fresh.getElementById(part.id);
      if (!next || next.dataset.live === part.dataset.live) continue;
      const kept = state(part);
      const drawn = part.querySelector(".drawing[data-drawn]") !== null;
      part.replaceWith(next);
      restore(kept);
      prepare(next);
      if (drawn) all(".drawing", next).forEach(draw);
    }
  };
  const follow = () => {
    const status = document.getElementById("live");
    let shown = null;
    const ask = async () => {
      try {
        const answer = await fetch(location.pathname, { cache: "no-cache" });
        if (!answer.ok) throw new Error(answer.statusText);
        const tag = answer.headers.get("etag");
        if (shown !== null && tag !== shown) refresh(await answer.text());
        shown = tag;
        status.textContent = "live";
      } catch {
        status.textContent = "not live: the board has ended; this is its last state";
      }
      setTimeout(ask, 2000);
    };
    ask();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const theme = document.getElementById("theme");
    theme.value = stored();
    theme.disabled = false;
    prepare(document);
    if (live) follow();
  });
})();
