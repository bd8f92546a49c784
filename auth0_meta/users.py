"""The import path of `Users` in earlier documentation; `auth0_meta.Users` is the same class."""

from auth0_meta.endpoints.users import Users as Users
