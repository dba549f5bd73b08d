"""The words that introduce an answer, as regular expressions.

English in full; other languages only as a label ("Réponse :") and a plain sentence ("La
réponse est 12."). Matched on lower-case text with full-width characters made narrow.
"""

from __future__ import annotations

import re

_LETTERED = (
    r"answers?|ans(?=\.?\s?:|\s?[=-]\s)|final result|correct (?:options?|choice)(?! "
    r"(?:of|for|to)\b)"
    r"|r[ée]ponses?|antwort|endantwort|respuestas?|rispost[ae]|respostas?|antwoord"
    "|ответы?|відповідь|odpowied[zź]|odpověď|sva(?:r|ret)|vastaus|cevap|yanıt|απάντηση|תשובה"
    "|الإجابة|الجواب|الاجابة|جواب|پاسخ|răspuns(?:ul)?|válasz|jawaban(?:nya)?|trả lời|đáp án|đáp số"
    "|উত্তর|సమాధానం|జవాబు|jibu"
)
_UNSPACED = "答案|解答|回答|答え|答|正解|选项|選項|故选|故選|故|정답|답변|답|उत्तर|คำตอบ"
UNSPACED_WORDS = frozenset(_UNSPACED.split("|"))
"""Words of languages without blanks between words."""
_BOUND = (
    "(?<!不)正解|(?<=正确)选项|(?<=正確)選項"
    "|故[选選](?=:\\W{0,4}[a-z\\d])|故(?=[选選]\\W{0,4}[a-z\\d])"
)
WORD = (
    rf"(?:(?:(?<![^\W_])|(?<=final))(?:{_LETTERED})(?![^\W_])"
    rf"|{_BOUND}|(?![正选選故])(?:{_UNSPACED}))"
)
"""A word for "answer"."""

WORDS = re.compile(rf"{_LETTERED}|{_UNSPACED}")
"""Finds candidates for `WORD`; fast, because each branch begins with a letter."""
HINT = re.compile(rf"boxed|####|begin_of_box|a[*]{{0,2}}:|{_LETTERED}|{_UNSPACED}")
"""Matches every text with a mark, and few others."""

SAME = (
    r"(?:final|correct|right|short|exact|numerical|numeric|overall|complete|full|direct|best"
    r"|simplified|actual|ultimate|required|desired|resulting|finale|finala|endgültige|окончательный"
    r"|правильный|correcte|correcta|corretta|correta|richtige|最终|最終|최종|正确|正確な|正解の|参考|标准|[本此该]题的?|所以|因此|综上)"
)
"""Adjectives of the final answer; not "wrong", "possible" or "first"."""

ARTICLE = r"(?:the|my|our|your|die|das|la|le|il|el|a|o|ma|mi|de|het)"

AFTER_WORD = (
    r"(?:[ ]?(?:finale?|correcte?|correcta|corretta|correta|đúng|chính xác|cuối cùng|الصحيحة|الصحيح"
    r"|النهائية|النهائي))?(?:(?<=ans)\.)?"
    r"(?:\s?[#]?\d{1,2}(?=\s?[:*]))?"
    r"(?:\s?\([^()\n]{1,40}\))?"
    r"(?:\s(?:to|for|of|à|a|auf)\s[^:.?!\n=]{1,80}?)?"
)
"""Text allowed between the word and its colon or verb: "to the question", "(in
dollars)"."""

IS = (
    r"(?:(?<![^\W_])(?:is|are|equals|becomes|(?:would|will|should|must|has to) be|comes (?:out )?to"
    r"|turns out to be|works out to(?: be)?|est|ist|lautet|beträgt|es|è|é|är|er|jest|равен|это"
    r"|adalah|là|هو|هي|ni)(?![^\W_])|=(?!=)|(?:应该?|應該?|就|便|即)?[是为為]|(?<=[案故])[选選][择擇]?|は|은|는|คือ"
    r"|(?<=ответ )[—–]|(?<=(?:ist|tet) die antwort)(?=\s\W{0,4}(?:\d|[a-j]\b|\\|\$)))"
)
"""The verb of the sentence "the answer is 12"."""

THEREFORE = (
    r"(?:(?:therefore|thus|hence|then|so|simply|just|indeed|clearly|also|actually|really|definitely"
    r"|exactly|precisely|obviously|equal to|given by|donc|also|daher|somit|folglich|entonces"
    r"|por lo tanto|quindi|dunque|portanto|dus"
    r"|(?:l[ae]|a|el|die|de)(?=\s\W{0,3}(?:[a-j]\b|opción|op[cç])))"
    r"(?![^\W_])[\s,:*_]*)"
)

NO_VALUE = re.compile(
    r"(?:(?:the|(?-i:a)|an|it|this|that|my|your|our|their|his|her|both|either|neither)\s+\w"
    r"|(?:not|never|no "
    r"longer|wrong|incorrect|correct|right|unclear|unknown|uncertain|now|in|to|still"
    r"|yet|only|approximately|approx|about|roughly|around|nearly|almost|close|between|greater|less"
    r"|more|fewer|at least|at most|up to|somewhere|likely|probably|possibly|perhaps|maybe|found"
    r"|obtained|given|based|calculated|computed|derived|determined|as follows|follows|here|below"
    r"|above|simple|simply|straightforward|easy|clear|obvious|yours|what|why|how|whether|if|because"
    r"|that|dependent|depends)\b"
    r"|one of\b|nicht\b|pas\b|niet\b|inte\b|ikke\b|不|否|нет|не\b)",
    re.IGNORECASE,
)
"""Continuations of a sentence about the answer that does not state it exactly."""

