"""The page of the REST API in a browser that is strict about where things come from."""

from playwright.sync_api import Browser, Request, expect

from devtools.platform_process import PlatformProcess

from .chromium import open_page, sign_up


def test_api_page_works_under_the_policy_and_loads_nothing_from_elsewhere(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    with open_page(chromium_browser, platform.base_url) as page:
        sign_up(page, "reader")
        page.on("request", note)
        answer = page.goto("/api/v1/docs/")
        assert answer is not None
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        call = page.locator("#operations-models-models_list")
        call.get_by_role("button").first.click()
        call.get_by_role("button", name="Execute").click()
        expect(call.locator(".live-responses-table")).to_contain_text("200")
        expect(call.locator(".live-responses-table")).to_contain_text('"results": []')
    assert all(address.startswith((platform.base_url, "data:", "blob:")) for address in asked), asked
