"""Visit pages as a browser would, without one: cookies, redirects, the forms and links of a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests


class _Forms(HTMLParser):
    """Find the forms of a page: action, method, hidden and other inputs, named buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        words = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({**words, "fields": {}, "buttons": []})
        elif tag == "input" and self.forms:
            self.forms[-1]["fields"][words["name"]] = words.get("value", "")
        elif tag == "button" and self.forms and "name" in words:
            self.forms[-1]["buttons"].append((words["name"], words["value"]))


class Surfer:
    """Hold one browser: it keeps cookies and follows redirects, up to an address that begins with `stop`."""

    def __init__(self, stop: str = "\0") -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.stop = stop
        self.url = ""
        self.visited: list[str] = []
        self.page: requests.Response = requests.Response()

    def __enter__(self) -> Surfer:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def get(self, url: str, **params: str) -> Surfer:
        """Visit an address."""
        return self._go("GET", url, params=params)

    def post(self, url: str, **data: str) -> Surfer:
        """Send a form that no page has shown."""
        return self._go("POST", url, data=data)

    def _go(self, method: str, url: str, **what: Any) -> Surfer:
        page = self.session.request(method, url, allow_redirects=False, timeout=20, **what)
        self.visited.append(f"{method} {urlsplit(url).path}")
        self.page, self.url = page, page.url
        if page.status_code in (302, 303, 307):
            target = urljoin(page.url, page.headers["Location"])
            if target.startswith(self.stop):
                self.url = target
                return self
            return self._go("GET", target)
        return self

    @property
    def forms(self) -> list[dict[str, Any]]:
        """The forms of this page."""
        found = _Forms()
        found.feed(self.page.text)
        return found.forms

    def press(self, value: str) -> Surfer:
        """Press the button with this value."""
        for form in self.forms:
            for name, given in form["buttons"]:
                if given == value or (value.endswith("*") and given.startswith(value[:-1])):
                    return self._submit(form, {name: given})
        raise AssertionError(f"no button {value!r} on {self.url}: {self.page.text}")

    def press_nth(self, number: int) -> Surfer:
        """Press the page's n-th button that has a name, from 0."""
        buttons = [(form, button) for form in self.forms for button in form["buttons"]]
        form, (name, value) = buttons[number]
        return self._submit(form, {name: value})

    def fill(self, **fields: str) -> Surfer:
        """Fill in the form that has these fields, and send it."""
        form = next(form for form in self.forms if fields.keys() <= form["fields"].keys())
        return self._submit(form, fields)

    def _submit(self, form: dict[str, Any], more: dict[str, str]) -> Surfer:
        target = urljoin(self.url, form.get("action", ""))
        return self._go(form.get("method", "get").upper(), target, data={**form["fields"], **more})

    @property
    def params(self) -> dict[str, str]:
        """The query of the address that this browser is at."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.url).query).items()}
