"""Texts that whoever writes a name, a log line or an answer could send: each wants to act on one of the outputs."""

from __future__ import annotations

from typing import Final

HOSTILE: Final = {
    "script": "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=alert(1) x='",
    "link": "javascript:alert(1) [a](javascript:b) ![i](http://127.0.0.1:1/x.png)",
    "template": "{{ 7*7 }} {% raw %} ${7*7} #{7*7}",
    "entity": "&lt;script&gt; &#60; &amp;amp; ]]> <![CDATA[ <!-- --> <?xml ?>",
    "colours": "\x1b[31mred\x1b[0m\x1b[2J\x1b[H\x1b[1A\x1b]0;title\x07",
    "clipboard": "\x1b]52;c;aGVsbG8=\x07\x1b]8;;http://127.0.0.1:1\x1b\\link\x1b]8;;\x1b\\",
    "c1": "\x9b31m\x90q\x9c\x85next\x8d",
    "controls": "\x00nul\x07bell\x08back\x7fdel\x0bvt\x0cff\x1f",
    "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c\u202a\u202b\u202d",
    "invisible": "a\u200bb\u2060c\ufeffd\u00ade\u3164f\U000e0041g",
    "surrogate": "lone \ud800 and \udcff",
    "breaks": "one\ntwo\rthree\r\nfour\u2028five\u2029six\x0bseven\x85eight",
    "forged": "x\nPASS made-up .runs/x\nerror: nothing\nfix: nothing",
    "github": "x\n::error file=a::b\n  ::add-mask::a\n##[error]c\r\n::stop-commands::d%0A::set-env name=A::b",
    "markdown": "| a | b |\n|---|---|\n# head\n> quote\n- item\n`code` ``` \\| ~~s~~ @everyone #1 <b>b</b> *em* __st__",
    "formula": "=cmd|'/c calc'!A0",
    "formula-plus": "+1+1",
    "formula-at": "\t@SUM(1)",
    "rich": "[bold red]x[/bold red] [link=http://127.0.0.1:1]y[/link] :warning: [/]",
    "percent": "%s %d %n %0A {0} {} %%",
    "combining": "e" + "\u0301" * 500,
    "emoji": "👩‍👩‍👧‍👦 🇩🇪",
    "not-utf-8": b"caf\xe9 \xff\xfe \xc0\xaf".decode("utf-8", "surrogateescape"),
}
ALL: Final = " ".join(HOSTILE.values())
HUGE: Final = 10_000_000
"""Characters of the longest line."""
