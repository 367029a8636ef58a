"""What a page shows for some seconds only: a test that is late, or a page that loads again, does not miss it."""

NOTE = '''(() => {
  if (!location.protocol.startsWith("http")) return;
  const noted = new Set(JSON.parse(sessionStorage.getItem("noted") ?? "[]"));
  new MutationObserver(() => {
    const before = noted.size;
    for (const element of document.querySelectorAll(".q-notification, .fer-banner")) {
      if (element.checkVisibility()) noted.add(element.textContent);
    }
    if (noted.size > before) sessionStorage.setItem("noted", JSON.stringify([...noted]));
  }).observe(document, { subtree: true, childList: true, characterData: true });
})()'''
"""A script for all pages: notes the texts of notifications and of the banner."""


def wait_until_told(page, text: str) -> None:
    """Until the page has shown `text` in a notification or its banner, even if it is gone by now."""
    page.wait_for_function("text => JSON.parse(sessionStorage.getItem('noted') ?? '[]').some(t => t.includes(text))",
                           arg=text)
