// The sentence and its translation, word by word, and what else could stand there.
(() => {
  "use strict";
  const lib = Explorer.lib;
  const { buildTable, button, foldedTable, make, panel } = lib;

  // --- Words --------------------------------------------------------------------------------

  const levelOf = (segment) => (segment.level === null ? "plain" : `level-${segment.level}`);

  const wordNode = (segment, side) => {
    if (segment.word === null) return document.createTextNode(segment.text);
    const kinds = ["word", levelOf(segment)];
    if (segment.special) kinds.push("special");
    if (segment.unsure) kinds.push("unsure");
    const node = make("span", kinds.join(" "), segment.text);
    if (segment.hint) node.title = segment.hint;
    node.dataset.side = side;
    node.dataset.word = segment.word;
    return node;
  };

  // The words of one side as one stop of the Tab key; arrows move inside it.
  const interactive = (line, side, label) => {
    const words = [...line.querySelectorAll(".word")];
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", label);
    words.forEach((node, index) => {
      node.setAttribute("role", "button");
      node.setAttribute("aria-pressed", "false");
      node.tabIndex = index ? -1 : 0;
      const place = { [side]: Number(node.dataset.word) };
      const toggle = () =>
        lib.held_selection()[side] === place[side] ? lib.release() : lib.select(place, true);
      node.addEventListener("mouseenter", () => lib.select(place));
      node.addEventListener("mouseleave", () => lib.select(null));
      node.addEventListener("focus", () => lib.select(place));
      node.addEventListener("click", toggle);
      node.addEventListener("keydown", (event) => {
        const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: words.length - 1 }[event.key];
        if (event.key === "Enter" || event.key === " ") toggle();
        else if (words[to]) {
          node.tabIndex = -1;
          words[to].tabIndex = 0;
          words[to].focus();
        } else return;
        event.preventDefault();
      });
    });
  };

  // Outline what is selected, and shade the sentence by the attention of the selected word.
  const highlight = (root, now) => {
    const weights = lib.attentionOf(now.target);
    root.querySelectorAll(".word[data-side]").forEach((node) => {
      const { side, word } = node.dataset;
      const index = Number(word);
      const chosen = now[side] === index;
      node.classList.toggle("chosen", chosen);
      const held = chosen && lib.held_selection()[side] === index;
      if (node.hasAttribute("role")) node.setAttribute("aria-pressed", String(held));
      if (side === "source") {
        const weight = (weights && weights[index]) || 0;
        node.style.setProperty("--weight", `${Math.round(100 * Math.min(1, weight))}%`);
      }
    });
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

  // --- What could have been -----------------------------------------------------------------

  const field = (label, action, on) => {
    const form = make("form", "write");
    const input = make("input");
    input.type = "text";
    input.maxLength = 100;
    input.placeholder = label;
    input.setAttribute("aria-label", label);
    const send = make("button", "", action);
    send.type = "submit";
    form.append(input, send);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim()) on(input.value.trim());
    });
    return form;
  };

  const optionRow = (option, edit) => {
    const row = make("div", "options");
    const taken = make("span", "taken");
    taken.append(make("span", "token", option.taken), ` ${option.probability}`);
    row.append(taken);
    option.others.forEach((other) => {
      const node = edit
        ? button(other.text, () => edit({ kind: "token", index: option.step, token: other.id }))
        : make("span", "token", other.text);
      node.append(make("span", "share", other.probability));
      row.append(node);
    });
    return row;
  };

  // What can be done with the held word.
  const strip = (root, value, edit) => {
    const { source, target, step } = lib.held_selection();
    const title = make("p", "strip-title");
    const nodes = [title];
    if (target !== null && value.options.length) {
      const word = value.segments.find((segment) => segment.word === target);
      title.textContent = `Instead of “${word.text}” the model could have written:`;
      const steps = value.options.filter((option) => value.links.target[option.step] === target);
      nodes.push(...steps.map((option) => optionRow(option, edit)));
      const first = value.links.target.indexOf(target);
      if (edit) nodes.push(field("Or write something else from here on", "Try", (text) => edit({ kind: "text", index: first, text })));
    } else if (edit && source !== null && !value.source.find((s) => s.word === source).special) {
      const word = value.source.find((segment) => segment.word === source);
      title.textContent = `“${word.text}” in the sentence:`;
      const row = make("div", "options");
      row.append(
        field("Another word", "Replace", (text) => edit({ kind: "word", index: source, text })),
        button("Leave out", () => edit({ kind: "word", index: source, text: "" })),
      );
      nodes.push(row);
    } else title.textContent = "Choose a word to see what else could stand there.";
    root.replaceChildren(...nodes);
  };

  const signs = (value, edit) => {
    const list = make("ul", "signs");
    value.signs.forEach((sign) => {
      const item = make("li", `sign sign-${sign.kind}`);
      const show = button(sign.title, () => {
        if (sign.words.length) lib.select({ target: sign.words[0] }, true);
        else if (sign.source_words.length) lib.select({ source: sign.source_words[0] }, true);
      });
      show.className = "badge";
      item.append(show, ` ${sign.text} `);
      const { suggestion } = sign;
      if (suggestion && edit) {
        const act = () => edit({ kind: "token", index: suggestion.step, token: suggestion.id });
        const node = button(`Try: ${sign.hint}`, act);
        node.className = "suggestion";
        item.append(node);
      } else if (sign.hint && edit) item.append(`You could ${sign.hint}.`);
      list.append(item);
    });
    return list;
  };

  // --- The panel ----------------------------------------------------------------------------

  const sentence = (segments, side, language, classes) => {
    const line = make("p", classes);
    line.dir = "auto";
    line.lang = language;
    line.append(...segments.map((segment) => wordNode(segment, side)));
    return line;
  };

  const finished = (value, edit) => {
    const nodes = [];
    if (value.signs.length) nodes.push(signs(value, edit));
    value.warnings.forEach((warning) => nodes.push(make("p", "warning", warning)));
    if (value.facts) nodes.push(make("p", "note", value.facts));
    if (value.n_best) {
      const scroll = make("div", "scroll n-best");
      scroll.tabIndex = 0;
      scroll.append(buildTable(value.n_best));
      nodes.push(scroll);
    }
    if (value.words) {
      const table = foldedTable("Show the probability of each word");
      table.show(value.words);
      nodes.push(table.node);
    }
    return nodes;
  };

  // value: {languages, source, segments, complete, legend_title, legend, links, options, signs,
  // facts, warnings, n_best, words}
  const result = (element, props, watch, trigger) => {
    const root = element.querySelector(".panel");
    const edit = (change) => {
      Explorer.lib.branching.begin(change);
      trigger("edit", {});
    };
    if (trigger) {
      lib.branching.show = () => trigger("apply", {});
      lib.branching.change = edit;
    }
    let redrawStrip = () => {};
    lib.onSelection((now, hold) => {
      if (!root.isConnected) return;
      highlight(root, now);
      if (hold) redrawStrip();
    });
    panel(element, props, watch, (_, value) => {
      redrawStrip = () => {};
      if (!value) return root.replaceChildren(make("p", "placeholder", root.dataset.placeholder));
      const source = sentence(value.source, "source", value.languages[0], "source");
      const text = sentence(value.segments, "target", value.languages[1], "translation");
      if (!value.complete) {
        text.append(make("span", "cursor", "…"));
        lib.release(); // what was held belongs to the translation before
      }
      const nodes = [source, text, legend(value)];
      if (value.complete) {
        interactive(source, "source", "Words of the sentence");
        interactive(text, "target", "Words of the translation");
        const below = make("div", "strip");
        redrawStrip = () => strip(below, value, trigger && edit);
        nodes.push(below, ...finished(value, trigger && edit));
      }
      root.replaceChildren(...nodes);
      if (value.complete) lib.relink(value.links);
    });
  };

  Object.assign(Explorer, { result });
  Object.assign(lib, { sentence });
})();
