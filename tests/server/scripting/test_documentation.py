"""The example of `docs/scripting.md` does what is written there."""

from __future__ import annotations

import re
from pathlib import Path

from kt_core.kyoto import KyotoTycoon
from tests.server.running import serving

PAGE = (Path(__file__).parents[3] / "docs" / "scripting.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}[^\n]*\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_example_returns_what_it_says() -> None:
    calls = re.findall(r"^(client\..*?)  # (\{.*\})$", block("python"), re.MULTILINE)
    assert len(calls) == 3
    with serving(script="@" + block("lua")) as server, KyotoTycoon(port=server.port) as client:
        for call, said in calls:
            assert repr(eval(call, {"client": client})) == said


NAMES = """@
function names(inmap, outmap)
  local db = __kyototycoon__.db
  for _, fields in pairs({__kyototycoon__, db, db:cursor()}) do
    for name in pairs(fields) do outmap[name] = true end
  end
end
"""


def test_the_tables_name_all_that_there_is() -> None:
    with serving(script=NAMES) as server, KyotoTycoon(port=server.port) as client:
        named = client.lua.names()
    missing = {name for name in named if not re.search(rf"\b{name}\b", PAGE)}
    assert missing <= {"FileProcessor", "RVSUCCESS", "RVENOIMPL", "RVEINVALID", "RVELOGIC", "RVEINTERNAL"}
