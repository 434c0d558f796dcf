// A short course: every chapter drives the page itself.
(() => {
  "use strict";
  const { button, make, panel } = Explorer.lib;

  let chosen = null;

  // value: {chapters: [{title, paragraphs, link, tab, picture}], show}
  const tour = (element, props, watch, trigger) =>
    panel(element, props, watch, (root, value) => {
      if (!value) return;
      const sections = value.chapters.map((chapter) => {
        const section = make("section", "chapter");
        section.append(make("h3", "", chapter.title));
        chapter.paragraphs.forEach((text) => section.append(make("p", "", text)));
        if (!chapter.link) return section;
        const show = button(value.show, () => {
          chosen = chapter;
          trigger("select", {});
        });
        show.setAttribute("aria-label", `${value.show}: ${chapter.title}`);
        section.append(show, make("span", "note", ` ${chapter.link.text} (${chapter.link.model})`));
        return section;
      });
      root.replaceChildren(...sections);
    });

  // What the server is to fill in; the rest is done when it has answered.
  const chapter = () => {
    Explorer.lib.followLater({ tab: chosen.tab });
    return { link: chosen.link, picture: chosen.picture };
  };

  Object.assign(Explorer, { chapter, tour });
})();
