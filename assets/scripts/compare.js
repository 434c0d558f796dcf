// One sentence through several models: a card each, and their steps side by side.
(() => {
  "use strict";
  const { buildTable, make, panel, sentence, showChart, taking } = Explorer.lib;

  const card = (column) => {
    const node = make("section", "card");
    node.setAttribute("aria-label", column.model);
    node.append(make("h3", "", column.model));
    if (!column.segments) {
      node.append(make("p", "message", column.message));
      return node;
    }
    node.append(make("p", "note", column.architecture));
    node.append(sentence(column.segments, "", column.language, "translation"));
    if (column.signs.length) node.append(make("p", "warning", column.signs.join(", ")));
    node.append(make("p", "note", column.facts));
    const chart = make("div");
    chart.dataset.label = `Attention of ${column.model}`;
    node.append(chart);
    // Drawn once it is on the page and has a width.
    requestAnimationFrame(() => showChart(chart, column.chart));
    return node;
  };

  // value: {columns: [{model, architecture, segments, facts, signs, chart, message}], steps, message}
  const compare = (element, props, watch) => {
    const draw = (root, value) => {
      const { columns = [], steps = null, message = "" } = value || { message: root.dataset.placeholder };
      const cards = make("div", "cards");
      cards.append(...columns.map(card));
      const nodes = [cards];
      if (message) nodes.unshift(make("p", "message", message));
      if (steps) {
        const scroll = make("div", "scroll steps");
        scroll.tabIndex = 0;
        scroll.append(buildTable(steps));
        nodes.push(scroll);
      }
      root.replaceChildren(...nodes);
    };
    panel(element, props, watch, draw, taking(props));
  };

  Object.assign(Explorer, { compare });
})();
