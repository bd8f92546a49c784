"""What an error that one user of a batch has met means for that user, and for the others."""

from __future__ import annotations

from auth0_meta.errors import Auth0MetaError, AuthError, NotSentError, OutcomeUnknown, ScopeError
from auth0_meta.http.budget import WaitBudget

# These would fail every other user too: the credentials, the scope or the connection is at fault.
_FOR_EVERYBODY = (AuthError, ScopeError, NotSentError)
# These concern one user.  Anything else is not the library's: on_wait raised it, or a function that returns tokens.
_FOR_ONE_USER = (Auth0MetaError, Warning)


def interrupted(user_id: str, cause: BaseException | None) -> OutcomeUnknown:
    """Return the error for a user whose PATCH had left when something else ended the work on it."""
    error = OutcomeUnknown(
        f"the PATCH for {user_id} had been sent when {type(cause).__name__} ended the batch. "
        "It may or may not have been applied: read the user and decide",
        user_id=user_id,
    )
    error.__cause__ = cause
    return error


def is_for_everybody(error: BaseException, budget: WaitBudget) -> bool:
    """Return whether what failed one user would fail all others too."""
    if isinstance(error, NotSentError) and budget.failures and not error.permanent:
        return budget.outage  # it was tried again for a while: do others get through?
    return budget.outage or isinstance(error, _FOR_EVERYBODY) or not isinstance(error, _FOR_ONE_USER)


def lighten(error: BaseException) -> None:
    """Drop the frames that an error was raised in, and their locals: thousands of failures may be kept."""
    link: BaseException | None = error
    while link is not None and link.__traceback__ is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
