"""The page about an audit: complete, bounded, and what users wrote in it is only text."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.audits import hostile_report, large_report, report
from support.browser import BrowserWindow, chromium

from auth0_meta import InputError
from auth0_meta.audit import AuditReport, Finding, KeyWeight, OversizedUser, Sizes
from auth0_meta.audit.html_report import render
from auth0_meta.checks.kinds import KINDS


class Structure(HTMLParser):
    """What a browser makes of a page: its tags, headings and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(  # noqa: D102  # the parser's protocol
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert not [name for name in given if name.startswith("on") or name in ("style", "src")]
        self.links += [given["href"] or ""] if "href" in given else []
        self.ids += [given["id"] or ""] if "id" in given else []

    def handle_data(self, data: str) -> None:  # noqa: D102
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, in one line."""
        return " ".join(" ".join(self.words).split())


def shown(one: AuditReport, *, baseline: AuditReport | None = None) -> Structure:
    """Return the page of a report."""
    return Structure(render(one.to_json(baseline=baseline)))


def test_an_empty_report_says_so() -> None:
    """There are no plots of nothing."""
    page = shown(report(users=0))
    assert "There are no users" in page.text
    assert {"table", "svg"} & set(page.tags) == set()


def test_a_clean_tenant_says_so() -> None:
    """Its sizes are still of interest."""
    page = shown(report(sizes=Sizes(edges=(0, 1000, 2000), counts=(90, 10), median=700, largest=1500)))
    assert "Nothing found in 100 profiles" in page.text
    assert "Over 10 KB 0" in page.text
    assert "svg" in page.tags


def test_one_finding() -> None:
    """It has its words, its path, a user, and a command to paste."""
    page = shown(
        report(
            findings=(
                Finding(kind="growing_list", path="app_metadata.history", users=1, examples=("auth0|1",)),
            )
        )
    )
    kind = KINDS["growing_list"]
    for words in (
        kind.title,
        kind.meaning,
        kind.advice,
        *kind.next_commands(["app_metadata.history"]),
        "auth0|1",
    ):
        assert words in page.text
    assert "No profile is over 10 KB, but there is more to look at" in page.text


def test_profiles_as_a_whole_get_a_command_for_what_weighs() -> None:
    """The fewest keys that make up most of it, none of them a field of the profile itself."""
    weights = [
        ("identities", 900),
        ("app_metadata.a b", 500),
        ("user_metadata.c", 460),
        ("user_metadata.d", 40),
    ]
    page = shown(
        report(
            findings=(Finding(kind="oversized", path="", users=3),),
            weights=tuple(KeyWeight(path=path, bytes=size, users=1, largest=size) for path, size in weights),
        )
    )
    assert (
        "auth0-meta offload 'app_metadata.a b' user_metadata.c --store sqlite:///big.db -o job.db"
        in page.text
    )
    assert "3 of 100 users are over 10 KB" in page.text


def test_what_is_new_is_marked() -> None:
    """Beside the finding, and in a list with what is gone."""
    before, after = (
        report(findings=tuple(Finding(kind="secret", path=path, users=users) for path, users in found))
        for found in (
            [("user_metadata.a", 2), ("user_metadata.b", 1)],
            [("user_metadata.a", 5), ("app_metadata.c", 1)],
        )
    )
    page = shown(after, baseline=before)
    assert "Since 2026-12-01 12:00 UTC" in page.text
    for words in (
        "app_metadata.c new",
        "user_metadata.a grew from 2 to 5 users",
        "user_metadata.b gone, 1 user before",
    ):
        assert words in page.text
    assert "Nothing is new, nothing grew, and nothing is gone." in shown(after, baseline=after).text
    assert "Since" not in shown(after).text


def test_a_hostile_name_is_text() -> None:
    """In a path, a user id, the source, a note and a problem; a command with such a path would be another one."""
    page = shown(hostile_report())
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count("\\u202egnp.exe\\u001b[31m") >= 2 * len(KINDS)
    assert not {"\u202e", "\x1b"} & set(page.text)
    assert "auth0-meta offload" not in page.text


def test_a_page_leads_only_to_itself() -> None:
    """Each kind in the plot leads to its section, and nothing leaves the page."""
    page = shown(large_report())
    assert page.links == [f"#{kind}" for kind in KINDS]
    assert set(KINDS) == set(page.ids)
    assert page.tags.count("h1") == page.tags.count("main") == 1


def test_a_page_is_bounded() -> None:
    """Of 10,000 findings and of users it has the first, and says how many more there are; long keys are cut in the middle."""
    key = "k" * 100_000 + "end"
    one = large_report(10_000, 1_000)
    page = render(one.to_json())
    assert len(page) < 3_000_000
    assert "more paths are not on this page; --json has all of them" in page
    assert "980 more</summary>" in page
    long = render(report(findings=(Finding(kind="bad_key", path=f"app_metadata.{key}", users=1),)).to_json())
    assert len(long) < 20_000
    assert "kend" in long


def test_users_who_are_not_listed_are_counted() -> None:
    """A report lists 1,000 of them."""
    one = report(
        findings=(Finding(kind="oversized", path="", users=5),),
        oversized=(OversizedUser(user_id="auth0|1", bytes=20_000, keys={}),),
    )
    assert "4 more users are not on this page; --csv writes a row for each." in shown(one).text


def test_an_inconsistent_report_has_a_page() -> None:
    """A report may be read from a file that somebody has edited."""
    for edges, counts in (((0,), (3,)), ((5, 5, 5), (1, 2)), ((9, 1), (1,)), ((0, 1, 2), (1,))):
        assert (
            "100 users"
            in shown(
                report(
                    sizes=Sizes(edges=edges, counts=counts),
                    findings=(
                        Finding(kind="oversized", path="", users=1),
                        Finding(kind="of_another_version", path="", users=1),
                    ),
                )
            ).text
        )


# The file ------------------------------------------------------------------------------------------------


def test_the_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    """Ids of users are personal data."""
    path = tmp_path / "audit.html"
    path.write_text("earlier", encoding="utf-8")
    large_report().to_html(path, baseline=report())
    assert path.read_text("utf-8") == render(large_report().to_json(baseline=report()))
    assert [one.name for one in tmp_path.iterdir()] == ["audit.html"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    """It says which file, and why."""
    with pytest.raises(InputError, match="can't be written: it is a directory, not a regular file"):
        report().to_html(tmp_path)
    with pytest.raises(InputError, match=r"audit\.html can't be written: No such file or directory"):
        report().to_html(tmp_path / "none" / "audit.html")


# In a browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserWindow]:
    """Start one browser for all tests of this file."""
    with chromium() as started:
        yield started


PAGES = {
    "large": (large_report(), report()),
    "empty": (report(users=0), None),
    "hostile": (hostile_report(), hostile_report()),
    # Every kind of row there is, but not so many that axe-core takes minutes.
    "small": (large_report(36, 30), report()),
}


@pytest.fixture(params=["large", "empty", "hostile"])
def opened(request: pytest.FixtureRequest, window: BrowserWindow, tmp_path: Path) -> BrowserWindow:
    """Open the page of a report, with everything that can be opened in it."""
    one, baseline = PAGES[request.param]
    one.to_html(tmp_path / "audit.html", baseline=baseline)
    window.driver.get_log("browser")
    window.go((tmp_path / "audit.html").as_uri())
    window.driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    return window


def screen(window: BrowserWindow, width: int, scheme: str = "light") -> None:
    """Let the window be as wide as a device, which prefers a color scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_a_browser_shows_all_of_it(opened: BrowserWindow, width: int, scheme: str) -> None:
    """Without an error, without running anything, and without scrolling sideways."""
    screen(opened, width, scheme)
    assert opened.driver.get_log("browser") == []
    assert opened.driver.execute_script("return window.pwned ?? null") is None
    sizes = "const page = document.documentElement; return [page.scrollWidth - page.clientWidth, innerWidth]"
    assert opened.driver.execute_script(sizes) == [0, width]
    paper = opened.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    opened.screenshot(f"audit-{width}-{scheme}")


@pytest.mark.browser
def test_it_can_be_printed(opened: BrowserWindow) -> None:
    """On A4, dark on white whatever the screen prefers."""
    screen(opened, 1440, "dark")
    opened.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    assert (
        opened.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    printed = opened.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pages = base64.b64decode(printed["data"])
    assert pages.startswith(b"%PDF-")
    assert b"/MediaBox [0 0 595" in pages or b"/MediaBox [0 0 594" in pages


@pytest.mark.browser
@pytest.mark.own_environment("node")
@pytest.mark.parametrize("opened", ["small", "empty", "hostile"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_program_finds_no_barrier(opened: BrowserWindow, scheme: str) -> None:
    """axe-core, which knows the rules of WCAG 2.2, has nothing to say about it."""
    screen(opened, 1440, scheme)
    modules = Path(os.environ["AUTH0_META_LIVE_NODE_MODULES"])
    opened.driver.execute_script((modules / "axe-core" / "axe.min.js").read_text("utf-8"))
    found = opened.driver.execute_async_script("axe.run().then((found) => arguments[0](found.violations))")
    assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []
