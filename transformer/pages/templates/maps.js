"use strict";
// A word that is pointed at, or chosen, is tied to its neighbours.
{
  const SVG = "http://www.w3.org/2000/svg";
  const HINT = "Point at a word of the sentence, or choose it above, to see its neighbours.";

  for (const panel of document.querySelectorAll(".map")) {
    const plot = panel.querySelector(".plot");
    if (!plot) continue;
    const spots = new Map();
    for (const spot of plot.querySelectorAll(".spot")) spots.set(spot.dataset.spot, spot);
    const ties = plot.querySelector(".ties");
    const told = panel.querySelector(".told");
    const words = panel.querySelector(".words");
    const buttons = [...words.querySelectorAll("button")];
    let chosen = null;

    const place = (spot) => {
      const circle = spot.querySelector("circle");
      return [circle.getAttribute("cx"), circle.getAttribute("cy")];
    };

    const tie = (from, to) => {
      const line = document.createElementNS(SVG, "line");
      const [[x1, y1], [x2, y2]] = [place(from), place(to)];
      for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) line.setAttribute(name, value);
      ties.append(line);
    };

    const show = (number) => {
      ties.replaceChildren();
      for (const spot of spots.values()) spot.classList.remove("near", "centre");
      plot.classList.toggle("pointed", number !== null);
      told.textContent = HINT;
      if (number === null) return;
      const centre = spots.get(number);
      const near = JSON.parse(centre.dataset.near);
      centre.classList.add("centre");
      for (const [other] of near) {
        spots.get(String(other)).classList.add("near");
        tie(centre, spots.get(String(other)));
      }
      const name = (spot) => spot.querySelector("text").textContent;
      const named = near.map(([other, cosine]) => `${name(spots.get(String(other)))} ${cosine.toFixed(2)}`);
      told.textContent = `Nearest to ${name(centre)}: ${named.join(", ")}. 1 would be the same direction.`;
    };

    const choose = (number) => {
      chosen = chosen === number ? null : number;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.spot === chosen));
      show(chosen);
    };

    for (const target of [...buttons, ...plot.querySelectorAll(".spot.own")]) {
      target.addEventListener("pointerenter", () => show(target.dataset.spot));
      target.addEventListener("pointerleave", () => show(chosen));
      target.addEventListener("click", () => choose(target.dataset.spot));
    }
    for (const button of buttons) {
      button.addEventListener("focus", () => show(button.dataset.spot));
      button.addEventListener("blur", () => show(chosen));
    }
    words.hidden = false;
    show(null);
  }
}
