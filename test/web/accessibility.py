"""What is in the way of those who see little, use no mouse, or listen."""

CHECK = r'''() => {
  const problems = [];
  const visible = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) {
      layers.push(rgba(getComputedStyle(e).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const describe = (e) => `${e.tagName} .${e.className} "${(e.innerText ?? "").trim().slice(0, 40)}"`;

  // Text and its background: 1.4.3
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || !visible(e) || e.closest(".fer-unseen, .fer-skip, script, style, .q-icon")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const below = ground(e), ink = over(rgba(style.color), below);
    const [low, high] = [light(ink), light(below)].sort((a, b) => a - b);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const found = (high + 0.05) / (low + 0.05);
    if (found < least) problems.push(`contrast ${found.toFixed(2)} of ${describe(e)}`);
  }

  // Headings and landmarks
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(visible);
  if (headings.filter((e) => e.tagName === "H1").length !== 1) problems.push("not one h1");
  headings.reduce((level, e) => {
    if (Number(e.tagName[1]) > level + 1) problems.push(`heading skips a level: ${describe(e)}`);
    return Number(e.tagName[1]);
  }, 0);
  if ([...document.querySelectorAll("main, [role=main]")].filter(visible).length !== 1) problems.push("not one main");
  if (document.querySelector("[role=tabpanel] [role=tabpanel]")) problems.push("nested tab panels");
  for (const e of document.querySelectorAll("body *")) {
    const text = [...e.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const apart = "header, main, nav, footer, dialog, script, style, noscript, template, [role=alert], [role=status], "
      + ".q-notifications";
    if (text && visible(e) && !e.closest(apart)) problems.push(`outside of the landmarks: ${describe(e)}`);
  }

  // Names
  const named = (e) => e.getAttribute("aria-label")?.trim() || e.getAttribute("aria-labelledby")
    || e.labels?.length || e.innerText?.trim() || e.getAttribute("alt")?.trim() || e.getAttribute("title");
  for (const e of document.querySelectorAll("button, a[href], input, select, [role=button], [role=tab], [role=img], "
    + "[role=progressbar], progress, dialog[open], img")) {
    if (visible(e) && !e.closest("[aria-hidden=true]") && !e.matches(".q-icon") && !named(e)) {
      problems.push(`no name: ${describe(e)} ${e.outerHTML.slice(0, 100)}`);
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`id ${id} occurs twice`);
  for (const e of document.querySelectorAll("[aria-describedby], [aria-labelledby]")) {
    const list = (e.getAttribute("aria-describedby") ?? "") + " " + (e.getAttribute("aria-labelledby") ?? "");
    for (const id of list.split(" ").filter(Boolean)) {
      if (!document.getElementById(id)) problems.push(`no element ${id}`);
    }
  }

  // Targets
  const least = matchMedia("(pointer: coarse)").matches ? 44 : 24;
  for (const e of document.querySelectorAll("button, a[href], [role=tab], .q-btn, summary, .fer-file, "
    + ".fer-choice label, .fer-check, input:not(.fer-file input):not(label input)")) {
    const box = e.getBoundingClientRect();
    if (visible(e) && box.width && !e.closest(".fer-skip") && (box.width < least - 0.5 || box.height < least - 0.5)) {
      problems.push(`target of ${box.width.toFixed(0)}×${box.height.toFixed(0)}: ${describe(e)}`);
    }
  }
  if (!document.documentElement.lang) problems.push("no language");
  if (document.documentElement.scrollWidth > innerWidth) problems.push("wider than the screen");
  return problems;
}'''


def problems(page) -> list[str]:
    """Those of a page as it is shown now."""
    return page.evaluate(CHECK)


def settle(page) -> None:
    """Wait until no colour changes any more: those of buttons do so gradually."""
    page.evaluate('''async () => {
      for (;;) {
        const changing = document.getAnimations().filter((one) => one instanceof CSSTransition);
        if (!changing.length) return;
        await Promise.allSettled(changing.map((one) => one.finished));
      }
    }''')
