// What was tried: a tree of changes to a translation, each with what it did.
(() => {
  "use strict";
  const lib = Explorer.lib;
  const { button, make } = lib;

  const ROOT = "";
  const nodes = new Map(); // by name, in the order they were made: {json, change}
  let shown = ROOT;
  let made = 0;
  let pending = null;
  let redraw = () => {};

  // A change to what is shown; the server is asked for it next.
  const begin = (change) => {
    pending = { text: "", token: 0, ...change, branch: `b${++made}`, parent: shown };
  };
  const edit = () => pending;

  const add = (document) => {
    const name = document.change.branch;
    if (name === ROOT) nodes.clear();
    nodes.set(name, { ...document, edit: name === ROOT ? null : pending });
    shown = name;
    redraw();
  };

  const root = () => nodes.get(ROOT);

  // The changes that lead from the root to what is shown.
  const edits = () => {
    const found = [];
    for (let name = shown; name !== ROOT; name = nodes.get(name).change.parent) {
      const { kind, index, token, text } = nodes.get(name).edit;
      found.unshift({ kind, index, token, text });
    }
    return found;
  };

  const show = (name) => {
    lib.page.document = nodes.get(name);
    shown = name;
    lib.branching.show();
    redraw();
  };

  // Undo: back to what a branch was made from, and forget what grew from it.
  const undo = (name) => {
    const { parent } = nodes.get(name).change;
    const gone = new Set([name]);
    nodes.forEach(({ change }, other) => other && gone.has(change.parent) && gone.add(other));
    gone.forEach((other) => nodes.delete(other));
    if (gone.has(shown)) show(parent);
    else redraw();
  };

  // --- Drawing ------------------------------------------------------------------------------

  const KINDS = { same: "span", removed: "del", added: "ins" };

  const changed = (node) => {
    const line = make("p", "changed");
    line.dir = "auto";
    if (!node.stretches) line.textContent = node.text;
    else line.append(...node.stretches.flatMap(({ kind, text }) => [make(KINDS[kind], kind, text)]));
    return line;
  };

  const facts = (node) => {
    if (!node.stretches) return [];
    const parts = [`score ${node.score}`, `log-probability ${node.log_probability}`];
    if (node.attention) parts.push(`${node.attention} of the attention of unchanged words moved`);
    if (node.own) parts.unshift(node.own);
    return [make("p", "note", parts.join(" · "))];
  };

  const item = (name) => {
    const { change } = nodes.get(name);
    const line = make("li", name === shown ? "branch shown" : "branch");
    const head = make("div", "head");
    head.append(make("strong", "", change.label));
    const bar = make("span", "bar");
    const see = button("Show", () => show(name));
    see.disabled = name === shown;
    bar.append(see);
    if (name !== ROOT) bar.append(button("Undo", () => undo(name)));
    head.append(bar);
    line.append(head, changed(change), ...facts(change));
    if (name === shown) line.setAttribute("aria-current", "true");
    const children = [...nodes.keys()].filter((n) => n && nodes.get(n).change.parent === name);
    if (children.length) {
      const list = make("ul");
      list.append(...children.map(item));
      line.append(list);
    }
    return line;
  };

  // Draws no value of its own: what was tried is collected from the documents that come.
  const branches = (element) => {
    const root = element.querySelector(".panel");
    redraw = () => {
      if (!nodes.size) return root.replaceChildren(make("p", "message", root.dataset.placeholder));
      const list = make("ul", "branches");
      list.append(item(ROOT));
      root.replaceChildren(list);
    };
    redraw();
  };

  Object.assign(Explorer, { branches, edit });
  Object.assign(lib.branching, { add, begin, edits, root });
})();
