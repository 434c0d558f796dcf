// One selection for the whole page: a word of the sentence, a word of the translation, a step of
// the decoder. Pointing at something selects it, a click or Enter holds it until the next one.
(() => {
  "use strict";

  const NOTHING = { source: null, target: null, step: null };
  let now = { ...NOTHING };
  let kept = { ...NOTHING }; // what is held, and comes back when nothing is pointed at
  let links = { source: [], target: [] }; // the word of every piece
  let map = null; // the attention that the heatmap shows
  const listeners = new Set();

  const onSelection = (listener) => listeners.add(listener);
  const isHeld = () => Object.values(kept).some((index) => index !== null);

  const firstPiece = (side, word) => links[side].indexOf(word);

  // Word and step are two names of the same place.
  const completed = (change) => {
    const next = { ...NOTHING, ...change };
    if (next.step === null && next.target !== null) next.step = firstPiece("target", next.target);
    if (next.step !== null && next.target === null) next.target = links.target[next.step] ?? null;
    return next;
  };

  const tell = (next, hold) => {
    if (!hold && Object.keys(NOTHING).every((key) => now[key] === next[key])) return;
    now = next;
    listeners.forEach((listener) => listener(now, hold));
  };

  // Select {source, target, step}, all optional; null goes back to what is held.
  const select = (change, hold = false) => {
    if (!change) return tell(kept, false);
    const next = completed(change);
    if (hold) kept = next;
    else if (isHeld()) return; // pointing changes nothing while something is held
    tell(next, hold);
  };

  const release = () => {
    kept = { ...NOTHING };
    tell(kept, true);
  };

  // A new translation: nothing is selected, and pieces belong to other words.
  const relink = (next) => {
    links = next;
    release();
  };

  // --- Charts -------------------------------------------------------------------------------

  const indices = (side, word, pieces) => {
    if (word === null) return [];
    if (!pieces) return [word];
    return links[side].flatMap((of, piece) => (of === word ? [piece] : []));
  };

  // Rows, columns and step of what is selected, in a chart with these properties: `pieces`,
  // `shift` where rows stand for what was read one step later, and `columns`, the words or pieces
  // that columns stand for where they are not all there.
  const selected = ({ pieces = false, shift = 0, columns = null }) => ({
    source: indices("source", now.source, pieces)
      .map((word) => (columns ? columns.indexOf(word) : word))
      .filter((column) => column >= 0),
    targets: indices("target", now.target, pieces).map((index) => index + shift),
    step: now.step,
  });

  // Column and row that a point stands for; null where it stands for one of them alone.
  const ends = (meta, point) => {
    if (meta.marks !== "ends") return [point.x, point.y];
    if (Array.isArray(point.customdata)) return point.customdata.slice(2);
    return point.x ? [null, point.y] : [point.y, null];
  };

  const selectPoint = (meta, point, hold) => {
    if (meta.marks === "positions") return select({ step: Math.max(0, point.x - 1) }, hold);
    const [column, row] = ends(meta, point);
    const place = { source: column, target: row === null ? null : row - (meta.shift || 0) };
    if (meta.columns && column !== null) place.source = meta.columns[column];
    if (place.target < 0) place.target = null;
    if (meta.pieces) {
      const source = place.source === null ? null : links.source[place.source];
      select({ source, step: place.target }, hold);
    } else select(place, hold);
  };

  const setMap = (figure) => {
    map = { z: figure.data[0].z, ...figure.layout.meta };
  };

  // Attention of a word of the translation over the words of the sentence, as the heatmap shows
  // it: source pieces added up, target pieces averaged. Null where there is none.
  const attentionOf = (word) => {
    if (!map || word === null) return null;
    const rows = indices("target", word, map.pieces).map((index) => map.z[index + map.shift]);
    if (!rows.length || rows.includes(undefined)) return null;
    const total = [];
    rows.forEach((row) =>
      row.forEach((weight, column) => {
        const unit = map.columns ? map.columns[column] : column;
        const at = map.pieces ? links.source[unit] : unit;
        total[at] = (total[at] || 0) + weight / rows.length;
      }),
    );
    return total;
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isHeld()) release();
  });

  Object.assign(Explorer.lib, {
    attentionOf, onSelection, relink, release, select, selectPoint, selected, setMap,
    held_selection: () => kept,
  });
})();
