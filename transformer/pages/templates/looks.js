"use strict";
// Attention, drawn between the tokens that look and those that are looked at.
{
  const SVG = "http://www.w3.org/2000/svg";
  const FAINT = 0.02; // Lines that carry less are left out.
  const ROW = 34; // Pixels; as in the style.
  const HINT = "Point at a token, or move to it with Tab and the arrow keys, to see where it looks; a click or Enter keeps it.";
  const data = JSON.parse(document.getElementById("looks").textContent);

  const decoded = (look) => ({
    ...look,
    bytes: Uint8Array.from(atob(look.weights), (letter) => letter.charCodeAt(0)),
  });

  // The weights "T S" of a head, or the average of a layer's, for a head of -1.
  const weights = (look, layer, head) => {
    const size = look.from.length * look.to.length;
    const heads = head < 0 ? [...Array(look.heads).keys()] : [head];
    const found = new Float32Array(size);
    for (const one of heads) {
      const begin = (layer * look.heads + one) * size;
      for (let n = 0; n < size; n += 1) found[n] += look.bytes[begin + n] / 255 / heads.length;
    }
    return found;
  };

  const percent = (share) => `${Math.max(1, Math.round(100 * share))} %`;
  const plain = (piece) => piece.replaceAll("▁", "");

  const option = (value, text) => {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = text;
    return made;
  };

  const open = (panel, looks) => {
    const find = (name) => panel.querySelector(name);
    const [layers, heads, told] = [find(".layer"), find(".head"), find(".told")];
    const [threads, thumbs, side] = [find(".threads"), find(".thumbs"), { from: find(".from"), to: find(".to") }];
    let look = looks[0];
    let grid = null;
    let [held, pinned] = [null, null]; // By keys, by a click: [side, number] of a token.
    const rest = () => draw(held ?? pinned);

    // Draws all looks, or those from or to one token.
    const draw = (token) => {
      const [rows, columns] = [look.from.length, look.to.length];
      const most = Math.max(...(token ? shares(token) : grid), FAINT);
      threads.replaceChildren();
      for (let t = 0; t < rows; t += 1) {
        for (let s = 0; s < columns; s += 1) {
          const share = grid[t * columns + s];
          const meant = !token || token[1] === (token[0] === "from" ? t : s);
          if (share < FAINT || !meant) continue;
          const [y, end] = [(t + 0.5) * ROW, (s + 0.5) * ROW];
          const path = document.createElementNS(SVG, "path");
          path.setAttribute("d", `M0 ${y}C45 ${y} 55 ${end} 100 ${end}`);
          path.setAttribute("stroke-width", (0.8 + 7 * share).toFixed(2));
          path.setAttribute("stroke-opacity", (0.1 + (0.85 * share) / most).toFixed(2));
          threads.append(path);
        }
      }
      shade(token, most);
      told.textContent = token ? sentence(token) : summary();
    };

    const shares = ([from, number]) => from === "from"
      ? [...look.to.keys()].map((s) => grid[number * look.to.length + s])
      : [...look.from.keys()].map((t) => grid[t * look.to.length + number]);

    const shade = (token, most) => {
      for (const list of Object.values(side)) {
        for (const button of list.querySelectorAll("button")) {
          button.style.removeProperty("--share");
          button.classList.remove("centre");
          button.setAttribute("aria-pressed", "false");
        }
      }
      const button = ([name, number]) => side[name].children[number].firstChild;
      if (pinned) button(pinned).setAttribute("aria-pressed", "true");
      if (!token) return;
      const other = token[0] === "from" ? side.to : side.from;
      shares(token).forEach((share, n) => other.children[n].firstChild.style.setProperty("--share", share / most));
      button(token).classList.add("centre");
    };

    const sentence = (token) => {
      const [own, other, verb] = token[0] === "from"
        ? [look.from, look.to, "looks at"] : [look.to, look.from, "is looked at by"];
      const best = shares(token).map((share, n) => [share, n])
        .filter(([share]) => share >= FAINT).sort((a, b) => b[0] - a[0]).slice(0, 4)
        .map(([share, n]) => `“${plain(other[n])}” ${percent(share)}`);
      return `“${plain(own[token[1]])}” ${verb} ${best.join(", ") || "nothing much"}.`;
    };

    const summary = () => {
      const role = heads.value < 0 ? null : look.roles[layers.value]?.[heads.value];
      return role ? `This head’s looks mostly go to: ${role}. ${HINT}` : HINT;
    };

    const list = (name) => {
      const buttons = look[name].map((piece, number) => {
        const button = document.createElement("button");
        button.type = "button";
        button.tabIndex = number ? -1 : 0;
        const text = document.createElement("bdi");
        text.textContent = plain(piece) || piece;
        button.append(text);
        button.addEventListener("pointerenter", () => draw([name, number]));
        button.addEventListener("focus", () => {
          held = button.matches(":focus-visible") ? [name, number] : null;
          rest();
        });
        button.addEventListener("blur", () => {
          held = null;
          rest();
        });
        button.addEventListener("click", () => {
          const again = pinned?.[0] === name && pinned[1] === number;
          pinned = again ? null : [name, number];
          rest();
        });
        return button;
      });
      side[name].replaceChildren(...buttons.map((button) => {
        const item = document.createElement("li");
        item.append(button);
        return item;
      }));
    };

    const move = (event) => {
      const buttons = [...event.currentTarget.querySelectorAll("button")];
      const now = buttons.indexOf(event.target);
      const to = { ArrowUp: now - 1, ArrowDown: now + 1, Home: 0, End: buttons.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (!buttons[to]) return;
      buttons[now].tabIndex = -1;
      buttons[to].tabIndex = 0;
      buttons[to].focus();
    };

    const thumb = (layer, head) => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [look.to.length, look.from.length];
      const [context, values] = [canvas.getContext("2d"), weights(look, layer, head)];
      const image = context.createImageData(canvas.width, canvas.height);
      values.forEach((share, n) => image.data.set([0x2b, 0x8a, 0xb8, 255 * Math.sqrt(share)], 4 * n));
      context.putImageData(image, 0, 0);
      canvas.dataset.layer = layer;
      canvas.dataset.head = head;
      canvas.title = `Layer ${layer + 1}, head ${head + 1}`;
      canvas.addEventListener("click", () => pick(layer, head));
      return canvas;
    };

    const pick = (layer, head) => {
      layer = Math.min(layer, look.layers - 1); // Layers may have been averaged.
      layers.value = layer;
      heads.value = look.heads > 1 ? head : -1;
      grid = weights(look, layer, Number(heads.value));
      for (const canvas of thumbs.children) {
        const chosen = Number(canvas.dataset.layer) === layer && [-1, Number(canvas.dataset.head)].includes(Number(heads.value));
        canvas.classList.toggle("chosen", chosen);
      }
      rest();
    };

    const change = (number, layer, head) => {
      look = looks[number];
      [held, pinned] = [null, null];
      threads.setAttribute("viewBox", `0 0 100 ${ROW * Math.max(look.from.length, look.to.length)}`);
      threads.setAttribute("height", ROW * Math.max(look.from.length, look.to.length));
      layers.replaceChildren(...[...Array(look.layers).keys()].map((n) => option(n, `${n + 1}`)));
      const each = [...Array(look.heads).keys()].map((n) => option(n, `${n + 1}`));
      heads.replaceChildren(option(-1, "all, averaged"), ...(look.heads > 1 ? each : []));
      list("from");
      list("to");
      thumbs.style.setProperty("--heads", look.heads);
      thumbs.replaceChildren(...[...Array(look.layers * look.heads).keys()]
        .map((n) => thumb(Math.floor(n / look.heads), n % look.heads)));
      pick(layer ?? look.layers - 1, head ?? -1);
    };

    const kinds = [...panel.querySelectorAll(".kinds input")];
    for (const kind of kinds) kind.addEventListener("change", () => change(Number(kind.value)));
    for (const picker of [layers, heads]) {
      picker.addEventListener("change", () => pick(Number(layers.value), Number(heads.value)));
    }
    for (const tokens of Object.values(side)) {
      tokens.addEventListener("keydown", move);
      tokens.addEventListener("pointerleave", rest);
    }
    const show = (key, layer, head) => {
      const number = looks.findIndex((one) => one.key === key);
      kinds[number].checked = true;
      change(number, layer, head);
    };
    find(".console").hidden = false;
    change(Number(kinds.find((kind) => kind.checked).value));
    return show;
  };

  document.querySelectorAll(".sheet").forEach((sheet, number) => {
    const panel = sheet.querySelector(".attention");
    if (!panel) return;
    sheet.addEventListener("shown", () => {
      const show = open(panel, data[number].map(decoded));
      for (const button of sheet.querySelectorAll(".roles button")) {
        button.disabled = false;
        button.addEventListener("click", () => {
          show(button.dataset.kind, button.dataset.layer - 1, button.dataset.head - 1);
          panel.querySelector("h3").scrollIntoView();
        });
      }
    }, { once: true });
  });
}
