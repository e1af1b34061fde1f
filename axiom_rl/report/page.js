"use strict";
// Comfort alone: without scripts the page says the same. Text of the page is read, never run.
(() => {
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];

  // A link to something folded opens it.
  const reveal = () => {
    const name = location.hash.slice(1);
    const place = name && document.getElementById(name);
    if (!place) return;
    for (let at = place; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    place.scrollIntoView();
  };
  addEventListener("hashchange", reveal);

  // Samples by verdict and text.
  const filters = all("form.filter").map((form) => {
    const section = form.parentElement, samples = all(".sample", section);
    const texts = samples.map((sample) => sample.textContent.toLowerCase());
    const apply = () => {
      const status = form.elements.status.value, words = form.elements.text.value.toLowerCase().trim();
      const fits = samples.map((sample, i) =>
        (!status || sample.dataset.status === status) && (!words || texts[i].includes(words)));
      const found = fits.filter(Boolean).length, asked = Boolean(status || words);
      for (const problem of all(".problem", section)) {
        const own = samples.map((sample, i) => [sample, fits[i]]).filter(([s]) => problem.contains(s));
        const pair = problem.querySelector(".pair"), any = own.some(([, fit]) => fit);
        // Of a pair both stay: one is read beside the other.
        for (const [sample, fit] of own) sample.hidden = pair ? !any : !fit;
        problem.hidden = asked && !any;
        if (asked && any && found <= 20) problem.open = true;
      }
      form.querySelector("output").textContent =
        asked ? `${found} of ${samples.length} samples` : `${samples.length} samples`;
    };
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", apply);
    apply();
    return { form, apply };
  });

  // A table that is wider than its place says so, and scrolls by keyboard.
  const mark = (box) => {
    const wide = box.scrollWidth > box.clientWidth + 1;
    let hint = box.nextElementSibling;
    if (!hint || !hint.classList.contains("more")) {
      if (!wide) return;
      hint = document.createElement("p");
      hint.className = "more";
      hint.textContent = "wider than the screen: scroll sideways";
      box.after(hint);
    }
    hint.hidden = !wide;
    const named = { tabindex: "0", role: "region", "aria-label": "table" };
    for (const [key, value] of Object.entries(named)) {
      if (wide) box.setAttribute(key, value); else box.removeAttribute(key);
    }
  };
  const boxes = all(".scroll"), watcher = new ResizeObserver((seen) => seen.forEach((one) => mark(one.target)));
  boxes.forEach(mark);
  boxes.forEach((box) => watcher.observe(box));

  // A page that is not final asks for itself again, and looks as it did.
  const seconds = Number(document.body.dataset.reload), key = `axiom-rl ${location.pathname}`;
  const name = (details) => {
    const up = details.parentElement.closest("details");
    const own = details.id || details.querySelector("summary").textContent;
    return (up ? `${name(up)} > ` : "") + own;
  };
  const again = document.getElementById("again"), button = document.getElementById("reload");
  if (seconds) button.hidden = again.parentElement.hidden = false;
  const save = () => sessionStorage.setItem(key, JSON.stringify({
    y: scrollY, again: again.checked, open: all("details[open]").map(name),
    filters: filters.map(({ form }) => [form.elements.status.value, form.elements.text.value]),
  }));
  const restore = () => {
    const text = sessionStorage.getItem(key);
    if (!text) return false;
    sessionStorage.removeItem(key);
    const was = JSON.parse(text), open = new Set(was.open);
    filters.forEach(({ form, apply }, i) => {
      [form.elements.status.value, form.elements.text.value] = was.filters[i] || ["", ""];
      apply();
    });
    for (const details of all("details")) details.open = open.has(name(details));
    if (again) again.checked = was.again;
    boxes.forEach(mark);  // before the page is scrolled, since hints move what is below
    history.scrollRestoration = "manual";
    scrollTo(0, was.y);
    return true;
  };
  const reload = () => {
    try { save(); } catch { /* no storage: the page begins at its top */ }
    location.reload();
  };
  let kept = false;
  try { kept = restore(); } catch { /* as above */ }
  if (!kept) reveal();
  if (seconds) {
    button.addEventListener("click", reload);
    const busy = () => document.hidden || !again.checked || String(getSelection()) ||
      document.activeElement.matches("input[type=search], select");
    setInterval(() => { if (!busy()) reload(); }, seconds * 1000);
  }
})();
