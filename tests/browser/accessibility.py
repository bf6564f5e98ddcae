"""What axe-core finds on a page."""

from importlib.resources import files

from playwright.sync_api import Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
# Of the rules that hold, one element is described each: those of a long list are not told one by one.
RUN = "axe.run({resultTypes: ['violations']})"
SETTLED = "html:not(:has(.htmx-request))"  # what a page asks for when it opens has come


def findings_here(page: Page) -> list[str]:
    """Return what keeps somebody from using the page that is open, with every part of it unfolded."""
    page.wait_for_load_state("load")
    page.locator(SETTLED).wait_for(state="attached")
    page.evaluate("document.fonts.ready.then(() => null)")
    page.evaluate("for (const fold of document.querySelectorAll('details.fold')) fold.open = true")
    page.evaluate(AXE)
    report = page.evaluate(RUN)
    assert len(report["passes"]) > 5, "it has looked at the page"
    return [
        f"{page.url}: {finding['id']} ({finding['impact']}): {finding['nodes'][0]['html'][:200]}"
        for finding in report["violations"]
        if finding["impact"] in ("serious", "critical")
    ]
