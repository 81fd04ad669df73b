"""Look for known vulnerabilities of what is installed: ``python -m tests.security``, exit status 0 if none is known.

`pip-audit` takes a service that does not know a package for one that knows no vulnerability of it, and ends with a
traceback where there is no service. Here the exit status is then 2.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

AUDIT = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
EDITABLE = "distribution marked as editable"


class Verdict(NamedTuple):
    """The exit status, and what there is to say."""

    status: int
    text: str


def judge(output: str, complaints: str) -> Verdict:
    """Return what follows from what `pip-audit` has said on both streams."""
    try:
        found = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (complaints.strip().splitlines() or ["it says nothing"])[-1]
        return Verdict(2, f"The advisory service cannot be asked, so nothing is known: {reason}")
    audited = [each for each in found if "skip_reason" not in each]
    unknown = [each["name"] for each in found if "skip_reason" in each and EDITABLE not in each["skip_reason"]]
    lines = [
        f"{each['name']} {each['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for each in audited
        for flaw in each["vulns"]
    ]
    if lines:
        return Verdict(1, "\n".join(lines))
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        text = f"The advisory service does not know {len(unknown)} of {len(audited) + len(unknown)} packages ({names})"
        return Verdict(2, f"{text}: ask one that has advisories, such as pypi.org itself, or with ARGS='-s osv'.")
    return Verdict(0, f"No known vulnerability in {len(audited)} packages.")


def main(arguments: Sequence[str]) -> int:
    done = subprocess.run([*AUDIT, *arguments], capture_output=True, text=True, check=False)
    verdict = judge(done.stdout, done.stderr)
    sys.stdout.write(f"{verdict.text}\n")
    return verdict.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
