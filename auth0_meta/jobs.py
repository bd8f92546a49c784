"""The import path of `Jobs` in earlier documentation; `auth0_meta.Jobs` is the same class."""

from auth0_meta.endpoints.jobs import Jobs as Jobs
