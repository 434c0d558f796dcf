// Plotly charts that follow the page's width and colours.
(() => {
  "use strict";
  const { foldedTable, button, make, panel, taking } = Explorer.lib;

  const isDark = () => document.body.classList.contains("dark");

  // One observer for all charts: the page's colours changed.
  const charts = new Set();
  let dark = isDark();
  new MutationObserver(() => {
    if (dark === isDark()) return;
    dark = isDark();
    charts.forEach((chart) => chart.paint(true));
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });

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

  // --- What is selected, in a chart ---

  const band = (axis, index, across) => {
    const from = axis._offset + axis.l2p(index - 0.5);
    const to = axis._offset + axis.l2p(index + 0.5);
    const node = make("div", "band");
    const [start, size] = axis._id[0] === "x" ? ["left", "width"] : ["top", "height"];
    node.style[start] = `${Math.min(from, to)}px`;
    node.style[size] = `${Math.abs(to - from)}px`;
    const [other, length] = start === "left" ? ["top", "height"] : ["left", "width"];
    node.style[other] = `${across._offset}px`;
    node.style[length] = `${across._length}px`;
    return node;
  };

  // Columns and rows of a map of cells, or the column of a step in a tree.
  const bands = (target, meta) => {
    const { xaxis: x, yaxis: y } = target._fullLayout;
    const { source, targets, step } = Explorer.lib.selected(meta);
    if (meta.marks === "heads") return [];
    if (meta.marks === "positions") return step === null ? [] : [band(x, step + 1, y)];
    if (meta.marks === "ends") {
      const half = (from) => ({ _offset: x._offset + x.l2p(from), _length: x.l2p(0.5) - x.l2p(0) });
      return [...source.map((i) => band(y, i, half(-0.5))), ...targets.map((i) => band(y, i, half(1)))];
    }
    return [...source.map((i) => band(x, i, y)), ...targets.map((i) => band(y, i, x))];
  };

  // Pointing at a chart selects what stands there, clicking holds it.
  const point = (target, pick) => {
    if (target.pointed) return;
    target.pointed = true;
    const chosen = (event, hold) => {
      const { meta } = target.layout;
      if (!meta.marks || !event.points.length) return;
      if (meta.marks === "heads") {
        if (hold) pick(Math.floor(event.points[0].y), Math.floor(event.points[0].x));
        return;
      }
      Explorer.lib.selectPoint(meta, event.points[0], hold);
    };
    target.on("plotly_hover", (event) => chosen(event, false));
    target.on("plotly_unhover", () => target.layout.meta.marks && Explorer.lib.select(null));
    target.on("plotly_click", (event) => chosen(event, true));
  };

  // A chart that draws itself as soon as it is visible and whenever its width or colours change.
  const chart = (label) => {
    const holder = make("div", "chart");
    const canvas = make("div", "canvas");
    const target = make("div", "drawing");
    canvas.append(target);
    holder.append(canvas);
    holder.tabIndex = 0; // so that the arrow keys can scroll it
    const tools = make("div", "tools");
    const zooming = [
      button("Zoom in", () => zoom(target, 0.75)),
      button("Zoom out", () => zoom(target, 1 / 0.75)),
      button("Reset", () => self.paint(true, true)),
    ];
    const save = (format) => () => {
      const { width: w, height } = target._fullLayout;
      const scale = format === "png" ? 2 : 1; // pixels for print and for dense screens
      Plotly.downloadImage(target, { format, filename: "seq2seq", width: w, height, scale });
    };
    tools.append(...zooming, button("Save as SVG", save("svg")), button("Save as PNG", save("png")));
    target.setAttribute("role", "img");
    target.setAttribute("aria-label", label);
    let figure = null;
    let width = 0; // of what is drawn; 0 when it has to be drawn anew
    let revision = 0;
    const self = {
      nodes: [holder, tools],
      pick: () => {},
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
        Plotly.react(target, copy.data, copy.layout, OPTIONS).then(() => {
          point(target, (layer, head) => self.pick(layer, head));
          self.mark();
        });
      },
      // Bands over what is selected anywhere on the page.
      mark() {
        canvas.querySelectorAll(".band").forEach((node) => node.remove());
        const kind = figure && width && figure.layout.meta.marks;
        if (kind && target._fullLayout) canvas.append(...bands(target, figure.layout.meta));
      },
    };
    charts.add(self);
    Explorer.lib.onSelection(() => self.mark());
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

  // `note`: a text, or several
  const showChart = (root, { figure = null, table = null, message = "", note = "" }) => {
    const parts = chartPanel(root);
    parts.message.textContent = message;
    parts.message.hidden = !message;
    const sentences = [note].flat().filter(Boolean);
    parts.note.replaceChildren(...sentences.flatMap((text) => [make("span", "", text), " "]));
    parts.note.hidden = !sentences.length;
    const meta = figure ? figure.layout.meta : {};
    if (meta.attention) Explorer.lib.setMap(figure);
    parts.drawing.show(figure);
    parts.table.show(table);
  };

  // value: {figure, table, message, note}
  const plot = (element, props, watch, trigger) => {
    const draw = (root, value) => {
      showChart(root, value || { message: root.dataset.placeholder });
      root.parts.drawing.pick = (layer, head) => {
        picked = [layer, head];
        trigger("select", {});
      };
    };
    panel(element, props, watch, draw, taking(props));
  };

  // Layer and head of the small map that was clicked last.
  let picked = [null, null];

  Object.assign(Explorer, { picked: () => picked, plot });
  Object.assign(Explorer.lib, { showChart });
})();
