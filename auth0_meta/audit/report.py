"""What an audit has found: immutable values, their JSON and HTML, and the comparison with an earlier audit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, cast

import attrs

from auth0_meta.audit.read_report import Fields, document_of
from auth0_meta.audit.report_types import AuditJSON, Checks
from auth0_meta.checks.sizes import SIZE_KINDS
from auth0_meta.errors import InputError
from auth0_meta.files.paths import replacing
from auth0_meta.redact import discreet


@attrs.frozen(kw_only=True)
class Finding:
    """One kind of finding at one path: `users` have it, and `examples` are the ids of at most five of them.

    `kind` is one of the kinds in `docs/audit.md`.  `path` begins with `user_metadata` or `app_metadata`; it is "" for
    kinds that concern a profile as a whole.
    """

    kind: str
    path: str
    users: int
    examples: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class OversizedUser:
    """A user whose profile has `bytes`, over 10,000, and what its heaviest `keys` take of them, by path."""

    user_id: str
    bytes: int
    keys: Mapping[str, int]


@attrs.frozen(kw_only=True)
class KeyWeight:
    """What the key at `path` weighs in profiles near the limit or over it.

    `bytes`: in all of them together; `users`: those who have the key; `largest`: most bytes in one profile.
    """

    path: str
    bytes: int
    users: int
    largest: int


@attrs.frozen(kw_only=True)
class Sizes:
    """How large the profiles are, in bytes of compact JSON.

    `counts[i]` profiles have more than `edges[i]` and at most `edges[i + 1]` bytes.  `total`: all profiles together;
    `median`, `p99` and `largest` are 0 if there are no users.  `over_10240`: profiles that are over 10 KB, however many
    bytes a KB has.  Over 20,000 bytes, `median` and `p99` are exact to 1 %.
    """

    edges: tuple[int, ...] = (0,)
    counts: tuple[int, ...] = ()
    total: int = 0
    median: int = 0
    p99: int = 0
    largest: int = 0
    over_10240: int = 0


@attrs.frozen(kw_only=True)
class Problems:
    """Records that could not be read: their `count`, and in `examples` where the first are and what is wrong."""

    count: int = 0
    examples: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Difference:
    """A finding that differs from an earlier audit's: `before` and `after` are numbers of users.

    `change`: "new", "grew", "shrank" or "gone".
    """

    kind: str
    path: str
    change: Literal["new", "grew", "shrank", "gone"]
    before: int
    after: int


@discreet
@attrs.frozen(kw_only=True)
class AuditReport:
    """What an audit has found: paths, counts, sizes and user ids, but no metadata value.

    `generated_at`: when, as ISO 8601 in UTC.  `source`: where the profiles came from.  `users`: how many there were.
    `findings`: the worst kind first, then by number of users.  `oversized`: the users over 10,000 bytes, the largest
    first, at most 1,000.  `sizes`: how large profiles are.  `weights`: first-level keys, the heaviest first, at most 200,
    in the profiles near the limit or over it.  `problems`: records that could not be read.  `notes`: what was counted
    together to bound the memory.  `checks`: "all", or "sizes" if nothing else was looked at.  `seconds`: how long it took.

    >>> report = AuditReport(generated_at="2026-12-01T12:00:00Z", source="export", users=1)
    >>> AuditReport.from_json(report.to_json()) == report
    True
    """

    generated_at: str
    source: str
    users: int
    findings: tuple[Finding, ...] = ()
    oversized: tuple[OversizedUser, ...] = ()
    sizes: Sizes = Sizes()
    weights: tuple[KeyWeight, ...] = ()
    problems: Problems = Problems()
    notes: tuple[str, ...] = ()
    checks: Checks = "all"
    seconds: float = 0.0

    def to_json(self, *, baseline: AuditReport | None = None) -> AuditJSON:
        """Return the report as JSON, which `from_json` reads.

        `baseline`: an earlier report; then the field `baseline` has when that was made, and the differences.

        >>> report = AuditReport(generated_at="2026-12-01T12:00:00Z", source="export", users=0)
        >>> report.to_json()["problems"]
        {'count': 0, 'examples': []}
        """
        document = attrs.asdict(self, value_serializer=_plain)
        if baseline is not None:
            differences = [attrs.asdict(one) for one in self.compare(baseline)]
            document["baseline"] = {"generated_at": baseline.generated_at, "differences": differences}
        return cast("AuditJSON", document)

    def to_html(self, path: str | os.PathLike[str], /, *, baseline: AuditReport | None = None) -> None:
        """Write the report to a file as one HTML page with plots, which needs no script and no other file.

        `baseline`: an earlier report; then the page shows what is new, what grew, and what is gone.  Only this user can
        read the file.  An earlier file there is replaced once the page is complete.  Raises `InputError` if it can't be
        written, for example because it belongs to somebody else; then nothing has changed.

        >>> import tempfile, pathlib
        >>> report = AuditReport(generated_at="2026-12-01T12:00:00Z", source="export", users=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.to_html(pathlib.Path(folder) / "audit.html")
        ...     (pathlib.Path(folder) / "audit.html").read_text()[:15]
        '<!doctype html>'
        """
        from auth0_meta.audit.html_report import render  # noqa: PLC0415  # few programs want a page

        page = render(self.to_json(baseline=baseline))
        try:
            with replacing(path) as file:
                file.write(page)
        except OSError as error:
            raise InputError(f"{os.fspath(path)!s} can't be written: {error.strerror or error}") from None

    @classmethod
    def from_json(cls, document: Mapping[str, object] | str | bytes, /) -> AuditReport:
        """Return the report whose JSON this is: what `to_json` returned, or its text.

        Fields that an earlier version did not write have their defaults.  Raises `InputError` for anything else, and for
        more than 64 MB of text.

        >>> AuditReport.from_json('{"generated_at": "2026-12-01T12:00:00Z", "users": 1, "findings": [], "oversized": []}').users
        1
        """
        fields = Fields(document_of(document), "the report")
        sizes, problems = fields.inner("sizes"), fields.inner("problems")
        return cls(
            generated_at=fields.text("generated_at"),
            source=fields.text("source", ""),
            users=fields.whole("users"),
            findings=tuple(
                Finding(
                    kind=one.text("kind"),
                    path=one.text("path"),
                    users=one.whole("users"),
                    examples=one.texts("examples"),
                )
                for one in fields.objects("findings")
            ),
            oversized=tuple(
                OversizedUser(
                    user_id=one.text("user_id"),
                    bytes=one.whole("bytes"),
                    keys=one.inner("keys").every_whole(),
                )
                for one in fields.objects("oversized")
            ),
            sizes=Sizes()
            if sizes.is_empty
            else Sizes(
                edges=sizes.wholes("edges"),
                counts=sizes.wholes("counts"),
                **{name: sizes.whole(name) for name in ("total", "median", "p99", "largest")},
                over_10240=sizes.whole("over_10240", 0),
            ),
            weights=tuple(
                KeyWeight(
                    path=one.text("path"),
                    **{name: one.whole(name) for name in ("bytes", "users", "largest")},
                )
                for one in fields.objects("weights", optional=True)
            ),
            problems=Problems()
            if problems.is_empty
            else Problems(count=problems.whole("count"), examples=problems.texts("examples")),
            notes=fields.texts("notes", optional=True),
            checks="sizes" if fields.text("checks", "all") == "sizes" else "all",
            seconds=fields.number("seconds", 0.0),
        )

    def compare(self, earlier: AuditReport, /) -> tuple[Difference, ...]:
        """Return what is different from an earlier report: first what is new, then what grew, shrank and is gone.

        What both have for equally many users is left out, and so are kinds that one of the two has not looked for, if it
        is an audit of sizes alone.

        >>> old, new = (AuditReport(generated_at="2026-12-01T12:00:00Z", source="export", users=9, findings=(
        ...     Finding(kind="growing_list", path="app_metadata.history", users=n),)) for n in (3, 5))
        >>> new.compare(old)
        (Difference(kind='growing_list', path='app_metadata.history', change='grew', before=3, after=5),)
        """
        both = None if self.checks == earlier.checks == "all" else SIZE_KINDS
        after, before = (
            {(one.kind, one.path): one.users for one in report.findings if both is None or one.kind in both}
            for report in (self, earlier)
        )
        found: list[Difference] = []
        for kind, path in dict.fromkeys((*after, *before)):
            then, now = before.get((kind, path), 0), after.get((kind, path), 0)
            if now != then:
                change = _change(then, now)
                found.append(Difference(kind=kind, path=path, change=change, before=then, after=now))
        order = ("new", "grew", "shrank", "gone")
        return tuple(sorted(found, key=lambda one: order.index(one.change)))


def _change(then: int, now: int) -> Literal["new", "grew", "shrank", "gone"]:
    if not then:
        return "new"
    if not now:
        return "gone"
    return "grew" if now > then else "shrank"


def _plain(_instance: object, _field: object, value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
