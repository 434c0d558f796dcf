// Many sentences: a file that never leaves the page unread, and a table that can be sorted.
(() => {
  "use strict";
  const { button, make, panel, taking } = Explorer.lib;

  const MOST_CHARACTERS = 2e6; // of a file; the server takes no more
  let opened = "";
  let kept = null; // what a stopped batch shows until the next one begins

  // value: {name, text} of the chosen file
  const file = (element, props) => {
    const root = element.querySelector(".panel");
    const label = make("label", "", `${root.dataset.label} `);
    const input = make("input");
    input.type = "file";
    input.accept = ".txt,.tsv,.csv,text/plain,text/csv,text/tab-separated-values";
    input.addEventListener("change", async () => {
      const [chosen] = input.files;
      if (!chosen) props.value = null;
      else props.value = { name: chosen.name, text: (await chosen.text()).slice(0, MOST_CHARACTERS) };
    });
    const clear = button("Without the file", () => {
      input.value = "";
      props.value = null;
    });
    label.append(input);
    root.replaceChildren(label, clear);
  };

  const lines = (values) => {
    const end = values.length - 1;
    kept = null;
    return [...values.slice(0, end - 1), (values[end - 1] || "").slice(0, MOST_CHARACTERS), values[end]];
  };

  // --- The table ----------------------------------------------------------------------------

  const worst = (a, b) =>
    Boolean(b.message) - Boolean(a.message) || b.signs.length - a.signs.length || (a.score ?? 0) - (b.score ?? 0);

  const ORDERS = {
    "the worst first": worst,
    "as given": (a, b) => a.number - b.number,
    "lowest score": (a, b) => (a.score ?? 0) - (b.score ?? 0),
    "longest": (a, b) => b.source.length - a.source.length,
  };
  let order = "the worst first";

  const rowNode = (row, open) => {
    const line = make("tr");
    const number = make("th", "", String(row.number));
    number.scope = "row";
    const source = make("td", "wide");
    const show = button(row.source, () => open(row.source));
    show.title = "Open this sentence above";
    show.dir = "auto";
    source.append(show);
    const text = make("td", "wide", row.text || row.message);
    text.dir = "auto";
    const score = make("td", "", row.score === null ? "" : row.score.toFixed(3));
    line.append(number, source, text, score, make("td", "", row.least), make("td", "wide", row.signs.join(", ")));
    return line;
  };

  const tableOf = (rows, open) => {
    const table = make("table");
    table.append(make("caption", "", "Translations with their normalised score and their least probable word"));
    const head = table.createTHead().insertRow();
    ["line", "sentence", "translation", "score", "least sure", "signs"].forEach((name) => {
      const cell = make("th", "", name);
      cell.scope = "col";
      head.append(cell);
    });
    const body = table.createTBody();
    body.append(...[...rows].sort(ORDERS[order]).map((row) => rowNode(row, open)));
    return table;
  };

  const tabs = (text) => text.replace(/[\t\r\n]+/g, " ");
  const asTsv = (rows) =>
    [
      "line\tsource\ttranslation\treference\tscore\tsigns",
      ...rows.map((row) =>
        [row.number, row.source, row.text, row.reference, row.score ?? "", row.signs.join("; ")]
          .map((cell) => tabs(String(cell)))
          .join("\t"),
      ),
    ].join("\n") + "\n";

  const tools = (value, redraw) => {
    const bar = make("div", "bar");
    const label = make("label", "", "Order: ");
    const select = make("select");
    Object.keys(ORDERS).forEach((name) => {
      const option = make("option", "", name);
      option.value = name; // its text may be in another language
      option.selected = name === order;
      select.append(option);
    });
    select.addEventListener("change", () => {
      order = select.value;
      redraw();
    });
    label.append(select);
    const { saveAs } = Explorer.lib;
    bar.append(
      label,
      button("Download TSV", () => saveAs("translations.tsv", "text/tab-separated-values", asTsv(value.rows))),
      button("Download JSON", () => saveAs("translations.json", "application/json", JSON.stringify(value.rows, null, 1))),
    );
    return bar;
  };

  // value: {rows, total, progress, message, scores}
  const batch = (element, props, watch, trigger) => {
    const root = element.querySelector(".panel");
    const take = taking(props);
    const read = () => {
      const value = take(); // also one that comes too late to be shown
      return kept || value;
    };
    const open = (text) => {
      opened = text;
      trigger("select", {});
    };
    const redraw = () => draw(root, read());
    const draw = (_, value) => {
      const { rows = [], total = 0, progress = "", message = "", scores = "" } = value || {};
      const nodes = [];
      const text = value ? message : root.dataset.placeholder;
      if (text) nodes.push(make("p", "message", text));
      if (progress) {
        const line = make("p", "progress", progress);
        line.setAttribute("role", "status");
        nodes.push(line);
      }
      if (total && rows.length < total) {
        const bar = make("progress");
        [bar.max, bar.value] = [total, rows.length];
        bar.setAttribute("aria-label", progress);
        nodes.push(bar);
      }
      if (scores) nodes.push(make("p", "note", scores));
      if (rows.length) {
        const scroll = make("div", "scroll batch-table");
        scroll.tabIndex = 0;
        scroll.append(tableOf(rows, open));
        nodes.push(tools(value, redraw), scroll);
      }
      root.replaceChildren(...nodes);
    };
    panel(element, props, watch, draw, read);
    state = () => read();
  };

  // What is done stays when the rest is given up. A part that was under way by then comes too
  // late: it would say for ever how many seconds are left.
  let state = () => null;
  const stopBatch = () => {
    const value = state();
    if (!value || !value.rows || value.rows.length === value.total) return value;
    kept = { ...value, total: value.rows.length, progress: "Stopped; what is done is kept." };
    return kept;
  };

  Object.assign(Explorer, { batch, file, lines, opened: () => (setTimeout(() => document.querySelector("#go").click(), 50), opened), stopBatch });
})();
