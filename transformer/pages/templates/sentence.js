"use strict";
// One sentence at a time: the others are hidden, not gone.
{
  const sheets = [...document.querySelectorAll(".sheet")];
  const choice = document.getElementById("choice");

  const show = (number) => {
    sheets.forEach((sheet, position) => { sheet.hidden = position !== number; });
    sheets[number]?.dispatchEvent(new Event("shown"));
  };

  if (choice) {
    choice.hidden = false;
    choice.addEventListener("change", (event) => show(Number(event.target.value)));
  }
  const chosen = choice?.querySelector("input:checked");
  show(chosen ? Number(chosen.value) : 0);
}
