"""A page, its tables and its text; whatever others may have written is escaped here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

from auth0_meta.redact import printable

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# One palette for all pages.  Text has a contrast of at least 4.5 on paper and panel, lines and fills of at least 3.
_LIGHT = """--paper: #fff; --panel: #f5f6f8; --ink: #1b1f24; --soft: #56606b; --line: #d9dee4;
  --accent: #1f56b5; --fill: #5b84d1; --warn: #855600; --warn-fill: #bd7d0a; --bad: #b3261e; --bad-fill: #d2483d;"""
_DARK = """--paper: #15181c; --panel: #1e2228; --ink: #e7eaee; --soft: #a4adb8; --line: #353c45;
  --accent: #8ab4ff; --fill: #6c99e6; --warn: #e6b450; --warn-fill: #d39c2c; --bad: #ff9a91; --bad-fill: #ee6c61;"""

_STYLE = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box }}
body {{ margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100% }}
main {{ max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; overflow-wrap: break-word }}
h1 {{ margin: 0; font-size: clamp(1.6rem, 1.2rem + 2vw, 2.3rem); line-height: 1.2; letter-spacing: -.015em; text-wrap: balance; overflow-wrap: anywhere }}
h2 {{ margin: 3rem 0 .75rem; font-size: 1.3rem; line-height: 1.3; letter-spacing: -.01em }}
h3 {{ margin: 0; font-size: 1.05rem; line-height: 1.4 }}
p {{ margin: .5rem 0; max-width: 44rem }}
.soft {{ color: var(--soft) }}
a {{ color: var(--accent) }}
code, pre {{ font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; unicode-bidi: isolate }}
pre {{ margin: .5rem 0; padding: .6rem .8rem; white-space: pre-wrap; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem }}
table {{ width: 100%; margin: .5rem 0 1.5rem; border-collapse: collapse; font-size: .925rem }}
th, td {{ padding: .4rem .9rem .4rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }}
th:last-child, td:last-child {{ padding-right: 0 }}
thead th {{ color: var(--soft); font-size: .8rem; font-weight: 600; border-bottom-color: var(--soft) }}
tbody th {{ font-weight: 400 }}
.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }}
figure {{ margin: 1rem 0 2rem }}
figcaption {{ margin-bottom: .75rem; color: var(--soft); font-size: .925rem; max-width: 44rem }}
svg {{ display: block; overflow: visible }}
svg text {{ font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--soft) }}
.axis {{ stroke: var(--line) }} .bar {{ fill: var(--fill) }} .bar.warn {{ fill: var(--warn-fill) }} .bar.bad {{ fill: var(--bad-fill) }}
summary {{ cursor: pointer; color: var(--accent); padding: .25rem 0 }}
:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px }}
@media (max-width: 40rem) {{ main {{ padding: 1.5rem 1rem 3rem }} th, td {{ padding-right: .6rem }} table {{ font-size: .875rem }} }}
@page {{ size: A4; margin: 16mm 14mm }}
@media print {{
  :root {{ color-scheme: light; {_LIGHT} }}
  body {{ font-size: 10.5pt }} main {{ max-width: none; padding: 0 }}
  h2, h3, figcaption, summary, pre {{ break-after: avoid }} p, tr, pre, svg, figure:not(:has(table)) {{ break-inside: avoid }} thead {{ display: table-header-group }}
  svg * {{ -webkit-print-color-adjust: exact; print-color-adjust: exact }}
}}
"""


def text(value: object) -> str:
    r"""Return a value as text of a page: neither the browser nor a reader takes it for anything else.

    >>> print(text("<b>\u202e"))
    &lt;b&gt;\u202e
    """
    return escape(printable(str(value)))


def page(title: str, body: Iterable[str], *, style: str = "") -> str:
    """Return a page; `body`: its parts, which are HTML; `style`: what it needs besides the style that all pages share."""
    parts = "\n".join(part for part in body if part)
    return printable(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{text(title)}</title>\n<style>{_STYLE}{style}</style></head>\n<body><main>\n{parts}\n</main></body></html>\n",
        lines=True,
    )


def table(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    label: str = "",
    css: str = "",
) -> str:
    """Return a table, "" if it has no rows.

    `rows`: cells that `cell` and `head` return, or that are HTML of their own.  `numbers`: the names of columns with
    numbers, which stand on the right.  `label`: what a screen reader calls the table.  `css`: its class.
    """
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    if not lines:
        return ""
    named = (f' class="{css}"' if css else "") + (f' aria-label="{text(label)}"' if label else "")
    right = dict.fromkeys(numbers, ' class="n"')
    top = "".join(f'<th scope="col"{right.get(name, "")}>{text(name)}</th>' for name in names)
    top = f"<thead><tr>{top}</tr></thead>" if names else ""
    return f"<table{named}>{top}<tbody>{lines}</tbody></table>"


def cell(value: object) -> str:
    """Return a cell with a text, or with a number, which stands on the right."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{text(value)}</td>"


def head(value: object) -> str:
    """Return the cell that names a row."""
    return f'<th scope="row">{text(value)}</th>'
