// What the page says by itself, what it sends, and what it remembers.
(() => {
  "use strict";
  const { branching, button, make, panel, taking } = Explorer.lib;

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

  // --- The document -------------------------------------------------------------------------

  // The document on the page.
  const page = { document: null };

  // value: {json: the Translation document as text, change: what it was made by}
  const download = (element, props, watch) => {
    const draw = (root, value) => {
      page.document = value || null;
      if (value) branching.add(value);
      const node = button(root.dataset.label, () =>
        saveAs("translation.json", "application/json", page.document.json));
      node.disabled = !value;
      root.replaceChildren(node);
    };
    panel(element, props, watch, draw, taking(props));
  };

  const saveAs = (name, type, text) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const LARGEST = 5e6; // the server takes no more

  // A document without one of its large parts, for a request that does not need it; what is
  // still larger than the server takes is not sent.
  const without = (_, key) => {
    if (!page.document) return null;
    const copy = JSON.parse(page.document.json);
    copy[key] = null;
    const json = JSON.stringify(copy);
    return json.length < LARGEST ? { json } : { too_large: true };
  };

  const whole = () => {
    if (!page.document) return null;
    return page.document.json.length < LARGEST ? page.document : { too_large: true };
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

  Object.assign(Explorer, { begin, download, refused, status, stop, whole, without });
  Object.assign(Explorer.lib, { page, saveAs });
})();
