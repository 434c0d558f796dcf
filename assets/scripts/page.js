// What the page says by itself, what it sends, and what it remembers.
(() => {
  "use strict";
  const { panel } = Explorer.lib;

  // --- Messages -----------------------------------------------------------------------------

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

  // gradio loads the page anew when its server was restarted; what was typed comes back with it.
  window.addEventListener("pagehide", () => {
    sessionStorage.setItem("sentence", document.querySelector("#text textarea")?.value ?? "");
  });

  // Many people press Ctrl+Enter; the text box only knows Enter.
  document.addEventListener("keydown", (event) => {
    const wanted = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (wanted && event.target.closest("#text")) document.querySelector("#go").click();
  });

  Object.assign(Explorer, { begin, refused, status, stop });
})();
