// The document on the page, and everything that takes it along: a link, a file, a page of its own.
(() => {
  "use strict";
  const { branching, button, make, panel, taking } = Explorer.lib;

  const page = { document: null };

  const LARGEST = 5e6; // the server takes no more

  // --- What the server is sent --------------------------------------------------------------

  // A document without one of its large parts, for a request that does not need it; what is
  // still larger than the server takes is not sent.
  const without = (_, key) => {
    if (!page.document) return null;
    const copy = JSON.parse(page.document.json);
    copy[key] = null;
    const json = JSON.stringify(copy);
    return json.length < LARGEST ? { json } : { too_large: true };
  };

  const targetText = () => (page.document ? JSON.parse(page.document.json).target.text : "");

  const fitting = (document) =>
    document && document.json.length >= LARGEST ? { too_large: true } : document;
  const whole = () => fitting(page.document);

  let opened = null;
  const takeOpened = () => fitting(opened);

  // --- Files --------------------------------------------------------------------------------

  const saveAs = (name, type, text) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const opener = (label, open) => {
    const input = make("input");
    input.type = "file";
    input.accept = ".json,application/json";
    input.hidden = true;
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (file) open({ json: file.size < LARGEST ? await file.text() : " ".repeat(LARGEST) });
      input.value = "";
    });
    return [button(label, () => input.click()), input];
  };

  // --- Links --------------------------------------------------------------------------------

  const SEARCH = ["beam", "length_penalty", "n_best"];
  const SAMPLING = ["temperature", "top_k", "top_p", "seed"];

  // An address that asks for the same translation again, and for every change to it.
  const address = () => {
    const document = JSON.parse(branching.root().json);
    const { search } = document;
    const words = new URLSearchParams({
      text: document.source.text,
      model: document.model.name,
      revision: document.model.revision,
      direction: `${document.source_language}-${document.target_language}`,
    });
    SEARCH.forEach((name) => words.set(name, search[name]));
    words.set("max_length", search.max_length ?? 0);
    if (search.sampling) {
      words.set("sample", "yes");
      SAMPLING.forEach((name) => words.set(name, search.sampling[name]));
    }
    const edits = branching.edits();
    if (edits.length) words.set("edits", JSON.stringify(edits));
    return `${location.origin}${location.pathname}${location.search}#${words}`;
  };

  const MOST_EDITS = 20; // each is a translation of its own
  const KINDS = ["token", "text", "word"];
  const isEdit = (edit) =>
    edit && KINDS.includes(edit.kind) && Number.isInteger(edit.index) &&
    Number.isInteger(edit.token ?? 0) && typeof (edit.text ?? "") === "string";

  let wanted = null; // what a link asks for and is still to be done

  // What the address holds, or else what was typed before gradio loaded the page anew.
  const link = () => {
    const words = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (!words.text || !words.model) {
      const text = sessionStorage.getItem("sentence");
      return text ? { text } : null;
    }
    let edits = [];
    try {
      edits = JSON.parse(words.edits || "[]");
    } catch {
      // a damaged list of changes asks for none
    }
    wanted = { revision: words.revision, edits: Array.isArray(edits) ? edits.filter(isEdit).slice(0, MOST_EDITS) : [] };
    return words;
  };

  const follow = () => {
    if (!wanted) return;
    if (wanted.tab) document.querySelector(`#${wanted.tab}-button`)?.click();
    document.querySelector("#go").click();
    if (wanted.tab) document.querySelector("#result").scrollIntoView({ behavior: "smooth", block: "start" });
  };
  const followLater = (next) => (wanted = { edits: [], ...next });

  // One thing at a time: a change is made when what it changes is there.
  const goOn = () => {
    if (!wanted || !page.document) return;
    const { revision } = JSON.parse(page.document.json).model;
    const other = wanted.revision && wanted.revision !== revision;
    const [next, ...rest] = wanted.edits;
    wanted = next && !other ? { ...wanted, edits: rest } : null;
    if (other) tell("This link was made with another version of the model; its changes are left out.");
    else if (next) branching.change(next);
  };

  // --- Use via code -------------------------------------------------------------------------

  // JSON strings are strings of Python, too.
  const python = (value) => JSON.stringify(value);

  const codes = () => {
    const { source, search, model, prefix, source_language, target_language } = JSON.parse(page.document.json);
    const direction = `${source_language}-${target_language}`;
    const forced = prefix.length ? `, prefix=[${prefix.join(", ")}]` : "";
    return {
      "In Python, on your own machine": [
        "from seq2seq import Translator",
        "",
        `translator = Translator.load(${python(model.name)})`,
        "translation = translator.translate(",
        `    ${python(source.text)}, source=${python(source_language)}, target=${python(target_language)},`,
        `    beam=${search.beam}, length_penalty=${search.length_penalty}, n_best=${search.n_best}, trace=True${forced},`,
        ")",
        "print(translation.text, translation.score)",
      ],
      "In Python, from this page (pip install gradio_client)": [
        "from gradio_client import Client",
        "",
        `client = Client(${python(location.origin + location.pathname)})`,
        "print(client.predict(",
        `    text=${python(source.text)}, model=${python(model.name)}, direction=${python(direction)},`,
        `    beam=${search.beam}, length_penalty=${search.length_penalty}, api_name="/translate",`,
        "))  # also: /explain, /compare, /batch",
      ],
    };
  };

  const codePanel = () => {
    const details = make("details", "code");
    details.append(make("summary", "", "Use via code"));
    const body = make("div");
    details.append(body);
    const fill = () => {
      if (!details.open || !page.document) return;
      const blocks = Object.entries(codes()).flatMap(([title, lines]) => {
        const text = lines.join("\n");
        const block = make("pre", "", text);
        block.tabIndex = 0;
        const copy = button("Copy", () => navigator.clipboard.writeText(text).then(() => tell("Copied.")));
        copy.setAttribute("aria-label", `Copy: ${title}`);
        return [make("p", "note", title), block, copy];
      });
      const mcp = `As tools of a language model (MCP): ${location.origin}${location.pathname}gradio_api/mcp/`;
      body.replaceChildren(...blocks, make("p", "note", mcp));
    };
    details.addEventListener("toggle", fill);
    return { node: details, fill };
  };

  // --- A page of its own --------------------------------------------------------------------

  const inPage = (text) => text.replace(/<\/(script|style)/gi, "<\\/$1");

  const variables = (style) => {
    const now = getComputedStyle(document.body);
    const names = new Set(style.match(/var\((--[\w-]+)/g).map((found) => found.slice(4)));
    return [...names]
      .map((name) => [name, now.getPropertyValue(name).trim()])
      .filter(([, value]) => value)
      .map(([name, value]) => `${name}: ${value};`)
      .join("\n");
  };

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:";

  const composed = async (value) => {
    const sources = [...document.querySelectorAll('script[src*="gradio_api/file="]')].map((node) => node.src);
    const texts = await Promise.all([...new Set(sources)].map(async (src) => (await fetch(src)).text()));
    const style = [...document.querySelectorAll("style")].map((node) => node.textContent).find((text) => text.includes("--level-0"));
    const data = JSON.stringify(value).replace(/</g, "\\u003c");
    return [
      "<!doctype html>",
      `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`,
      `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
      `<title>${escaped(value.title)}</title>`,
      `<style>:root { ${inPage(variables(style))} }\n${inPage(style)}</style></head>`,
      `<body class="saved${document.body.classList.contains("dark") ? " dark" : ""}"><main></main>`,
      ...texts.map((text) => `<script>${inPage(text)}</script>`),
      `<script>Explorer.saved(${data});</script></body></html>`,
    ].join("\n");
  };

  // Draws the sections of a page that was saved.
  const saved = (value) => {
    const main = document.querySelector("main");
    main.append(make("h1", "", value.title), make("p", "help", value.introduction));
    value.sections.forEach((section) => {
      if (section.title) main.append(make("h2", "", section.title));
      if (section.help) main.append(make("p", "help", section.help));
      const holder = make("div");
      const root = make("div", `panel ${section.kind}`);
      root.dataset.label = section.label;
      root.dataset.placeholder = "";
      holder.append(root);
      if (section.kind === "result") holder.id = "result";
      main.append(holder);
      Explorer[section.kind](holder, { value: section.value }, () => {}, null);
    });
  };

  // value: {title, introduction, sections}, which is saved as soon as it comes
  const saver = (element, props, watch) => {
    const read = taking(props);
    watch("value", async () => {
      const value = read();
      if (!value || value === saver.last) return;
      saver.last = value;
      if (value.message) tell(value.message);
      else saveAs("analysis.html", "text/html", await composed(value));
    });
  };

  // --- The panel ----------------------------------------------------------------------------

  let tell = () => {};

  // value: {json: the Translation document as text, change: what it was made by}
  const documentPanel = (element, props, watch, trigger) => {
    const root = element.querySelector(".panel");
    const message = make("span", "message");
    message.setAttribute("role", "status");
    tell = (text) => (message.textContent = text);
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(address());
        tell("The link is copied.");
      } catch {
        location.hash = address().split("#")[1];
        tell("The link stands in the address bar.");
      }
    };
    const open = (document) => {
      opened = { ...document, change: null };
      trigger("upload", {});
    };
    const taken = [
      button("Copy link", copy),
      button("Download as JSON", () => saveAs("translation.json", "application/json", page.document.json)),
      button("Save as web page", () => trigger("download", {})),
    ];
    taken[1].classList.add("download");
    const bar = make("div", "bar");
    bar.append(...taken, ...opener("Open JSON", open), message);
    const code = codePanel();
    root.replaceChildren(bar, code.node);
    let last;
    const draw = (_, value) => {
      if (value === last) return; // the receipt for it was put in its place
      last = value;
      page.document = value || null;
      tell("");
      taken.forEach((node) => (node.disabled = !value));
      code.node.hidden = !value;
      code.fill();
      if (value) branching.add(value);
    };
    panel(element, props, watch, draw, taking(props));
  };

  Object.assign(Explorer, { document: documentPanel, follow, goOn, link, saved, saver, takeOpened, whole, without });
  Object.assign(Explorer.lib, { followLater, page, saveAs, targetText });
})();
