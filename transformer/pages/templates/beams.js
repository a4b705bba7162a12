"use strict";
// A beginning that is pointed at, or reached by arrow keys, is told whole.
{
  const FATES = {
    best: "on the way to the translation",
    kept: "kept for a while",
    ended: "complete, but not the best",
    pruned: "given up: others were better",
  };

  const HINT = "Point at a beginning, or move with the arrow keys, to read it whole.";

  for (const panel of document.querySelectorAll(".tree")) {
    const drawing = panel.querySelector(".branches");
    const told = panel.querySelector(".told");
    const branches = [...drawing.querySelectorAll(".branch")]
      .sort((one, other) => one.dataset.branch - other.dataset.branch);
    const limbs = new Map();
    for (const limb of drawing.querySelectorAll(".limb")) limbs.set(limb.dataset.branch, limb);
    const x = (branch) => branch.querySelector("circle").getAttribute("cx");
    let at = branches.findIndex((branch) => branch.classList.contains("best"));

    const clear = () => {
      drawing.classList.remove("pointed");
      told.textContent = HINT;
      for (const lit of drawing.querySelectorAll(".lit")) lit.classList.remove("lit");
    };

    const show = (branch) => {
      clear();
      drawing.classList.add("pointed");
      for (let one = branch; one; one = branches[one.dataset.parent]) {
        one.classList.add("lit");
        limbs.get(one.dataset.branch).classList.add("lit");
      }
      const { text, probability, score } = branch.dataset;
      const fate = Object.keys(FATES).find((name) => branch.classList.contains(name));
      const share = (100 * probability).toFixed(probability < 0.1 ? 1 : 0);
      const judged = score === undefined ? "" : `, score ${score}`;
      told.textContent = `“${text}”: last token ${share} %${judged}; ${FATES[fate]}.`;
    };

    const next = (key) => {
      const branch = branches[at];
      const column = branches.filter((one) => x(one) === x(branch));
      const after = branches.filter((one) => one.dataset.parent === branch.dataset.branch);
      return {
        ArrowLeft: branches[branch.dataset.parent],
        ArrowRight: after.find((one) => one.classList.contains("best")) ?? after[0],
        ArrowUp: column[column.indexOf(branch) - 1],
        ArrowDown: column[column.indexOf(branch) + 1],
      }[key];
    };

    clear();
    branches.forEach((branch, number) => {
      branch.addEventListener("pointerenter", () => { at = number; show(branch); });
    });
    drawing.addEventListener("pointerleave", clear);
    drawing.addEventListener("blur", clear);
    drawing.addEventListener("focus", () => { if (at >= 0) show(branches[at]); });
    drawing.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow") || at < 0) return;
      event.preventDefault();
      const found = next(event.key);
      if (!found) return;
      at = branches.indexOf(found);
      show(found);
      found.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }
}
