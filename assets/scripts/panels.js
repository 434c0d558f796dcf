// The page's own panels. Each is a function of (element, props, watch) that draws props.value.
//
// Text that came from a person or a model reaches the page through textContent or through
// Plotly labels that Python escaped, never as markup.
(() => {
  "use strict";

  // --- Small helpers ------------------------------------------------------------------------

  const make = (tag, classes = "", text = null) => {
    const node = document.createElement(tag);
    if (classes) node.className = classes;
    if (text !== null) node.textContent = text;
    return node;
  };

  const panel = (element, props, watch, draw, read = () => props.value) => {
    const root = element.querySelector(".panel");
    const redraw = () => draw(root, read());
    redraw();
    watch("value", redraw);
  };

  // gradio copies and compares the values of all its components whenever anything happens, which
  // freezes the page when some are large. A panel with large values takes each out as soon as it
  // comes and leaves a receipt in its place.
  const kept = new Map();
  let issued = 0;

  const held = (value) => (value && value.receipt ? kept.get(value.receipt) : value);

  const taking = (props) => {
    let receipt = 0;
    return () => {
      const value = props.value;
      if (value && value.receipt) return held(value);
      kept.delete(receipt);
      if (value) {
        receipt = ++issued;
        kept.set(receipt, value);
        props.value = { receipt };
      }
      return value;
    };
  };

  const isDark = () => document.body.classList.contains("dark");

  // One observer for all charts: the page's colours changed.
  const charts = new Set();
  let dark = isDark();
  new MutationObserver(() => {
    if (dark === isDark()) return;
    dark = isDark();
    charts.forEach((chart) => chart.paint(true));
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });

  // --- Tables -------------------------------------------------------------------------------

  const buildTable = (table) => {
    const node = make("table");
    node.append(make("caption", "", table.caption));
    const head = node.createTHead().insertRow();
    table.columns.forEach((name) => {
      const cell = make("th", "", name);
      cell.scope = "col";
      head.append(cell);
    });
    const body = node.createTBody();
    table.rows.forEach((row) => {
      const line = body.insertRow();
      row.forEach((text, index) => {
        const cell = make(index ? "td" : "th", "", text);
        if (!index) cell.scope = "row";
        cell.dir = "auto";
        line.append(cell);
      });
    });
    return node;
  };

  // A folded table that is built when it is opened, and again when its contents change.
  const foldedTable = (title = "Show as table") => {
    const details = make("details", "as-table");
    details.append(make("summary", "", title));
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    details.append(scroll);
    let current = null;
    const fill = () => scroll.replaceChildren(...(current && details.open ? [buildTable(current)] : []));
    details.addEventListener("toggle", fill);
    return {
      node: details,
      show(table) {
        current = table;
        details.hidden = !table;
        fill();
      },
    };
  };

  // --- Charts -------------------------------------------------------------------------------

  const themed = (layout, width) => {
    const style = getComputedStyle(document.body);
    const text = style.getPropertyValue("--body-text-color").trim();
    const paper = style.getPropertyValue("--background-fill-primary").trim();
    const result = { ...layout, width, autosize: false };
    result.font = { ...layout.font, color: text };
    result.hoverlabel = {
      ...layout.hoverlabel,
      bgcolor: paper,
      bordercolor: text,
      font: { ...(layout.hoverlabel || {}).font, color: text },
    };
    if (layout.coloraxis && isDark()) {
      result.coloraxis = { ...layout.coloraxis, colorscale: layout.meta.dark_scale };
    }
    if (layout.dragmode && matchMedia("(pointer: coarse)").matches) {
      result.dragmode = false; // a finger scrolls the page and the chart; zooming has buttons
    }
    return result;
  };

  const OPTIONS = { displaylogo: false, showSendToCloud: false, displayModeBar: false };

  const button = (text, action) => {
    const node = make("button", "", text);
    node.type = "button";
    node.addEventListener("click", action);
    return node;
  };

  // Zoom by a factor around the middle of what is shown.
  const zoom = (target, factor) => {
    const change = {};
    ["xaxis", "yaxis"].forEach((name) => {
      const [from, to] = target._fullLayout[name].range;
      const middle = (from + to) / 2;
      change[`${name}.range`] = [middle + (from - middle) * factor, middle + (to - middle) * factor];
    });
    Plotly.relayout(target, change);
  };

  // A chart that draws itself as soon as it is visible and whenever its width or colours change.
  const chart = (label) => {
    const holder = make("div", "chart");
    const target = make("div", "drawing");
    holder.append(target);
    holder.tabIndex = 0; // so that the arrow keys can scroll it
    const tools = make("div", "tools");
    const zooming = [
      button("Zoom in", () => zoom(target, 0.75)),
      button("Zoom out", () => zoom(target, 1 / 0.75)),
      button("Reset", () => self.paint(true, true)),
    ];
    const save = () => {
      const { width: w, height } = target._fullLayout;
      Plotly.downloadImage(target, { format: "svg", filename: "seq2seq", width: w, height });
    };
    tools.append(...zooming, button("Save as SVG", save));
    target.setAttribute("role", "img");
    target.setAttribute("aria-label", label);
    let figure = null;
    let width = 0; // of what is drawn; 0 when it has to be drawn anew
    let revision = 0;
    const self = {
      nodes: [holder, tools],
      show(next) {
        figure = next;
        revision += 1;
        holder.hidden = tools.hidden = !next;
        zooming.forEach((node) => (node.hidden = !(next && next.layout.dragmode)));
        self.paint(true);
      },
      paint(force, reset = false) {
        if (force) width = 0; // and stays so until it can be seen
        if (!figure || !holder.clientWidth) return;
        const { min_width: least, max_width: most } = figure.layout.meta;
        const wanted = Math.max(Math.min(Math.floor(holder.clientWidth), most || Infinity), least);
        if (wanted === width) return;
        width = wanted;
        revision += reset ? 1 : 0;
        target.style.height = `${figure.layout.height}px`;
        const copy = JSON.parse(JSON.stringify(figure));
        copy.layout = { ...themed(copy.layout, width), uirevision: revision };
        Plotly.react(target, copy.data, copy.layout, OPTIONS);
      },
    };
    charts.add(self);
    new ResizeObserver(() => self.paint(false)).observe(holder);
    return self;
  };

  const chartPanel = (root) => {
    if (!root.parts) {
      const message = make("p", "message");
      const note = make("p", "note");
      const drawing = chart(root.dataset.label || "chart");
      const table = foldedTable();
      root.replaceChildren(message, ...drawing.nodes, note, table.node);
      root.parts = { message, note, drawing, table };
    }
    return root.parts;
  };

  const showChart = (root, { figure = null, table = null, message = "", note = "" }) => {
    const parts = chartPanel(root);
    parts.message.textContent = message;
    parts.message.hidden = !message;
    parts.note.textContent = note;
    parts.note.hidden = !note;
    parts.drawing.show(figure);
    parts.table.show(table);
  };

  // value: {figure, table, message, note}
  const plot = (element, props, watch) => {
    const draw = (root, value) => showChart(root, value || { message: root.dataset.placeholder });
    panel(element, props, watch, draw, taking(props));
  };

  // value: a table that is always open
  const table = (element, props, watch) =>
    panel(element, props, watch, (root, value) => {
      const scroll = make("div", "scroll");
      scroll.tabIndex = 0;
      if (value) scroll.append(buildTable(value));
      root.replaceChildren(scroll);
    });

  // --- Step by step -------------------------------------------------------------------------

  const stepping = { step: 0 };
  const STEP = "explorer:step";

  // value: {figures, tables, message, note}; draws the figure of the current step
  const frames = (element, props, watch) => {
    const draw = (root, value) => {
      const { figures = [], tables = [], message = "", note = "" } = value || {};
      const index = Math.min(stepping.step, figures.length - 1);
      showChart(root, { figure: figures[index], table: tables[index], message, note });
    };
    const read = taking(props);
    panel(element, props, watch, draw, read);
    const root = element.querySelector(".panel");
    window.addEventListener(STEP, () => root.isConnected && draw(root, read()));
  };

  const playerParts = (root, on) => {
    const parts = {
      message: make("p", "message"),
      body: make("div", "player"),
      back: button("◀", () => on.move(-1)),
      play: button("Play", () => on.play()),
      next: button("▶", () => on.move(1)),
      slider: make("input"),
      place: make("output", "place"),
      words: make("p", "so-far"),
      facts: make("p", "note"),
    };
    parts.back.setAttribute("aria-label", "Previous step");
    parts.next.setAttribute("aria-label", "Next step");
    parts.slider.type = "range";
    parts.slider.min = 0;
    parts.slider.step = 1;
    parts.slider.setAttribute("aria-label", "Step");
    parts.play.className = "play";
    const bar = make("div", "bar");
    bar.append(parts.back, parts.play, parts.next, parts.slider, parts.place);
    parts.body.append(bar, parts.words, parts.facts);
    root.replaceChildren(parts.message, parts.body);
    return parts;
  };

  // value: {steps: [{token, facts}], message}
  const player = (element, props, watch) => {
    const root = element.querySelector(".panel");
    const parts = playerParts(root, { move: (by) => (pause(), go(stepping.step + by)), play: () => play() });
    let steps = [];
    let timer = null;

    const pause = () => {
      clearInterval(timer);
      timer = null;
      parts.play.textContent = "Play";
    };
    const go = (wanted) => {
      if (!steps.length) return;
      const step = Math.max(0, Math.min(steps.length - 1, wanted));
      stepping.step = step;
      parts.slider.value = step;
      parts.place.textContent = `Step ${step + 1} of ${steps.length}`;
      parts.slider.setAttribute("aria-valuetext", `${parts.place.textContent}: ${steps[step].token}`);
      const before = steps.slice(0, step).map((s) => make("span", "token", s.token));
      parts.words.replaceChildren(...before, make("span", "token now", steps[step].token));
      parts.facts.textContent = steps[step].facts;
      parts.back.disabled = step === 0;
      parts.next.disabled = step === steps.length - 1;
      window.dispatchEvent(new CustomEvent(STEP));
    };
    const play = () => {
      if (timer) return pause();
      if (stepping.step >= steps.length - 1) go(0);
      parts.play.textContent = "Pause";
      timer = setInterval(() => {
        if (!root.isConnected || stepping.step >= steps.length - 1) return pause();
        go(stepping.step + 1);
        if (stepping.step >= steps.length - 1) pause();
      }, 800);
    };

    parts.slider.addEventListener("input", () => (pause(), go(Number(parts.slider.value))));

    const draw = (_, value) => {
      const { steps: given = [], message = "" } = value || { message: root.dataset.placeholder };
      pause();
      steps = given;
      parts.message.textContent = message;
      parts.message.hidden = !message;
      parts.body.hidden = !steps.length;
      parts.slider.max = Math.max(0, steps.length - 1);
      go(0);
    };
    panel(element, props, watch, draw, taking(props));
  };

  // --- The translation ----------------------------------------------------------------------

  const word = (segment) => {
    if (segment.level === null) return document.createTextNode(segment.text);
    const node = make("span", `word level-${segment.level}${segment.special ? " special" : ""}`);
    node.append(segment.text);
    node.title = segment.hint;
    return node;
  };

  const legend = (value) => {
    const node = make("div", "legend");
    node.append(make("span", "", value.legend_title));
    value.legend.forEach((text, level) => {
      const item = make("span", "item");
      item.append(make("span", `word level-${level}`, text));
      node.append(item);
    });
    return node;
  };

  // value: {source, languages, segments, complete, legend_title, legend, facts, warnings, n_best, words}
  const result = (element, props, watch) =>
    panel(element, props, watch, (root, value) => {
      if (!value) return root.replaceChildren(make("p", "placeholder", root.dataset.placeholder));
      const source = make("p", "source", value.source);
      source.dir = "auto";
      const text = make("p", "translation");
      text.dir = "auto";
      [source.lang, text.lang] = value.languages;
      text.append(...value.segments.map(word));
      if (!value.complete) text.append(make("span", "cursor", "…"));
      const nodes = [source, text, legend(value)];
      value.warnings.forEach((warning) => nodes.push(make("p", "warning", warning)));
      if (value.facts) nodes.push(make("p", "note", value.facts));
      if (value.n_best) {
        const scroll = make("div", "scroll n-best");
        scroll.append(buildTable(value.n_best));
        nodes.push(scroll);
      }
      if (value.words) {
        const table = foldedTable("Show the probability of each word");
        table.show(value.words);
        nodes.push(table.node);
      }
      root.replaceChildren(...nodes);
    });

  // --- Messages and the document ------------------------------------------------------------

  // value: {kind, text}
  const status = (element, props, watch) =>
    panel(element, props, watch, (root, value) => {
      const { kind = "idle", text = "" } = value || {};
      root.className = `panel status ${kind}`;
      root.textContent = text;
    });

  // What the page says by itself: values of the status and of the button that stops.
  const say = (kind, text, stoppable) => [{ kind, text }, { __type__: "update", interactive: stoppable }];
  const isBusy = (now) => Boolean(now) && now.kind === "busy";
  const begin = (now, [waiting, still]) => say("busy", isBusy(now) ? still : waiting, true);
  const stop = (now, text) => say("stopping", text, false);
  const UNCHANGED = { __type__: "update" };
  // gradio calls a stopped translation failed, too.
  const refused = (now, text) => (isBusy(now) ? say("error", text, false) : [UNCHANGED, UNCHANGED]);

  // value: {json: the Translation document as text}
  const download = (element, props, watch) => {
    const draw = (root, value) => {
      const node = button(root.dataset.label, () => {
        const link = make("a");
        link.href = URL.createObjectURL(new Blob([value.json], { type: "application/json" }));
        link.download = "translation.json";
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      });
      node.disabled = !value;
      root.replaceChildren(node);
    };
    panel(element, props, watch, draw, taking(props));
  };

  // A document without one of its large parts, for a request that does not need it; what is
  // still larger than the server takes is not sent.
  const without = (value, key) => {
    if (!value) return null;
    const document = JSON.parse(held(value).json);
    document[key] = null;
    const json = JSON.stringify(document);
    return json.length < 5e6 ? { json } : { too_large: true };
  };

  // gradio loads the page anew when its server was restarted; what was typed comes back with it.
  window.addEventListener("pagehide", () => {
    sessionStorage.setItem("sentence", document.querySelector("#text textarea")?.value ?? "");
  });

  // Many people press Ctrl+Enter; the text box only knows Enter.
  document.addEventListener("keydown", (event) => {
    const wanted = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (wanted && event.target.closest("#text")) document.querySelector("#go").click();
  });

  window.Explorer = { begin, download, frames, player, plot, refused, result, status, stop, table, without };
})();
