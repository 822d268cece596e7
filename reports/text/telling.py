"""What a run recorded in sentences, told in the page's language from the messages beside them.

Results of versions that recorded sentences alone are told as they stand, in English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from reid_audit.audit.results.messages import write
from reid_audit.audit.results.schema import Check, Finding, Message, MessageValue, Results
from reid_audit.reports.text import summary
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_names

Told = list[tuple[str, bool]]
"""A text in parts, each with whether it is in the page's language."""
_INTERVAL = re.compile(r"(?<=\d)–(?=\d)")
_QUOTED = "quoted"
"""Key of words that the run took over from elsewhere: they are English in every language."""


def tell(
    messages: Message | Sequence[Message] | None,
    recorded: str,
    results: Results,
    language: Language,
) -> Told:
    """A recorded text in the language.

    Args:
        messages: what it was made from; none in results of earlier versions.
        recorded: the text itself, in English.
    """
    listed = [messages] if isinstance(messages, Message) else list(messages or ())
    english = language.code == "en"
    try:
        parts = [
            (written(message, results, language), english or message.key != _QUOTED)
            for message in listed
        ]
    except (KeyError, ValueError):  # of a version that says it otherwise
        parts = []
    if not parts:
        return [(clean(recorded, 1000), english)]
    return [
        (clean(" ".join(text for text, _ in same), 1000), own)
        for own, same in groupby(parts, key=lambda part: part[1])
    ]


def written(message: Message, results: Results, language: Language) -> str:
    """One message, with attacks, recognisers and conditions by the names of the page, and no
    interval broken over two lines."""
    text = write(_named(message, results, language), language)
    return _INTERVAL.sub("\u2060–\u2060", text)


def _named(message: Message, results: Results, language: Language) -> Message:
    conditions = summary.conditions(results)
    plain = plain_names(conditions, language)
    titles = {condition.title: plain[condition.id] for condition in conditions}
    return _replaced(message, results, language, titles)


def _replaced(
    message: Message, results: Results, language: Language, titles: Mapping[str, str]
) -> Message:
    def name(key: str, value: MessageValue) -> MessageValue:
        if isinstance(value, Message):
            return _replaced(value, results, language, titles)
        if isinstance(value, list):
            return [_replaced(part, results, language, titles) for part in value]
        if key == "condition":
            return titles.get(str(value), value)
        if key == "recognizer":
            return summary.recognizer(str(value))
        if key == "attack":
            return summary.attack_title(results, str(value), language) or value
        return value

    return Message(key=message.key, values={k: name(k, v) for k, v in message.values.items()})


def finding_title(finding: Finding, results: Results, language: Language) -> tuple[str, bool]:
    """What a finding says, without the condition it says it of."""
    told = finding.told.title if finding.told else None
    recorded = finding.title.removesuffix(f": {finding.values.get('condition')}")
    return tell(told, recorded, results, language)[0]


def question(check: Check, results: Results, language: Language) -> str:
    """What a check asks of an attacker, without the condition it asks it on."""
    try:
        asked = Message(key=f"check.{check.kind}", values={"recognizer": check.recognizer or ""})
        return written(asked, results, language)
    except (KeyError, ValueError):
        return clean(check.name)
