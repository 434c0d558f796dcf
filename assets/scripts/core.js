// What every panel of the page is made of. Each panel is a function of (element, props, watch,
// trigger) that draws props.value; this file has their common parts, the others add the panels.
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

  const button = (text, action) => {
    const node = make("button", "", text);
    node.type = "button";
    node.addEventListener("click", action);
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
        cell.translate = false; // somebody's words, whatever language the page speaks
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

  // value: a table that is always open
  const table = (element, props, watch) =>
    panel(element, props, watch, (root, value) => {
      const scroll = make("div", "scroll");
      scroll.tabIndex = 0;
      if (value) scroll.append(buildTable(value));
      root.replaceChildren(scroll);
    });

  window.Explorer = { table };
  // `branching` joins the translation and the tree of its changes, whichever is drawn first.
  Explorer.lib = { branching: {}, buildTable, button, foldedTable, held, make, panel, taking };
})();
