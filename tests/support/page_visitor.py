"""Visit pages without a browser: keep cookies, follow redirects and send the forms of a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests


class _Forms(HTMLParser):
    """The forms of a page: action, method, inputs and named buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({**attributes, "fields": {}, "buttons": []})
        elif tag == "input" and self.forms:
            self.forms[-1]["fields"][attributes["name"]] = attributes.get("value", "")
        elif tag == "button" and self.forms and "name" in attributes:
            self.forms[-1]["buttons"].append((attributes["name"], attributes["value"]))


class Visitor:
    """A visitor who keeps cookies and follows redirects, up to a URL that begins with `stop`."""

    def __init__(self, stop: str = "\0") -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.stop = stop
        self.url = ""
        self.visited: list[str] = []
        self.page: requests.Response = requests.Response()

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def get(self, url: str, **params: str) -> Visitor:
        """Visit a URL."""
        return self._go("GET", url, params=params)

    def post(self, url: str, **data: str) -> Visitor:
        """Send a form that is not on any page."""
        return self._go("POST", url, data=data)

    def _go(self, method: str, url: str, **arguments: Any) -> Visitor:
        page = self.session.request(method, url, allow_redirects=False, timeout=20, **arguments)
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
        parser = _Forms()
        parser.feed(self.page.text)
        return parser.forms

    def press(self, value: str) -> Visitor:
        """Press the button with this value."""
        for form in self.forms:
            for name, choice in form["buttons"]:
                if choice == value or (value.endswith("*") and choice.startswith(value[:-1])):
                    return self._submit(form, {name: choice})
        raise AssertionError(f"no button {value!r} on {self.url}: {self.page.text}")

    def press_nth(self, number: int) -> Visitor:
        """Press the n-th named button of the page, counting from 0."""
        buttons = [(form, button) for form in self.forms for button in form["buttons"]]
        form, (name, value) = buttons[number]
        return self._submit(form, {name: value})

    def fill(self, **fields: str) -> Visitor:
        """Fill in the form that has these fields, and send it."""
        form = next(form for form in self.forms if fields.keys() <= form["fields"].keys())
        return self._submit(form, fields)

    def _submit(self, form: dict[str, Any], choice: dict[str, str]) -> Visitor:
        target = urljoin(self.url, form.get("action", ""))
        return self._go(form.get("method", "get").upper(), target, data={**form["fields"], **choice})

    @property
    def params(self) -> dict[str, str]:
        """The query of the current URL."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.url).query).items()}