_HEDGES = (
    r"if|whether|unless|until|when|maybe|perhaps|possibly|what|how|why|assum(?:e|ed|ing)|\w*n['’]t|not|cannot"
    r"|guess(?:ed|ing)?|check|verify|^\W*say|says|said|saying|(?<!second "
    r")thought|thinks|claim(?:s|ed)?|believed"
    r"|(?<!\bi )(?<!\bwe )believes?|wonder|doubt|si|wenn|falls|ob|als|если|jika|nếu"
)
ASIDE = re.compile(
    rf"(?:^|[^\w])(?:{_HEDGES})[\s,]+(?:(?:think|believe|mean|say|true|sure|certain)[\s,]+)?(?:that[\s,]+)?"
    rf"(?:{ARTICLE}\s+)?(?:{SAME}\s+)*$"
    # another person's answer, or one of several
    r"|(?:['’]s?|\b(?:his|her|their|your|an|any|no|every|each|another|other|this|that|wrong|incorrect"
    r"|false|possible|potential|alternative|candidate|sample|example|previous|earlier|old|initial"
    r"|first|tentative|preliminary|approximate|estimated|student|user|model))\s+$"
    r"|\b(?:suppose|supposing|imagine|pretend|hypothetically|let['’]s say|supposons|angenommen"
    r"|supongamos|supponiamo|suponha)\b"
    r"|如果|假设|假設|假如|若|설령|만약|もし|仮に",
    re.IGNORECASE,
)
"""A clause that only mentions an answer; matches the text up to the word."""

RETRACTION = (
    r"wait|actually|correction|edit:|update:|sorry|oops|hold on|on second thought|(?:up)?on "
    r"(?:re\w*|closer)|(?:my )?apologies|scratch that"
    r"|i (?:apologi[sz]e|made|was wrong|mis\w+|forgot|overlooked|(?:need|have) to correct)|let me "
    r"(?:re\w+|correct|fix)"
    r"|(?:that|this)(?:['’]s| is| was) (?:wrong|incorrect|not right)"
    r"|esper[ae]|perdón|me equivoqu|moment[,.!]|entschuldigung|das (?:ist|war) "
    r"falsch|attend|désolé|je me suis tromp|aspett"
    r"|подожд|извини|等等|等一下|不对|更正|抱歉|待って|すみません|잠깐"
)
"""Beginnings of a sentence that retracts the text before it."""

CLOSING = re.compile(
    r"\W*(?:let me know|i hope (?:this|that)|hope (?:this|that)|feel free|if you (?:have|need)"
    r"|please (?:let|feel)|is there anything|good luck|happy to"
    r"|have (?:a (?:great|good|nice|safe|lovely|wonderful)|fun))\b|\W*enjoy\b[^\n]{0,60}!\W*$",
    re.IGNORECASE,
)
"""Beginnings of a closing courtesy, which is not part of an answer."""

CONCLUSION = re.compile(
    r"\W*(?:so|therefore|thus|hence|consequently|the (?:\w+ "
    r")?answer|also,|daher|somit|folglich|donc"
    r"|por (?:lo )?tanto|quindi)\b|\W*(?:因此|所以|したがって)",
    re.IGNORECASE,
)
"""Beginnings of a block that draws a conclusion from the text above."""

REMARK = re.compile(
    r"\W*(?:by (?:following|doing|using)|following (?:these|this)|remember\b|note that"
    r"|(?:with )?(?:these|this|the above) "
    r"(?:steps?|tips?|plan|list|guide|recipe|instructions|ideas?))\b",
    re.IGNORECASE,
)
"""Beginnings of a block that refers to the list above and makes no sense without it."""

PRESENTING = re.compile(
    r"(?:^|\W)(?:here(?:['’]s| is| are)|hier (?:ist|sind)|voici|aquí (?:está|tiene)|ecco)\b"
    r"|以下|下面",
    re.IGNORECASE,
)
"""Words of a line that presents the list below as the answer."""

SIGN_OFF = re.compile(
    r"\W*(?:(?:best|kind|warm) regards|regards|sincerely|yours|best(?: wishes)?,|cheers,|love,"
    r"|(?:many )?thanks,|thank you,|warmly|respectfully|cordially|mit (?:freundlichen|besten)"
    r"|(?:viele|liebe|beste|herzliche) grüße|cordialement|bien à vous|atentamente|saludos"
    r"|cordiali saluti|此致|敬具)",
    re.IGNORECASE,
)
"""Beginnings of the last lines of a letter."""

SALUTATION = re.compile(
    r"\W*(?:subject:|betreff:|objet :|asunto:|dear\b|hi\b|hello\b|to whom|sehr geehrte|liebe[rs]?\b"
    r"|hallo\b|guten tag|chère?\b|bonjour|estimad|querid|hola\b|gentil|尊敬|亲爱|拝啓)",
    re.IGNORECASE,
)
"""Beginnings of the first lines of a letter."""
