"""Which names hold secrets: names of variables, headers, flags, parts of queries and members of objects. Pure.

Two questions, since a wrong answer costs differently. `holds_a_secret`: a scenario that writes such a value out is
refused, so a name such as `AUTH_URL`, `TOKEN_TTL` or `SORT_KEY` must not be among them. `is_named_like_a_secret` is
wider: what it names is redacted, and to redact too much does little harm.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

NAME_MOST: Final = 200
"""Characters of a name that are looked at."""
_WORD_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_HOLDS: Final = re.compile(
    r"passwo?r?ds?$|passphrase$|secrets?$|token$|credentials?$|(^|_)creds?$|authorization$|^cookie$|(^|_)jwt$|_auth$"
    r"|(access|api|auth|bearer|refresh)_?tokens$|^secret_key_base$"
    # a short word for a password: a word of its own, or at the end of PGPASS, MYSQLPW, DBPWD, but not of BYPASS
    r"|(^|_)(pass|pwd|pw)$"
    r"|(^|_)(pg|db|sql|my|mysql|postgres|mongo|redis|rabbitmq|amqp|kafka|smtp|imap|mail|ftp|ldap|ssh|http|proxy|user|root"
    r"|admin|login|auth|app|require)(pass|pwd|pw)$"
    r"|(api|auth|access|account|secret|private|signing|encryption|master)_?keys?$"
)
"""What the last words of a name say that holds a secret."""
_KEY: Final = re.compile(r"(?:^|_)(?P<of>[a-z0-9]+)_key$")
_NO_SECRET_KEY: Final = re.compile(
    r"sort|primary|foreign|surrogate|natural|composite|unique|partition|shard|bucket|hash|range|group|row|column|field"
    r"|index|lookup|map|dict|object|cache|memcache|queue|topic|stream|message|event|routing|binding|join|idempotency"
    r"|dedup|dedupe|deduplication|correlation|feature|flag|config|registry|translation|i18n|locale|label|tag|public|pub"
    r"|lock|sequence|counter|metric|hot|short|shortcut|arrow|json|dotted"
)
"""Words before `key` that say what it finds or orders, so that it opens nothing."""
_NEVER: Final = re.compile(
    r"^(old)?pwd$|trust_?store|(^|_)(max|min|num|per|total|first|second|single|multi|boarding|render)_"
    r"(?!.*(passw|secret|credential))|(^|_)public_keys?$"
)
"""PWD is a folder, the password of a store of certificates protects nothing, and `max_token` counts something."""
_LIKE: Final = re.compile(
    r"authorization|cookie|passw|passphrase|secret|token(?!i[sz])|api_?key|access_?key|credential|private_?key"
    r"|(^|_)(pass|pwd|pw|pin|auth|creds?)(_|$)"
)
_KEYS_IN_NAME: Final = re.compile(r"(?:(?:^|_)(?P<of>[a-z0-9]+)_|^)keys?(?:_(?P<what>[a-z0-9]+)|$)")
_ABOUT_KEYS: Final = re.compile(
    r"counts?|prefix|suffix|size|length|len|ttl|names?|types?|format|schema|spaces?|pattern|separator|delimiter|limit"
    r"|bits|version|algorithm|field|column|index|order|store|board|words?|expiry|rotation"
)
"""Words after `key` that say something about keys. `id` is not among them: many services take it for half a login."""
_COUNTED_TOKENS: Final = re.compile(
    r"(^|_)(max|min|num|per|total)_([a-z0-9]+_)?tokens?$|(^|_)tokens?_(ttl|limit|count|budget|expiry|lifetime|length|size)$"
)


@lru_cache(maxsize=4096)
def holds_a_secret(name: str) -> bool:
    """Whether a variable, a header, a flag or a key with this name holds a secret, as far as a name can say."""
    words = words_of(name)
    words = re.sub(r"_\d{1,3}$", "", words)  # API_KEY_2
    if _NEVER.search(words):
        return False
    if _HOLDS.search(words):
        return True
    key = _KEY.search(words)
    return key is not None and not _NO_SECRET_KEY.fullmatch(key["of"])


@lru_cache(maxsize=4096)
def is_named_like_a_secret(name: str) -> bool:
    """Whether what has this name may be a secret, so that it is better not shown."""
    if holds_a_secret(name):
        return True
    words = words_of(name)
    if _LIKE.search(_COUNTED_TOKENS.sub("", words)):
        return True
    key = _KEYS_IN_NAME.search(words)
    return not (key is None or _NO_SECRET_KEY.fullmatch(key["of"] or "") or _ABOUT_KEYS.fullmatch(key["what"] or ""))


def words_of(name: str) -> str:
    """`db_password` for `DB_PASSWORD`, `dbPassword` and `--db-password`: the words of a name, in lower case."""
    return _WORD_BORDER.sub("_", name[:NAME_MOST]).lower().strip("_")
