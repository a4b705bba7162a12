"use strict";
// While the run goes on, looks for news; what is open and whether to look stays as it is.
{
  const follow = document.getElementById("follow");
  const seconds = 30;
  const store = {
    get: (key) => {
      try {
        return JSON.parse(sessionStorage.getItem(key));
      } catch {
        return null; // some browsers keep nothing for files
      }
    },
    set: (key, value) => {
      try {
        sessionStorage.setItem(key, JSON.stringify(value));
      } catch {
        // as above
      }
    },
  };
  const place = location.pathname;

  for (const id of store.get(`${place} open`) ?? []) {
    document.getElementById(id)?.setAttribute("open", "");
  }

  if (follow) {
    follow.parentElement.hidden = false;
    follow.checked = store.get(`${place} follow`) ?? true;
    follow.addEventListener("change", () => store.set(`${place} follow`, follow.checked));
    setInterval(() => {
      if (follow.checked && document.visibilityState === "visible") {
        const open = [...document.querySelectorAll("details[open]")].map(({ id }) => id);
        store.set(`${place} open`, open);
        location.reload();
      }
    }, 1000 * seconds);
  }
}
