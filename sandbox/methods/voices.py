"""Voices for a text that is read out: voximplant.tts.voices.get (api-reference/telephony/voximplant)."""

from __future__ import annotations

from sandbox.method import Call, Row, method

# id without the sex, name, who has it (f, m), who reads (D: default, A: Amazon).
_VOICES = """
auenglish Australian English|f|A
brportuguese Brazilian Portuguese|f|A
caenglish Canadian English|f|D
cafrench Canadian French|fm|A
chchinese Chinese|fm|D
eurcatalan Catalan|f|D
eurczech Czech|f|D
eurdanish Danish|f|D
eurdutch Dutch|f|D
eurfinnish Finnish|f|D
eurfrench French|f|A
eurfrench French|m|D
eurgerman German|fm|D
euritalian Italian|fm|D
eurnorwegian Norwegian|f|D
eurpolish Polish|f|D
eurportuguese Portuguese|fm|D
eurspanish Spanish|fm|D
eurturkish Turkish|fm|D
hkchinese Hong Kong Cantonese|f|D
huhungarian Hungarian|f|D
jpjapanese Japanese|fm|D
krkorean Korean|fm|D
ruinternal Russian|fm|D
usinternal English|fm|D
swswedish Swedish|f|D
twchinese Taiwanese Chinese|f|D
ukenglish English|fm|A
usenglish American English|fm|D
usspanish American Spanish|fm|A
"""
_SEXES = {"f": ("female", "Female"), "m": ("male", "Male")}
_ENGINES = {"D": "Default", "A": "Amazon"}


@method("voximplant.tts.voices.get", scope="telephony", cost=(0.0, 0.01))
def voices_get(call: Call) -> Row:
    # Two voices are those of the portal's own country: usinternal on the page, ruinternal on a portal of .ru.
    made: Row = {}
    for line in _VOICES.split("\n")[1:-1]:
        word, _, rest = line.partition(" ")
        name, sexes, engine = rest.split("|")
        for sex in sexes:
            made[word + _SEXES[sex][0]] = f"{name} ({_SEXES[sex][1]}) ({_ENGINES[engine]})"
    return made
