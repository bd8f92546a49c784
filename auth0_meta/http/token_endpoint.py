"""Exchange credentials for an access token: `POST /oauth/token`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from auth0_meta.errors import NotSentError, OutcomeUnknown, ServerError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.error_responses import TOKEN_PATH
from auth0_meta.http.expected import an_object, believed
from auth0_meta.http.request import Request
from auth0_meta.http.sender import Sender
from auth0_meta.ratelimit.plans import route_group


def exchange(
    sender: Sender, application: Mapping[str, str], proof: Mapping[str, str], budget: WaitBudget
) -> Mapping[str, Any]:
    """Ask for a token for one application and API, and return the parsed response; `sender` itself sends no token.

    `proof`: a secret, or a signed assertion.  `budget` is that of the request which needs the token: the waits count
    against it, the requests do not.  Raises `NotSentError` after a lost response or a 5xx: whatever the token endpoint
    did, the request itself was never sent, and its outcome is not in doubt.
    """
    request = Request(
        "POST",
        TOKEN_PATH,
        group=route_group("POST", TOKEN_PATH),
        body=urlencode({"grant_type": "client_credentials", **application, **proof}).encode(),
        sent=dict(proof),
        repeat=True,
        content_type="application/x-www-form-urlencoded",
    )
    own = WaitBudget(
        max_wait=budget.left(),
        # For bulk work each try is one of the request's own: it knows whether there is an outage.
        failure_wait=budget.failure_wait if budget.share is None else 0.0,
        ends=budget.ends,
        timeout=budget.timeout,
        on_wait=budget.on_wait,
        on_request=budget.on_request,
        user_id=budget.user_id,
        cancelled=budget.cancelled,
        clock=sender.clock,
    )
    try:
        found: Mapping[str, Any] = believed(sender.send(request, own), request, an_object)
    except (OutcomeUnknown, ServerError) as error:
        msg = f"there is no token, so nothing was sent: {error}"
        raise NotSentError(msg, user_id=budget.user_id, permanent=not own.failures) from error
    finally:
        budget.waited += own.waited
        budget.reported += own.reported
        budget.reasons |= own.reasons
        budget.objection = own.objection
        budget.took = own.took
    return found
