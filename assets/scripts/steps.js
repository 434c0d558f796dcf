// The step-by-step view: a player, and charts that show the player's step.
(() => {
  "use strict";
  const lib = Explorer.lib;
  const { button, foldedTable, make, panel, showChart, taking } = lib;

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
      table: foldedTable("All hypotheses at this step"),
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
    parts.body.append(bar, parts.words, parts.facts, parts.table.node);
    root.replaceChildren(parts.message, parts.body);
    return parts;
  };

  // value: {steps: [{token, facts}], message}
  const player = (element, props, watch) => {
    const root = element.querySelector(".panel");
    const parts = playerParts(root, { move: (by) => (pause(), move(stepping.step + by)), play: () => play() });
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
      parts.table.show(steps[step].table);
      parts.back.disabled = step === 0;
      parts.next.disabled = step === steps.length - 1;
      window.dispatchEvent(new CustomEvent(STEP));
    };
    const move = (wanted) => {
      go(wanted);
      if (steps.length) lib.select({ step: stepping.step }, true);
    };
    lib.onSelection(({ step }, hold) => {
      if (hold && step !== null && step !== stepping.step && root.isConnected) go(step);
    });
    const play = () => {
      if (timer) return pause();
      if (stepping.step >= steps.length - 1) move(0);
      parts.play.textContent = "Pause";
      timer = setInterval(() => {
        if (!root.isConnected || stepping.step >= steps.length - 1) return pause();
        move(stepping.step + 1);
        if (stepping.step >= steps.length - 1) pause();
      }, 800);
    };

    parts.slider.addEventListener("input", () => (pause(), move(Number(parts.slider.value))));

    const draw = (_, value) => {
      const { steps: given = [], message = "" } = value || { message: root.dataset.placeholder };
      pause();
      steps = given;
      parts.message.textContent = message;
      parts.message.hidden = !message;
      parts.body.hidden = !steps.length;
      parts.slider.max = Math.max(0, steps.length - 1);
      go(lib.held_selection().step ?? 0); // a word may have been chosen before this tab was
    };
    panel(element, props, watch, draw, taking(props));
  };

  Object.assign(Explorer, { frames, player });
})();
