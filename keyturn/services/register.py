"""Stage `register`: the manifest that the attempt is about passes lint, and its digest is known."""

from __future__ import annotations

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.finding import errors
from keyturn.domain.lint import lint
from keyturn.errors import ManifestError
from keyturn.ports import Ledger
from keyturn.services.stage import once


def register(ledger: Ledger, execution: Execution) -> Receipt:
    """Lint the sealed manifest again and keep what was noticed.

    The command line lints before it opens an attempt; this is for manifests that were registered under older rules.

    Raises:
        ManifestError: lint finds an error.
    """
    sealed = ledger.manifest(execution.digest)
    findings = lint(sealed.manifest)
    if faults := errors(findings):
        raise ManifestError(
            str(execution.key),
            "; ".join(f.message for f in faults),
            "Correct the manifest and run `keyturn onboard` again.",
        )
    body = {
        "digest": execution.digest,
        "scopes": list(sealed.scopes),
        "noticed": [f"{f.rule}: {f.message}" for f in findings],
    }
    return once(ledger, execution, Stage.REGISTER, lambda _: body)
