"use strict";
// Pointing at a chart, or arrow keys in it, shows the values at an update in all charts.
{
  const charts = JSON.parse(document.getElementById("curves").textContent);
  const digits = { maximumSignificantDigits: 4 };

  const nearest = (points, update) =>
    points.reduce((best, point) =>
      Math.abs(point[0] - update) < Math.abs(best[0] - update) ? point : best);

  const show = (update) => {
    for (const [key, { end, curves }] of Object.entries(charts)) {
      const figure = document.getElementById(key);
      const found = curves.map(({ points }) => nearest(points, update));
      const at = nearest(found, update)[0];
      const cursor = figure.querySelector(".cursor");
      cursor.setAttribute("x1", `${(100 * at) / end}%`);
      cursor.setAttribute("x2", `${(100 * at) / end}%`);
      figure.classList.add("pointed");
      const values = found.map(([exactly, value], n) => {
        const name = curves.length > 1 ? `${curves[n].name} ` : "";
        const elsewhere = exactly === at ? "" : ` (at ${exactly.toLocaleString("en")})`;
        return name + value.toLocaleString("en", digits) + elsewhere;
      });
      figure.querySelector("output").textContent =
        `update ${at.toLocaleString("en")}: ${values.join(", ")}`;
    }
  };

  const hide = () => {
    for (const key of Object.keys(charts)) {
      const figure = document.getElementById(key);
      figure.classList.remove("pointed");
      figure.querySelector("output").textContent = "";
    }
  };

  for (const [key, { end, curves }] of Object.entries(charts)) {
    const plot = document.getElementById(key).querySelector(".plot");
    const updates = [...new Set(curves.flatMap(({ points }) => points.map(([at]) => at)))];
    updates.sort((one, other) => one - other);
    let position = updates.length - 1;

    const point = (event) => {
      const box = plot.getBoundingClientRect();
      show(((event.clientX - box.left) / box.width) * end);
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", hide);

    plot.setAttribute("tabindex", "0");
    plot.addEventListener("focus", () => show(updates[position]));
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        event.preventDefault();
        const last = updates.length - 1;
        position = Math.min(last, Math.max(0, position + steps[event.key]));
        show(updates[position]);
      }
    });
  }
}
