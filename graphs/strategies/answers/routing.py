"""Which questions are worth a search: those whose answer is computed.

Samples of "Why is the sky blue?" never agree, and no critic can tell the best of them
from another; one completion is the answer. Samples of a word problem agree or differ in
one short value, so votes and verdicts have something to decide. The route is read from
the question's text alone, by four features: numbers, a request for a value, notation,
and a request for prose or code. A question of fact ("capital of Australia") has a
short answer, too, but nothing to compute: it goes without search.

The word lists cover English, German, French, Spanish and Chinese.
"""

from __future__ import annotations

import re

from agents.types import Question

MOST_CHARACTERS = 4000
"""Characters of a question that are read, the last."""

_NUMBER = re.compile(
    r"(?P<name>(?<=[a-z] )[A-Z]\w*[ -])?"  # "Windows 11", "World War 2"
    r"(?P<number>(?<![\w.,-])[$€£]?\d[\d.,]*(?![\d]*[A-Z]?\w*\d)(?![A-Z]\b)"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|sixty|hundred|thousand|dozen|half|twice|double|triple|thrice"
    r"|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|zwölf|zwanzig|hundert|halb|doppelt"
    r"|deux|trois|quatre|cinq|sept|huit|neuf|dix|douze|vingt|cent|moitié"
    r"|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|doce|veinte|cien|mitad|doble)\b"
    r"|[一二两三四五六七八九十百千半]+(?=[个只块元本张人天年岁公米斤分小辆盒条颗升])"
    r"|\d+(?=[\u4e00-\u9fff]))",
)
_QUANTITY = re.compile(
    r"\bhow (?:many|much|old|tall|far|fast|long|heavy|often|big|deep|high|wide|large)\b"
    r"|\b(?:calculate|compute|solve|evaluate|simplify|find the|factor|integrate|differentiate"
    r"|convert|determine|count)\b|\bpercent(?:age)?\b|\d ?%|\bin total\b|\baltogether\b"
    r"|\baverage\b|\bremainder\b|\bprobability\b|\bdivisible\b|\bprime\b|\bsquare root\b"
    r"|\bwie ?(?:viele?|alt|lange|weit|hoch|groß|schnell|schwer|teuer)\b|\b(?:berechne|löse)\w*"
    r"|\bcombien\b|\b(?:calcule|résou)\w*|\bcu[aá]nt[oa]s?\b|\b(?:calcula|resuelve)\w*"
    r"|多少|几(?=[个只块元本张人天年岁公米斤分小辆盒条颗升])|计算|等于|求",
    re.IGNORECASE,
)
"""A request for a quantity."""
_VALUE = re.compile(
    r"\bwhat(?:'s|’s| (?:is|are|was|were|will|would|do|does|did|fraction|number|time|year|age))\b"
    r"|\b(?:at|by|on) what\b|\bwhich\b|\bwas (?:ist|sind|ergibt)\b|\bquel(?:le)?s?\b|\bcu[aá]l\b"
    r"|\bqué\b|是什么|哪",
    re.IGNORECASE,
)
"""A request that may be for a value."""
_NOTATION = re.compile(
    r"\d\s*[-+*/×÷^=]\s*\(?[-\d]|\b\d*[a-z]\s*[-+*/^=]\s*\(?\d|\d\s*[-+*/^]\s*\(?\d*[a-z]\b"
    r"|\$[^$\n]{0,200}[\\^_=<>(][^$\n]{0,200}\$|[)\]]\s*[-+*/^=]\s*[(\d]|\\(?:d?frac|sqrt|int|sum|cdot|times|log|sin|cos)|√|²"
)
"""Mathematical notation."""
_START = r"(?:please |bitte |can you |could you |would you |will you |kannst du |peux-tu |puedes )*"
_PROSE_AT_START = re.compile(
    rf"{_START}(?:write|explain|describe|translate|summari[sz]e|rewrite|rephrase|suggest|recommend"
    r"|plan|create|design|draft|tell|list|name|help|compare\b(?! to)|discuss|imagine|invent|correct"
    r"|improve|give (?:me|us)|show me|make me|debug|implement|refactor"
    r"|schreib|erklär|beschreib|übersetz|fasse|empfiehl|nenne|gib mir|plane|hilf"
    r"|écri|expliqu|décri|tradui|résume|propose|recommande|donne|aide"
    r"|escrib|explic|describ|traduc|resum|recomiend|propon|dame|ayúdame)"
    r"|请?(?:帮我)?(?:写|解释|翻译|推荐|介绍|描述|总结|给我|列出)",
    re.IGNORECASE,
)
"""The beginning of a request for prose or code."""
_PROSE_IN_QUESTION = re.compile(
    r"\bwhy\b|\bhow (?:to|can|could|should|would|do(?:es)? (?:i|you|we|one|the|an?)|is|are)\b"
    r"|\bshould (?:i|we|you)\b|\bwhat (?:should|happened|happens|do you|can i|could i)\b"
    r"|\bwhat (?:is|are|'s) the (?:best|meaning|point|advantages?)\b"
    r"|\bwarum\b|\bwieso\b|\bwie (?:kann|soll|mach|geht|funktionier|werd)\w*|\bwas (?:soll|kann)\b"
    r"|\bpourquoi\b|\bcomment\b|\bpor qué\b|\bcómo\b|为什么|怎么|如何|怎样|建议",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?。！？])[\s\"')]*|\n+")
_PLAIN_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")


def is_computed(question: Question) -> bool:
    """Whether the question asks for a value that follows from numbers or notation in
    it. A follow-up that brings a number of its own is read with the turns before it.
    """
    text = question.text[-MOST_CHARACTERS:]
    if question.earlier and _numbers(text) and not _asks_for_prose(text):
        text = "\n".join([*question.earlier[-2:], text])[-MOST_CHARACTERS:]
    if _asks_for_prose(text):
        return False
    numbers, has_notation = _numbers(text), _NOTATION.search(text) is not None
    if _QUANTITY.search(text):
        return has_notation or numbers >= 1
    if has_notation:
        return True
    words = len(text.split())
    return numbers >= 2 and (_VALUE.search(text) is not None or 3 * numbers >= words)


def _numbers(text: str) -> int:
    return sum(
        match["name"] is None and not _PLAIN_YEAR.fullmatch(match["number"].rstrip(".,"))
        for match in _NUMBER.finditer(text)
    )


def _asks_for_prose(text: str) -> bool:
    """Whether the text begins or ends with a request for prose or code."""
    sentences = [part.strip() for part in _SENTENCE.split(text) if part and part.strip()]
    if not sentences:
        return False
    asked = next((part for part in reversed(sentences) if part[-1] in "?？"), sentences[-1])
    ends = (sentences[0], asked, sentences[-1])
    return any(map(_PROSE_AT_START.match, ends)) or _PROSE_IN_QUESTION.search(asked) is not None
