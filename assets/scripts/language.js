// The interface in the reader's language: English texts are replaced where they stand.
//
// What a person or a model wrote is left alone: it stands in elements that are skipped here.
(() => {
  "use strict";
  const { make, panel } = Explorer.lib;

  const ENGLISH = "en";
  const NAMES = { en: "English", fr: "Français", de: "Deutsch", zh: "中文" };
  const SKIPPED = [
    "[translate=no]", "script", "style", "textarea", "pre", "td", ".word", ".token", ".source",
    ".translation", ".changed", ".options button", "#examples button", ".cursor", ".term",
  ].join(", ");
  // In a chart only these are the page's own words; ticks and marks are somebody's text.
  const OF_CHARTS = "[class$=title], .legendtext";
  const ATTRIBUTES = ["placeholder", "aria-label", "title"];

  let language = ENGLISH;
  let words = new Map();
  let templates = [];
  const originals = new WeakMap(); // of text nodes and, by attribute, of elements

  // --- One text -----------------------------------------------------------------------------

  // A template as its fixed parts and the names of the fields between them.
  const asParts = (template) => ({
    fixed: template.split(/\{\w+\}/),
    names: template.match(/\{\w+\}/g),
  });

  // What stands in the fields, or null. Each ends where the next fixed part first occurs: unlike a
  // regular expression this takes no longer for a text that almost fits.
  const fieldsOf = (text, fixed) => {
    if (!text.startsWith(fixed[0])) return null;
    const values = [];
    let place = fixed[0].length;
    for (let index = 1; index < fixed.length; index++) {
      const part = fixed[index];
      const last = index === fixed.length - 1;
      const at = last ? (text.endsWith(part) ? text.length - part.length : -1) : text.indexOf(part, place + 1);
      if (at <= place) return null;
      values.push(text.slice(place, at));
      place = at + part.length;
    }
    return values;
  };

  const load = (table) => {
    words = new Map(Object.entries(table));
    templates = Object.entries(table)
      .filter(([english]) => /\{\w+\}/.test(english))
      .sort(([a], [b]) => b.length - a.length)
      .map(([english, other]) => ({ ...asParts(english), other }));
  };

  const translated = (text) => {
    if (language === ENGLISH) return text;
    const core = text.trim();
    if (words.has(core)) return text.replace(core, () => words.get(core));
    if (words.has(text)) return words.get(text);
    for (const { fixed, names, other } of templates) {
      const values = fieldsOf(core, fixed);
      if (!values) continue;
      const filled = names.reduce((sum, name, index) => {
        const value = words.get(values[index]) || values[index];
        return sum.replace(name, () => value);
      }, other);
      return text.replace(core, () => filled);
    }
    return text;
  };

  // --- The page -----------------------------------------------------------------------------

  // The English text of a place whose text is now `now`.
  const english = (holder, key, now) => {
    const known = originals.get(holder) || {};
    if (!known[key] || known[key].shown !== now) known[key] = { text: now, shown: now };
    originals.set(holder, known);
    return known[key];
  };

  const isOurs = (element) => {
    if (!element || element.closest(SKIPPED)) return false;
    return !element.closest(".js-plotly-plot") || Boolean(element.closest(OF_CHARTS));
  };

  const applyText = (node) => {
    if (!/[A-Za-z]{2}/.test(node.data) && language === ENGLISH && !originals.has(node)) return;
    if (!isOurs(node.parentElement)) return;
    const known = english(node, "text", node.data);
    known.shown = translated(known.text);
    if (node.data !== known.shown) node.data = known.shown;
  };

  const applyAttributes = (element) => {
    if (element.matches(".word, .word *")) return;
    ATTRIBUTES.filter((name) => element.hasAttribute(name)).forEach((name) => {
      const known = english(element, name, element.getAttribute(name));
      known.shown = translated(known.text);
      if (element.getAttribute(name) !== known.shown) element.setAttribute(name, known.shown);
    });
  };

  // Paragraphs with explained terms inside are replaced as a whole.
  const applyWhole = (element) => {
    const known = english(element, "html", element.innerHTML);
    const text = translated(element.dataset.text);
    const next = text === element.dataset.text ? known.text : null;
    if (next !== null && element.innerHTML !== next) element.innerHTML = next;
    else if (next === null && element.textContent !== text) {
      element.textContent = text;
      known.shown = element.innerHTML;
    }
  };

  const apply = (root) => {
    if (root.nodeType === Node.TEXT_NODE) return applyText(root);
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    const whole = [...root.querySelectorAll("[data-text]")];
    if (root.matches("[data-text]")) whole.push(root);
    whole.forEach(applyWhole);
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.parentElement?.closest("[data-text]")) applyText(node);
    }
    [root, ...root.querySelectorAll("[placeholder], [aria-label], [title]")].forEach(applyAttributes);
  };

  const observer = new MutationObserver((changes) => {
    if (language === ENGLISH) return;
    changes.forEach((change) => {
      if (change.type === "childList") change.addedNodes.forEach(apply);
      else if (change.type === "characterData") {
        if (!change.target.parentElement?.closest("[data-text]")) apply(change.target);
      } else applyAttributes(change.target);
    });
  });

  const use = async (next, { addresses, names }) => {
    if (next !== ENGLISH) {
      const ofLanguages = Object.entries(names).map(([english, others]) => [english, others[next]]);
      load({ ...Object.fromEntries(ofLanguages), ...(await (await fetch(addresses[next])).json()) });
    }
    language = next;
    document.documentElement.lang = next;
    apply(document.body);
  };

  // --- The choice ---------------------------------------------------------------------------

  // value: {addresses: {language: address of its texts}, label,
  //         names: {English name of a language: {language: its name}}}
  const languagePanel = (element, props, watch) =>
    panel(element, props, watch, (root, value) => {
      if (!value || root.firstChild) return;
      const select = make("select");
      select.setAttribute("aria-label", value.label);
      select.setAttribute("translate", "no");
      const known = [ENGLISH, ...Object.keys(value.addresses)];
      known.forEach((code) => {
        const option = make("option", "", NAMES[code] || code);
        option.value = code;
        option.lang = code;
        select.append(option);
      });
      const wanted = localStorage.getItem("language") || navigator.language.slice(0, 2);
      select.value = known.includes(wanted) ? wanted : ENGLISH;
      select.addEventListener("change", () => {
        localStorage.setItem("language", select.value);
        use(select.value, value);
      });
      root.append(select);
      observer.observe(document.body, {
        childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
      });
      if (select.value !== ENGLISH) use(select.value, value);
    });

  Object.assign(Explorer, { language: languagePanel });
})();
